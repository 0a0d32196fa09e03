// Package subscriber says whom an address stands for where clients are counted
// by their addresses.
package subscriber

import "net/netip"

// Of is the address itself, and of IPv6 its /64: that is what one subscriber of a
// network is given at least (RFC 6177 section 2). An address that is not valid
// stays so.
func Of(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64) // without a zone
	return p.Addr()
}
