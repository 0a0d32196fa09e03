package metering_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/usage"
)

// A tally tells, series by series, what the ledger has from it: over the end of an
// hour and over a change of class.
func TestTally_Counted(t *testing.T) {
	t.Parallel()
	db, c := testenv.Postgres(t), ledgertest.NewClock()
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), c)
	var tally metering.Tally
	want := map[row]sums{}
	for n := range 3 {
		k := ledgertest.Key(n)
		m.Begin(&tally, usage.Key{}) // nothing is known of the client yet
		m.Begin(&tally, k)
		tally.DeclaredIngress(100)
		tally.Ingress(60)
		c.Advance(time.Hour)
		m.Tick()
		tally.Ingress(40)
		tally.Egress(7)
		tally.Reclass(usage.ClassUnbilled)
		tally.Request()
		first, second := c.Now().Add(-time.Hour), c.Now()
		parts := []usage.Delta{
			{Class: usage.ClassB, Hour: first, Ingress: 60, DeclaredIngress: 100},
			{Class: usage.ClassB, Hour: second, Ingress: 40, Egress: 7},
			{Class: usage.ClassUnbilled, Hour: second, Requests: 1},
		}
		if diff := cmp.Diff(parts, tally.Counted()); diff != "" {
			t.Error(diff)
		}
		for _, p := range tally.Counted() {
			k := tally.Key()
			k.Class = p.Class
			want[row{k, p.Hour}] = sums{p.Requests, p.Ingress, p.Egress, p.DeclaredIngress, p.DeclaredEgress}
		}
		tally.End()
	}
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := stored(t, db.Pool(t, pg.RoleOwner))
	same(t, got, want)
	if len(got) != len(want) {
		t.Errorf("%d cells stored, %d told", len(got), len(want))
	}
}
