package upstream_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// Whatever a backend says at whatever moment before a connection's next use, no
// answer is ever another request's, none fails, and no connection is given up
// that the backend did not spoil.
func TestDo_surplus(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, script) *server{"plain": serve, "TLS": serveTLS} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				b := &babbler{t: t, rand: rand.New(rand.NewPCG(seed, 11)), secure: name == "TLS", idle: map[*peer]bool{}}
				s := start(t, b.talk)
				cfg := s.config()
				cfg.HeaderTimeout = 10 * time.Second
				p := pool(t, cfg)
				const tenants = 8
				for range 8 {
					var g sync.WaitGroup
					for range tenants {
						g.Go(func() {
							for i := 0; i < 3 && b.turn(p); i++ {
							}
						})
					}
					if g.Wait(); t.Failed() {
						return
					}
					b.poke()
				}
				// Another connection is dialled when all the kept ones are in use.
				if n, most := s.conns.Load(), tenants+b.spoiled.Load(); n > most {
					t.Errorf("%d connections, where %d were enough", n, most)
				}
			})
		}
	}
}

// babbler is a backend that says more than it was asked, and what asks it.
type babbler struct {
	t       *testing.T
	secure  bool
	turns   sync.Map     // *turn by id
	last    atomic.Int64 // id
	spoiled atomic.Int32 // connections that must not serve another request

	mu   sync.Mutex
	rand *rand.Rand
	idle map[*peer]bool // open, and not spoiled
}

// turn is a request with its answer, and what the backend says beyond it.
type turn struct {
	id      string
	method  string
	sends   int    // bytes of the request's body; -1: until it is stopped
	answer  []byte // head and body
	status  int
	body    string
	closes  bool // the answer ends the connection
	surplus []byte
	at      moment
	cut     int // where the surplus is cut in two

	read chan struct{} // the tenant has read the answer
	said chan error    // the backend has said all, and it has arrived
}

// moment is when the surplus is said.
type moment int

const (
	never     moment = iota
	together         // in the answer's write
	after            // in a write of its own
	inPieces         // in two
	onceRead         // when the answer was read
	cutRecord        // TLS: but the record is not sent whole
	moments
)

func (b *babbler) plan() *turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rand
	t := &turn{id: fmt.Sprint(b.last.Add(1)), method: "GET", status: 200, read: make(chan struct{}, 1), said: make(chan error, 1)}
	if r.IntN(2) == 0 {
		t.body = strings.Repeat(t.id+" ", 1+r.IntN(1<<r.IntN(14)))
	}
	head := func(fields string) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nx-id: %s\r\n%s\r\n", t.status, t.id, fields)
	}
	length := fmt.Sprintf("content-length: %d\r\n", len(t.body))
	forgotten := "" // what a careless backend would send as a body
	switch r.IntN(10) {
	case 0:
		t.method, forgotten = "HEAD", t.body
		t.answer = []byte(head(length))
	case 1, 2:
		t.status, forgotten = []int{204, 304}[r.IntN(2)], t.body
		if t.status == 204 {
			length = "" // with one it is not kept in any case
		}
		t.answer = []byte(head(length))
	case 3, 4:
		half := len(t.body) / 2
		var chunks string
		for _, c := range []string{t.body[:half], t.body[half:]} {
			if c != "" {
				chunks += fmt.Sprintf("%x\r\n%s\r\n", len(c), c)
			}
		}
		t.answer = []byte(head("transfer-encoding: chunked\r\n") + chunks + "0\r\n\r\n")
	case 5:
		t.closes = true
		t.answer = []byte(head("") + t.body)
	case 6: // early, and the upload is stopped
		t.method, t.status, t.sends, t.closes = "PUT", 403, -1, true
		t.answer = []byte(head(length) + t.body)
	case 7:
		t.method, t.sends = "PUT", r.IntN(200<<10)
		t.answer = []byte(head(length) + t.body)
	default:
		t.status = []int{200, 404, 500, 503}[r.IntN(4)]
		t.answer = []byte(head(length) + t.body)
	}
	if forgotten != "" {
		t.body = ""
	}
	if t.closes && t.sends == 0 {
		return t // until the end, more would be more of the body
	}
	t.surplus = b.words(forgotten)
	if r.IntN(2) == 0 {
		t.at = moment(r.IntN(int(moments)))
	}
	if t.at == cutRecord && !b.secure {
		t.at = after
	}
	t.cut = r.IntN(len(t.surplus) + 1)
	return t
}

// words are some that nobody asked for; b.mu is held.
func (b *babbler) words(forgotten string) []byte {
	for _, w := range []string{
		forgotten,
		evil,
		evil[:1+b.rand.IntN(len(evil)-1)],
		"HTTP/1.1 200 OK\r\nx-id: evil\r\ncontent-length: 40000\r\n\r\n" + strings.Repeat("evil", 10000),
		"HTTP/1.1 200 OK\r\nx-id: evil\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nx-id: evil\r\n\r\n" + evil,
		"HTTP/1.1 100 Continue\r\n\r\n",
		"\r\n",
	} {
		if w != "" && b.rand.IntN(4) == 0 {
			return []byte(w)
		}
	}
	return []byte("x")
}

// turn asks once and holds the answer against the plan: false, when it is not
// what was planned.
func (b *babbler) turn(p *upstream.Pool) bool {
	t := b.plan()
	defer close(t.read)
	b.turns.Store("/"+t.id, t)
	req := &upstream.Request{Idempotent: t.method != "PUT", NoBody: t.method == "HEAD", Head: func(h *upstream.Head, _ *upstream.Endpoint) {
		h.Start(t.method, []byte("/"+t.id))
		h.Length(int64(uint32(t.sends)))
	}}
	if t.method == "PUT" {
		req.Body = bodyFunc(func(w io.Writer) error {
			left, block := t.sends, make([]byte, 50<<10)
			if left < 0 {
				left = 1 << 30 // far beyond what goes out before the answer is there
			}
			for left > 0 {
				n, err := w.Write(block[:min(left, len(block))])
				if left -= n; err != nil {
					return err
				}
			}
			return nil
		})
	}
	var resp upstream.Response
	if err := p.Do(b.t.Context(), req, &resp); err != nil {
		b.t.Errorf("%s %s: %v", t.method, t.id, err)
		return false
	}
	defer resp.Close()
	id := string(resp.Header("x-id"))
	var body bytes.Buffer
	_, err := resp.SpliceTo(&body, 1<<20)
	if id != t.id || resp.Status != t.status || body.String() != t.body || err != nil {
		b.t.Errorf("%s %s is answered with %s: %d for %d, %.40q for %.40q, %v", t.method, t.id, id, resp.Status, t.status, &body, t.body, err)
		return false
	}
	t.read <- struct{}{}
	if err := <-t.said; err != nil {
		b.t.Error(err)
	}
	return true
}

// talk is the backend's side of a connection.
func (b *babbler) talk(p *peer, _ int) {
	b.keep(p, true)
	defer b.keep(p, false)
	for {
		req, err := http.ReadRequest(p.Reader)
		if err != nil {
			return
		}
		if !b.keeps(p) {
			b.t.Errorf("%s %s came over a connection that was spoiled", req.Method, req.URL.Path)
			return
		}
		planned, found := b.turns.Load(req.URL.Path)
		if !found {
			b.t.Errorf("nobody asked for %s %s", req.Method, req.URL.Path)
			return
		}
		t := planned.(*turn)
		if t.sends >= 0 {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		if t.at != never || t.closes {
			b.spoil(p)
		}
		if t.sends < 0 { // a write that waits for us does not see the answer
			drained := make(chan struct{})
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, p) }()
			b.say(p, t)
			<-drained
			return
		}
		b.say(p, t)
		if t.closes {
			return
		}
	}
}

func (b *babbler) say(p *peer, t *turn) {
	switch t.at {
	case together:
		p.say(string(append(t.answer, t.surplus...)))
	case never:
		p.say(string(t.answer))
	case after:
		p.say(string(t.answer))
		p.say(string(t.surplus))
	case inPieces:
		p.say(string(t.answer))
		p.say(string(t.surplus[:t.cut]))
		p.say(string(t.surplus[t.cut:]))
	case onceRead:
		p.say(string(t.answer))
		<-t.read
		p.say(string(t.surplus))
	case cutRecord:
		p.say(string(t.answer))
		p.sayRaw(record[:1+t.cut%(len(record)-1)])
	}
	if t.closes && t.sends == 0 { // its end is the body's end
		_ = p.raw.CloseWrite()
	}
	t.said <- p.delivered()
}

// record is one of TLS with application data, as far as can be seen outside.
const record = "\x17\x03\x03\x00\x20" + "0123456789abcdef0123456789abcdef"

// sayRaw says what TLS does not know of.
func (p *peer) sayRaw(s string) { _, _ = io.WriteString(p.raw, s) }

// poke spoils some connections while nobody uses them.
func (b *babbler) poke() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.idle {
		r := b.rand
		if r.IntN(2) == 0 {
			continue
		}
		delete(b.idle, p)
		b.spoiled.Add(1)
		switch r.IntN(5) {
		case 0:
			_ = p.raw.CloseWrite()
		case 1:
			if c, secure := p.Conn.(*tls.Conn); secure {
				_ = c.CloseWrite() // a word of TLS's that the connection ends, and no end
				break
			}
			fallthrough
		case 2:
			p.sayRaw(record[:1+r.IntN(len(record))])
		default:
			p.say(string(b.words("")))
		}
		if err := p.delivered(); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *babbler) keep(p *peer, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if open {
		b.idle[p] = true
	} else {
		delete(b.idle, p)
	}
}

func (b *babbler) keeps(p *peer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.idle[p]
}

func (b *babbler) spoil(p *peer) {
	b.keep(p, false)
	b.spoiled.Add(1)
}
