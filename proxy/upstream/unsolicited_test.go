package upstream_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/upstream"
)

const evil = "HTTP/1.1 200 OK\r\nx-id: evil\r\ncontent-length: 4\r\n\r\nevil"

// evilOnce answers every request with ok. On the first connection, after its
// first answer, it waits for when and sends evil as well; said then tells that
// evil is in the other side's receive queue.
func evilOnce(when <-chan struct{}, said chan<- error) script {
	return func(p *peer, n int) {
		for i := 0; ; i++ {
			if _, _, err := p.request(); err != nil {
				return
			}
			p.say(ok)
			if n == 1 && i == 0 {
				<-when
				p.say(evil)
				said <- p.delivered()
			}
		}
	}
}

// Words that nobody asked for, after an answer, are not the next one's answer,
// however soon that one is asked for.
func TestDo_answerUnasked(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, script) *server{"plain": serve, "TLS": serveTLS} {
		for _, req := range []*upstream.Request{get(), put(2, bytesBody([]byte("xx")))} {
			t.Run(fmt.Sprintf("%s, upload %v", name, req.Body != nil), func(t *testing.T) {
				t.Parallel()
				answered, said := make(chan struct{}), make(chan error, 1)
				s := start(t, evilOnce(answered, said))
				p := pool(t, s.config())
				if _, body, err := do(t, p, get()); err != nil || body != "ok" {
					t.Fatalf("%q, %v", body, err)
				}
				close(answered)
				if err := <-said; err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if _, body, err := do(t, p, req); err != nil || body != "ok" {
						t.Fatalf("%q, %v", body, err)
					}
				}
				if n := s.conns.Load(); n != 2 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

// An upload's head waits for the body's first bytes, which may be long in
// coming: what the backend says meanwhile is not the upload's answer.
func TestDo_unaskedWhileBodyWaits(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, script) *server{"plain": serve, "TLS": serveTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, said := make(chan struct{}), make(chan error, 1)
			s := start(t, evilOnce(begun, said))
			p := pool(t, s.config())
			if _, body, err := do(t, p, get()); err != nil || body != "ok" {
				t.Fatalf("%q, %v", body, err)
			}
			if _, body, err := do(t, p, put(2, bodyFunc(func(w io.Writer) error {
				close(begun)
				if err := <-said; err != nil {
					return err
				}
				_, err := io.WriteString(w, "xx")
				return err
			}))); err == nil {
				t.Errorf("answered with %q", body)
			}
			if _, body, err := do(t, p, get()); err != nil || body != "ok" {
				t.Errorf("afterwards: %q, %v", body, err)
			}
		})
	}
}

// What TLS says for itself is not the backend's word: neither do session tickets
// end an upload, whole or half, before it begins or midway, nor do they cost a
// connection.
func TestDo_tickets(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		half, midway := i&1 != 0, i&2 != 0
		t.Run(fmt.Sprintf("half %v, midway %v", half, midway), func(t *testing.T) {
			t.Parallel()
			cert, ca := identity()
			begun, arrived, sent := make(chan struct{}), make(chan error, 1), make(chan struct{})
			s := serveOver(t, "https", func(raw net.Conn) net.Conn {
				return tls.Server(&ticketed{Conn: raw, pause: func(p *peer) {
					<-begun
					arrived <- p.delivered()
					<-sent
				}, half: half}, &tls.Config{
					Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13,
					ClientAuth: tls.RequestClientCert, // then the tickets have a write of their own
				})
			}, func(p *peer, _ int) {
				for {
					if _, _, err := p.request(); err != nil {
						return
					}
					p.say(ok)
				}
			})
			p := pool(t, upstream.Config{Endpoints: []string{s.url}, CA: ca, HeaderTimeout: 2 * time.Second})
			block := make([]byte, 100<<10)
			if _, body, err := do(t, p, put(2*len(block), bodyFunc(func(w io.Writer) error {
				defer close(sent)
				for i := range 2 {
					if midway == (i == 1) {
						close(begun)
						if err := <-arrived; err != nil {
							return err
						}
					}
					if _, err := w.Write(block); err != nil {
						return err
					}
				}
				return nil
			}))); err != nil || body != "ok" {
				t.Fatalf("%q, %v", body, err)
			}
			if _, body, err := do(t, p, get()); err != nil || body != "ok" || s.conns.Load() != 1 {
				t.Errorf("%q, %v, %d connections", body, err, s.conns.Load())
			}
		})
	}
}

// ticketed is a TLS server's connection whose first write is its part of the
// handshake, and whose second are the session tickets: it pauses after those, or
// halfway through.
type ticketed struct {
	net.Conn
	writes int
	half   bool
	pause  func(*peer)
}

func (c *ticketed) Write(p []byte) (n int, err error) {
	if c.writes++; c.writes != 2 {
		return c.Conn.Write(p)
	}
	first := len(p)
	if c.half {
		first /= 2
	}
	if n, err = c.Conn.Write(p[:first]); err != nil {
		return n, err
	}
	c.pause(&peer{raw: c.Conn.(*net.TCPConn)})
	k, err := c.Conn.Write(p[first:])
	return n + k, err
}

// A usual TLS server's connections are kept, in every version.
func TestDo_keptOverTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			var conns atomic.Int32
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // an answer before the end would end the upload
				_, _ = w.Write(body)
			}))
			s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
			s.StartTLS()
			t.Cleanup(s.Close)
			_, ca := identity()
			p := pool(t, upstream.Config{Endpoints: []string{s.URL}, CA: ca})
			sent := bytes.Repeat([]byte("0123456789"), 20<<10)
			for i := range 20 {
				if _, body, err := do(t, p, put(len(sent), bytesBody(sent))); err != nil || body != string(sent) {
					t.Fatalf("upload %d: %d bytes, %v", i, len(body), err)
				}
				if _, body, err := do(t, p, get()); err != nil || body != "" {
					t.Fatalf("%q, %v", body, err)
				}
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
