//go:build !race

package upstream_test

import "testing"

// Not parallel: AllocsPerRun counts what the whole process allocates.
func TestPool_Do_allocates(t *testing.T) {
	p, req := pool(t, serve(t, replayed).config()), get()
	roundTrip(t, p, req)
	if n := testing.AllocsPerRun(1000, func() { roundTrip(t, p, req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
