package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

type letter struct {
	To string `json:"to"`
}

var (
	mail    = jobs.Kind[letter]{Name: "mail", Queue: jobs.Queue{Name: "mail", Workers: 2}, Timeout: time.Minute}
	errBack = errors.New("back")
)

// enqueue commits a job for each of args, or with cause rolls them back.
func enqueue[T any](t *testing.T, pool *pgxpool.Pool, cause error, k jobs.Kind[T], args ...T) (inserted int) {
	t.Helper()
	err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) (err error) {
		if inserted, err = k.InsertTx(t.Context(), tx, args...); err != nil {
			t.Fatal(err)
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Fatal(err)
	}
	return inserted
}

// letters counts what is sent to whom.
type letters struct {
	mu sync.Mutex
	to map[string]int
}

func (l *letters) send(_ context.Context, m letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		l.to = map[string]int{}
	}
	l.to[m.To]++
	return nil
}

func (l *letters) sent(to string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to[to]
}

// over reports whether no job of the kind is left to be done.
func over(t *testing.T, pool *pgxpool.Pool, kind string) (is bool) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT NOT EXISTS (SELECT FROM river_job WHERE kind = $1 AND finalized_at IS NULL)`, kind).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

func TestKind_withItsTransaction(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool := db.Pool(t, pg.RoleWorker)
	var l letters
	enqueue(t, pool, errBack, mail, letter{"rolled back"})
	if n := enqueue(t, pool, nil, mail, letter{"a"}, letter{"b"}); n != 2 {
		t.Errorf("%d jobs are enqueued", n)
	}
	for range 2 { // of two processes one does it
		start(t, jobs.Config{Pool: pool, Jobs: []jobs.Job{jobs.Register(mail, l.send)}})
	}
	testenv.WaitFor(t, "the jobs", func() bool { return over(t, pool, "mail") })
	if l.sent("rolled back") != 0 || l.sent("a") != 1 || l.sent("b") != 1 {
		t.Errorf("sent: %v", l.to)
	}
}

func TestKind_once(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, pg.RoleWorker)
	once := mail
	once.Once = true
	if n := enqueue(t, pool, nil, once, letter{"a"}, letter{"b"}); n != 2 {
		t.Errorf("%d jobs are enqueued", n)
	}
	if n := enqueue(t, pool, nil, once, letter{"a"}, letter{"c"}); n != 1 {
		t.Errorf("%d jobs more: a is there already, and c is new", n)
	}
	var l letters
	start(t, jobs.Config{Pool: pool, Jobs: []jobs.Job{jobs.Register(once, l.send)}})
	testenv.WaitFor(t, "the jobs", func() bool { return over(t, pool, "mail") })
	if n := enqueue(t, pool, nil, once, letter{"a"}); n != 1 {
		t.Errorf("%d jobs: the first is over", n)
	}
}

// Jobs of a queue whose workers are all busy hold up no other queue, and no periodic work.
func TestKind_queues(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool := db.Pool(t, pg.RoleWorker)
	slow := jobs.Kind[letter]{Name: "slow", Queue: jobs.Queue{Name: "slow", Workers: 1}, Timeout: time.Minute}
	began, gate := make(chan struct{}), make(chan struct{})
	var l letters
	var ticks, slowDone atomic.Int64
	enqueue(t, pool, nil, slow, letter{"1"}, letter{"2"})
	start(t, jobs.Config{
		Pool: pool,
		Jobs: []jobs.Job{jobs.Register(mail, l.send), jobs.Register(slow, func(ctx context.Context, _ letter) error {
			began <- struct{}{}
			<-gate
			slowDone.Add(1)
			return nil
		})},
		Periodic: []jobs.Periodic{{Kind: "tick", Every: time.Second, Work: func(context.Context) error { ticks.Add(1); return nil }}},
	})
	<-began
	had := ticks.Load()
	enqueue(t, pool, nil, mail, letter{"a"})
	testenv.WaitFor(t, "the other queue's job", func() bool { return l.sent("a") == 1 })
	testenv.WaitFor(t, "periodic work", func() bool { return ticks.Load() > had })
	select {
	case <-began:
		t.Error("a queue of one worker does two jobs at once")
	default:
	}
	gate <- struct{}{}
	<-began
	gate <- struct{}{}
	testenv.WaitFor(t, "the queue's own jobs", func() bool { return slowDone.Load() == 2 })
}

func TestKind_triedAgain(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, pg.RoleWorker)
	var runs atomic.Int64
	enqueue(t, pool, nil, mail, letter{"a"})
	start(t, jobs.Config{Pool: pool, Jobs: []jobs.Job{jobs.Register(mail, func(_ context.Context, m letter) error {
		if m.To != "a" {
			t.Errorf("arguments %+v", m)
		}
		if runs.Add(1) == 1 {
			return errors.New("no")
		}
		return nil
	})}})
	testenv.WaitFor(t, "a second run", func() bool { return runs.Load() == 2 && over(t, pool, "mail") })
}

// A job of a kind that a process does not know waits for one that does, in a queue
// that both have, and also when the process that began it died.
func TestKind_ofANewerVersion(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool := db.Pool(t, pg.RoleWorker)
	newer := mail
	newer.Name = "newer"
	state := func() (s string) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), `SELECT string_agg(state || ' ' || attempt, ', ' ORDER BY id) FROM river_job WHERE kind = 'newer'`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var l letters
	enqueue(t, pool, nil, newer, letter{"died"}, letter{"waits"})
	enqueue(t, pool, nil, mail, letter{"died, too"}, letter{"a"})
	if _, err := pool.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '1 day', attempted_by = '{x}'
		WHERE args->>'to' LIKE 'died%'`); err != nil {
		t.Fatal(err)
	}
	var ticks atomic.Int64
	stop := start(t, jobs.Config{
		Pool: pool, Jobs: []jobs.Job{jobs.Register(mail, l.send)},
		Periodic: []jobs.Periodic{{Kind: "tick", Every: time.Second, Work: func(context.Context) error { ticks.Add(1); return nil }}},
	})
	testenv.WaitFor(t, "what is known here", func() bool { return l.sent("a") == 1 && l.sent("died, too") == 1 })
	testenv.WaitFor(t, "the leader's work", func() bool { return ticks.Load() >= 3 }) // River rescues when it begins to lead
	if s := state(); s != "running 1, available 0" {
		t.Errorf("jobs of the unknown kind: %s", s)
	}
	stop()
	start(t, jobs.Config{Pool: pool, Jobs: []jobs.Job{jobs.Register(newer, l.send)}})
	testenv.WaitFor(t, "the newer version's jobs", func() bool { return l.sent("died") == 1 && l.sent("waits") == 1 && over(t, pool, "newer") })
}

// A job whose process dies at each attempt is given up after the last.
func TestKind_diesAlways(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, pg.RoleWorker)
	var l letters
	enqueue(t, pool, nil, mail, letter{"a"})
	if _, err := pool.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = max_attempts, attempted_at = now() - interval '1 day'`); err != nil {
		t.Fatal(err)
	}
	start(t, jobs.Config{Pool: pool, Jobs: []jobs.Job{jobs.Register(mail, l.send)}})
	testenv.WaitFor(t, "the job to be given up", func() bool { return over(t, pool, "mail") })
	if l.sent("a") != 0 {
		t.Error("it was done again")
	}
}

// picky quotes what it cannot read.
type picky struct{ Text string }

func (p *picky) UnmarshalText(b []byte) error {
	if string(b) != "taken" {
		return errors.New("not taken: " + string(b))
	}
	return nil
}

func (p picky) MarshalText() ([]byte, error) { return []byte(p.Text), nil }

type secretArgs struct {
	Secret picky `json:"secret"`
}

func TestKind_secretsReachNoLog(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, pg.RoleWorker)
	const secret = "hunter2hunter2"
	panics := jobs.Kind[letter]{Name: "panics", Queue: mail.Queue, Timeout: time.Minute}
	fails := jobs.Kind[letter]{Name: "fails", Queue: mail.Queue, Timeout: time.Minute}
	unreadable := jobs.Kind[secretArgs]{Name: "unreadable", Queue: mail.Queue, Timeout: time.Minute}
	enqueue(t, pool, nil, panics, letter{secret})
	enqueue(t, pool, nil, fails, letter{secret})
	enqueue(t, pool, nil, unreadable, secretArgs{picky{secret}})
	var log testenv.Buffer
	stop := start(t, jobs.Config{
		Pool: pool, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Jobs: []jobs.Job{
			jobs.Register(panics, func(_ context.Context, l letter) error { panic(l) }),
			jobs.Register(fails, func(context.Context, letter) error { return errors.New("no") }),
			jobs.Register(unreadable, func(context.Context, secretArgs) error { return nil }),
		},
	})
	for _, kind := range []string{"panics", "fails", "unreadable"} {
		testenv.WaitFor(t, kind+" in the log", func() bool { return strings.Contains(log.String(), "job="+kind) })
	}
	testenv.WaitFor(t, "the errors in the database", func() (all bool) {
		if err := pool.QueryRow(t.Context(), `SELECT bool_and(coalesce(cardinality(errors), 0) > 0) FROM river_job`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		return all
	})
	stop()
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has an argument:\n%s", log.String())
	}
	var stored string
	if err := pool.QueryRow(t.Context(), `SELECT string_agg(errors::text, ' ') FROM river_job`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, secret) {
		t.Errorf("the errors have an argument: %s", stored)
	}
}

// Only the worker's role may enqueue.
func TestKind_rights(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	for _, role := range []string{pg.RoleGateway, pg.RolePortal} {
		err := pg.InTx(t.Context(), db.Pool(t, role), func(tx pgx.Tx) error {
			_, err := mail.InsertTx(t.Context(), tx, letter{"a"})
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", role, err)
		}
	}
}
