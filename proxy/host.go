package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// host is whom a Host header addresses.
type host struct {
	name    []byte // lower case, no port, no trailing dot
	shared  bool   // the account comes from the access key
	account []byte // the tenant host's account name
	domain  bool   // a custom domain, to be looked up
	bucket  []byte // virtual-host style
}

// hostNames are the configured names, longest first, so that a tenant domain
// below a shared host wins over a bucket of that name.
type hostNames struct {
	suffixes []string
	tenant   string
}

func newHostNames(hosts []string, tenantDomain string) hostNames {
	h := hostNames{tenant: configuredName(tenantDomain)}
	for _, name := range hosts {
		h.suffixes = append(h.suffixes, configuredName(name))
	}
	if h.tenant != "" {
		h.suffixes = append(h.suffixes, h.tenant)
	}
	slices.SortFunc(h.suffixes, func(a, b string) int { return len(b) - len(a) })
	return h
}

// configuredName is a configured name as Host headers are compared with it.
func configuredName(configured string) string {
	return strings.ToLower(strings.TrimSuffix(configured, "."))
}

// CheckHosts says what is wrong with Config's Hosts and TenantDomain.
func CheckHosts(hosts []string, tenantDomain string) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for _, configured := range hosts {
		name := configuredName(configured)
		switch {
		case !isHostName(name):
			fail("s3.hosts: %q is not a host name; write it without scheme, port, path and wildcard", configured)
		case seen[name]:
			fail("s3.hosts: %s is there twice; write it once", name)
		}
		seen[name] = true
	}
	name := configuredName(tenantDomain)
	switch {
	case name == "":
	case !isHostName(name) || isAddress([]byte(name)):
		fail("s3.tenant_domain: %q is not a domain; write it without scheme, port, path and wildcard", tenantDomain)
	case seen[name]:
		// A name in front of it would be a bucket of any account, and an account.
		fail("s3.tenant_domain: %[1]s is one of s3.hosts: x.%[1]s would be both a bucket of that name and the account x; "+
			"give accounts a domain of their own, such as tenants.%[1]s", name)
	}
	return errors.Join(errs...)
}

// isHostName holds a name to RFC 1123 section 2.1, and allows the underscore that
// some networks have in names.
func isHostName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// parseHost decides whom the Host header names. The port is the client's
// business; HTTP/1.1 requires the header (RFC 9112 section 3.2).
func (x *exchange) parseHost() error {
	raw, ok := x.header("host")
	if !ok || len(raw) == 0 {
		return s3err.New("BadRequest", "The request has no Host header.")
	}
	name, ok := hostName(raw)
	if !ok {
		return s3err.New("BadRequest", "The Host header is not a host name and a port.")
	}
	x.hostName = appendLower(x.hostName[:0], name)
	x.host.name = x.hostName
	return x.srv.hosts.match(&x.host)
}

// hostName is the name of a Host header, uri-host [":" port] (RFC 9110 section
// 7.2), without its trailing dot. A registered name has here what names in the
// DNS have, and underscores: no user information, no percent-encoding. What is
// taken goes out again in a Location.
func hostName(raw []byte) (name []byte, ok bool) {
	name, port, _ := bytes.Cut(raw, []byte{':'})
	if raw[0] == '[' {
		end := bytes.IndexByte(raw, ']') + 1
		if end == 0 {
			return nil, false
		}
		var colon bool
		name = raw[:end]
		if port, colon = bytes.CutPrefix(raw[end:], []byte{':'}); !colon && len(port) > 0 {
			return nil, false
		}
		addr, err := netip.ParseAddr(string(name[1 : end-1]))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return nil, false
		}
	} else {
		name = bytes.TrimSuffix(name, []byte{'.'})
		for _, c := range name {
			if !alphanumeric(c) && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != '_' {
				return nil, false
			}
		}
	}
	number := 0
	for _, c := range port {
		if number = number*10 + int(c-'0'); c < '0' || c > '9' || number > 65535 {
			return nil, false
		}
	}
	return name, len(name) > 0 && len(port) <= len("65535")
}

func (n *hostNames) match(h *host) error {
	for _, suffix := range n.suffixes {
		if string(h.name) == suffix {
			if suffix == n.tenant {
				break
			}
			h.shared = true
			return nil
		}
		front, ok := bytes.CutSuffix(h.name, []byte(suffix))
		if !ok || len(front) < 2 || front[len(front)-1] != '.' {
			continue
		}
		front = front[:len(front)-1]
		if suffix != n.tenant {
			h.shared, h.bucket = true, front
			return nil
		}
		h.account = front
		if i := bytes.LastIndexByte(front, '.'); i >= 0 {
			h.bucket, h.account = front[:i], front[i+1:]
		}
		return nil
	}
	if isAddress(h.name) {
		h.shared = true
		return nil
	}
	h.domain = true
	return nil
}

// isAddress tells an address from a domain without parsing it: no top-level
// domain is all digits (RFC 3696 section 2), and only an IPv6 address has
// brackets.
func isAddress(name []byte) bool {
	last := name[bytes.LastIndexByte(name, '.')+1:]
	return bytes.HasSuffix(name, []byte{']'}) || len(last) > 0 && len(bytes.Trim(last, "0123456789")) == 0
}

// clientAddr is the client's address: the connection's, or what a trusted
// proxy says. The last address that is not a trusted proxy's own counts
// (S3-RULES.md A19). It has no zone: in a header that is any text at all.
func (x *exchange) clientAddr() netip.Addr {
	addr := x.conn.Addr().WithZone("")
	if !x.srv.trusted(addr) {
		return addr
	}
	for i := len(x.headers) - 1; i >= 0; i-- {
		if string(x.headers[i].Name) != "x-forwarded-for" {
			continue
		}
		list := x.headers[i].Value
		for len(list) > 0 {
			j := bytes.LastIndexByte(list, ',')
			a, ok := forwardedAddr(string(bytes.TrimSpace(list[j+1:])))
			if !ok {
				return addr
			}
			addr = a
			if !x.srv.trusted(addr) {
				return addr
			}
			list = list[:max(j, 0)]
		}
	}
	return addr
}

// forwardedAddr is an element of X-Forwarded-For, to which some proxies add the
// client's port (Azure's Application Gateway, Envoy); an IPv6 address may be in brackets.
func forwardedAddr(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = at.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// publicScheme is what the client has used: what the operator says, or the nearest
// trusted proxy, or the connection itself.
func (x *exchange) publicScheme() string {
	if s := x.srv.cfg.PublicScheme; s != "" {
		return s
	}
	if x.srv.trusted(x.conn.Addr().WithZone("")) {
		for i := len(x.headers) - 1; i >= 0; i-- {
			if string(x.headers[i].Name) != "x-forwarded-proto" {
				continue
			}
			list := x.headers[i].Value
			switch last := string(bytes.TrimSpace(list[bytes.LastIndexByte(list, ',')+1:])); last {
			case "http", "https":
				return last
			}
			break
		}
	}
	if x.conn.TLS() {
		return "https"
	}
	return "http"
}

// SetTrustedProxies replaces Config's, for requests that come from then on.
func (s *Server) SetTrustedProxies(proxies []netip.Prefix) { s.proxies.Store(&proxies) }

func (s *Server) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(*s.proxies.Load(), func(p netip.Prefix) bool { return p.Contains(a) })
}
