// Package jobs runs background work on River, in PostgreSQL: one process of
// the fleet, the leader, says when work is due, any process does it, and what
// a process that died has left is taken up by another.
package jobs

import (
	"context"
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
}

// attempts of one job, about ten minutes apart in all; the next period brings
// a new one.
const attempts = 6

// stopTimeout is how long work may go on when the process stops.
const stopTimeout = 10 * time.Second

// Runner does work until its context ends.
type Runner struct {
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
	r := &Runner{metrics: newMetrics(cfg.Metrics)}
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
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		Workers:              workers,
		PeriodicJobs:         periodic,
		Logger:               slog.New(quiet{cfg.Logger.Handler()}),
		ErrorHandler:         &failures{cfg.Logger},
		RescueStuckJobsAfter: longest + time.Minute,
		SoftStopTimeout:      stopTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.client = client
	return r, nil
}

// Run works until ctx ends, then lets running work finish within ten seconds.
func (r *Runner) Run(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := r.client.Start(ctx)
		if err == nil {
			<-r.client.Stopped()
			return nil
		}
		// The database may be away: it is the gateway beside that must run on.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

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
