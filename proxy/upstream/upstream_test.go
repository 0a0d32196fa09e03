package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/socket"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// server is an endpoint whose every connection is in the test's hands.
type server struct {
	url   string
	l     net.Listener
	conns atomic.Int32
}

// script plays one connection; n counts them from 1. The connection is closed
// when it returns.
type script func(c *peer, n int)

type peer struct {
	net.Conn // raw, or TLS on it
	*bufio.Reader
	raw *net.TCPConn
}

func (p *peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// request reads a request's head and body.
func (p *peer) request() (head string, body []byte, err error) {
	req, err := http.ReadRequest(p.Reader)
	if err != nil {
		return "", nil, err
	}
	body, err = io.ReadAll(req.Body)
	return req.Method + " " + req.URL.Path, body, err
}

func (p *peer) say(s string) { _, _ = io.WriteString(p.Conn, s) }

// delivered waits until everything that was said, the end too, is in the other
// side's receive queue: its kernel has acknowledged it, or the connection is no
// more. From then on nobody can miss it who looks.
func (p *peer) delivered() error {
	raw, err := p.raw.SyscallConn()
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 30_000 {
		done := false
		cerr := raw.Control(func(fd uintptr) {
			left, lerr := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			info, ierr := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err = errors.Join(lerr, ierr); err == nil {
				done = left == 0 || info.State == tcpClose
			}
		})
		if err = errors.Join(err, cerr); done || err != nil {
			return err
		}
		<-tick.C
	}
	return errors.New("what was said was not acknowledged")
}

const tcpClose = 7 // TCP_CLOSE of include/net/tcp_states.h

func serve(t testing.TB, f script) *server {
	t.Helper()
	return serveOver(t, "http", func(c net.Conn) net.Conn { return c }, f)
}

// serveOver plays the script over what wrap makes of each connection.
func serveOver(t testing.TB, scheme string, wrap func(net.Conn) net.Conn, f script) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: scheme + "://" + l.Addr().String(), l: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.conns.Add(1))
			go func() {
				defer raw.Close()
				c := wrap(raw)
				f(&peer{c, bufio.NewReader(c), raw.(*net.TCPConn)}, n)
			}()
		}
	}()
	return s
}

func pool(t testing.TB, cfg upstream.Config) *upstream.Pool {
	t.Helper()
	if cfg.HealthInterval == 0 {
		cfg.HealthInterval = -1
	}
	p, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Abort)
	return p
}

type bodyFunc func(w io.Writer) error

func (f bodyFunc) WriteBody(w io.Writer) error { return f(w) }

func bytesBody(b []byte) upstream.Body {
	return bodyFunc(func(w io.Writer) error { _, err := w.Write(b); return err })
}

var target = []byte("/k")

func get() *upstream.Request {
	return &upstream.Request{Idempotent: true, Head: func(h *upstream.Head, _ *upstream.Endpoint) {
		h.Start("GET", target)
	}}
}

func put(size int, b upstream.Body) *upstream.Request {
	return &upstream.Request{Body: b, Head: func(h *upstream.Head, _ *upstream.Endpoint) {
		h.Start("PUT", target)
		h.Length(int64(size))
	}}
}

// do sends a request and reads the answer whole.
func do(t *testing.T, p *upstream.Pool, req *upstream.Request) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var resp upstream.Response
	if err := p.Do(ctx, req, &resp); err != nil {
		return 0, "", err
	}
	defer resp.Close()
	body, err := io.ReadAll(&resp)
	return resp.Status, string(body), err
}

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

func TestDo_answers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer string
		status       int
		body         string
		bad          bool // an error, not an answer
		cut          bool // an answer whose body breaks off
		conns        int32
		stays        bool // open after the answer, though it is not to be used again
	}{
		{name: "length", answer: ok, status: 200, body: "ok", conns: 1},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n", status: 200, body: "abc", conns: 1},
		{name: "until the end", answer: "HTTP/1.1 200 OK\r\n\r\nto the end", status: 200, body: "to the end", conns: 2},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", status: 200, body: "ok", conns: 2},
		{name: "connection close", answer: "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", status: 200, body: "ok", conns: 2},
		{name: "connection close and more", answer: "HTTP/1.1 200 OK\r\nconnection: close, x\r\ncontent-length: 2\r\n\r\nok", status: 200, body: "ok", conns: 2, stays: true},
		{name: "connection kept, by name", answer: "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nok", status: 200, body: "ok", conns: 1},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, conns: 1},
		{name: "204 with a length", answer: "HTTP/1.1 204 No Content\r\ncontent-length: 10\r\n\r\n", status: 204, conns: 2, stays: true},
		{name: "204 with a coding", answer: "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", status: 204, conns: 2, stays: true},
		{name: "304 with a length", answer: "HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", status: 304, conns: 1},
		{name: "1xx first", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + ok, status: 200, body: "ok", conns: 1},
		{name: "no reason", answer: "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", status: 200, conns: 1},
		{name: "same length twice", answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", status: 200, body: "ok", conns: 1},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", bad: true},
		{name: "length and chunked", answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", bad: true},
		{name: "gzip, chunked", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", bad: true},
		{name: "negative length", answer: "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", bad: true},
		{name: "switching protocols", answer: "HTTP/1.1 101 Switching Protocols\r\n\r\n", bad: true},
		{name: "not HTTP", answer: "SSH-2.0-OpenSSH_9\r\n\r\n", bad: true},
		{name: "line without colon", answer: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", bad: true},
		{name: "space before colon", answer: "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", bad: true},
		{name: "folded line", answer: "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", bad: true},
		{name: "head without end", answer: "HTTP/1.1 200 OK\r\na: b\r\n", bad: true},
		{name: "head of 100 KiB", answer: "HTTP/1.1 200 OK\r\na: " + strings.Repeat("b", 100<<10) + "\r\n\r\n", bad: true},
		{name: "body cut", answer: "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", status: 200, cut: true},
		{name: "chunk cut", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", status: 200, cut: true},
		{name: "chunk size missing", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n", status: 200, cut: true},
		{name: "chunk size not hex", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", status: 200, cut: true},
		{name: "chunk size overflows", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff2\r\nab\r\n0\r\n\r\n", status: 200, cut: true},
		{name: "chunk with more than its size", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", status: 200, cut: true},
		{name: "more trailers than a head may have", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n" + strings.Repeat("a: b\r\n", 64<<10) + "\r\n", status: 200, cut: true},
		{name: "chunk lines end in LF", answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\nab\n0\n\n", status: 200, cut: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ends := c.bad || c.cut || c.conns == 2 && !c.stays
			s := serve(t, func(p *peer, _ int) {
				for {
					if _, _, err := p.request(); err != nil {
						return
					}
					p.say(c.answer)
					if ends {
						return
					}
				}
			})
			p := pool(t, upstream.Config{Endpoints: []string{s.url}})
			status, body, err := do(t, p, get())
			switch {
			case c.bad && err == nil, !c.bad && status != c.status, !c.bad && !c.cut && err != nil:
				t.Fatalf("got %d, %q, %v", status, body, err)
			case c.cut && err == nil:
				t.Fatalf("a body cut short is taken for whole: %q", body)
			case !c.bad && !c.cut && body != c.body:
				t.Errorf("body %q", body)
			}
			if c.bad || c.cut {
				return
			}
			if _, _, err := do(t, p, get()); err != nil || s.conns.Load() != c.conns {
				t.Errorf("second request: %v, over %d connections, want %d", err, s.conns.Load(), c.conns)
			}
		})
	}
}

// What a backend says on a new connection before it was asked is nobody's answer.
func TestDo_unaskedOnNewConnection(t *testing.T) {
	t.Parallel()
	spoken := make(chan error, 1)
	s := serve(t, func(p *peer, _ int) {
		p.say(ok)
		spoken <- p.delivered()
		_, _ = p.raw.Read(make([]byte, 1))
	})
	p := pool(t, s.config())
	err := upstream.DialHeld(t.Context(), p, func() {
		if err := <-spoken; err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		t.Error("the connection is used")
	}
}

// What may be sent again is; what the backend may have acted on is not.
func TestDo_again(t *testing.T) {
	t.Parallel()
	closing := func(*peer, int) {}
	afterHead := func(p *peer, n int) {
		if _, _, err := p.request(); err == nil && n > 1 {
			p.say(ok)
		}
	}
	inHead := func(p *peer, n int) {
		if _, _, err := p.request(); err == nil && n == 1 {
			p.say("HTTP/1.1 200 OK\r\ncont")
		} else {
			p.say(ok)
		}
	}
	once := get()
	once.Idempotent = false
	repeatable := put(5, bytesBody([]byte("hello")))
	repeatable.Idempotent = true
	for _, c := range []struct {
		name  string
		f     script
		req   *upstream.Request
		works bool
		conns int32
	}{
		{"GET without an answer", afterHead, get(), true, 2},
		{"GET with half an answer", inHead, get(), false, 1},
		{"POST without an answer", afterHead, once, false, 1},
		{"PUT without an answer", afterHead, put(5, bytesBody([]byte("hello"))), false, 1},
		{"PUT without an answer that would do the same again", afterHead, repeatable, false, 1},
		{"GET, always closed", closing, get(), false, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.f)
			_, _, err := do(t, pool(t, upstream.Config{Endpoints: []string{s.url}, HeaderTimeout: 2 * time.Second}), c.req)
			if (err == nil) != c.works || s.conns.Load() != c.conns {
				t.Errorf("got %v over %d connections", err, s.conns.Load())
			}
		})
	}
}

// A body that has begun is not asked for again, also when the write that carries
// the head and its first bytes fails.
func TestDo_cutInFirstWrite(t *testing.T) {
	t.Parallel()
	s := serve(t, func(p *peer, _ int) {
		_, _ = p.raw.Read(make([]byte, 1))
		_ = p.raw.SetLinger(0) // a reset, while the write is under way
	})
	asked := 0
	req := put(5, bodyFunc(func(w io.Writer) error {
		asked++
		_, err := io.WriteString(w, "hello")
		return err
	}))
	req.Idempotent = true
	head := req.Head
	req.Head = func(h *upstream.Head, e *upstream.Endpoint) {
		head(h, e)
		h.Field([]byte("x-long"), bytes.Repeat([]byte("x"), 32<<20)) // more than the kernels hold
	}
	_, _, err := do(t, pool(t, upstream.Config{Endpoints: []string{s.url}}), req)
	if err == nil || asked != 1 || s.conns.Load() != 1 {
		t.Errorf("%v, asked for the body %d times, over %d connections", err, asked, s.conns.Load())
	}
}

// A kept connection that the backend closed meanwhile must not get an upload:
// its body cannot be sent twice.
func TestDo_keptConnectionClosed(t *testing.T) {
	t.Parallel()
	closed := make(chan error, 1)
	s := serve(t, func(p *peer, n int) {
		for {
			_, body, err := p.request()
			if err != nil {
				return
			}
			p.say(ok)
			if n == 1 {
				closed <- errors.Join(p.raw.CloseWrite(), p.delivered())
				return
			}
			if string(body) != "hello" {
				t.Errorf("body %q", body)
			}
		}
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}})
	if _, _, err := do(t, p, get()); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status, _, err := do(t, p, put(5, bytesBody([]byte("hello")))); err != nil || status != 200 {
			t.Fatal(status, err)
		}
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// An answer that comes before the upload's end ends the upload.
func TestDo_earlyAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, func(p *peer, _ int) {
		for { // the head only
			line, err := p.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
		}
		p.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, p)
	})
	const size = 1 << 32
	sent := 0
	req := put(size, bodyFunc(func(w io.Writer) error {
		block := make([]byte, 128<<10)
		for ; sent < size; sent += len(block) {
			if _, err := w.Write(block); err != nil {
				return err
			}
		}
		return nil
	}))
	p := pool(t, upstream.Config{Endpoints: []string{s.url}, HeaderTimeout: 2 * time.Second})
	status, body, err := do(t, p, req)
	if status != 403 || body != "no" || err != nil {
		t.Fatalf("%d %q %v", status, body, err)
	}
	if _, _, err := do(t, p, req); err != nil || s.conns.Load() != 2 {
		t.Errorf("the connection was used again: %v, %d", err, s.conns.Load())
	}
}

// A body that fails must not become an object: the connection is cut, and what
// is sent next is not the rest of it.
func TestDo_bodyFails(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	s := serve(t, func(p *peer, n int) {
		_, _, err := p.request()
		if n == 1 {
			got <- err
			return
		}
		p.say(ok)
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}, HeaderTimeout: 2 * time.Second})
	refused := errors.New("checksum")
	_, _, err := do(t, p, put(10, bodyFunc(func(w io.Writer) error {
		_, err := io.WriteString(w, "123456789")
		return errors.Join(err, refused)
	})))
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, body, err := do(t, p, get()); err != nil || body != "ok" || s.conns.Load() != 2 {
		t.Errorf("the next request: %q, %v, over %d connections", body, err, s.conns.Load())
	}
	if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the backend got a whole request: %v", err)
	}
}

func TestDo_deadlines(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"no answer": "", "half a head": "HTTP/1.1 2", "half a body": "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			s := serve(t, func(p *peer, _ int) {
				_, _, _ = p.request()
				p.say(answer)
				<-release
			})
			p := pool(t, upstream.Config{Endpoints: []string{s.url}, HeaderTimeout: 50 * time.Millisecond, Stall: 50 * time.Millisecond})
			if _, _, err := do(t, p, put(2, bytesBody([]byte("xx")))); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestPool_endpoints(t *testing.T) {
	t.Parallel()
	answer := func(text string) script {
		return func(p *peer, _ int) {
			for {
				if _, _, err := p.request(); err != nil {
					return
				}
				p.say("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + text)
			}
		}
	}
	a, b := serve(t, answer("a")), serve(t, answer("b"))
	p := pool(t, upstream.Config{Endpoints: []string{a.url, b.url}, HealthInterval: 20 * time.Millisecond, Ejection: time.Hour})
	seen := map[string]int{}
	for range 20 {
		_, body, err := do(t, p, get())
		if err != nil {
			t.Fatal(err)
		}
		seen[body]++
	}
	if seen["a"] != 10 || seen["b"] != 10 {
		t.Errorf("spread: %v", seen)
	}

	_ = b.l.Close()
	testenv.WaitFor(t, "the dead endpoint to be avoided", func() bool { return p.Healthy() == 1 })
	for range 20 {
		if _, _, err := do(t, p, put(2, bytesBody([]byte("xx")))); err != nil {
			t.Fatal("an upload went to the endpoint that is down:", err)
		}
	}

	addr := strings.TrimPrefix(b.url, "http://")
	var l net.Listener
	testenv.WaitFor(t, "the endpoint's port, which an outgoing connection may have got", func() (free bool) {
		var err error
		l, err = net.Listen("tcp", addr)
		return err == nil
	})
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); answer("b")(&peer{c, bufio.NewReader(c), c.(*net.TCPConn)}, 0) }()
		}
	}()
	testenv.WaitFor(t, "the endpoint's return", func() bool { return p.Healthy() == 2 })
}

// No endpoint answers: the error says so, for the client's 503.
func TestPool_noEndpoint(t *testing.T) {
	t.Parallel()
	s := serve(t, func(*peer, int) {})
	_ = s.l.Close()
	if _, _, err := do(t, pool(t, upstream.Config{Endpoints: []string{s.url, s.url}}), get()); !errors.Is(err, upstream.ErrNoEndpoint) {
		t.Error(err)
	}
}

func TestPool_Abort(t *testing.T) {
	t.Parallel()
	cut := make(chan error, 1)
	s := serve(t, func(p *peer, _ int) {
		if _, _, err := p.request(); err != nil {
			return // the pool was closed before
		}
		p.say("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nx")
		_, err := io.Copy(io.Discard, p)
		cut <- err
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}})
	var resp upstream.Response
	if err := p.Do(t.Context(), get(), &resp); err != nil {
		t.Fatal(err)
	}
	p.Abort()
	<-cut
	if _, err := io.ReadAll(&resp); err == nil {
		t.Error("the body went on")
	}
	resp.Close()
	if err := p.Do(t.Context(), get(), &resp); err == nil {
		t.Error("a closed pool sent a request")
	}
}

// SpliceTo hands over exactly the body, in bounded steps, and the connection
// serves the next request.
func TestResponse_SpliceTo(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	s := serve(t, func(p *peer, _ int) {
		for {
			if _, _, err := p.request(); err != nil {
				return
			}
			p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(body), body))
		}
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}})
	for range 2 {
		var resp upstream.Response
		if err := p.Do(t.Context(), get(), &resp); err != nil {
			t.Fatal(err)
		}
		var w steps
		n, err := resp.SpliceTo(&w, 1<<20)
		resp.Close()
		if err != nil || n != int64(len(body)) || !bytes.Equal(w.got.Bytes(), body) {
			t.Fatalf("%d of %d bytes, %v", n, len(body), err)
		}
		if w.socket == 0 || w.largest > 1<<20 {
			t.Errorf("%d steps from the socket, the largest of %d bytes", w.socket, w.largest)
		}
	}
	if s.conns.Load() != 1 {
		t.Error("the connection was not used again")
	}
}

// steps is a socket's ReadFrom, watched.
type steps struct {
	got     bytes.Buffer
	socket  int
	largest int64
}

func (s *steps) Write(p []byte) (int, error) { return s.got.Write(p) }

func (s *steps) ReadFrom(r io.Reader) (int64, error) {
	l, isLimited := r.(*io.LimitedReader)
	if !isLimited {
		return 0, errors.New("what bounds a step is not there")
	}
	if _, isSocket := l.R.(*socket.Conn); !isSocket {
		return 0, errors.New("what the kernel needs is not there")
	}
	s.socket, s.largest = s.socket+1, max(s.largest, l.N)
	return s.got.ReadFrom(r)
}

// A client that leaves its upload is not the endpoint's failure, and nothing is
// sent twice, whether or not a byte had gone out.
func TestPool_Do_bodyFails(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{"", "x"} {
		s := serve(t, func(p *peer, _ int) { _, _ = io.Copy(io.Discard, p) })
		var logs bytes.Buffer
		p := pool(t, upstream.Config{Endpoints: []string{s.url}, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
		gone, asked := errors.New("the client has left"), 0
		var resp upstream.Response
		err := p.Do(t.Context(), put(10, bodyFunc(func(w io.Writer) error {
			asked++
			_, _ = io.WriteString(w, sent)
			return gone
		})), &resp)
		if !errors.Is(err, gone) || errors.Is(err, upstream.ErrNoEndpoint) || asked != 1 {
			t.Errorf("after %q: %v, asked %d times", sent, err, asked)
		}
		if logs.Len() > 0 {
			t.Errorf("after %q: %s", sent, &logs)
		}
	}
}

// lateTaker takes what is handed over piece by piece, and between two of them
// needs longer than the endpoint may stall.
type lateTaker struct {
	t     *testing.T
	stall time.Duration
	took  int
}

func (l *lateTaker) Write(p []byte) (int, error) { l.took += len(p); return len(p), nil }

func (l *lateTaker) ReadFrom(r io.Reader) (n int64, err error) {
	for p := make([]byte, 8<<10); err == nil; {
		began := time.Now()
		testenv.WaitFor(l.t, "the time that an endpoint may stall", func() bool { return time.Since(began) > l.stall })
		var k int
		k, err = r.Read(p)
		l.took, n = l.took+k, n+int64(k)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// What the taker needs for a step is no stall of the endpoint's; a body that
// does not come is one.
func TestResponse_SpliceTo_late(t *testing.T) {
	t.Parallel()
	const size, stall = 64 << 10, 200 * time.Millisecond
	for name, c := range map[string]struct {
		sent int
		want error
	}{"a whole body": {size, nil}, "half a body": {size / 2, os.ErrDeadlineExceeded}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			s := serve(t, func(p *peer, _ int) {
				_, _, _ = p.request()
				p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", size) + strings.Repeat("x", c.sent))
				<-release
			})
			p := pool(t, upstream.Config{Endpoints: []string{s.url}, Stall: stall})
			var resp upstream.Response
			if err := p.Do(t.Context(), get(), &resp); err != nil {
				t.Fatal(err)
			}
			defer resp.Close()
			w := &lateTaker{t: t, stall: stall}
			if n, err := resp.SpliceTo(w, 1<<20); !errors.Is(err, c.want) || n != int64(c.sent) || w.took != c.sent {
				t.Errorf("%d bytes, %d were taken: %v", n, w.took, err)
			}
		})
	}
}
