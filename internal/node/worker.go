package node

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/lifecycle"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// startWorker starts the background work of the fleet.
func (n *node) startWorker(ctx context.Context) error {
	pool, err := n.openPool(ctx, "database.worker_url", n.cfg.Database.WorkerURL, pg.RoleWorker)
	if err != nil {
		return err
	}
	if err := n.watchRole(ctx, "database.worker_url", pool, pg.RoleWorker); err != nil {
		return err
	}
	member, err := n.joinKeyring(ctx, RoleWorker, pool)
	if err != nil {
		return err
	}
	sampler, err := storage.New(storage.Config{Pool: pool, Store: &tenancy.Store{Keyring: n.keyring.Keyring}, Now: n.clock.Now, Logger: n.log, Metrics: n.registry})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(n.cfg.Journal.Dir, 0o700); err != nil {
		return fmt.Errorf("journal.dir: a worker notes there which seals it knows: %w", err)
	}
	sealer := ledger.NewSealer(ledger.SealerConfig{Pool: pool, Keys: n.keyring.Keyring, Dir: n.cfg.Journal.Dir, Logger: n.log, Metrics: n.registry})
	aborter := lifecycle.NewAborter(lifecycle.Config{Pool: pool, Store: &tenancy.Store{Keyring: n.keyring.Keyring}, Now: n.clock.Now, Logger: n.log, Metrics: n.registry})
	// Every process of the fleet with this role knows all of it.
	periodic := []jobs.Periodic{
		sampleStorage(sampler),
		{Kind: "usage_seal", Every: time.Minute, Timeout: 10 * time.Minute, Work: func(ctx context.Context) error {
			// A seal stays for good: the keyring is asked about before each run, not only at the start.
			if err := member.Report(ctx); err != nil {
				return err
			}
			return sealer.Seal(ctx)
		}},
		aborter.Daily(),
	}
	withArguments := []jobs.Job{jobs.Register(lifecycle.AbortUploads, aborter.Abort)}
	if n.cfg.Domains.Target != "" {
		rules, err := n.cfg.DomainRules()
		if err != nil {
			return err
		}
		rules.Now, rules.Logger, rules.Metrics = n.clock.Now, n.log, n.registry
		checks := domains.New(rules)
		periodic = append(periodic, checks.Due(pool))
		withArguments = append(withArguments, jobs.Register(domains.CheckDomain, checks.Checker(pool)))
	}
	runner, err := jobs.New(jobs.Config{Pool: pool, Jobs: withArguments, Periodic: periodic, Logger: n.log, Metrics: n.registry, Now: n.clock.Now, Right: n.clock.Right})
	if err != nil {
		return err
	}
	for _, service := range []Service{
		n.watchClock(pool),
		Foreground("seals", func(ctx context.Context) error { sealer.Watch(ctx); return nil }),
		Foreground("jobs", runner.Run),
	} {
		if err := n.services.Push(service); err != nil {
			return err
		}
	}
	return nil
}

// watchClock compares a worker's clock as a gateway's flushes do, and notices
// that the worker has no database.
func (n *node) watchClock(pool *pgxpool.Pool) Service {
	var lost atomic.Bool // the last question to the database had no answer
	s := Foreground("worker's clock", func(ctx context.Context) error {
		t := time.NewTicker(n.cfg.Journal.FlushInterval)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				asking, done := context.WithTimeout(ctx, 10*time.Second)
				lost.Store(n.clock.Compare(asking, pool) != nil) // why, the jobs say
				done()
			}
		}
	})
	s.Checks = []health.Check{n.ofWorker(health.Check{Name: "worker's database", Look: func() health.Result {
		if lost.Load() {
			return health.Bad("PostgreSQL does not answer the worker: its jobs wait.")
		}
		return health.Good()
	}})}
	return s
}

// How long a run of sampling may take, and how much longer its job: a job whose
// process died is taken up after that, within the same hour.
const (
	sampleEvery = 10 * time.Minute
	sampleRun   = 24 * time.Minute
	sampleJob   = 25 * time.Minute
)

// sampleStorage measures once an hour. It is due more often, so that buckets
// that are new or failed get their sample within the hour.
func sampleStorage(sampler *storage.Sampler) jobs.Periodic {
	return jobs.Periodic{Kind: "sample_storage", Every: sampleEvery, Timeout: sampleJob, Work: func(ctx context.Context) error {
		run, cancel := context.WithTimeout(ctx, sampleRun)
		defer cancel()
		_, err := sampler.SampleDue(run)
		if ctx.Err() == nil && run.Err() != nil {
			return nil // the next run goes on
		}
		return err
	}}
}
