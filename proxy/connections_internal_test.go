package proxy

import (
	"net"
	"net/netip"
	"testing"
)

func TestConnections_peer(t *testing.T) {
	t.Parallel()
	cs := &connections{perAddress: 1, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}}
	for addr, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"192.0.2.2":          "192.0.2.2",
		"10.1.2.3":           "invalid IP",
		"2001:db8::1:2:3:4":  "2001:db8::",
		"2001:db8::9:9:9:9":  "2001:db8::",
		"2001:db8:0:1::1":    "2001:db8:0:1::",
		"2001:db8:1:2::1":    "invalid IP",
		"fe80::1%eth0":       "fe80::",
		"::1":                "::",
		"2001:db8:ffff::1:1": "2001:db8:ffff::",
	} {
		if got := cs.peer(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, wanted %s", addr, got, want)
		}
	}
}

// waiting is a connection whose end waits for a client that reads nothing.
type waiting struct {
	net.Conn
	closing, end chan struct{}
}

func (w *waiting) Close() error {
	close(w.closing)
	<-w.end
	return nil
}

func (*waiting) CloseWrite() error { panic("an idle connection lingers") }

// fasthttp closes idle connections one after the other, under a lock.
func TestConn_Close_idle(t *testing.T) {
	t.Parallel()
	s := &Server{}
	s.stopping.Store(true)
	w := &waiting{closing: make(chan struct{}), end: make(chan struct{})}
	c := &conn{Conn: w, srv: s, tls: true}
	c.linger.Store(true)
	c.idle.Store(true)
	if err := c.Close(); err != nil { // it returns, though its end waits
		t.Error(err)
	}
	<-w.closing
	close(w.end)
}
