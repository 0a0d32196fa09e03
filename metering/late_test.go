package metering_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What comes after its hour was sealed is an adjustment, once, however often it
// comes, and belongs to one seal.
func TestLateUsage(t *testing.T) {
	t.Parallel()
	l := ledgertest.New(t)
	ledgertest.Count(l.Meter, ledgertest.Key(1), 100)
	l.Flush()
	ledgertest.Count(l.Meter, ledgertest.Key(1), 10) // counted and not written
	again := func() {
		t.Helper()
		for range 2 {
			f, err := l.Meter.WriteUnconfirmed(t.Context())
			if err == nil {
				err = f(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	sealUntil := func(n int) {
		t.Helper()
		if err := ledgertest.SealUntil(t.Context(), l.Owner, l.Keys, ledgertest.HourAt(n)); err != nil {
			t.Fatal(err)
		}
	}
	sealUntil(1)
	again()
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1) // in the same hour still, after its seal
	again()
	sealUntil(2) // the adjustment's seal
	again()      // brings nothing new
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1000)
	again()
	l.Flush()
	sealUntil(4)
	again()

	u, err := ledger.Sum(t.Context(), l.Worker, ledger.Query{By: ledger.ByHour})
	if err != nil || len(u) != 1 || u[0].Requests != 4 || u[0].Egress != 1111 || u[0].AdjustedRequests != 3 || u[0].AdjustedEgress != 1011 || u[0].AdjustedIngress != 0 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	epochs, err := ledger.SumEpochs(t.Context(), l.DB.Pool(t, pg.RoleGateway), tenancy.ID{1}, tenancy.ID{}, ledgertest.HourAt(0), ledgertest.HourAt(1), []time.Time{ledgertest.HourAt(5)})
	if err != nil || len(epochs) != 1 || epochs[0].Egress != 1111 || epochs[0].Requests != 4 {
		t.Errorf("the epoch has counted: %+v, %v", epochs, err)
	}
	for _, tc := range []struct {
		from, to int
		egress   []int64
	}{{0, 10, []int64{11, 1000}}, {0, 2, []int64{11}}, {2, 3, []int64{1000}}, {3, 10, nil}} {
		got, err := ledger.Adjustments(t.Context(), l.Worker, tenancy.ID{1}, ledgertest.HourAt(tc.from), ledgertest.HourAt(tc.to))
		if err != nil || len(got) != len(tc.egress) {
			t.Fatalf("adjustments of %d to %d: %+v, %v", tc.from, tc.to, got, err)
		}
		for i, a := range got {
			if a.Egress != tc.egress[i] || a.Key != ledgertest.Key(1) || !a.Hour.Equal(ledgertest.HourAt(0)) || !a.SealHour.Before(ledgertest.HourAt(tc.to)) || time.Since(a.Recorded) > time.Minute {
				t.Errorf("adjustment %+v, want %d bytes", a, tc.egress[i])
			}
		}
	}
	if none, err := ledger.Adjustments(t.Context(), l.Worker, tenancy.ID{2}, time.Time{}, time.Time{}); err != nil || len(none) != 0 {
		t.Errorf("another account's adjustments: %v, %v", none, err)
	}
	for account, want := range map[tenancy.ID]int{{1}: 2, {2}: 0} {
		if err := tenancy.AsAccount(t.Context(), l.DB.Pool(t, pg.RolePortal), account, func(tx pgx.Tx) error {
			got, err := ledger.Adjustments(t.Context(), tx, tenancy.ID{}, time.Time{}, time.Time{})
			if len(got) != want {
				t.Errorf("the portal of account %s sees %v", account, got)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Adjustments != 2 || v.Hours != 4 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
}

// Many nodes write while hours are sealed under them, before they are final:
// each byte is there once, as a reading or as an adjustment.
func TestSeal_underWriters(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := ledgertest.NewClock()
	gateway, worker, owner, keys := db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleWorker), db.Pool(t, pg.RoleOwner), ledgertest.NewKeyring(t)
	const writers, hours = 6, 12
	var counted [writers]atomic.Int64
	var writing, sealing sync.WaitGroup
	over := make(chan struct{})
	for w := range writers {
		m := ledgertest.NewMeter(t, gateway, c)
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			var again []func(context.Context) error
			for !c.Now().After(ledgertest.HourAt(hours)) {
				m.Tick()
				for range 20 {
					n := 1 + r.Int64N(1000)
					ledgertest.Count(m, ledgertest.Key(w), n)
					counted[w].Add(n)
				}
				var err error
				switch r.IntN(4) {
				case 0: // the answer is lost, and the write comes once more later
					var f func(context.Context) error
					f, err = m.WriteUnconfirmed(t.Context())
					again = append(again, f)
				case 1:
					if len(again) > 0 {
						err = again[r.IntN(len(again))](t.Context())
					}
				default:
					err = m.Flush(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				c.Advance(time.Duration(r.IntN(8)) * time.Minute)
			}
			if err := m.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for range 2 {
		sealing.Go(func() {
			for {
				if err := ledgertest.SealUntil(t.Context(), owner, keys, c.Now()); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(over)
	sealing.Wait()
	// However few turns the sealers got: all is sealed, and something came late.
	ledgertest.WriteLate(t, gateway, ledgertest.HourAt(0))
	counted[1].Add(1000)
	if err := ledgertest.SealUntil(t.Context(), owner, keys, c.Now()); err != nil {
		t.Fatal(err)
	}
	var got [writers]int64
	var adjusted int64
	u, err := ledger.Sum(t.Context(), worker, ledger.Query{By: ledger.ByKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range u {
		id, err := tenancy.ParseID(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		got[id[15]] += s.Egress
		adjusted += s.AdjustedEgress
	}
	for w := range writers {
		if want := counted[w].Load(); got[w] != want {
			t.Errorf("writer %d: stored %d, counted %d", w, got[w], want)
		}
	}
	if adjusted == 0 {
		t.Error("nothing came late: the test shows nothing")
	}
	v, err := ledger.Verify(t.Context(), worker, keys, ledger.VerifyQuery{})
	if err != nil || v.Difference != nil || v.Hours < hours {
		t.Errorf("%+v, %+v, %v", v, v.Difference, err)
	}
}

// A machine was copied with its journal: the copy takes the epoch over while the
// original counts on. Nothing is lost or doubled, and nothing becomes final
// until somebody has looked.
func TestMeter_copiedJournal(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool, owner, c := db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleOwner), ledgertest.NewClock()
	open := func(dir string) (*metering.Meter, *prometheus.Registry) {
		t.Helper()
		r := prometheus.NewRegistry()
		m, err := metering.New(metering.Config{Pool: pool, Dir: dir, Now: c.Now, Metrics: r})
		if err != nil {
			t.Fatal(err)
		}
		return m, r
	}
	flush := func(m *metering.Meter) {
		t.Helper()
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	final := func() time.Time {
		t.Helper()
		moment, _, err := ledger.Final(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	dir, copied := t.TempDir(), t.TempDir()
	original, registry := open(dir)
	ledgertest.Count(original, ledgertest.Key(1), 100)
	flush(original)
	ledgertest.Count(original, ledgertest.Key(1), 10)
	file, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	b, err := os.ReadFile(file[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, filepath.Base(file[0])), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second, _ := open(copied)
	ledgertest.Count(second, ledgertest.Key(1), 1000)
	flush(second)
	if testenv.Metric(t, registry, "primecloud_metering_epoch_contested") != 0 {
		t.Error("an alarm before anything is known")
	}
	c.Advance(2 * time.Hour)
	ledgertest.Count(original, ledgertest.Key(1), 1)
	for range 2 {
		flush(original)
		flush(second)
	}
	if testenv.Metric(t, registry, "primecloud_metering_epoch_contested") != 1 {
		t.Error("no alarm")
	}
	if !final().Equal(ledgertest.HourAt(0)) {
		t.Errorf("figures are final until %v", final())
	}
	u, err := ledger.Sum(t.Context(), owner, ledger.Query{By: ledger.ByClass})
	if err != nil || len(u) != 1 || u[0].Egress != 1111 || u[0].Requests != 4 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if err := original.Close(); err != nil {
		t.Fatal(err)
	}
	if !final().Equal(ledgertest.HourAt(0)) {
		t.Errorf("a contested epoch ended, and figures are final until %v", final())
	}
	nodes, err := ledger.Nodes(t.Context(), owner, false)
	if err != nil || len(nodes) != 2 || nodes[0].ContestedAt.IsZero() || !nodes[1].ContestedAt.IsZero() {
		t.Fatalf("nodes: %+v, %v", nodes, err)
	}
	if err := ledger.RetireNode(t.Context(), owner, nodes[0].Epoch); err != nil {
		t.Fatal(err)
	}
	if !final().Equal(ledgertest.HourAt(2)) {
		t.Errorf("somebody has looked, and figures are final until %v", final())
	}
}

// A machine was copied with its memory: both are the same writer.
func TestMeter_copiedMemory(t *testing.T) {
	t.Parallel()
	l := ledgertest.New(t)
	l.Flush()
	if _, err := l.Owner.Exec(t.Context(), `UPDATE usage_nodes SET flushed_at = flushed_at + interval '1 second'`); err != nil {
		t.Fatal(err) // as the copy does
	}
	l.Flush()
	l.Clock.Advance(time.Hour)
	l.Flush()
	nodes, err := ledger.Nodes(t.Context(), l.Owner, false)
	if err != nil || len(nodes) != 1 || nodes[0].ContestedAt.IsZero() || !nodes[0].FlushedAt.Before(ledgertest.HourAt(1)) {
		t.Errorf("nodes: %+v, %v", nodes, err)
	}
}
