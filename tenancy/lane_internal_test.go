package tenancy

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// Whoever gives up before his turn has not asked PostgreSQL: he is told that it is
// crowded, and leaves no place taken, neither of his share nor of the lane.
func TestLane_gaveUp(t *testing.T) {
	t.Parallel()
	var crowded atomic.Uint64
	l := newLane("test", 2, 2, 10, &crowded)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for round := range uint64(3) {
		leaveA, err := turn{l, 0}.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaveB, err := turn{l, 1}.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for share := range 2 {
			if _, err := (turn{l, share}).enter(gone); !errors.Is(err, ErrCrowded) {
				t.Errorf("share %d: %v", share, err)
			}
		}
		leaveA()
		leaveB()
		if n := crowded.Load(); n != 2*(round+1) {
			t.Errorf("%d were counted", n)
		}
	}
	for i := range l.shares {
		if n := l.shares[i].waiting.Load(); n != 0 || len(l.shares[i].slots) != 0 || len(l.slots) != 0 {
			t.Errorf("share %d: %d wait, %d of %d slots are taken", i, n, len(l.shares[i].slots), len(l.slots))
		}
	}
}
