package metering_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	alpha, beta = tenancy.ID{0xa}, tenancy.ID{0xb}
	bucket1     = tenancy.ID{1}
	bucket2     = tenancy.ID{2}
)

// fill counts a little for two accounts, over two hours.
func fill(t *testing.T, db *testenv.DB) {
	t.Helper()
	c := newClock()
	m := newMeter(t, db.Pool(t, pg.RoleGateway), c)
	var tally metering.Tally
	count := func(k metering.Key, in, out int64) {
		m.Begin(&tally, k)
		tally.Request()
		tally.DeclaredIngress(in)
		tally.Ingress(in)
		tally.Egress(out)
		tally.DeclaredEgress(out)
		tally.End()
	}
	count(metering.Key{Account: alpha, Bucket: bucket1, AccessKey: tenancy.ID{7}, Class: metering.ClassA}, 100, 0)
	count(metering.Key{Account: alpha, Bucket: bucket2, AccessKey: tenancy.ID{7}, Class: metering.ClassB}, 0, 200)
	count(metering.Key{Account: beta, Bucket: bucket1, AccessKey: tenancy.ID{8}, Class: metering.ClassB}, 0, 400)
	c.advance(time.Hour)
	m.Tick()
	count(metering.Key{Account: alpha, Bucket: bucket1, AccessKey: tenancy.ID{9}, Class: metering.ClassB}, 0, 800)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	fill(t, db)
	type line struct {
		value             string
		requests, in, out int64
	}
	hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		query metering.Query
		want  []line
	}{
		{"by bucket", metering.Query{Account: alpha, By: metering.ByBucket}, []line{{bucket1.String(), 2, 100, 800}, {bucket2.String(), 1, 0, 200}}},
		{"by key", metering.Query{Account: alpha, By: metering.ByKey}, []line{{tenancy.ID{7}.String(), 2, 100, 200}, {tenancy.ID{9}.String(), 1, 0, 800}}},
		{"by class", metering.Query{Account: alpha, By: metering.ByClass}, []line{{"A", 1, 100, 0}, {"B", 2, 0, 1000}}},
		{"by hour", metering.Query{Account: alpha, By: metering.ByHour}, []line{{"2026-03-01T10:00:00Z", 2, 100, 200}, {"2026-03-01T11:00:00Z", 1, 0, 800}}},
		{"every account", metering.Query{By: metering.ByClass}, []line{{"A", 1, 100, 0}, {"B", 2, 0, 1000}, {"B", 1, 0, 400}}},
		{"to is excluded", metering.Query{Account: alpha, By: metering.ByClass, From: hour, To: hour.Add(time.Hour)}, []line{{"A", 1, 100, 0}, {"B", 1, 0, 200}}},
		{"from is included", metering.Query{Account: alpha, By: metering.ByClass, From: hour.Add(time.Hour)}, []line{{"B", 1, 0, 800}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := metering.Sum(t.Context(), db.Pool(t, pg.RoleWorker), tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %d rows, want %d: %v", len(got), len(tc.want), got)
			}
			for i, w := range tc.want {
				g := got[i]
				if (line{g.Value, g.Requests, g.Ingress, g.Egress}) != w || g.DeclaredIngress != w.in || g.DeclaredEgress != w.out {
					t.Errorf("got %+v, want %+v", g, w)
				}
			}
		})
	}
	if _, err := metering.Sum(t.Context(), db.Pool(t, pg.RoleWorker), metering.Query{By: "bucket_id; DROP TABLE usage_readings"}); err == nil {
		t.Error("an unknown group is accepted")
	}
}

// refused wants PostgreSQL to refuse a statement of a role.
func refused(t *testing.T, db *testenv.DB, role, sql string) {
	t.Helper()
	_, err := db.Pool(t, role).Exec(t.Context(), sql)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "42501" { // insufficient_privilege
		t.Errorf("%s: %s: %v", role, sql, err)
	}
}

// What each database role may do with the ledger.
func TestRoles(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	fill(t, db)
	t.Run("nobody deletes, and only the gateway writes", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `DELETE FROM usage_readings`)
			refused(t, db, role, `TRUNCATE usage_readings`)
			refused(t, db, role, `DELETE FROM usage_nodes`)
		}
		for _, role := range []string{pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `UPDATE usage_readings SET requests = 0`)
			refused(t, db, role, `INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), '', now())`)
		}
		refused(t, db, pg.RoleGateway, `UPDATE usage_readings SET account_id = gen_random_uuid()`)
		refused(t, db, pg.RolePortal, `SELECT node FROM usage_nodes`)
		refused(t, db, pg.RolePortal, `SELECT hash FROM usage_seals`)
		for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `DELETE FROM usage_adjustments`)
			refused(t, db, role, `UPDATE usage_adjustments SET seal_hour = now()`)
			refused(t, db, role, `UPDATE usage_seals SET rows = 0`)
			if role != pg.RoleWorker {
				refused(t, db, role, `INSERT INTO usage_seals (hour) VALUES (now())`)
			}
			if role != pg.RoleGateway {
				refused(t, db, role, `INSERT INTO usage_adjustments (epoch) VALUES (gen_random_uuid())`)
			}
		}
	})
	t.Run("the portal sees one account", func(t *testing.T) {
		t.Parallel()
		pool := db.Pool(t, pg.RolePortal)
		none, err := metering.Sum(t.Context(), pool, metering.Query{By: metering.ByBucket})
		if err != nil || len(none) != 0 {
			t.Errorf("without an account it sees %v, %v", none, err)
		}
		err = tenancy.AsAccount(t.Context(), pool, beta, func(tx pgx.Tx) error {
			got, err := metering.Sum(t.Context(), tx, metering.Query{By: metering.ByBucket})
			if len(got) != 1 || got[0].Account != beta || got[0].Egress != 400 {
				t.Errorf("got %v", got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// line is a network to PostgreSQL that can fall silent: what is sent is taken,
// and no answer comes.
type line struct{ silent atomic.Bool }

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &lineConn{Conn: c, line: l}, err
}

type lineConn struct {
	net.Conn
	line *line
}

func (c *lineConn) Write(p []byte) (int, error) {
	if c.line.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// A network that drops everything without a word must not hold the ledger up
// for longer than FlushTimeout, and loses nothing.
func TestMeter_SilentNetwork(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	l := &line{}
	cfg, err := pgxpool.ParseConfig(db.URL(pg.RoleGateway))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.DialFunc = l.dial
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	registry := prometheus.NewRegistry()
	m, err := metering.New(metering.Config{Pool: pool, Dir: t.TempDir(), FlushTimeout: 500 * time.Millisecond, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	var tally metering.Tally
	m.Begin(&tally, key(1))
	tally.Egress(1)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.silent.Store(true)
	tally.Egress(2)
	if err := m.Flush(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a flush into nothing: %v", err)
	}
	if n := metric(t, registry, "primecloud_metering_flush_failures_total"); n != 1 {
		t.Errorf("%v failures counted, want 1", n)
	}
	l.silent.Store(false)
	for _, more := range []int64{0, 4} { // what was not written comes also when nothing moves any more
		tally.Egress(more)
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		written := stored(t, db.Pool(t, pg.RoleOwner))
		if len(written) != 1 {
			t.Errorf("stored %v", written)
		}
		for _, s := range written {
			if s[2] != 3+more {
				t.Errorf("stored %d bytes of %d", s[2], 3+more)
			}
		}
	}
	tally.End()
}

func metric(t testing.TB, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// Run writes within its interval, and once more when it ends.
func TestMeter_Run(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	m, err := metering.New(metering.Config{Pool: db.Pool(t, pg.RoleGateway), Dir: t.TempDir(), Node: "node-1", FlushInterval: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	var tally metering.Tally
	m.Begin(&tally, key(1))
	tally.Egress(1)
	owner := db.Pool(t, pg.RoleOwner)
	for len(stored(t, owner)) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing was written")
		}
	}
	tally.Egress(2)
	tally.End()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, s := range stored(t, owner) {
		if s[2] != 3 {
			t.Errorf("stored %d bytes of 3", s[2])
		}
	}
	var node string
	var flushed time.Time
	if err := owner.QueryRow(t.Context(), `SELECT node, flushed_at FROM usage_nodes`).Scan(&node, &flushed); err != nil {
		t.Fatal(err)
	}
	if node != "node-1" || time.Since(flushed) > time.Minute || time.Since(flushed) < 0 {
		t.Errorf("the node says %q, %s", node, flushed)
	}
}

// What is counted while a flush is at work is later than the moment that it
// reports: what was counted before that is written, and of hours that ended
// before it nothing more comes.
func TestFlush_watermark(t *testing.T) {
	t.Parallel()
	db, c := testenv.Postgres(t), newClock()
	owner := db.Pool(t, pg.RoleOwner)
	var m *metering.Meter
	var mu sync.Mutex
	var moments []time.Time // at each of which a byte was counted
	step := func() {
		mu.Lock()
		defer mu.Unlock()
		if m == nil {
			return
		}
		c.advance(13 * time.Minute)
		count(m, key(1), 1)
		moments = append(moments, c.now())
	}
	meter := newMeter(t, db.Interleaved(t, pg.RoleGateway, step), c)
	mu.Lock()
	m = meter
	mu.Unlock()
	over := map[row]sums{} // cells of hours that ended before a moment that was reported
	for range 20 {
		step()
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var reported time.Time
		if err := owner.QueryRow(t.Context(), `SELECT flushed_at FROM usage_nodes`).Scan(&reported); err != nil {
			t.Fatal(err)
		}
		written, before := int64(0), int64(0)
		for cell, s := range stored(t, owner) {
			written += s[2]
			if !cell.hour.Add(time.Hour).After(reported) {
				if was, ok := over[cell]; ok && was != s {
					t.Errorf("the hour %s was reported as over with %v, and has %v", cell.hour, was, s)
				}
				over[cell] = s
			}
		}
		mu.Lock()
		for _, at := range moments {
			if at.Before(reported) {
				before++
			}
		}
		mu.Unlock()
		if written < before {
			t.Errorf("of what was counted before %s, %d of %d bytes are written", reported, written, before)
		}
	}
	if len(over) < 5 || len(moments) < 100 {
		t.Errorf("%d hours, %d moments: the test shows nothing", len(over), len(moments))
	}
}

// What a caller gets wrong must not spoil a flush for everybody.
func TestTally_Wrong(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	m := newMeter(t, db.Pool(t, pg.RoleGateway), newClock())
	var tally metering.Tally
	tally.Request() // never begun
	tally.Egress(5)
	tally.Reclass(metering.ClassA)
	tally.End()
	m.Begin(&tally, metering.Key{}) // no class
	tally.Egress(3)
	tally.Egress(-2)
	tally.Reclass(99)
	tally.Ingress(0)
	tally.End()
	tally.End()
	tally.Egress(5) // ended
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, stored(t, db.Pool(t, pg.RoleOwner)), map[row]sums{
		{metering.Key{Class: metering.ClassUnbilled}, m.Hour()}: {0, 0, 3, 0, 0},
	})
}

// A million requests with invented names come with zero ids: they add no cells.
func TestMeter_InventedNames(t *testing.T) {
	t.Parallel()
	m := offline(t)
	var tally metering.Tally
	for range 1_000_000 {
		m.Begin(&tally, metering.Key{Class: metering.ClassUnbilled})
		tally.Request()
		tally.End()
	}
	if n := m.Cells(); n != 1 {
		t.Errorf("%d cells", n)
	}
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	if _, err := metering.New(metering.Config{}); err == nil {
		t.Error("a meter without a pool")
	}
	if _, err := metering.New(metering.Config{Pool: &pgxpool.Pool{}, Dir: t.TempDir(), FlushInterval: -1}); err == nil {
		t.Error("a negative interval")
	}
}

func BenchmarkMeter_Flush(b *testing.B) {
	db := testenv.Postgres(b)
	m := newMeter(b, db.Pool(b, pg.RoleGateway), newClock())
	const cells = 100_000
	for b.Loop() {
		var tally metering.Tally
		for i := range cells {
			m.Begin(&tally, key(i))
			tally.Request()
		}
		tally.End()
		if err := m.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*cells), "ns/cell")
}
