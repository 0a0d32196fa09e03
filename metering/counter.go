package metering

import "sync/atomic"

// counter is a number on the disk three times: its value, the complement of it
// and its value once more, added to in this order.
type counter struct{ value, complement, copy atomic.Int64 }

func (c *counter) add(n int64) {
	c.value.Add(n)
	c.complement.Add(-n)
	c.copy.Add(n)
}

func (c *counter) reset() {
	c.value.Store(0)
	c.complement.Store(^0)
	c.copy.Store(0)
}

// maxTorn is how far the value may be ahead of the copy: one addition of each
// thread that a kill has cut short. Declared lengths are added whole, so that
// theirs may be further ahead.
const maxTorn, maxTornDeclared = 1 << 30, 1 << 40

// recoverCount returns the number, or false when only damage explains the three:
// they are in no order that a kill leaves, or further apart than limit. A kill
// leaves first ≥ second ≥ third, and nearly always two of them equal; an addition
// that had reached the first only is not counted.
func (c *counter) recoverCount(limit int64) (int64, bool) {
	first, second, third := c.value.Load(), ^c.complement.Load(), c.copy.Load()
	if third < 0 || first < second || second < third || first-third > limit {
		return 0, false
	}
	return second, true
}
