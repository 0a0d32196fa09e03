package upstream

import (
	"context"
	"slices"
	"time"
)

// reap closes kept connections that nobody will use: after a load is over nobody
// takes them out to see that they are too old, or that the backend has closed them.
func (e *Endpoint) reap(ctx context.Context) {
	tick := time.NewTicker(e.pool.cfg.ReapInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.reapIdle()
		}
	}
}

// reapIdle looks at every kept connection, the oldest first, few at a time:
// requests take from the other end meanwhile.
func (e *Endpoint) reapIdle() {
	const atOnce = 64
	batch := make([]*Conn, 0, atOnce)
	for kept := 0; ; {
		e.mu.Lock()
		end := min(kept+atOnce, len(e.idle))
		if kept >= end {
			e.mu.Unlock()
			return
		}
		batch = append(batch[:0], e.idle[kept:end]...)
		e.idle = slices.Delete(e.idle, kept, end)
		e.mu.Unlock()

		batch = slices.DeleteFunc(batch, func(c *Conn) bool {
			if time.Since(c.since) < e.pool.cfg.IdleTimeout && c.clean() {
				return false
			}
			c.close()
			return true
		})

		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			for _, c := range batch {
				c.close()
			}
			return
		}
		kept = min(kept, len(e.idle))
		e.idle = slices.Insert(e.idle, kept, batch...)
		kept += len(batch)
		e.mu.Unlock()
	}
}
