package proxy

import (
	"context"
	"sync"

	"github.com/primecloudpro/primecloud/proxy/clientconn"
)

// connections are the clients' connections that a server serves.
type connections struct {
	mu    sync.Mutex
	all   map[*clientconn.Conn]struct{}
	cut   bool          // no more are served
	empty chan struct{} // non-nil while wait is called; closed when the last one has ended
}

// add notes a connection; false: end was called.
func (cs *connections) add(c *clientconn.Conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.cut {
		return false
	}
	cs.all[c] = struct{}{}
	return true
}

// remove forgets a connection that has ended.
func (cs *connections) remove(c *clientconn.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.all, c)
	if len(cs.all) == 0 && cs.empty != nil {
		close(cs.empty)
		cs.empty = nil
	}
}

// wait waits until every connection has ended, and with it its last request.
// It returns how many are left when ctx ends.
func (cs *connections) wait(ctx context.Context) int {
	cs.mu.Lock()
	if len(cs.all) == 0 {
		cs.mu.Unlock()
		return 0
	}
	if cs.empty == nil {
		cs.empty = make(chan struct{})
	}
	empty := cs.empty
	cs.mu.Unlock()
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
		cs.mu.Lock()
		defer cs.mu.Unlock()
		return len(cs.all)
	}
}

// end cuts all connections.
func (cs *connections) end() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cut = true
	for c := range cs.all {
		c.Cut()
	}
}
