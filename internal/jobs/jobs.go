// Package jobs runs background work on River, in PostgreSQL: work with
// arguments, enqueued within the transaction that makes it necessary (Kind), and
// work that is due again and again (Periodic), which one process of the fleet,
// the leader, enqueues. Any process does it, and what a process that died has
// left is taken up by another.
//
// Only primecloud_worker has rights to River's tables, so only it enqueues. A
// role that is to enqueue one kind of job gets a function of the database that
// inserts that kind and nothing else (SECURITY DEFINER), never rights to a table:
// who may insert into river_job may have any work done with any arguments.
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
)

// Config configures a Runner. Every process of a fleet that runs jobs must
// have the same Jobs and Periodic, but while its processes are upgraded: work
// that a process does not know waits for one that does.
type Config struct {
	Pool     *pgxpool.Pool         // as primecloud_worker
	Jobs     []Job                 // made by Register
	Periodic []Periodic            // all in one queue, which has room for each
	Logger   *slog.Logger          // nil: discard
	Metrics  prometheus.Registerer // nil: none
	// Now is the database's time, which says what is due; nil: time.Now.
	Now func() time.Time
	// Right is false while this machine's clock cannot be believed: then it does
	// nothing, so that others lead. nil: always.
	Right func() bool
}

// stopTimeout is how long work may go on when the process stops.
const stopTimeout = 10 * time.Second

// Runner does work until its context ends.
type Runner struct {
	cfg      Config
	client   *river.Client[pgx.Tx]
	metrics  metrics
	timeouts map[string]time.Duration // of each kind that is known
}

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
	r := &Runner{cfg: cfg, metrics: newMetrics(cfg.Metrics), timeouts: map[string]time.Duration{}}
	// A kind of periodic work is there once, so that its queue has a worker for each;
	// and as many again for work that goes on after the end of its time.
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2 * max(1, len(cfg.Periodic))}}
	workers := river.NewWorkers()
	for _, j := range cfg.Jobs {
		if j.queue.Name == river.QueueDefault || j.queue.Workers < 1 {
			return nil, fmt.Errorf("jobs: %s: a queue of its own name with at least one worker is required", j.kind)
		}
		if q, ok := queues[j.queue.Name]; ok && q.MaxWorkers != j.queue.Workers {
			return nil, fmt.Errorf("jobs: queue %s has %d workers for one kind and %d for another", j.queue.Name, q.MaxWorkers, j.queue.Workers)
		}
		queues[j.queue.Name] = river.QueueConfig{MaxWorkers: j.queue.Workers}
		if err := r.add(workers, j); err != nil {
			return nil, err
		}
	}
	var periodic []*river.PeriodicJob
	for _, p := range cfg.Periodic {
		if p.Every < time.Second || p.Work == nil {
			return nil, fmt.Errorf("jobs: %s: Every of at least a second and Work are required", p.Kind)
		}
		if err := r.add(workers, p.job()); err != nil {
			return nil, err
		}
		periodic = append(periodic, p.schedule())
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Queues:       queues,
		Workers:      workers,
		PeriodicJobs: periodic,
		// What a newer version enqueued is left for it. River's own rescue of jobs whose
		// process died would discard it; recover does that work instead, for kinds that
		// are known here.
		FetchOnlyKnownKinds:  true,
		RescueStuckJobsAfter: never,
		// Who may connect to the database may NOTIFY on River's channels: a pause of
		// all queues, say. Nobody listens to them.
		PollOnly: true,
		// River tells its own id on them; that of its making has the machine's name.
		ID:              rand.Text(),
		Logger:          slog.New(quiet{cfg.Logger.Handler()}),
		ErrorHandler:    &failures{cfg.Logger},
		SoftStopTimeout: stopTimeout,
		Test:            river.TestConfig{Time: databaseTime(cfg.Now)}, // River has no other place for a clock
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.client = client
	return r, nil
}

// add makes the kind known.
func (r *Runner) add(workers *river.Workers, j Job) error {
	if _, ok := r.timeouts[j.kind]; ok || j.timeout <= 0 {
		return fmt.Errorf("jobs: %s: each kind is given once, with a time limit", j.kind)
	}
	r.timeouts[j.kind] = j.timeout
	r.metrics.add(j.kind)
	river.AddWorkerArgs(workers, arguments{kind: j.kind}, &worker{of: j, metrics: &r.metrics, log: r.cfg.Logger})
	return nil
}

// look is how often a runner looks whether its clock is right, and recoverEvery
// how often for jobs that nobody would do.
const (
	look         = time.Second
	recoverEvery = time.Minute
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
	if err := r.recover(ctx); err != nil {
		return err
	}
	if err := r.client.Start(ctx); err != nil {
		return err
	}
	looks, recovers := time.NewTicker(look), time.NewTicker(recoverEvery)
	defer looks.Stop()
	defer recovers.Stop()
	for {
		select {
		case <-r.client.Stopped():
			return nil
		case <-recovers.C:
			if err := r.recover(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Logger.Warn("jobs that nobody would do were not looked for", "error", err)
			}
		case <-looks.C:
			if !r.cfg.Right() {
				stop()
			}
		}
	}
}

// databaseTime is River's clock. What River leaves to the database stays there.
type databaseTime func() time.Time

func (d databaseTime) Now() time.Time     { return d().UTC() }
func (databaseTime) NowOrNil() *time.Time { return nil }
