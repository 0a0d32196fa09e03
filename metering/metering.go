// Package metering counts what moves, for the bill. While a body moves, a
// Tally adds to a series: one row of atomic counters for an account, bucket,
// access key, class and UTC hour. Readings of series are cumulative, like a
// utility meter's: they are written as totals, so that a retry cannot count
// twice and a lost flush cannot lose.
package metering

import (
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
)

// hour is a count of hours since 1970, UTC.
type hour uint32

func hourOf(t time.Time) hour { return hour(t.Unix() / 3600) }

func (h hour) time() time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

type seriesKey struct {
	usage.Key
	hour hour
}

// reading is what the ledger gets of a series whose counters are at t.
func (k seriesKey) reading(t ledger.Totals) ledger.Reading {
	return ledger.Reading{Key: k.Key, Hour: k.hour.time(), Totals: t}
}

// counters of a series. All only grow.
type counters struct{ requests, ingress, egress, declaredIngress, declaredEgress counter }

func (c *counters) read() ledger.Totals {
	return ledger.Totals{
		Requests: c.requests.value.Load(), Ingress: c.ingress.value.Load(), Egress: c.egress.value.Load(),
		DeclaredIngress: c.declaredIngress.value.Load(), DeclaredEgress: c.declaredEgress.value.Load(),
	}
}

func (c *counters) reset() {
	for _, n := range c.all() {
		n.reset()
	}
}

func (c *counters) all() [5]*counter {
	return [...]*counter{&c.requests, &c.ingress, &c.egress, &c.declaredIngress, &c.declaredEgress}
}

// recoverCounts is read for counters that may be damaged.
func (c *counters) recoverCounts() (t ledger.Totals, ok bool) {
	limits := [...]int64{maxTorn, maxTorn, maxTorn, maxTornDeclared, maxTornDeclared}
	for i, to := range [...]*int64{&t.Requests, &t.Ingress, &t.Egress, &t.DeclaredIngress, &t.DeclaredEgress} {
		if *to, ok = c.all()[i].recoverCount(limits[i]); !ok {
			return ledger.Totals{}, false
		}
	}
	return t, true
}

// series is a row of the meter.
type series struct {
	*counters         // in the journal, or in memory when that has no room
	record    *record // nil: in memory
	key       seriesKey
	// users counts the tallies that are in and may still add. It is negative
	// once nobody may come in any more.
	users     atomic.Int64
	confirmed ledger.Totals // of the last flush that PostgreSQL acknowledged; the flusher's only
}

// closedSeries is subtracted from users when the series is retired.
const closedSeries = 1 << 40

// enter reports whether the series is open, and keeps it open until leave.
func (c *series) enter() bool {
	if c.users.Add(1) > 0 {
		return true
	}
	c.users.Add(-1)
	return false
}

func (c *series) leave() { c.users.Add(-1) }

// retire closes the series for good when nobody is in it and all it has counted
// is confirmed. Leaving comes after the last add, so that what is read here
// after closing is final.
func (c *series) retire() bool {
	if !c.users.CompareAndSwap(0, -closedSeries) {
		return false
	}
	if c.read() == c.confirmed {
		return true
	}
	c.users.Add(closedSeries)
	return false
}
