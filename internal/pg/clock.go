package pg

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How far a machine's clock may be from the database's: beyond the first it is
// said, beyond the second the machine is not to be believed about the time.
const (
	clockWarning = 5 * time.Second
	clockWrong   = time.Minute
)

// Clock compares this machine's clock with the database's, which is what the
// machines of a fleet have in common: hours are over, jobs are due and nodes are
// alive by it. A nil Clock compares nothing.
type Clock struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	heard  time.Time     // by now, with its monotonic reading; zero: never
	there  time.Time     // what the database said then
	offset time.Duration // now's lead, of which the way there and back explains nothing
}

// NewClock returns a clock that has not been compared yet. now is time.Now; log
// and r may be nil.
func NewClock(now func() time.Time, log *slog.Logger, r prometheus.Registerer) *Clock {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{now: now, log: log}
	if r != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_clock_offset_seconds", Help: "How far this machine's clock is ahead of the database's, less what the network explains.",
		}, func() float64 { return c.Offset().Seconds() }))
	}
	return c
}

// Now asks the database for the time.
func Now(ctx context.Context, q Querier) (now time.Time, err error) {
	err = q.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, err
}

// Compare asks the database for the time.
func (c *Clock) Compare(ctx context.Context, q Querier) error {
	answer := c.Ask()
	there, err := Now(ctx, q)
	if err != nil {
		return fmt.Errorf("compare clocks: %w", err)
	}
	answer(there)
	return nil
}

// Ask is called before a statement that returns clock_timestamp(), and answer
// with what it returned. The database's clock was read at some moment between
// the two: what lies between proves no difference.
func (c *Clock) Ask() (answer func(there time.Time)) {
	if c == nil {
		return func(time.Time) {}
	}
	asked := c.now()
	return func(there time.Time) {
		heard := c.now()
		// By what the clocks say, not by what has passed: Round(0) takes the
		// monotonic reading away.
		low, high := asked.Round(0).Sub(there), heard.Round(0).Sub(there)
		if high < low {
			return // the clock was set meanwhile
		}
		c.compared(heard, there, max(low, 0)+min(high, 0))
	}
}

func (c *Clock) compared(heard, there time.Time, offset time.Duration) {
	c.mu.Lock()
	was, first := c.offset, c.heard.IsZero()
	c.heard, c.there, c.offset = heard, there, offset
	c.mu.Unlock()
	switch was, is := grade(was), grade(offset); {
	case is == was && (!first || is == 0):
	case is == 2:
		c.log.Error("this machine's clock is wrong: the node is not ready, and no worker; run NTP", "ahead_of_database", offset)
	case is == 1:
		c.log.Warn("this machine's clock differs from the database's; run NTP", "ahead_of_database", offset)
	default:
		c.log.Info("this machine's clock agrees with the database's", "ahead_of_database", offset)
	}
}

func grade(offset time.Duration) int {
	switch {
	case offset.Abs() > clockWrong:
		return 2
	case offset.Abs() > clockWarning:
		return 1
	}
	return 0
}

// Offset is how far this machine was ahead of the database when they were last
// compared.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Right reports whether this machine may be believed about the time. One that
// has not been compared may.
func (c *Clock) Right() bool { return grade(c.Offset()) < 2 }

// Now is the database's time: what it said last, and what has passed since by
// the machine's monotonic clock, which nobody sets.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.heard.IsZero() {
		return now
	}
	return c.there.Add(now.Sub(c.heard))
}
