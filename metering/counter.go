package metering

import "sync/atomic"

// counter is a number on the disk three times: its value, the complement of it
// and its value once more, added to in this order.
type counter struct{ value, complement, again atomic.Int64 }

func (c *counter) add(n int64) {
	c.value.Add(n)
	c.complement.Add(-n)
	c.again.Add(n)
}

func (c *counter) reset() {
	c.value.Store(0)
	c.complement.Store(^0)
	c.again.Store(0)
}

// ahead is how far the first may be before the last: additions that a kill has
// cut, one of each thread that was in them. Declared lengths are added whole.
const ahead, declaredAhead = 1 << 30, 1 << 40

// believed returns the number, or false when only damage explains what is
// there. A kill leaves first ≥ second ≥ third, and nearly always two that are
// equal: then the addition it cut is not counted.
func (c *counter) believed(most int64) (int64, bool) {
	first, second, third := c.value.Load(), ^c.complement.Load(), c.again.Load()
	if third < 0 || first < second || second < third || first-third > most {
		return 0, false
	}
	return second, true
}
