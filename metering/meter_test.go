package metering_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/usage"
)

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
	m.Begin(&tally, ledgertest.Key(1))
	tally.Egress(1)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.silent.Store(true)
	tally.Egress(2)
	if err := m.Flush(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a flush into nothing: %v", err)
	}
	if n := testenv.Metric(t, registry, "primecloud_metering_flush_failures_total"); n != 1 {
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
	m.Begin(&tally, ledgertest.Key(1))
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
	db, c := testenv.Postgres(t), ledgertest.NewClock()
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
		c.Advance(13 * time.Minute)
		ledgertest.Count(m, ledgertest.Key(1), 1)
		moments = append(moments, c.Now())
	}
	meter := ledgertest.NewMeter(t, db.Interleaved(t, pg.RoleGateway, step), c)
	mu.Lock()
	m = meter
	mu.Unlock()
	over := map[row]sums{} // series of hours that ended before a moment that was reported
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
		for series, s := range stored(t, owner) {
			written += s[2]
			if !series.hour.Add(time.Hour).After(reported) {
				if was, ok := over[series]; ok && was != s {
					t.Errorf("the hour %s was reported as over with %v, and has %v", series.hour, was, s)
				}
				over[series] = s
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
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), ledgertest.NewClock())
	var tally metering.Tally
	tally.Request() // never begun
	tally.Egress(5)
	tally.Reclass(usage.ClassA)
	tally.End()
	m.Begin(&tally, usage.Key{}) // no class
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
		{usage.Key{Class: usage.ClassUnbilled}, m.Hour()}: {0, 0, 3, 0, 0},
	})
}

// A million requests with invented names come with zero ids: they add no series.
func TestMeter_InventedNames(t *testing.T) {
	t.Parallel()
	m := offline(t)
	var tally metering.Tally
	for range 1_000_000 {
		m.Begin(&tally, usage.Key{Class: usage.ClassUnbilled})
		tally.Request()
		tally.End()
	}
	if n := m.Series(); n != 1 {
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
	m := ledgertest.NewMeter(b, db.Pool(b, pg.RoleGateway), ledgertest.NewClock())
	const series = 100_000
	for b.Loop() {
		var tally metering.Tally
		for i := range series {
			m.Begin(&tally, ledgertest.Key(i))
			tally.Request()
		}
		tally.End()
		if err := m.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/cell")
}
