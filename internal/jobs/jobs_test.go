package jobs_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// runner starts a process's runner; stop waits for its end.
func runner(t *testing.T, db *testenv.DB, r prometheus.Registerer, periodic ...jobs.Periodic) (stop func()) {
	t.Helper()
	return start(t, jobs.Config{Pool: db.Pool(t, pg.RoleWorker), Periodic: periodic, Metrics: r})
}

func start(t *testing.T, cfg jobs.Config) (stop func()) {
	t.Helper()
	run, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if !stopped.Swap(true) {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// Two processes, one fleet: work is done by one at a time, and goes on when
// the process that led stops.
func TestPeriodic_oneAtATime(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	var runs, now, most atomic.Int64
	work := jobs.Periodic{Kind: "count", Every: time.Second, Timeout: time.Minute, Work: func(ctx context.Context) error {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		runs.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(1500 * time.Millisecond): // longer than its period
		}
		return nil
	}}
	stop := runner(t, db, nil, work)
	testenv.WaitFor(t, "the first run", func() bool { return runs.Load() >= 1 })
	runner(t, db, nil, work)
	testenv.WaitFor(t, "more runs", func() bool { return runs.Load() >= 3 })
	stop()
	had := runs.Load()
	testenv.WaitFor(t, "runs without the first process", func() bool { return runs.Load() > had+1 })
	if most.Load() != 1 {
		t.Errorf("%d ran at once", most.Load())
	}
}

func TestPeriodic_failuresAreRepeated(t *testing.T) {
	t.Parallel()
	db, registry := testenv.Postgres(t), prometheus.NewRegistry()
	once := func(kind string, fail func() error) jobs.Periodic {
		var runs atomic.Int64
		return jobs.Periodic{Kind: kind, Every: time.Second, Work: func(context.Context) error {
			if runs.Add(1) == 1 {
				return fail()
			}
			return nil
		}}
	}
	runner(t, db, registry, once("stumble", func() error { return errors.New("no") }), once("fall", func() error { panic("never") }))
	for _, kind := range []string{"stumble", "fall"} {
		runs := func(outcome string) float64 { return value(t, registry, "primecloud_jobs_runs_total", kind, outcome) }
		testenv.WaitFor(t, kind+" to succeed", func() bool { return runs("success") >= 1 })
		if n := runs("failure"); n != 1 {
			t.Errorf("%s: %v failures are counted, there was 1", kind, n)
		}
		if value(t, registry, "primecloud_jobs_last_success_timestamp_seconds", kind) == 0 {
			t.Errorf("%s: the success has no time", kind)
		}
	}
}

// Work that does not come to its end, of however many kinds but one, keeps no other from being done.
func TestPeriodic_stuck(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	var stuck, runs atomic.Int64
	never := func(kind string) jobs.Periodic {
		return jobs.Periodic{Kind: kind, Every: time.Second, Timeout: time.Minute, Work: func(ctx context.Context) error {
			stuck.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}}
	}
	runner(t, db, nil, never("first"), never("second"), never("third"), jobs.Periodic{Kind: "other", Every: time.Second, Work: func(context.Context) error {
		if stuck.Load() == 3 {
			runs.Add(1)
		}
		return nil
	}})
	testenv.WaitFor(t, "the other's runs beside those that are stuck", func() bool { return runs.Load() >= 2 })
}

// due is how many jobs wait, and how many of them for longer than a try.
func due(t *testing.T, pool *pgxpool.Pool) (waiting, putOff int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE scheduled_at > now() + interval '1 hour')
		FROM river_job WHERE state NOT IN ('completed', 'running')`).Scan(&waiting, &putOff); err != nil {
		t.Fatal(err)
	}
	return waiting, putOff
}

// A process whose clock is three days ahead, and that does not know it, leaves a
// job in the future: the others make it due.
func TestPeriodic_jobsOfTheFuture(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool := db.Pool(t, "")
	var runs atomic.Int64
	work := jobs.Periodic{Kind: "count", Every: time.Minute, Work: func(context.Context) error { runs.Add(1); return nil }}
	stop := start(t, jobs.Config{Pool: db.Pool(t, pg.RoleWorker), Periodic: []jobs.Periodic{work}, Now: func() time.Time { return time.Now().Add(72 * time.Hour) }})
	testenv.WaitFor(t, "a job in the future", func() bool { _, putOff := due(t, pool); return putOff == 1 })
	stop()
	if runs.Load() != 0 {
		t.Fatal("it was not in the future: the test shows nothing")
	}
	runner(t, db, nil, work)
	testenv.WaitFor(t, "a run", func() bool { return runs.Load() > 0 })
	testenv.WaitFor(t, "no job in the future", func() bool { _, putOff := due(t, pool); return putOff == 0 })
}

// A process whose clock is wrong does nothing and leads nobody; put right it
// works, and wrong again it stops.
func TestPeriodic_wrongClock(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool := db.Pool(t, "")
	var right atomic.Bool
	var runs, asked atomic.Int64
	work := jobs.Periodic{Kind: "count", Every: time.Second, Work: func(context.Context) error { runs.Add(1); return nil }}
	start(t, jobs.Config{Pool: db.Pool(t, pg.RoleWorker), Periodic: []jobs.Periodic{work}, Right: func() bool { asked.Add(1); return right.Load() }})
	leads := func() (n int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM river_leader`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	looked := func(n int64) { // again
		t.Helper()
		from := asked.Load()
		testenv.WaitFor(t, "looks at the clock", func() bool { return asked.Load() >= from+n })
	}
	looked(3)
	if waiting, _ := due(t, pool); runs.Load() != 0 || waiting != 0 || leads() != 0 {
		t.Errorf("with a wrong clock: %d runs, %d jobs, %d leaders", runs.Load(), waiting, leads())
	}
	right.Store(true)
	testenv.WaitFor(t, "runs", func() bool { return runs.Load() >= 2 })
	right.Store(false)
	testenv.WaitFor(t, "no leader", func() bool { return leads() == 0 })
	looked(2)
	had := runs.Load()
	looked(3)
	if runs.Load() != had {
		t.Error("it works on with a wrong clock")
	}
	right.Store(true)
	testenv.WaitFor(t, "runs again", func() bool { return runs.Load() > had })
}

// value is that of the series whose label values are the ones given.
func value(t *testing.T, g prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(has, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s%q", name, labels)
	return 0
}

func kindIn(queue string, workers int) jobs.Kind[letter] {
	return jobs.Kind[letter]{Name: "k", Queue: jobs.Queue{Name: queue, Workers: workers}, Timeout: time.Minute}
}

func nothing(context.Context, letter) error { return nil }

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, pg.RoleWorker)
	work := func(context.Context) error { return nil }
	for name, cfg := range map[string]jobs.Config{
		"no pool":           {},
		"too often":         {Pool: pool, Periodic: []jobs.Periodic{{Kind: "k", Every: time.Millisecond, Work: work}}},
		"nothing to do":     {Pool: pool, Periodic: []jobs.Periodic{{Kind: "k", Every: time.Minute}}},
		"the default queue": {Pool: pool, Jobs: []jobs.Job{jobs.Register(kindIn("default", 1), nothing)}},
		"no workers":        {Pool: pool, Jobs: []jobs.Job{jobs.Register(kindIn("q", 0), nothing)}},
		"two sizes":         {Pool: pool, Jobs: []jobs.Job{jobs.Register(kindIn("q", 1), nothing), jobs.Register(kindIn("q", 2), nothing)}},
		"a kind twice":      {Pool: pool, Jobs: []jobs.Job{jobs.Register(kindIn("q", 1), nothing), jobs.Register(kindIn("q", 1), nothing)}},
		"no time limit":     {Pool: pool, Jobs: []jobs.Job{jobs.Register(jobs.Kind[letter]{Name: "k", Queue: jobs.Queue{Name: "q", Workers: 1}}, nothing)}},
		"a kind of no form": {Pool: pool, Periodic: []jobs.Periodic{{Kind: "a kind", Every: time.Minute, Work: work}}},
	} {
		if _, err := jobs.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Who may connect to the database may NOTIFY on River's channels. Nobody listens.
func TestPeriodic_forgedPause(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	var runs atomic.Int64
	runner(t, db, nil, jobs.Periodic{Kind: "count", Every: time.Second, Work: func(context.Context) error { runs.Add(1); return nil }})
	testenv.WaitFor(t, "the first run", func() bool { return runs.Load() >= 1 })
	portal := db.Pool(t, pg.RolePortal)
	for channel, payload := range map[string]string{
		"river_control":    `{"action":"pause","queue":"*"}`,
		"river_leadership": `{"action":"request_resign"}`,
	} {
		if _, err := portal.Exec(t.Context(), `SELECT pg_notify(current_schema() || '.' || $1, $2), pg_notify($1, $2)`, channel, payload); err != nil {
			t.Fatal(err)
		}
	}
	had := runs.Load()
	testenv.WaitFor(t, "runs after it", func() bool { return runs.Load() > had+2 })
}
