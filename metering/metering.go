// Package metering counts what moves, for the bill. While a body moves, a
// Tally adds to a cell: one row of atomic counters for an account, bucket,
// access key, class and UTC hour. Readings of cells are cumulative, like a
// utility meter's: they are written as totals, so that a retry cannot count
// twice and a lost flush cannot lose.
package metering

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// Class is how an operation is priced.
type Class uint8

// The classes: writes and lists, reads, free ones, and what is recorded but
// not billed (401, 403, 5xx and internal control traffic).
const (
	ClassA Class = iota + 1
	ClassB
	ClassFree
	ClassUnbilled
)

var classNames = [...]string{ClassA: "A", ClassB: "B", ClassFree: "free", ClassUnbilled: "unbilled"}

func (c Class) String() string {
	if c.known() {
		return classNames[c]
	}
	return "-"
}

// MarshalText and UnmarshalText make JSON show the class's name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes; "-" is no class.
func (c *Class) UnmarshalText(text []byte) error {
	*c = 0
	if i := slices.Index(classNames[1:], string(text)); i >= 0 {
		*c = Class(i + 1)
	} else if string(text) != "-" {
		return fmt.Errorf("metering: %q is no class", text)
	}
	return nil
}

func (c Class) known() bool { return c >= ClassA && c <= ClassUnbilled }

// Key names a cell but for its hour. Zero ids are the "-" cell: only resolved
// ids may be given, so that invented names add nothing. A Class that does not
// exist counts as ClassUnbilled.
type Key struct {
	Account, Bucket, AccessKey tenancy.ID
	Class                      Class
}

// hour is a count of hours since 1970, UTC.
type hour uint32

func hourOf(t time.Time) hour { return hour(t.Unix() / 3600) }

func (h hour) time() time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

type cellKey struct {
	Key
	hour hour
}

// counters of a cell. All only grow.
type counters struct{ requests, ingress, egress, declaredIngress, declaredEgress counter }

// totals are counters at one moment.
type totals struct{ requests, ingress, egress, declaredIngress, declaredEgress int64 }

func (c *counters) read() totals {
	return totals{c.requests.value.Load(), c.ingress.value.Load(), c.egress.value.Load(), c.declaredIngress.value.Load(), c.declaredEgress.value.Load()}
}

func (c *counters) reset() {
	for _, n := range c.all() {
		n.reset()
	}
}

func (c *counters) all() [5]*counter {
	return [...]*counter{&c.requests, &c.ingress, &c.egress, &c.declaredIngress, &c.declaredEgress}
}

// believed is read for counters that may be damaged.
func (c *counters) believed() (t totals, ok bool) {
	most := [...]int64{ahead, ahead, ahead, declaredAhead, declaredAhead}
	for i, to := range [...]*int64{&t.requests, &t.ingress, &t.egress, &t.declaredIngress, &t.declaredEgress} {
		if *to, ok = c.all()[i].believed(most[i]); !ok {
			return totals{}, false
		}
	}
	return t, true
}

// cell is a row of the meter.
type cell struct {
	*counters         // in the journal, or in memory when that has no room
	record    *record // nil: in memory
	key       cellKey
	// users counts the tallies that are in and may still add. It is negative
	// once nobody may come in any more.
	users     atomic.Int64
	confirmed totals // of the last flush that PostgreSQL acknowledged; the flusher's only
}

// closedCell is subtracted from users when the cell is retired.
const closedCell = 1 << 40

// enter reports whether the cell is open, and keeps it open until leave.
func (c *cell) enter() bool {
	if c.users.Add(1) > 0 {
		return true
	}
	c.users.Add(-1)
	return false
}

func (c *cell) leave() { c.users.Add(-1) }

// retire closes the cell for good when nobody is in it and all it has counted
// is confirmed. Leaving comes after the last add, so that what is read here
// after closing is final.
func (c *cell) retire() bool {
	if !c.users.CompareAndSwap(0, -closedCell) {
		return false
	}
	if c.read() == c.confirmed {
		return true
	}
	c.users.Add(closedCell)
	return false
}
