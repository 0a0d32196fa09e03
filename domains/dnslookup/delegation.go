package dnslookup

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// internetRoots are the root's name servers (iana.org/domains/root/servers).
var internetRoots = []netip.Addr{
	netip.MustParseAddr("198.41.0.4"), netip.MustParseAddr("170.247.170.2"), netip.MustParseAddr("192.33.4.12"), netip.MustParseAddr("199.7.91.13"),
	netip.MustParseAddr("192.203.230.10"), netip.MustParseAddr("192.5.5.241"), netip.MustParseAddr("192.112.36.4"), netip.MustParseAddr("198.97.190.53"),
	netip.MustParseAddr("192.36.148.17"), netip.MustParseAddr("192.58.128.30"), netip.MustParseAddr("193.0.14.129"), netip.MustParseAddr("199.7.83.42"),
	netip.MustParseAddr("202.12.27.33"),
}

// maxTried is how many servers of a zone are asked before nobody is believed to
// answer; maxUnglued how many servers of a zone have their addresses looked up.
const (
	maxTried   = 4
	maxUnglued = 2
)

// follow asks from the root down (RFC 1034 section 5.3.3) until a server answers
// with authority.
func (c *Client) follow(ctx context.Context, name string, kind uint16, budget *int) (*dns.Msg, error) {
	zone, servers := ".", c.cfg.Roots
	for {
		m, referred, err := c.askZone(ctx, zone, servers, name, kind, budget)
		if err != nil {
			return nil, err
		}
		if referred == "" {
			return m, nil
		}
		if servers, err = c.serversOf(ctx, m, referred, zone, budget); err != nil {
			return nil, err
		}
		zone = referred
	}
}

// askZone asks a zone's servers, one after the other, until one answers or refers
// to the servers of a zone below.
func (c *Client) askZone(ctx context.Context, zone string, servers []netip.Addr, name string, kind uint16, budget *int) (m *dns.Msg, referred string, err error) {
	var causes []string
	for _, server := range servers[:min(len(servers), maxTried)] {
		if !c.cfg.Private && !public(server) {
			causes = append(causes, server.String()+" is no public address")
			continue
		}
		m, err := c.exchange(ctx, netip.AddrPortFrom(server, c.cfg.Port).String(), name, kind, false, budget)
		if err != nil {
			causes = append(causes, err.Error())
			continue
		}
		if m.Authoritative && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
			return m, "", nil
		}
		if below := referral(m, zone, name); below != "" {
			return m, below, nil
		}
		causes = append(causes, fmt.Sprintf("%s says %s and has no authority", server, dns.RcodeToString[m.Rcode]))
	}
	return nil, "", fmt.Errorf("%w for the zone %s: %s", ErrUnknown, zone, strings.Join(causes, "; "))
}

// referral is the zone between this one and the name whose servers an answer names.
func referral(m *dns.Msg, zone, name string) string {
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 {
		return ""
	}
	for _, rr := range m.Ns {
		if below := dns.CanonicalName(rr.Header().Name); rr.Header().Rrtype == dns.TypeNS && below != zone && dns.IsSubDomain(zone, below) && dns.IsSubDomain(below, name) {
			return below
		}
	}
	return ""
}

// serversOf are the addresses of a zone's name servers: those that the referring
// server has said, where it may know them, or what a look-up says.
func (c *Client) serversOf(ctx context.Context, m *dns.Msg, zone, referring string, budget *int) (list []netip.Addr, err error) {
	var names []string
	for _, rr := range m.Ns {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == zone {
			names = append(names, dns.CanonicalName(ns.Ns))
		}
	}
	var six []netip.Addr // behind the others: not every network has IPv6
	for _, rr := range m.Extra {
		owner := dns.CanonicalName(rr.Header().Name)
		if !slices.Contains(names, owner) || !dns.IsSubDomain(referring, owner) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				list = append(list, a.Unmap())
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
				six = append(six, a)
			}
		}
	}
	list = append(list, six...)
	for _, name := range names[:min(len(names), maxUnglued)] {
		if len(list) > 0 {
			break
		}
		if list, err = c.addresses(ctx, name, budget); err != nil && *budget < 0 {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: the name servers of %s have no address", ErrUnknown, zone)
	}
	return list, nil
}

// public says whether an address is one of the Internet's (RFC 6890).
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// special networks are global unicast by their form only.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}
