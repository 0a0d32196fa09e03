package metering

import "testing"

func TestSeries_Retire(t *testing.T) {
	t.Parallel()
	c := &series{counters: &counters{}}
	if !c.enter() {
		t.Fatal("a new cell is closed")
	}
	if c.retire() {
		t.Error("retired with a tally in it")
	}
	c.egress.add(1)
	c.leave()
	if c.retire() {
		t.Error("retired with something unconfirmed")
	}
	if !c.enter() {
		t.Error("closed after it was not retired")
	}
	c.leave()
	c.confirmed = c.read()
	if !c.retire() {
		t.Error("not retired")
	}
	if c.enter() || c.enter() { //nolint:staticcheck // each call enters once
		t.Error("entered after it was retired")
	}
	if c.retire() {
		t.Error("retired twice")
	}
}
