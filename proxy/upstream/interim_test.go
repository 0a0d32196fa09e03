package upstream_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// uploadWhile sends a body of three blocks to a backend that says one thing
// after the first block and another after the second, each seen by the sender
// before it goes on, and its answer behind the third.
func uploadWhile(t *testing.T, first, second, answer string) (status int, body string, whole bool, err error) {
	t.Helper()
	const block = "0123456789"
	heard, got := make(chan error), make(chan bool, 1)
	s := serve(t, func(p *peer, _ int) {
		req, err := http.ReadRequest(p.Reader)
		if err != nil {
			got <- false
			return
		}
		var piece [len(block)]byte
		for _, words := range []string{first, second} {
			if _, err := io.ReadFull(req.Body, piece[:]); err != nil {
				break
			}
			p.say(words)
			heard <- p.delivered()
		}
		_, err = io.ReadFull(req.Body, piece[:])
		got <- err == nil
		if err == nil {
			p.say(answer)
		}
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}})
	status, body, err = do(t, p, put(3*len(block), bodyFunc(func(w io.Writer) error {
		for i := range 3 {
			if i > 0 {
				if err := <-heard; err != nil {
					return err
				}
			}
			if _, err := io.WriteString(w, block); err != nil {
				return err
			}
		}
		return nil
	})))
	p.Abort()
	return status, body, <-got, err
}

// RFC 9110 section 15.2: any number of interim answers may come before the
// final one, and a client has to be able to pass over them. Here they come while
// a body is being sent, cut at every place.
func TestDo_interimDuringUpload(t *testing.T) {
	t.Parallel()
	const words = "HTTP/1.1 102 Processing\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
	for cut := range len(words) + 1 {
		status, body, whole, err := uploadWhile(t, words[:cut], words[cut:], ok)
		if status != 200 || body != "ok" || !whole || err != nil {
			t.Errorf("cut at %d: %d %q, the backend got everything: %v, %v", cut, status, body, whole, err)
		}
	}
	if status, _, whole, err := uploadWhile(t, words, words+words[:20], words[20:]+ok); status != 200 || !whole || err != nil {
		t.Errorf("six, the last one with the answer: %d, %v, %v", status, whole, err)
	}
	for name, final := range map[string]string{"whole": words + "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", "alone": "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"} {
		if status, body, whole, err := uploadWhile(t, final, "", ok); status != 403 && err == nil || whole {
			t.Errorf("a final answer, %s: %d %q, the backend got everything: %v, %v", name, status, body, whole, err)
		}
	}
}

// A backend that says nothing but interim answers does not hold a request for ever.
func TestDo_interimWithoutEnd(t *testing.T) {
	t.Parallel()
	const one = "HTTP/1.1 102 Processing\r\n\r\n"
	for n, good := range map[int]bool{8: true, 9: false, 1000: false} {
		if _, _, _, err := uploadWhile(t, strings.Repeat(one, n/2), strings.Repeat(one, n-n/2), ok); good != (err == nil) || !good && !errors.Is(err, upstream.ErrAnswer) {
			t.Errorf("%d during an upload: %v", n, err)
		}
		s := serve(t, func(p *peer, _ int) {
			if _, _, err := p.request(); err == nil {
				p.say(strings.Repeat(one, n) + ok)
			}
		})
		p := pool(t, upstream.Config{Endpoints: []string{s.url}})
		if _, _, err := do(t, p, get()); good != (err == nil) || !good && !errors.Is(err, upstream.ErrAnswer) {
			t.Errorf("%d before an answer: %v", n, err)
		}
	}
}

// unreadable are answers that came and are no HTTP.
var unreadable = map[string]string{
	"a NUL":            "HTTP/1.1 200 OK\r\ncontent-disposition: \x00\r\ncontent-length: 0\r\n\r\n",
	"a CR":             "HTTP/1.1 200 OK\r\na: b\rc\r\ncontent-length: 0\r\n\r\n",
	"a folded line":    "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
	"a space":          "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
	"two lengths":      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
	"two framings":     "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
	"another coding":   "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
	"another protocol": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"a long head":      "HTTP/1.1 200 OK\r\na: " + strings.Repeat("b", 100<<10) + "\r\n\r\n",
	"a bad interim":    "HTTP/1.1 103 Early Hints\r\na: \x00\r\n\r\n" + ok,
	"not HTTP":         "SSH-2.0-OpenSSH_9\r\n\r\n",
}

// What stands in an answer may be of a client's making: it must not take the
// endpoint from everybody, and is not asked for again.
func TestDo_unreadableAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range unreadable {
		for _, method := range []string{"GET", "PUT"} {
			t.Run(fmt.Sprint(name, " ", method), func(t *testing.T) {
				t.Parallel()
				s := serve(t, func(p *peer, _ int) {
					if _, _, err := p.request(); err == nil {
						p.say(answer)
						_, _ = io.Copy(io.Discard, p)
					}
				})
				p := pool(t, upstream.Config{Endpoints: []string{s.url}, Ejection: time.Hour})
				req := get()
				if method == "PUT" {
					req = put(2, bytesBody([]byte("xx")))
				}
				for range 3 {
					if _, _, err := do(t, p, req); !errors.Is(err, upstream.ErrAnswer) || errors.Is(err, upstream.ErrNoEndpoint) {
						t.Error(err)
					}
				}
				if p.Healthy() != 1 || s.conns.Load() != 3 {
					t.Errorf("%d healthy endpoints, %d connections for 3 requests", p.Healthy(), s.conns.Load())
				}
			})
		}
	}
}

// An endpoint that answers nobody any better is avoided all the same.
func TestPool_unreadableProbe(t *testing.T) {
	t.Parallel()
	s := serve(t, func(p *peer, _ int) {
		if _, _, err := p.request(); err == nil {
			p.say(unreadable["not HTTP"])
		}
	})
	p := pool(t, upstream.Config{Endpoints: []string{s.url}, Ejection: time.Hour, HealthInterval: time.Millisecond})
	testenv.WaitFor(t, "the endpoint to be avoided", func() bool { return p.Healthy() == 0 })
}
