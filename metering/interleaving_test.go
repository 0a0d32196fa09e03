package metering_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// sums of a series, in the order of the table's columns.
type sums [5]int64

type row struct {
	usage.Key
	hour time.Time
}

// stored is what the ledger says.
func stored(t testing.TB, q pg.Querier) map[row]sums {
	t.Helper()
	rows, err := q.Query(t.Context(), `SELECT account_id, bucket_id, key_id, class, hour,
		requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes FROM usage_hourly`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[row]sums{}
	var r row
	var class string
	var s sums
	_, err = pgx.ForEachRow(rows, []any{&r.Account, &r.Bucket, &r.AccessKey, &class, &r.hour, &s[0], &s[1], &s[2], &s[3], &s[4]}, func() error {
		r.Class = map[string]usage.Class{"A": usage.ClassA, "B": usage.ClassB, "free": usage.ClassFree, "unbilled": usage.ClassUnbilled}[class]
		r.hour = r.hour.UTC()
		all[r] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t testing.TB, got, want map[row]sums) {
	t.Helper()
	for r, w := range want {
		if got[r] != w {
			t.Errorf("%v: stored %v, counted %v", r, got[r], w)
		}
	}
	for r, g := range got {
		if _, ok := want[r]; !ok {
			t.Errorf("%v: stored %v, never counted", r, g)
		}
	}
}

func randomKey(r *rand.Rand) usage.Key {
	return usage.Key{
		Account: tenancy.ID{byte(r.IntN(2))}, Bucket: tenancy.ID{byte(r.IntN(2))}, AccessKey: tenancy.ID{byte(r.IntN(3))},
		Class: usage.Class(1 + r.IntN(4)),
	}
}

func add(tally *metering.Tally, counter int, n int64) {
	switch counter {
	case 0:
		tally.Request()
	case 1:
		tally.Ingress(n)
	case 2:
		tally.Egress(n)
	case 3:
		tally.DeclaredIngress(n)
	default:
		tally.DeclaredEgress(n)
	}
}

// TestMeter_AnyInterleaving holds the ledger to a plain sum, whatever comes
// between counting and writing: failed flushes, lost answers, duplicates that
// come late (also from a process that is dead), hours that pass while tallies
// are open, retired series, crashes, clean ends, the next process on what they
// left, and hours that are sealed before all of them is written.
func TestMeter_AnyInterleaving(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			interleave(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func interleave(t *testing.T, r *rand.Rand) {
	db := testenv.Postgres(t)
	c, pool, dir := ledgertest.NewClock(), db.Pool(t, pg.RoleGateway), t.TempDir()
	open := func() *metering.Meter {
		m, err := metering.New(metering.Config{Pool: pool, Dir: dir, Node: "test", Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	worker, owner, keys := db.Pool(t, pg.RoleWorker), db.Pool(t, pg.RoleOwner), ledgertest.NewKeyring(t)

	want := map[row]sums{}
	var tallies [6]metering.Tally
	var series [6]usage.Key
	var again []func(context.Context) error
	for range 600 {
		i := r.IntN(len(tallies))
		switch op := r.IntN(104); {
		case op >= 102: // a crash
			m.Crash()
			clear(series[:])
			for i := range tallies {
				tallies[i] = metering.Tally{}
			}
			m = open()
		case op >= 100: // an end, clean or with readings that could not be written
			clear(series[:])
			for i := range tallies {
				tallies[i].End()
			}
			if r.IntN(2) == 0 {
				if err := m.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = open()
		case op < 15:
			series[i] = randomKey(r)
			m.Begin(&tallies[i], series[i])
		case op < 20:
			series[i].Class = 0
			tallies[i].End()
		case op < 25 && series[i].Class != 0:
			series[i].Class = usage.ClassUnbilled
			tallies[i].Reclass(usage.ClassUnbilled)
		case op < 80:
			counter, n := r.IntN(5), r.Int64N(1<<20)
			add(&tallies[i], counter, n)
			if counter == 0 {
				n = 1
			}
			if k := (row{series[i], m.Hour()}); k.Class != 0 && n > 0 {
				s := want[k]
				s[counter] += n
				want[k] = s
			}
		case op < 85:
			c.Advance(time.Duration(r.IntN(90)) * time.Minute)
			m.Tick()
		case op < 88:
			c.Advance(-time.Duration(r.IntN(10)) * time.Minute) // a clock that is set back
			m.Tick()
		case op < 90:
			if err := ledgertest.SealUntil(t.Context(), owner, keys, c.Now()); err != nil {
				t.Fatal(err)
			}
		case op < 93:
			if err := m.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		case op < 96:
			if err := m.Flush(cancelled); !errors.Is(err, context.Canceled) {
				t.Fatalf("a flush that cannot be: %v", err)
			}
		case op < 98:
			f, err := m.WriteUnconfirmed(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, f)
		case len(again) > 0:
			if err := again[r.IntN(len(again))](t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range again {
		if err := f(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, stored(t, db.Pool(t, pg.RoleOwner)), want)
	if v, err := ledger.Verify(t.Context(), worker, keys, ledger.VerifyQuery{}); err != nil || v.Difference != nil || v.Hours == 0 {
		t.Errorf("what was sealed: %+v, %+v, %v", v, v.Difference, err)
	}

	for i := range tallies {
		tallies[i].End()
	}
	c.Advance(24 * time.Hour)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := m.Series(); n != 0 {
		t.Errorf("%d cells of closed hours are kept", n)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if nodes, err := ledger.Nodes(t.Context(), pool, false); err != nil || len(nodes) != 0 {
		t.Errorf("epochs that hold the figures open after the last process's end: %v, %v", nodes, err)
	}
	if left := journals(t, dir, ""); len(left) != 0 {
		t.Errorf("left in the folder: %v", left)
	}
}

// Readings are totals: what is written again, or comes late with less in it, changes
// nothing.
func TestFlush_again(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), ledgertest.NewClock())
	var tally metering.Tally
	m.Begin(&tally, ledgertest.Key(1))
	defer tally.End()
	var again []func(context.Context) error
	want := map[row]sums{}
	for n := range int64(4) {
		tally.Request()
		tally.Ingress(10 + n)
		tally.Egress(100 + n)
		tally.DeclaredIngress(1000 + n)
		tally.DeclaredEgress(10_000 + n)
		r := row{ledgertest.Key(1), m.Hour()}
		s := want[r]
		for i, add := range []int64{1, 10 + n, 100 + n, 1000 + n, 10_000 + n} {
			s[i] += add
		}
		want[r] = s
		write, err := m.WriteUnconfirmed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, write)
		for _, w := range again {
			if err := w(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		same(t, stored(t, db.Pool(t, pg.RoleOwner)), want)
	}
}

// TestMeter_Concurrent counts from many goroutines while hours pass and the
// flusher writes, fails and retires. Run it with -race.
func TestMeter_Concurrent(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := ledgertest.NewClock()
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), c)
	const workers, retirements = 8, 20
	enough := make(chan struct{})
	var counted [3]atomic.Int64 // egress by key
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			var tally metering.Tally
			for {
				select {
				case <-enough:
					tally.End()
					return
				default:
				}
				k := r.IntN(len(counted))
				m.Begin(&tally, ledgertest.Key(k))
				for range r.IntN(4) {
					n := r.Int64N(1000)
					tally.Egress(n)
					counted[k].Add(n)
				}
				if r.IntN(3) > 0 { // else the next Begin ends it
					tally.End()
				}
			}
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	flush := func() (retired int) {
		c.Advance(30 * time.Minute)
		m.Tick()
		_ = m.Flush(cancelled)
		before := m.Series()
		if err := m.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		return max(0, before-m.Series())
	}
	for retired := 0; retired < retirements && !t.Failed(); retired += flush() { //nolint:revive // until enough
	}
	close(enough)
	working.Wait()
	flush()
	var got [3]int64
	for r, s := range stored(t, db.Pool(t, pg.RoleOwner)) {
		got[r.AccessKey[15]] += s[2]
	}
	for k := range got {
		if want := counted[k].Load(); got[k] != want {
			t.Errorf("key %d: stored %d, counted %d", k, got[k], want)
		}
	}
}

// A goroutine may be held up for hours between finding the hour and reaching
// its series (a stopped process, a sleeping machine). It must not begin a second
// series of a retired hour: that one would begin at zero.
func TestMeter_HeldUpBeyondRetirement(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewClock()
	m := ledgertest.NewMeter(t, testenv.Postgres(t).Pool(t, pg.RoleGateway), c)
	inTime, late := m.HeldUp(ledgertest.Key(1)), m.HeldUp(ledgertest.Key(2))
	if !inTime() {
		t.Error("no cell in the present hour")
	}
	c.Advance(5 * time.Hour)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if late() {
		t.Error("a cell began in an hour that was retired")
	}
}
