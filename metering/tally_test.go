package metering_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
)

// A tally tells, cell by cell, what the ledger has from it: over the end of an
// hour and over a change of class.
func TestTally_Counted(t *testing.T) {
	t.Parallel()
	db, c := testenv.Postgres(t), newClock()
	m := newMeter(t, db.Pool(t, pg.RoleGateway), c)
	var tally metering.Tally
	want := map[row]sums{}
	for n := range 3 {
		k := key(n)
		m.Begin(&tally, metering.Key{}) // nothing is known of the client yet
		m.Begin(&tally, k)
		tally.DeclaredIngress(100)
		tally.Ingress(60)
		c.advance(time.Hour)
		m.Tick()
		tally.Ingress(40)
		tally.Egress(7)
		tally.Reclass(metering.ClassUnbilled)
		tally.Request()
		first, second := c.now().Add(-time.Hour), c.now()
		parts := []metering.Counted{
			{Class: metering.ClassB, Hour: first, Ingress: 60, DeclaredIngress: 100},
			{Class: metering.ClassB, Hour: second, Ingress: 40, Egress: 7},
			{Class: metering.ClassUnbilled, Hour: second, Requests: 1},
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

func TestClass_text(t *testing.T) {
	t.Parallel()
	for c := range metering.ClassUnbilled + 2 {
		text, err := c.MarshalText()
		var back metering.Class
		if err != nil || back.UnmarshalText(text) != nil || back != c%(metering.ClassUnbilled+1) {
			t.Errorf("%d: %q, %v", c, text, back)
		}
	}
	if new(metering.Class).UnmarshalText([]byte("C")) == nil {
		t.Error("took C for a class")
	}
}
