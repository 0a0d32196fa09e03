package listen

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/primecloudpro/primecloud/internal/subscriber"
)

// bounds count the open client connections of a Server, and refuse those beyond
// its limits.
type bounds struct {
	most       int // at once
	perAddress int // of one client's address; below 1: no bound

	mu        sync.Mutex
	total     int
	byAddress map[netip.Addr]int
	stopping  bool           // every further connection is refused
	proxies   []netip.Prefix // not counted by address: their connections are their clients'
}

// refusal says why a connection was refused; it is a label of a metric.
type refusal string

const (
	admitted     refusal = ""
	tooMany      refusal = "connections"
	tooManyOfOne refusal = "address"
	stopping     refusal = "stopping"
)

// admit counts a connection from a, or returns why it is refused. The caller
// passes key to release when an admitted connection has been closed.
func (b *bounds) admit(a netip.Addr) (key netip.Addr, refused refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key = b.key(a)
	switch {
	case b.stopping:
		return key, stopping
	case b.total >= b.most:
		return key, tooMany
	case key.IsValid() && b.byAddress[key] >= b.perAddress:
		return key, tooManyOfOne
	}
	b.total++
	if key.IsValid() {
		b.byAddress[key]++
	}
	return key, admitted
}

// release gives an admitted connection's place back.
func (b *bounds) release(key netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total--
	if key.IsValid() {
		if b.byAddress[key]--; b.byAddress[key] == 0 {
			delete(b.byAddress, key)
		}
	}
}

// stop refuses every further connection.
func (b *bounds) stop() {
	b.mu.Lock()
	b.stopping = true
	b.mu.Unlock()
}

// setProxies replaces those that are not counted by address. Connections that are open
// stay counted as they were.
func (b *bounds) setProxies(proxies []netip.Prefix) {
	b.mu.Lock()
	b.proxies = proxies
	b.mu.Unlock()
}

// key is what connections from an address are counted by: the address, of IPv6
// its /64. It is not valid for one that is not counted by address. With b.mu held.
func (b *bounds) key(a netip.Addr) netip.Addr {
	if b.perAddress < 1 || slices.ContainsFunc(b.proxies, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return netip.Addr{}
	}
	return subscriber.Of(a)
}
