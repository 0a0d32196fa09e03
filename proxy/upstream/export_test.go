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
