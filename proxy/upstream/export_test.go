package upstream

import "context"

// DialHeld makes a new connection to the first endpoint and holds it back,
// between its dialling and its use, until meanwhile has returned.
func DialHeld(ctx context.Context, p *Pool, meanwhile func()) error {
	e := p.endpoints[0]
	e.mu.Lock() // register waits for it
	done := make(chan error, 1)
	go func() {
		c, err := e.get(ctx, true)
		if err == nil {
			c.close()
		}
		done <- err
	}()
	meanwhile()
	e.mu.Unlock()
	return <-done
}

// ReapNow is what a look of the reaper does at the first endpoint; it returns how
// many connections are kept.
func ReapNow(p *Pool) int {
	e := p.endpoints[0]
	e.reapIdle()
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.idle)
}
