// Package jobs runs background work on River, in PostgreSQL: one process of
// the fleet, the leader, says when work is due, any process does it, and what
// a process that died has left is taken up by another.
package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Periodic is work that is due at each multiple of Every since 1970, UTC, and
// once when a leader is elected. It must bring things to where they should be
// by now, whatever was missed: nothing else depends on a process being up at a
// certain moment. Work that is still running, or waits to be tried again, is
// not begun a second time. A process that was cut off may still be working
// when another begins: what Work writes must bear that.
type Periodic struct {
	Kind    string        // its name in the database: lower case, words joined by _
	Every   time.Duration // at least 1 s
	Timeout time.Duration // ends ctx; 0: Every
	Work    func(ctx context.Context) error
}

// Config configures a Runner. Every process of a fleet that runs jobs must
// have the same Periodic: a leader gives up the kinds that it does not know.
type Config struct {
	Pool     *pgxpool.Pool // as primecloud_worker
	Periodic []Periodic
	Logger   *slog.Logger          // nil: discard
	Metrics  prometheus.Registerer // nil: none
	// Now is the database's time, which says what is due; nil: time.Now.
	Now func() time.Time
	// Right is false while this machine's clock cannot be believed: then it does
	// nothing, so that others lead. nil: always.
	Right func() bool
}

// attempts of one job, about ten minutes apart in all; the next period brings
// a new one.
const attempts = 6

// stopTimeout is how long work may go on when the process stops.
const stopTimeout = 10 * time.Second

// Runner does work until its context ends.
type Runner struct {
	cfg     Config
	client  *river.Client[pgx.Tx]
	metrics metrics
}

// args are those of every periodic job: it has none but its kind.
type args struct{ kind string }

func (a args) Kind() string { return a.kind }

// New makes a runner that is not running yet.
func New(cfg Config) (*Runner, error) {
	if cfg.Pool == nil {
		return nil, errors.New("jobs: Pool is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Right == nil {
		cfg.Right = func() bool { return true }
	}
	r := &Runner{cfg: cfg, metrics: newMetrics(cfg.Metrics)}
	workers := river.NewWorkers()
	longest := time.Minute
	var periodic []*river.PeriodicJob
	for _, p := range cfg.Periodic {
		if p.Every < time.Second || p.Work == nil {
			return nil, fmt.Errorf("jobs: %s: Every of at least a second and Work are required", p.Kind)
		}
		if p.Timeout == 0 {
			p.Timeout = p.Every
		}
		longest = max(longest, p.Timeout)
		r.metrics.add(p.Kind)
		river.AddWorkerArgs(workers, args{p.Kind}, &worker{of: p, metrics: &r.metrics})
		periodic = append(periodic, river.NewPeriodicJob(aligned(p.Every), func() (river.JobArgs, *river.InsertOpts) {
			return args{p.Kind}, &river.InsertOpts{MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByState: unfinished, ByQueue: true}}
		}, &river.PeriodicJobOpts{ID: p.Kind, RunOnStart: true}))
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		Workers:      workers,
		PeriodicJobs: periodic,
		// Who may connect to the database may NOTIFY on River's channels: a pause of
		// all queues, say. Nobody listens to them.
		PollOnly: true,
		// River tells its own id on them; that of its making has the machine's name.
		ID:                   rand.Text(),
		Logger:               slog.New(quiet{cfg.Logger.Handler()}),
		ErrorHandler:         &failures{cfg.Logger},
		RescueStuckJobsAfter: longest + time.Minute,
		SoftStopTimeout:      stopTimeout,
		Test:                 river.TestConfig{Time: databaseTime(cfg.Now)}, // River has no other place for a clock
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.client = client
	return r, nil
}

// look is how often a runner looks whether its clock is right, and recallEvery
// how often for jobs of a time that has not come.
const (
	look        = time.Second
	recallEvery = time.Minute
)

// Run works until ctx ends, then lets running work finish within ten seconds.
// While the clock is not right it stops, and work that runs is given as long.
func (r *Runner) Run(ctx context.Context) error {
	for wait := look; ; {
		if r.cfg.Right() {
			// The database may be away: it is the gateway beside that must run on.
			if err := r.run(ctx); err == nil {
				wait = look
			} else {
				wait = min(2*wait, 30*time.Second)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// run works until ctx ends or the clock is not right; the error is that nothing
// was begun.
func (r *Runner) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := r.recall(ctx); err != nil {
		return err
	}
	if err := r.client.Start(ctx); err != nil {
		return err
	}
	looks, recalls := time.NewTicker(look), time.NewTicker(recallEvery)
	defer looks.Stop()
	defer recalls.Stop()
	for {
		select {
		case <-r.client.Stopped():
			return nil
		case <-recalls.C:
			if err := r.recall(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Logger.Warn("jobs of a time that has not come", "error", err)
			}
		case <-looks.C:
			if !r.cfg.Right() {
				stop()
			}
		}
	}
}

// recall makes jobs due that a process with another time has put off: a job is
// there once, and nothing would be done until then.
func (r *Runner) recall(ctx context.Context) error {
	kinds := make([]string, len(r.cfg.Periodic))
	for i, p := range r.cfg.Periodic {
		kinds[i] = p.Kind
	}
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	tag, err := r.cfg.Pool.Exec(ctx, `UPDATE river_job SET scheduled_at = now()
		WHERE kind = ANY($1) AND state IN ('available', 'scheduled', 'retryable', 'pending') AND scheduled_at > now() + $2::interval`, kinds, longestWait)
	if err == nil && tag.RowsAffected() > 0 {
		r.cfg.Logger.Warn("jobs were put off by a process whose clock is ahead; they are due now", "jobs", tag.RowsAffected())
	}
	return err
}

// longestWait is more than a job waits to be tried again: River waits n^4
// seconds after the n'th attempt, and a tenth.
const longestWait = 20 * time.Minute

// databaseTime is River's clock. What River leaves to the database stays there.
type databaseTime func() time.Time

func (d databaseTime) Now() time.Time     { return d().UTC() }
func (databaseTime) NowOrNil() *time.Time { return nil }

// unfinished are the states of a job that is not over: there is one at most.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// aligned is due at multiples of itself, so that a change of leader does not
// move the moments.
type aligned time.Duration

func (a aligned) Next(now time.Time) time.Time {
	return now.UTC().Truncate(time.Duration(a)).Add(time.Duration(a))
}

type worker struct {
	river.WorkerDefaults[args]
	of      Periodic
	metrics *metrics
}

func (w *worker) Timeout(*river.Job[args]) time.Duration { return w.of.Timeout }

func (w *worker) Work(ctx context.Context, _ *river.Job[args]) error {
	started, ok := time.Now(), false
	defer func() { w.metrics.ran(w.of.Kind, started, ok) }()
	err := w.of.Work(ctx)
	ok = err == nil
	return err
}

// failures are said where the operator looks.
type failures struct{ log *slog.Logger }

func (f *failures) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	f.log.Error("job failed; it is tried again", "job", job.Kind, "attempt", job.Attempt, "error", err)
	return nil
}

func (f *failures) HandlePanic(_ context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.log.Error("job panicked; it is tried again", "job", job.Kind, "attempt", job.Attempt, "panic", panicked, "trace", trace)
	return nil
}

// quiet keeps River's own messages below the level of warnings out of the log.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
