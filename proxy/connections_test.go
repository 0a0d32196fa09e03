package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy"
)

// tooLong bounds what would never end on a gateway that does not do its part.
const tooLong = 20 * time.Second

// dialFrom opens a connection from an address of this machine's.
func dialFrom(t testing.TB, from, addr string, secure bool) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(tooLong)); err != nil {
		t.Fatal(err)
	}
	if secure {
		return tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c
}

// served reports whether a connection is; it goes on being open if so.
func served(t testing.TB, c net.Conn) bool {
	t.Helper()
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		if isTimeout(err) {
			t.Errorf("neither served nor refused: %v", err)
		}
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return !resp.Close
}

// One address has so many connections and no more, whatever they do, and other
// addresses have theirs meanwhile; a proxy has its clients'.
func TestConnections_perAddress(t *testing.T) { //nolint:tparallel // one after the other: addresses are counted over all listeners
	t.Parallel()
	const most = 4
	g := newGateway(t, options{tls: true, listen: listen.Config{PerAddress: most}, trust: prefixes("127.0.0.9/32")})
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // as said above
			addr := g.addr
			if secure {
				addr = g.tlsAddr
			}
			testenv.WaitFor(t, "the connections of the test before to be gone", func() bool { return g.metric(t, "primecloud_proxy_connections") == 0 })
			var kept []net.Conn
			before := g.metric(t, "primecloud_proxy_refused_connections_total")
			for i := range most {
				c := dialFrom(t, "127.0.0.2", addr, secure)
				if i > 0 && !served(t, c) { // the first is silent: it counts too
					t.Errorf("connection %d is not served", i)
				}
				kept = append(kept, c)
			}
			if served(t, dialFrom(t, "127.0.0.2", addr, secure)) {
				t.Error("one more is served")
			}
			if n := g.metric(t, "primecloud_proxy_refused_connections_total"); n != before+1 {
				t.Errorf("%v refusals are counted", n-before)
			}
			if !served(t, dialFrom(t, "127.0.0.3", addr, secure)) {
				t.Error("another address is not served")
			}
			for range most + 2 {
				if !served(t, dialFrom(t, "127.0.0.9", addr, secure)) {
					t.Error("a proxy is not served")
				}
			}
			_ = kept[1].Close()
			testenv.WaitFor(t, "a place", func() bool { return served(t, dialFrom(t, "127.0.0.2", addr, secure)) })
			for _, c := range kept {
				_ = c.Close()
			}
			testenv.WaitFor(t, "all places", func() bool { return served(t, dialFrom(t, "127.0.0.2", addr, secure)) })
		})
	}
}

// At the bound of the node what is one too many is closed, also when it says
// nothing, and does not keep others from being accepted.
func TestConnections_most(t *testing.T) {
	t.Parallel()
	const most = 6
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, options{tls: true, listen: listen.Config{MaxConnections: most}})
			addr := g.addr
			if secure {
				addr = g.tlsAddr
			}
			var silent []net.Conn
			for range most {
				silent = append(silent, dialFrom(t, "127.0.0.1", addr, false))
			}
			testenv.WaitFor(t, "the node to be full", func() bool { return g.metric(t, "primecloud_proxy_connections") == most })
			for range 2 * most { // they say nothing, so that whoever waits for them waits for ever
				c := dialFrom(t, "127.0.0.1", addr, false)
				if _, err := c.Read(make([]byte, 1)); isTimeout(err) {
					t.Fatal("a connection too many is held")
				}
			}
			if n := g.metric(t, "primecloud_proxy_refused_connections_total"); n != 2*most {
				t.Errorf("%v refusals are counted", n)
			}
			_ = silent[0].Close()
			testenv.WaitFor(t, "a place", func() bool { return served(t, dialFrom(t, "127.0.0.1", addr, secure)) })
		})
	}
}

// failing is a listener whose every second Accept fails.
type failing struct {
	net.Listener
	calls atomic.Int64
}

func (f *failing) Accept() (net.Conn, error) {
	errs := []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO}
	if n := f.calls.Add(1); n%2 == 1 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errs[int(n/2)%len(errs)])}
	}
	return f.Listener.Accept()
}

// A node that cannot accept for a moment goes on, and ends when it is told to.
func TestServe_acceptErrors(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.listener.Serve(&failing{Listener: l}, g.s3Conns) }()
	for range 12 {
		if !served(t, dialFrom(t, "127.0.0.1", l.Addr().String(), false)) {
			t.Fatal("not served")
		}
	}
	if n := g.metric(t, "primecloud_proxy_accept_errors_total"); n < 12 {
		t.Errorf("%v errors are counted", n)
	}
	if err := g.listener.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// trickle writes one byte after the other, slowly, until n are out or the
// connection ends. It reports whether all went out.
func trickle(c net.Conn, n int) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		if _, err := c.Write([]byte{'a'}); err != nil {
			return false
		}
	}
	return true
}

// What comes one byte at a time, each well within any time-out, is cut: within
// a TLS handshake, a head, or a body, also one most of which came fast.
func TestTrickle(t *testing.T) {
	t.Parallel()
	// Longer than this machine's own pauses, which would cut a handshake.
	const patience = 2 * time.Second
	g := newGateway(t, options{tls: true, limits: proxy.Limits{HeadTimeout: patience, Window: patience, MinRate: 16 << 10}, listen: listen.Config{HandshakeTimeout: patience}})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/trickle"})
	const rest = 1500 // bytes that trickle: fifteen seconds and more
	upload := wireOf(t, e.build(t, &request{method: "PUT", path: "/trickle/half", body: make([]byte, 1<<20+rest), payload: "UNSIGNED-PAYLOAD"}))
	document := wireOf(t, e.build(t, &request{method: "PUT", path: "/trickle", query: query("tagging", ""), body: make([]byte, 4096+rest)}))
	form := "POST /trickle HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n"
	for name, c := range map[string]struct {
		fast      string
		handshake bool
		secure    bool
	}{
		"a TLS handshake":  {fast: "\x16\x03\x01\x0f\xff\x01\x00\x0f\xfb\x03\x03", handshake: true},
		"a head":           {fast: "GET /trickle HTTP/1.1\r\nHost: localhost\r\nx-amz-meta-a: "},
		"a head over TLS":  {fast: "GET /trickle HTTP/1.1\r\nHost: localhost\r\nx-amz-meta-a: ", secure: true},
		"an upload":        {fast: upload[:len(upload)-rest]},
		"an upload by TLS": {fast: upload[:len(upload)-rest], secure: true},
		"a document":       {fast: document[:len(document)-rest]},
		"a form":           {fast: form},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := g.addr
			if c.secure || c.handshake {
				addr = g.tlsAddr
			}
			nc := dialFrom(t, "127.0.0.1", addr, c.secure)
			if _, err := io.WriteString(nc, c.fast); err != nil {
				t.Fatal(err)
			}
			all := make(chan bool, 1)
			go func() { all <- trickle(nc, rest) }()
			answer, err := io.ReadAll(nc)
			if isTimeout(err) || len(all) > 0 && <-all {
				t.Errorf("the gateway took it all: %v, %.200q", err, answer)
			}
			_ = nc.Close()
		})
	}
	t.Run("a download", func(t *testing.T) {
		t.Parallel()
		// Sixteen windows may be taken ahead: pauses of this machine are none.
		g := newGateway(t, options{limits: proxy.Limits{Window: 500 * time.Millisecond}})
		tn := g.tenant()
		e := tn.raw()
		tn.put(t, "k", 32<<20)
		nc, resp := e.download(t, "/broken/k")
		if _, err := io.CopyN(io.Discard, resp.Body, 8<<20); err != nil {
			t.Fatal(err)
		}
		before := len(g.records(t))
		stop := make(chan struct{})
		go func() { // the rest one byte after the other
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for p := make([]byte, 1); ; {
				select {
				case <-tick.C:
					_, _ = nc.Read(p)
				case <-stop:
					return
				}
			}
		}()
		testenv.WaitFor(t, "the cut", func() bool { return len(g.records(t)) > before })
		close(stop)
	})
}

// refusedUploads are requests with a body that is not read before the answer.
func refusedUploads(t *testing.T, e *endpoint) map[string]string {
	t.Helper()
	wires := map[string]string{}
	wrong := &endpoint{e.addr, e.id, "wrong secret"}
	for _, size := range []int{2, 100, 200 << 10, 1 << 20} {
		body := bytes.Repeat([]byte{'b'}, size)
		for _, method := range []string{"PUT", "POST", "DELETE", "GET"} {
			wires[fmt.Sprintf("%s of %d bytes, wrong signature", method, size)] = wireOf(t, wrong.build(t, &request{method: method, path: "/refused/k", body: body}))
		}
		wires[fmt.Sprintf("PUT of %d bytes, no such bucket", size)] = wireOf(t, e.build(t, &request{method: "PUT", path: "/not-there/k", body: body}))
		wires[fmt.Sprintf("a document of %d bytes, wrong signature", size)] = wireOf(t, wrong.build(t, &request{method: "PUT", path: "/refused", query: query("tagging", ""), body: body}))
		wires[fmt.Sprintf("%d bytes in chunks", size)] = fmt.Sprintf("PUT /refused/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body)
		wires[fmt.Sprintf("%d bytes of what parse refuses before it sees the length", size)] = fmt.Sprintf("PUT /refused/k HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", size, body)
		wires[fmt.Sprintf("%d bytes behind a head too long", size)] = "PUT /refused/k HTTP/1.1\r\nHost: localhost\r\na: " + strings.Repeat("b", 40<<10) + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", size, body)
	}
	return wires
}

// docs/decisions/0004: a request whose body is not read is the last one of its
// connection, however small it is, and the client reads its answer to the end
// although it goes on sending.
func TestRefusedUpload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true})
	tn := g.tenant()
	tn.raw().do(t, &request{method: "PUT", path: "/refused"})
	for name, wire := range refusedUploads(t, tn.raw()) {
		for scheme, secure := range map[string]bool{"http": false, "https": true} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				addr := g.addr
				if secure {
					addr = g.tlsAddr
				}
				c := dialFrom(t, "127.0.0.1", addr, secure)
				// The last byte comes after the answer.
				go func() { _, _ = io.WriteString(c, wire[:len(wire)-1]) }()
				br := bufio.NewReader(c)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || !resp.Close || resp.StatusCode < 400 {
					t.Errorf("%d, closes: %v, %v", resp.StatusCode, resp.Close, err)
				}
				if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("after the answer: %v", err)
				}
				_, _ = io.WriteString(c, wire[len(wire)-1:])
				_ = c.Close()
			})
		}
	}
	t.Run("what was read to its end", func(t *testing.T) {
		t.Parallel()
		for name, q := range map[string]*request{
			"a malformed document": {method: "PUT", path: "/refused", query: query("tagging", ""), body: []byte("<x>"), header: headers("Content-MD5", contentMD5([]byte("<x>")))},
			"the backend's error":  {method: "PUT", path: "/refused/k", body: []byte("x"), header: headers("If-Match", "\"nothing\"")},
			"a wrong digest":       {method: "PUT", path: "/refused/k", body: []byte("x"), header: headers("Content-MD5", contentMD5([]byte("y")))},
		} {
			resp, err := rawClient.Do(tn.raw().build(t, q))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode < 400 || resp.Close {
				t.Errorf("%s: %d, closes the connection: %v", name, resp.StatusCode, resp.Close)
			}
		}
	})
}

// Each request that has begun is settled when Shutdown returns, cut or not,
// and nothing that clients leave open keeps it.
func TestShutdown_settles(t *testing.T) {
	t.Parallel()
	const uploads, refused = 160, 8
	var settled atomic.Int64
	g := newGateway(t, options{tls: true, record: countRecords{&settled}})
	tn := g.tenant()
	tn.raw().do(t, &request{method: "PUT", path: "/cut"})
	wire := wireOf(t, tn.raw().build(t, &request{method: "PUT", path: "/cut/half", body: make([]byte, 64<<10), payload: "UNSIGNED-PAYLOAD", header: headers("Expect", "100-continue")}))
	head, body, _ := strings.Cut(wire, "\r\n\r\n")
	small := wireOf(t, (&endpoint{g.addr, tn.key.KeyID, "wrong secret"}).build(t, &request{method: "PUT", path: "/cut/small", body: []byte("small")}))
	var all sync.WaitGroup
	for i := range uploads {
		all.Go(func() {
			secure := i%2 == 1
			addr := g.addr
			if secure {
				addr = g.tlsAddr
			}
			c := dialFrom(t, "127.0.0.1", addr, secure)
			if _, err := io.WriteString(c, head+"\r\n\r\n"); err != nil {
				t.Error(err)
			}
			// The word to go on says that the request has begun.
			if line, err := bufio.NewReader(c).ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
				t.Errorf("%q, %v", line, err)
			}
			if _, err := io.WriteString(c, body[:len(body)-1000]); err != nil {
				t.Error(err)
			}
		})
	}
	for range refused { // clients that do not close after their answer
		c := dialFrom(t, "127.0.0.1", g.addr, false)
		if _, err := io.WriteString(c, small); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	ctx, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer done()
	if err := g.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if n := settled.Load(); n != 1+uploads+refused {
		t.Errorf("%d of %d requests are settled", n, 1+uploads+refused)
	}
	if n := g.metric(t, "primecloud_proxy_connections"); n != 0 {
		t.Errorf("%v connections are left", n)
	}
}

type countRecords struct{ n *atomic.Int64 }

func (c countRecords) Add(*accesslog.Record) { c.n.Add(1) }

// A server that was told to stop before it begins to serve does not serve.
func TestServe_afterShutdown(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.server.Serve(l) }()
	testenv.WaitFor(t, "Serve to return", func() bool { return len(ended) > 0 })
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("its listener is open")
	}
}
