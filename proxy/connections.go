package proxy

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/primecloudpro/primecloud/internal/subscriber"
)

// connections are the clients' connections of a server, and how many there may
// be. They are counted before a byte of them is read, TLS handshakes included.
type connections struct {
	most       int            // at once
	perAddress int            // of one client's address; below 1: no bound
	proxies    []netip.Prefix // their clients' addresses are not the connection's

	mu    sync.Mutex
	all   map[*conn]struct{}
	of    map[netip.Addr]int // by peer
	cut   bool               // none is let in any more
	empty chan struct{}      // somebody waits for the last one; closed when it has gone
}

// refusal says why a connection was not let in; it is a label of a metric.
type refusal string

const (
	letIn        refusal = ""
	tooMany      refusal = "connections"
	tooManyOfOne refusal = "address"
	stopping     refusal = "stopping"
)

// add lets c in, or says why not.
func (cs *connections) add(c *conn) refusal {
	c.peer = cs.peer(c.addr())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case cs.cut:
		return stopping
	case len(cs.all) >= cs.most:
		return tooMany
	case c.peer.IsValid() && cs.of[c.peer] >= cs.perAddress:
		return tooManyOfOne
	}
	cs.all[c] = struct{}{}
	if c.peer.IsValid() {
		cs.of[c.peer]++
	}
	return letIn
}

// peer is what connections are counted by. It is not valid for a connection that
// counts for nobody.
func (cs *connections) peer(a netip.Addr) netip.Addr {
	if cs.perAddress < 1 || slices.ContainsFunc(cs.proxies, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return netip.Addr{}
	}
	return subscriber.Of(a)
}

// remove forgets a connection that has ended.
func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.all[c]; !ok {
		return
	}
	delete(cs.all, c)
	if c.peer.IsValid() {
		if cs.of[c.peer]--; cs.of[c.peer] == 0 {
			delete(cs.of, c.peer)
		}
	}
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

// end cuts all connections, below TLS: its farewell could wait for a client
// that does not read.
func (cs *connections) end() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cut = true
	for c := range cs.all {
		_ = c.socket.Close()
	}
}
