package testenv

import (
	"context"
	"sync"
	"time"
)

// Clock is a time that tests move. Any number of goroutines may use it.
type Clock struct {
	mu    sync.Mutex
	at    time.Time
	slept time.Duration
}

// NewClock returns one that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves it on, or back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Sleep moves it on without any waiting. The error is the context's.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.slept = c.at.Add(d), c.slept+d
	return ctx.Err()
}

// Slept is how long all calls of Sleep were to take.
func (c *Clock) Slept() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slept
}
