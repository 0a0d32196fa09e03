package testenv

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock is a time, UTC, that tests move. Any number of goroutines may use it.
type Clock struct{ at, slept atomic.Int64 } // nanoseconds

// NewClock returns one that stands at a time.
func NewClock(at time.Time) *Clock {
	c := &Clock{}
	c.Set(at)
	return c
}

// Now is the time.
func (c *Clock) Now() time.Time { return time.Unix(0, c.at.Load()).UTC() }

// Set moves it to a time.
func (c *Clock) Set(at time.Time) { c.at.Store(at.UnixNano()) }

// Advance moves it on, or back.
func (c *Clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

// Sleep moves it on without any waiting. The error is the context's.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.at.Add(int64(d))
	c.slept.Add(int64(d))
	return ctx.Err()
}

// Slept is how long all calls of Sleep were to take.
func (c *Clock) Slept() time.Duration { return time.Duration(c.slept.Load()) }
