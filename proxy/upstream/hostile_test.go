package upstream_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// drips says first, and then one byte of rest again and again until the other side
// has had enough, which it reports. It is heard of every byte: nothing but a
// deadline over all of them can end it.
func drips(first, rest string, ended chan<- int) script {
	return func(p *peer, _ int) {
		if _, _, err := p.request(); err != nil {
			return
		}
		p.say(first)
		n := 0
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(p.Conn, rest[n%len(rest):n%len(rest)+1]); err != nil {
				ended <- n
				return
			}
			n++
			<-tick.C
		}
	}
}

// TestDo_drips: what comes byte by byte has one deadline for all of it, wherever it
// stands that is no body.
func TestDo_drips(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct{ first, rest string }{
		"an interim answer": {"", "HTTP/1.1 102 Processing\r\nx: " + strings.Repeat("y", 60<<10) + "\r\n\r\n"},
		"interim answers":   {"", "HTTP/1.1 102 Processing\r\n\r\n"},
		"a status line":     {"HTTP/1.1 200 ", "x"},
		"a header":          {"HTTP/1.1 200 OK\r\n", "x"},
		"header lines":      {"HTTP/1.1 200 OK\r\n", "x: y\r\n"},
		"a chunk's size":    {chunked, "0"},
		"an extension":      {chunked + "1;", "x"},
		"a chunk's end":     {chunked + "1\r\nx\r", "\r"},
		"a trailer":         {chunked + "0\r\n", "x"},
		"trailers":          {chunked + "0\r\n", "x: y\r\n"},
	} {
		for _, interval := range []time.Duration{time.Hour, 10 * time.Millisecond} {
			t.Run(fmt.Sprint(name, ", ", interval), func(t *testing.T) {
				t.Parallel()
				ended := make(chan int, 1)
				s := serve(t, drips(c.first, c.rest, ended))
				p := pool(t, upstream.Config{Endpoints: []string{s.url}, HeaderTimeout: 200 * time.Millisecond, Stall: 200 * time.Millisecond, ClientInterval: interval})
				_, _, err := do(t, p, put(2, bytesBody([]byte("xx"))))
				if err == nil {
					t.Error("taken for an answer")
				}
				<-ended // and the connection is closed
			})
		}
	}
}

// leaver is a client that is there until it is told to leave.
type leaver struct{ gone atomic.Bool }

func (l *leaver) Gone() bool { return l.gone.Load() }

// TestDo_clientGone: wherever the backend is waited for, the wait ends with the
// client: the connection is closed, nothing is sent again, and no endpoint is blamed.
func TestDo_clientGone(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
	for name, said := range map[string]string{
		"nothing said": "", "an interim answer": "HTTP/1.1 102 Processing\r\n\r\n", "half a head": "HTTP/1.1 200 OK\r\nx", "a head": head, "half a body": head + "half",
		"a chunk": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "trailers": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n",
	} {
		for _, way := range []string{"plain", "TLS", "upload", "spliced"} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				client, closed := &leaver{}, make(chan error, 1)
				play := func(p *peer, _ int) {
					if _, _, err := p.request(); err != nil {
						return
					}
					p.say(said)
					if err := p.delivered(); err != nil {
						t.Error(err)
					}
					client.gone.Store(true)
					_, err := p.Conn.Read(make([]byte, 1))
					closed <- err
				}
				start := serve
				if way == "TLS" {
					start = serveTLS
				}
				s := start(t, play)
				cfg := s.config()
				cfg.ClientInterval, cfg.Ejection = 10*time.Millisecond, time.Hour // the other bounds are minutes
				p := pool(t, cfg)
				req := get()
				if way == "upload" {
					req = put(2, bytesBody([]byte("xx")))
				}
				req.Client = client
				var resp upstream.Response
				err := p.Do(t.Context(), req, &resp)
				if err == nil {
					if way == "spliced" {
						_, err = resp.SpliceTo(&steps{}, 1<<20)
					} else {
						_, err = io.Copy(io.Discard, &resp)
					}
					resp.Close()
				}
				if !errors.Is(err, upstream.ErrClientGone) {
					t.Error(err)
				}
				if err := <-closed; err == nil {
					t.Error("the backend was asked something more")
				}
				if s.conns.Load() != 1 || p.Healthy() != 1 {
					t.Errorf("%d connections, %d healthy endpoints", s.conns.Load(), p.Healthy())
				}
			})
		}
	}
}

// TestDo_hostileAnswers: what two readers could read in two ways, or what is work
// without end, is no answer, at once; and no connection of it serves anybody.
func TestDo_hostileAnswers(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"length of another size":      "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
		"length above all":            "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\nok",
		"a signed length":             "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
		"a negative length":           "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
		"a list of lengths":           "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
		"an empty length":             "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nok",
		"a length in hex":             "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok",
		"a length and a coding":       "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"a coding twice":              "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
		"identity":                    "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
		"a coding of HTTP/1.0":        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"lines end in LF":             "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
		"one line ends in LF":         "HTTP/1.1 200 OK\r\nx: y\ncontent-length: 2\r\n\r\nok",
		"LF, and no end":              "HTTP/1.1 200 OK\r\nx: y\n",
		"another protocol, no end":    "SSH-2.0-OpenSSH_9\r\n",
		"no version":                  "HTTP/2 200 OK\r\n\r\n",
		"two digits":                  "HTTP/1.1 20 OK\r\n\r\n",
		"four digits":                 "HTTP/1.1 2000 OK\r\n\r\n",
		"status 000":                  "HTTP/1.1 000 OK\r\n\r\n",
		"a NUL in a name":             "HTTP/1.1 200 OK\r\na\x00b: c\r\ncontent-length: 2\r\n\r\nok",
		"a control in a name":         "HTTP/1.1 200 OK\r\na\x01b: c\r\ncontent-length: 2\r\n\r\nok",
		"a name beyond ASCII":         "HTTP/1.1 200 OK\r\nü: c\r\ncontent-length: 2\r\n\r\nok",
		"a quote in a name":           "HTTP/1.1 200 OK\r\na\"b: c\r\ncontent-length: 2\r\n\r\nok",
		"no name":                     "HTTP/1.1 200 OK\r\n: c\r\ncontent-length: 2\r\n\r\nok",
		"a folded length":             "HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok",
		"a folded first line":         "HTTP/1.1 200 OK\r\n content-length: 2\r\n\r\nok",
		"very many lines":             "HTTP/1.1 200 OK\r\n" + strings.Repeat("a:\r\n", 600) + "content-length: 2\r\n\r\nok",
		"a long line":                 "HTTP/1.1 200 OK\r\na: " + strings.Repeat("x", 70<<10) + "\r\ncontent-length: 2\r\n\r\nok",
		"chunk: no size":              chunked + ";x\r\n",
		"chunk: a sign":               chunked + "-2\r\nok\r\n0\r\n\r\n",
		"chunk: a plus":               chunked + "+2\r\nok\r\n0\r\n\r\n",
		"chunk: a space in front":     chunked + " 2\r\nok\r\n0\r\n\r\n",
		"chunk: an underscore":        chunked + "0_2\r\nok\r\n0\r\n\r\n",
		"chunk: an endless size":      chunked + strings.Repeat("0", 1<<20),
		"chunk: an endless extension": chunked + "2;" + strings.Repeat("x", 1<<20),
		"chunk: LF":                   chunked + "2\nok\r\n0\r\n\r\n",
		"chunk: LF behind":            chunked + "2\r\nok\n0\r\n\r\n",
		"chunk: CR alone":             chunked + "2\rok\r\n0\r\n\r\n",
		"chunk: LF in the extension":  chunked + "2;\nx\r\nok\r\n0\r\n\r\n",
		"chunk: more than its size":   chunked + "2\r\nokay\r\n0\r\n\r\n",
		"chunk: trailers end in LF":   chunked + "0\r\nx: y\n\r\n",
		"chunk: a very long trailer":  chunked + "0\r\nx: " + strings.Repeat("y", 1<<20),
		"chunk: tiny ones, extended":  chunked + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\ny\r\n", 1000) + "0\r\n\r\n",
		"chunk: endless trailers":     chunked + "0\r\n" + strings.Repeat("x: y\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(p *peer, n int) {
				if _, _, err := p.request(); err != nil {
					return
				}
				if n > 1 {
					p.say(ok)
					return
				}
				p.say(answer) // and nothing more: who waits for it waits for minutes
				_, _ = io.Copy(io.Discard, p)
			})
			p := pool(t, upstream.Config{Endpoints: []string{s.url}, Ejection: time.Hour, HeaderTimeout: time.Hour, Stall: time.Hour})
			if status, body, err := do(t, p, put(2, bytesBody([]byte("xx")))); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d %.40q %v", status, body, err)
			}
			if status, body, err := do(t, p, get()); status != 200 || body != "ok" || err != nil || s.conns.Load() != 2 {
				t.Errorf("the next: %d %q %v, over %d connections", status, body, err, s.conns.Load())
			}
		})
	}
}

// TestResponse_unfit: a value with a control character is as if it was not there;
// what is beyond ASCII is somebody's words.
func TestResponse_unfit(t *testing.T) {
	t.Parallel()
	for value, fit := range map[string]bool{"a\tb": true, "ü": true, "\xff": true, "a\x01b": false, "\x7f": false, "\x1b[31m": false, "a\x0bb": false} {
		s := serve(t, func(p *peer, _ int) {
			if _, _, err := p.request(); err == nil {
				p.say("HTTP/1.1 200 OK\r\nETag: " + value + "\r\ncontent-length: 2\r\n\r\nok")
			}
		})
		p := pool(t, upstream.Config{Endpoints: []string{s.url}})
		var resp upstream.Response
		if err := p.Do(t.Context(), get(), &resp); err != nil {
			t.Fatal(err)
		}
		resp.VisitHeaders(func(name, got []byte, is bool) {
			if string(name) == "ETag" && (is != fit || string(got) != value) {
				t.Errorf("%q is fit: %v, %q", value, is, got)
			}
		})
		if got := resp.Header("etag"); (got != nil) != fit {
			t.Errorf("%q is told: %q", value, got)
		}
		resp.Close()
	}
}

// TestDo_reset: a connection that is reset at any place is an error at once, is not
// sent again when it may have been acted on, and leaves no connection behind.
func TestDo_reset(t *testing.T) {
	t.Parallel()
	answer := "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n"
	for cut := range len(answer) {
		s := serve(t, func(p *peer, _ int) {
			if _, _, err := p.request(); err != nil {
				return
			}
			p.say(answer[:cut])
			_ = p.delivered()
			_ = p.raw.SetLinger(0)
		})
		p := pool(t, upstream.Config{Endpoints: []string{s.url}})
		if status, body, err := do(t, p, put(2, bytesBody([]byte("xx")))); err == nil {
			t.Errorf("cut at %d: %d %q", cut, status, body)
		}
		if n := s.conns.Load(); n != 1 {
			t.Errorf("cut at %d: %d connections", cut, n)
		}
	}
	// In the middle of a request, and before it.
	for _, read := range []int{0, 10, 100_000} {
		s := serve(t, func(p *peer, _ int) {
			_, _ = io.CopyN(io.Discard, p, int64(read))
			_ = p.raw.SetLinger(0)
		})
		p := pool(t, upstream.Config{Endpoints: []string{s.url}})
		if status, body, err := do(t, p, put(8<<20, bytesBody(make([]byte, 8<<20)))); err == nil {
			t.Errorf("reset after %d bytes of the request: %d %q", read, status, body)
		}
	}
}

// TestPool_probeDrips: a probe has its time in all, and so an endpoint that answers
// by drops is avoided.
func TestPool_probeDrips(t *testing.T) {
	t.Parallel()
	ended := make(chan int, 100)
	s := serve(t, drips("HTTP/1.1 200 OK\r\n", "x", ended))
	p := pool(t, upstream.Config{Endpoints: []string{s.url}, DialTimeout: 100 * time.Millisecond, HealthInterval: time.Millisecond, HeaderTimeout: time.Hour, Ejection: time.Hour})
	testenv.WaitFor(t, "the endpoint to be avoided", func() bool { return p.Healthy() == 0 })
}
