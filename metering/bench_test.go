package metering_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

// offline is a meter whose database does not exist: nothing connects before
// the first flush.
func offline(t testing.TB) *metering.Meter {
	t.Helper()
	m, err := metering.New(metering.Config{Pool: offlinePool(t), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func offlinePool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// One add while a body moves: the reach is 100 ns and no allocation.
func BenchmarkTally_Egress(b *testing.B) {
	m := offline(b)
	var t metering.Tally
	m.Begin(&t, ledgertest.Key(1))
	b.ReportAllocs()
	for b.Loop() {
		t.Egress(1 << 20)
	}
}

// All requests of a process on one key.
func BenchmarkTally_EgressParallel(b *testing.B) {
	m := offline(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var t metering.Tally
		m.Begin(&t, ledgertest.Key(1))
		for pb.Next() {
			t.Egress(1 << 20)
		}
		t.End()
	})
}

// What a request costs beside its adds, with 10,000 series present.
func BenchmarkMeter_Begin(b *testing.B) {
	m := offline(b)
	var t metering.Tally
	for i := range 10_000 {
		m.Begin(&t, ledgertest.Key(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Begin(&t, ledgertest.Key(i%10_000))
		t.Request()
		t.End()
	}
}

// An hour's beginning: every key needs a new series.
func BenchmarkMeter_BeginNew(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := offline(b)
				var t metering.Tally
				for i := range n {
					m.Begin(&t, ledgertest.Key(i))
				}
				t.End()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/cell")
		})
	}
}

// BenchmarkRecovery reads a journal of a million series.
func BenchmarkRecovery(b *testing.B) {
	const series = 1_000_000
	dir := b.TempDir()
	m, err := metering.New(metering.Config{Pool: offlinePool(b), Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	for n := range series {
		var t metering.Tally
		m.Begin(&t, ledgertest.Key(n))
		t.Request()
		t.End()
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
	file, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(file) != 1 {
		b.Fatal(file, err)
	}
	for b.Loop() {
		if n, err := metering.Recover(file[0]); err != nil || n != series {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/series, "ns/cell")
}
