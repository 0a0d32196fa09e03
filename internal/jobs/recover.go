package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// recover gives back to the queue what nobody would do: jobs that a process with
// another time has put off, since a job may be there once, and jobs whose process
// died. It looks at kinds that are known here, and at no others: how long those may
// run, and whether they wait with a reason, a newer version knows.
func (r *Runner) recover(ctx context.Context) error {
	kinds, seconds := make([]string, 0, len(r.timeouts)), make([]float64, 0, len(r.timeouts))
	for kind, timeout := range r.timeouts {
		kinds, seconds = append(kinds, kind), append(seconds, (timeout+grace).Seconds())
	}
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	tag, err := r.cfg.Pool.Exec(ctx, `UPDATE river_job SET scheduled_at = now()
		WHERE kind = ANY($1) AND state IN ('available', 'scheduled', 'retryable', 'pending') AND scheduled_at > now() + $2::interval`, kinds, longestWait)
	if err != nil {
		return err
	}
	if tag.RowsAffected() > 0 {
		r.cfg.Logger.Warn("jobs were put off by a process whose clock is ahead; they are due now", "jobs", tag.RowsAffected())
	}
	rows, err := r.cfg.Pool.Query(ctx, `UPDATE river_job j SET scheduled_at = now(),
			state = CASE WHEN attempt < max_attempts THEN 'available' ELSE 'discarded' END::river_job_state,
			finalized_at = CASE WHEN attempt < max_attempts THEN NULL ELSE now() END
		FROM unnest($1::text[], $2::float8[]) AS k (kind, seconds)
		WHERE j.kind = k.kind AND state = 'running' AND attempted_at < now() - make_interval(secs => k.seconds)
		RETURNING j.kind, attempt < max_attempts`, kinds, seconds)
	if err != nil {
		return err
	}
	var kind string
	var again bool
	_, err = pgx.ForEachRow(rows, []any{&kind, &again}, func() error {
		r.cfg.Logger.Warn("a job was cut off: its process died, or it went on after the end of its time", "job", kind, "again", again)
		return nil
	})
	return err
}

// longestWait is more than a job waits to be tried again: River waits n^4
// seconds after the n'th attempt, and a tenth.
const longestWait = 20 * time.Minute

// grace is how long after its time a job's process may take to say that it ended.
const grace = time.Minute

// never is more time than there is.
const never = 100 * 365 * 24 * time.Hour
