package proxy

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/sigv4"
)

// from is a connection of which only the peer's address is asked for.
type from struct {
	net.Conn
	addr net.TCPAddr
}

func (f *from) RemoteAddr() net.Addr { return &f.addr }

// S3-RULES.md A19: the last address that is no trusted proxy's own counts, and
// it has no zone, which may be any text and would go to the backend with it.
func TestClientAddr(t *testing.T) {
	t.Parallel()
	s, err := New(Config{
		Directory: struct{ Directory }{}, Meter: struct{ Meter }{}, MAC: func(string, []byte) []byte { return nil },
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/64")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ peer, zone, forwarded, want string }{
		{"192.0.2.1", "", "198.51.100.7", "192.0.2.1"}, // nobody trusts it
		{"10.0.0.1", "", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1", "", "203.0.113.9, 198.51.100.7", "198.51.100.7"},
		{"10.0.0.1", "", "198.51.100.7, 10.0.0.2", "198.51.100.7"},
		{"10.0.0.1", "", "198.51.100.7, nonsense", "10.0.0.1"},
		{"10.0.0.1", "", "2001:db8::1%x, y: z", "10.0.0.1"},
		{"10.0.0.1", "", "2001:db8::1%x y: z", "2001:db8::1"},
		{"10.0.0.1", "", "::ffff:198.51.100.7", "198.51.100.7"},
		{"10.0.0.1", "", "198.51.100.7:4711", "198.51.100.7"},
		{"10.0.0.1", "", "203.0.113.9:1, 198.51.100.7:4711, 10.0.0.2:80", "198.51.100.7"},
		{"10.0.0.1", "", "[2001:db8::1]:4711", "2001:db8::1"},
		{"10.0.0.1", "", "[2001:db8::1]", "2001:db8::1"},
		{"10.0.0.1", "", "[::ffff:198.51.100.7]:1", "198.51.100.7"},
		{"10.0.0.1", "", "198.51.100.7:port", "10.0.0.1"},
		{"10.0.0.1", "", "198.51.100.7:65536", "10.0.0.1"},
		{"10.0.0.1", "", "client.example.com:80", "10.0.0.1"},
		{"fe80::1", "eth0", "198.51.100.7", "198.51.100.7"}, // a proxy on the same link
		{"fe80:0:0:1::1", "eth0", "", "fe80:0:0:1::1"},
	} {
		peer := &from{addr: net.TCPAddr{IP: net.ParseIP(c.peer), Zone: c.zone, Port: 1}}
		x := s.newExchange(&fasthttp.RequestCtx{}, &clientconn.Conn{Conn: peer})
		if c.forwarded != "" {
			x.headers = append(x.headers, sigv4.Header{Name: hdrForwardedFor, Value: []byte(c.forwarded)})
		}
		if got := x.clientAddr().String(); got != c.want {
			t.Errorf("%s%%%s forwards for %q: %s, want %s", c.peer, c.zone, c.forwarded, got, c.want)
		}
	}
}

// The scheme that clients are told is the operator's word, that of the nearest
// trusted proxy, or the connection's.
func TestPublicScheme(t *testing.T) {
	t.Parallel()
	config := Config{
		Directory: struct{ Directory }{}, Meter: struct{ Meter }{}, MAC: func(string, []byte) []byte { return nil },
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	for _, c := range []struct {
		peer, said string
		tls        bool
		proto      []string
		want       string
	}{
		{"10.0.0.1", "", false, nil, "http"},
		{"10.0.0.1", "", true, nil, "https"},
		{"10.0.0.1", "", false, []string{"https"}, "https"},
		{"10.0.0.1", "", true, []string{"http"}, "http"},
		{"10.0.0.1", "", false, []string{"http, https"}, "https"}, // the nearest
		{"10.0.0.1", "", false, []string{"http", "https"}, "https"},
		{"10.0.0.1", "", false, []string{"https, javascript"}, "http"},
		{"192.0.2.1", "", false, []string{"https"}, "http"}, // nobody trusts it
		{"192.0.2.1", "https", false, nil, "https"},
		{"10.0.0.1", "https", false, []string{"http"}, "https"},
	} {
		config.PublicScheme = c.said
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var nc net.Conn = &from{addr: net.TCPAddr{IP: net.ParseIP(c.peer)}}
		if c.tls {
			nc = tls.Server(nc, nil)
		}
		x := s.newExchange(&fasthttp.RequestCtx{}, &clientconn.Conn{Conn: nc})
		for _, v := range c.proto {
			x.headers = append(x.headers, sigv4.Header{Name: []byte("x-forwarded-proto"), Value: []byte(v)})
		}
		if got := x.publicScheme(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// A name has one meaning, and configured names are names.
func TestCheckHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hosts  []string
		tenant string
		wrong  string // a part of the error; "" means none
	}{
		{nil, "", ""},
		{[]string{"s3.example.com", "localhost", "S3.Example.net.", "10.0.0.1"}, "tenants.example.com", ""},
		{[]string{"s3.example.com"}, "example.com", ""},
		{[]string{"s3.example.com"}, "tenants.s3.example.com", ""},
		{[]string{"s3.example.com"}, "s3.example.com", "one of s3.hosts"},
		{[]string{"s3.example.com."}, "S3.example.COM", "one of s3.hosts"},
		{[]string{"a.example.com", "A.example.com."}, "", "twice"},
		{[]string{""}, "", "not a host name"},
		{[]string{"https://s3.example.com"}, "", "not a host name"},
		{[]string{"s3.example.com:9000"}, "", "not a host name"},
		{[]string{"*.example.com"}, "", "not a host name"},
		{[]string{".example.com"}, "", "not a host name"},
		{[]string{"a..example.com"}, "", "not a host name"},
		{[]string{"-a.example.com"}, "", "not a host name"},
		{[]string{" s3.example.com"}, "", "not a host name"},
		{nil, "https://example.com/", "not a domain"},
		{nil, "example.com:443", "not a domain"},
		{nil, "10.0.0.1", "not a domain"},
	} {
		err := CheckHosts(c.hosts, c.tenant)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q and %q: %v", c.hosts, c.tenant, err)
		}
	}
}
