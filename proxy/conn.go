package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

// Steps in which a body moves: between two steps bytes are counted and
// deadlines are extended.
const (
	spliceStep = 1 << 20
	copyStep   = 256 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyStep); return &b }}

// conn is a client's connection. It sees every byte that the socket took, so
// that the ledger counts what was delivered rather than what was meant to be,
// and it bounds each wait by progress instead of by a total time.
//
// fasthttp writes a streamed body after the handler has returned and closes
// the stream before the last bytes reach the socket; only the connection knows
// when an answer is out.
type conn struct {
	net.Conn
	socket *socket.Conn // nil under TLS: nothing can be spliced then
	limits *Limits
	tls    bool

	tlsVersion, tlsCipher string // names, once they are asked for

	// Only the serving goroutine touches these.
	pending *exchange // begun and not settled
	head    headEnd
	sent    int64 // body bytes the socket took
	pace    pace
	reading bool // a request body is being read: reads are bounded by progress
	inPace  pace
	going   continuing
	linger  atomic.Bool // an answer was sent before the request's body was read; fasthttp closes idle connections from elsewhere
}

// How long, and for how many bytes, a refused upload is still listened to.
const (
	lingerTime  = 3 * time.Second
	lingerBytes = 32 << 20
)

// Close ends the connection. After an upload that was refused early it says so
// and reads on for a moment: closing with bytes unread would send a reset, and
// the client would see a broken connection in place of the error (RFC 9112
// section 9.6).
func (c *conn) Close() error {
	if c.linger.Swap(false) {
		half, ok := c.Conn.(interface{ CloseWrite() error })
		if ok && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	return c.Conn.Close()
}

// answer starts the counting of a new answer: the bytes up to the end of its
// head are not body.
func (c *conn) answer(x *exchange) {
	c.head = headEnd{}
	c.sent = 0
	c.pace = pace{until: c.pace.until} // the socket's deadline stands
	c.pending = x
}

func (c *conn) Read(p []byte) (int, error) {
	if c.going.silent {
		return c.readFirst(p)
	}
	if !c.reading {
		return c.Conn.Read(p)
	}
	if err := c.hold(limits.Upload, &c.inPace); err != nil {
		return 0, err
	}
	if err := c.inPace.step(c.limits, c.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.inPace.moved += int64(n)
	if c.pending != nil {
		c.pending.grant.Moved(limits.Upload, int64(n))
	}
	return n, err
}

// readBody switches between waiting for a request (fasthttp's time-outs) and
// reading a body (bounded by progress).
func (c *conn) readBody(on bool) {
	c.reading = on
	if on {
		c.inPace = pace{}
	}
}

// hold waits until the transfer rates of account and key let the next step of
// a body go. That is our doing: it does not count as slowness of the client's.
func (c *conn) hold(d limits.Direction, p *pace) error {
	if c.pending == nil {
		return nil
	}
	waited, err := c.pending.grant.Hold(c.pending.srv.ctx, d)
	p.rest(waited)
	return err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.withheld(p) {
		return len(p), nil
	}
	if err := c.hold(limits.Download, &c.pace); err != nil {
		return 0, err
	}
	if err := c.pace.step(c.limits, c.SetWriteDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.pace.moved += int64(n)
	c.count(p[:n])
	return n, err
}

// ReadFrom moves a body from an upstream socket. Without TLS on either side
// the kernel moves it (splice); otherwise through a pooled buffer.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	part, _ := r.(*io.LimitedReader)
	var from *socket.Conn
	if part != nil {
		from, _ = part.R.(*socket.Conn)
	}
	if c.socket == nil || from == nil {
		return c.copy(r)
	}
	if err := c.hold(limits.Download, &c.pace); err != nil {
		return 0, err
	}
	if err := c.pace.step(c.limits, c.SetWriteDeadline); err != nil {
		return 0, err
	}
	n, err := c.socket.Splice(from, part.N)
	c.pace.moved += n
	c.body(n)
	if c.pending != nil {
		c.pending.srv.metrics.spliced.Add(float64(n))
	}
	if errors.Is(err, socket.ErrNoPipe) {
		k, err := c.copy(io.LimitReader(from, part.N-n))
		return n + k, err
	}
	return n, err
}

func (c *conn) copy(r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{r}, *buf)
}

func (c *conn) count(p []byte) {
	if !c.head.seen {
		p = p[c.head.find(p):]
		if !c.head.seen {
			return
		}
	}
	c.body(int64(len(p)))
}

func (c *conn) body(n int64) {
	if n == 0 {
		return
	}
	c.sent += n
	if c.pending != nil {
		c.pending.tally.Egress(n)
		c.pending.grant.Moved(limits.Download, n)
	}
}

// headEnd finds the blank line that ends a head written in any pieces.
type headEnd struct {
	seen bool
	tail [3]byte
	n    int
}

var blankLine = []byte("\r\n\r\n")

// find returns how many bytes of p belong to the head.
func (h *headEnd) find(p []byte) int {
	if h.n > 0 {
		var joined [6]byte
		k := copy(joined[:], h.tail[:h.n])
		k += copy(joined[k:], p[:min(3, len(p))])
		if i := bytes.Index(joined[:k], blankLine); i >= 0 {
			h.seen = true
			return i + len(blankLine) - h.n
		}
	}
	if i := bytes.Index(p, blankLine); i >= 0 {
		h.seen = true
		return i + len(blankLine)
	}
	if len(p) >= len(h.tail) {
		h.n = copy(h.tail[:], p[len(p)-len(h.tail):])
		return len(p)
	}
	var joined [6]byte
	k := copy(joined[:], h.tail[:h.n])
	k += copy(joined[k:], p)
	h.n = copy(h.tail[:], joined[max(0, k-len(h.tail)):k])
	return len(p)
}

// pace bounds a transfer by its rate: after a grace period it must have moved
// at least MinRate bytes per second, and no single wait may be longer than
// Stall. A fixed time-out would cut long uploads; none at all would let a
// client hold a connection for ever (S3-RULES.md C12).
type pace struct {
	started time.Time
	until   time.Time
	moved   int64
}

func (p *pace) step(l *Limits, setDeadline func(time.Time) error) error {
	now := time.Now()
	if p.started.IsZero() {
		p.started = now
	}
	if elapsed := now.Sub(p.started); elapsed > l.Grace && p.moved < int64((elapsed-l.Grace).Seconds()*float64(l.MinRate)) {
		return errSlow
	}
	// Moving a deadline is not free: only when half of it has passed.
	if p.until.Sub(now) > l.Stall/2 {
		return nil
	}
	p.until = now.Add(l.Stall)
	return setDeadline(p.until)
}

// rest takes a wait that was not the client's doing out of the reckoning.
func (p *pace) rest(d time.Duration) {
	if !p.started.IsZero() {
		p.started = p.started.Add(d)
	}
}

// listener wraps what it accepts in conn.
type listener struct {
	net.Listener
	limits *Limits
	track  func(*conn)
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &conn{Conn: c, limits: l.limits}
	w.socket, _ = c.(*socket.Conn)
	_, w.tls = c.(*tls.Conn)
	l.track(w)
	return w, nil
}

// addr is the peer's address.
func (c *conn) addr() netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
