package listen_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

// tooLong bounds what would never end on a server that does not do its part.
const tooLong = 20 * time.Second

// fixture is a server on two sockets: one plain for s3, and one with TLS for s3
// and portal.
type fixture struct {
	server        *listen.Server
	s3, portal    *listen.Receiver
	addr, tlsAddr string
	metrics       *prometheus.Registry
}

func newFixture(t *testing.T, cfg listen.Config) *fixture {
	t.Helper()
	f := &fixture{s3: listen.NewReceiver("http/1.1"), portal: listen.NewReceiver("h2", "http/1.1"), metrics: prometheus.NewRegistry()}
	cfg.Metrics = f.metrics
	f.server = listen.New(cfg)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"*.example.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
	var running sync.WaitGroup
	plain, secure := listenTCP(t), listenTCP(t)
	f.addr, f.tlsAddr = plain.Addr().String(), secure.Addr().String()
	running.Go(func() { checkNil(t, f.server.Serve(plain, f.s3)) })
	running.Go(func() {
		checkNil(t, f.server.ServeTLS(secure, config, listen.Routes{Default: f.s3, Names: map[string]*listen.Receiver{"portal.example.test": f.portal}}))
	})
	t.Cleanup(func() {
		checkNil(t, f.server.Shutdown())
		running.Wait()
	})
	return f
}

func checkNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// metric is the sum of a counter or gauge over its labels.
func (f *fixture) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// greet accepts for a receiver and sends each connection its name, until the
// test ends. The accepted connections are on the channel.
func greet(t *testing.T, r *listen.Receiver, name string) <-chan net.Conn {
	t.Helper()
	accepted := make(chan net.Conn, 100)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := r.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			_, _ = io.WriteString(c, name+"\n")
			accepted <- c
		}
	})
	t.Cleanup(func() {
		checkNil(t, r.Close())
		running.Wait()
		for len(accepted) > 0 {
			_ = (<-accepted).Close()
		}
	})
	return accepted
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(tooLong)); err != nil {
		t.Fatal(err)
	}
	return c
}

// closed reports whether the other side ends c without a byte.
func closed(t *testing.T, c net.Conn) bool {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return n == 0 && (!errors.As(err, &timeout) || !timeout.Timeout())
}

// A connection goes to the receiver of its server name, with that one's
// protocols, whatever the client prefers.
func TestServer_routes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, listen.Config{})
	accepted := map[string]<-chan net.Conn{"s3": greet(t, f.s3, "s3"), "portal": greet(t, f.portal, "portal")}
	for _, c := range []struct {
		serverName   string
		offered      []string
		to, protocol string // "": refused, none
	}{
		{"", []string{"h2", "http/1.1"}, "s3", "http/1.1"},
		{"", nil, "s3", ""},
		{"s3.example.test", []string{"h2", "http/1.1"}, "s3", "http/1.1"},
		{"s3.example.test", []string{"h2"}, "", ""},
		{"portal.example.test", []string{"http/1.1", "h2"}, "portal", "h2"},
		{"portal.example.test", []string{"http/1.1"}, "portal", "http/1.1"},
		{"portal.example.test", nil, "portal", ""},
		{"Portal.EXAMPLE.test", []string{"h2"}, "portal", "h2"},
		{"a.portal.example.test", []string{"h2", "http/1.1"}, "s3", "http/1.1"},
	} {
		tc := tls.Client(dial(t, f.tlsAddr), &tls.Config{InsecureSkipVerify: true, ServerName: c.serverName, NextProtos: c.offered})
		to, err := bufio.NewReader(tc).ReadString('\n')
		if c.to == "" {
			if err == nil {
				t.Errorf("%q with %q reaches %s, wanted a refusal", c.serverName, c.offered, to)
			}
			continue
		}
		if err != nil || to != c.to+"\n" || tc.ConnectionState().NegotiatedProtocol != c.protocol {
			t.Errorf("%q with %q: %q with %q, %v; wanted %s with %q", c.serverName, c.offered, to, tc.ConnectionState().NegotiatedProtocol, err, c.to, c.protocol)
			continue
		}
		served := (<-accepted[c.to]).(*tls.Conn)
		if _, ok := served.NetConn().(*socket.Conn); !ok || !served.ConnectionState().HandshakeComplete {
			t.Errorf("%q: over %T, handshake complete: %v", c.serverName, served.NetConn(), served.ConnectionState().HandshakeComplete)
		}
		_ = served.Close()
	}
	to, err := bufio.NewReader(dial(t, f.addr)).ReadString('\n')
	if served, ok := (<-accepted["s3"]).(*socket.Conn); to != "s3\n" || err != nil || !ok {
		t.Errorf("without TLS: %q, %v, accepted as %T", to, err, served)
	}
}

// Sessions are resumed, although each receiver has a configuration of its own.
func TestServer_resumption(t *testing.T) {
	t.Parallel()
	f := newFixture(t, listen.Config{})
	greet(t, f.s3, "s3")
	greet(t, f.portal, "portal")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(1)
		for i := range 2 {
			tc := tls.Client(dial(t, f.tlsAddr), &tls.Config{
				InsecureSkipVerify: true, ServerName: "portal.example.test", NextProtos: []string{"h2"}, MaxVersion: version, ClientSessionCache: cache,
			})
			to, err := bufio.NewReader(tc).ReadString('\n')
			state := tc.ConnectionState()
			if err != nil || to != "portal\n" || state.DidResume != (i == 1) || state.NegotiatedProtocol != "h2" {
				t.Errorf("%s, connection %d: %q with %q, resumed: %v, %v", tls.VersionName(version), i, to, state.NegotiatedProtocol, state.DidResume, err)
			}
		}
	}
}

// A handshake is bounded as a whole, does not keep others waiting, and has a
// place from the first moment until its end.
func TestServer_handshakes(t *testing.T) {
	t.Parallel()
	const most = 4
	f := newFixture(t, listen.Config{MaxConnections: most, HandshakeTimeout: 2 * time.Second})
	greet(t, f.s3, "s3")
	var silent []net.Conn
	for range most - 1 {
		silent = append(silent, dial(t, f.tlsAddr))
	}
	testenv.WaitFor(t, "the silent ones", func() bool { return f.metric(t, "primecloud_proxy_connections") == most-1 })
	tc := tls.Client(dial(t, f.tlsAddr), &tls.Config{InsecureSkipVerify: true})
	if to, err := bufio.NewReader(tc).ReadString('\n'); to != "s3\n" {
		t.Errorf("beside silent ones: %q, %v", to, err)
	}
	if !closed(t, dial(t, f.tlsAddr)) || f.metric(t, "primecloud_proxy_refused_connections_total") != 1 {
		t.Error("one too many is held")
	}
	for _, c := range silent {
		if !closed(t, c) {
			t.Error("a handshake that does not begin is waited for")
		}
	}
	testenv.WaitFor(t, "their places", func() bool { return f.metric(t, "primecloud_proxy_connections") == 1 })
	if n := f.metric(t, "primecloud_listen_failed_handshakes_total"); n != most-1 {
		t.Errorf("%v failed handshakes are counted, wanted %d", n, most-1)
	}
}

// Shutdown cuts what is not handed over yet and leaves what is.
func TestServer_Shutdown(t *testing.T) {
	t.Parallel()
	f := newFixture(t, listen.Config{HandshakeTimeout: tooLong})
	accepted := greet(t, f.s3, "s3")
	served := bufio.NewReader(dial(t, f.addr))
	if to, err := served.ReadString('\n'); to != "s3\n" {
		t.Fatalf("%q, %v", to, err)
	}
	shaking := dial(t, f.tlsAddr)
	// Nobody accepts for the portal.
	waiting := tls.Client(dial(t, f.tlsAddr), &tls.Config{InsecureSkipVerify: true, ServerName: "portal.example.test"})
	checkNil(t, waiting.Handshake())
	testenv.WaitFor(t, "the connections", func() bool { return f.metric(t, "primecloud_proxy_connections") == 3 })
	checkNil(t, f.server.Shutdown())
	if !closed(t, shaking) || !closed(t, waiting) {
		t.Error("what was not handed over is open")
	}
	if n := f.metric(t, "primecloud_proxy_connections"); n != 1 {
		t.Errorf("%v connections are left, wanted 1", n)
	}
	c := <-accepted
	_, _ = io.WriteString(c, "still\n")
	if line, err := served.ReadString('\n'); line != "still\n" {
		t.Errorf("what was handed over: %q, %v", line, err)
	}
	_ = c.Close()
	_ = c.Close()
	if n := f.metric(t, "primecloud_proxy_connections"); n != 0 {
		t.Errorf("%v connections are left, wanted none", n)
	}
	l := listenTCP(t)
	checkNil(t, f.server.Serve(l, f.s3)) // it returns
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a listener that came after is open")
	}
}

// What comes for a receiver that is closed is closed, and does not stop the rest.
func TestReceiver_Close(t *testing.T) {
	t.Parallel()
	f := newFixture(t, listen.Config{})
	greet(t, f.portal, "portal")
	checkNil(t, f.s3.Close())
	checkNil(t, f.s3.Close())
	if _, err := f.s3.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if !closed(t, dial(t, f.addr)) || !closed(t, tls.Client(dial(t, f.tlsAddr), &tls.Config{InsecureSkipVerify: true})) {
		t.Error("a connection without a receiver is open")
	}
	tc := tls.Client(dial(t, f.tlsAddr), &tls.Config{InsecureSkipVerify: true, ServerName: "portal.example.test"})
	if to, err := bufio.NewReader(tc).ReadString('\n'); to != "portal\n" {
		t.Errorf("the other receiver: %q, %v", to, err)
	}
}
