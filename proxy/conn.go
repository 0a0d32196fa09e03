package proxy

import (
	"bytes"
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
// that the ledger counts what was delivered rather than what was meant to be.
// Each wait for the client is bounded: for a head by fasthttp's time-outs, for a
// body in either direction by the rate at which it must move.
//
// fasthttp writes a streamed body after the handler has returned and closes
// the stream before the last bytes reach the socket; only the connection knows
// when an answer is out.
type conn struct {
	net.Conn
	socket *socket.Conn // what is below TLS, and all there is without
	srv    *Server
	tls    bool
	peer   netip.Addr // whose it is counted as; not valid: nobody's

	tlsVersion, tlsCipher string // names, once they are asked for

	in, out socket.Pace // of a request's body, of answers

	// Only the serving goroutine touches these.
	pending *exchange // begun and not settled
	first   firstLine
	head    headEnd
	sent    int64 // body bytes the socket took
	reading bool  // a request body is being read
	going   continuing

	// fasthttp closes idle connections from elsewhere.
	idle   atomic.Bool
	linger atomic.Bool // the answer that ends the connection was sent before all of the request was read
}

// How long, and for how many bytes, a refused upload is still listened to.
const (
	lingerTime  = 3 * time.Second
	lingerBytes = 32 << 20
)

// Close ends the connection. After a request that was refused before it was
// read it says so and reads on for a moment: closing with bytes unread would
// send a reset, and the client would see a broken connection in place of the
// error (RFC 9112 section 9.6).
//
// An idle connection is closed by fasthttp's Shutdown, one after the other and
// under a lock: there nothing may wait, not even TLS for a client that does not
// read its farewell.
func (c *conn) Close() error {
	switch {
	case c.idle.Load() && c.tls && c.srv.stopping.Load():
		go func() { _ = c.Conn.Close() }()
		return nil
	case !c.idle.Load() && c.linger.Swap(false):
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
	c.pending = x
}

func (c *conn) Read(p []byte) (int, error) {
	if c.going.silent {
		return c.readFirst(p)
	}
	if !c.reading {
		n, err := c.Conn.Read(p)
		c.first.see(p[:n])
		return n, err
	}
	n, err := c.readStep(p)
	if c.pending != nil {
		c.pending.grant.Consumed(limits.Upload, int64(n))
		if err != nil {
			c.pending.clientFailed(err)
		}
	}
	return n, err
}

func (c *conn) readStep(p []byte) (int, error) {
	if err := c.hold(limits.Upload); err != nil {
		return 0, err
	}
	if err := c.recheck(limits.Upload); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.first.piece = p[:n]
	return n, err
}

// recheck cuts a body whose sender or receiver may not go on.
func (c *conn) recheck(d limits.Direction) error {
	if c.pending == nil {
		return nil
	}
	return c.pending.recheckAt(c.srv.cfg.now(), d)
}

// readBody switches between waiting for a request (fasthttp's time-outs) and
// reading a body (bounded by its rate).
func (c *conn) readBody(on bool) {
	c.reading = on
	if !on {
		c.socket.KeepReading(nil)
		return
	}
	c.in.Reset()
	c.socket.KeepReading(&c.in)
}

// hold waits until the transfer rates of account and key let the next step of
// a body go. That is our doing, and no slowness of the client's: its socket is
// not waited for meanwhile.
func (c *conn) hold(d limits.Direction) error {
	if c.pending == nil {
		return nil
	}
	return c.pending.grant.Wait(c.srv.ctx, d)
}

func (c *conn) Write(p []byte) (int, error) {
	if c.withheld(p) {
		return len(p), nil
	}
	if err := c.hold(limits.Download); err != nil {
		c.notTaken(err)
		return 0, err
	}
	if err := c.recheck(limits.Download); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.count(p[:n])
	c.notTaken(err)
	return n, err
}

// notTaken remembers why a client has not had all of its answer.
func (c *conn) notTaken(err error) {
	if err != nil && c.pending != nil {
		c.pending.clientLeft(err)
	}
}

// Gone is upstream.Client's.
func (c *conn) Gone() bool { return c.socket.Gone() }

// ReadFrom moves a body from an upstream socket. Without TLS on either side
// the kernel moves it (splice); otherwise through a pooled buffer.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	part, _ := r.(*io.LimitedReader)
	var from *socket.Conn
	if part != nil {
		from, _ = part.R.(*socket.Conn)
	}
	if c.tls || from == nil {
		return c.copy(r)
	}
	if err := c.hold(limits.Download); err != nil {
		c.notTaken(err)
		return 0, err
	}
	if err := c.recheck(limits.Download); err != nil {
		return 0, err
	}
	n, err := c.socket.Splice(from, part.N)
	c.body(n)
	if c.pending != nil {
		c.pending.srv.metrics.spliced.Add(float64(n))
	}
	if errors.Is(err, socket.ErrTaker) {
		c.notTaken(err)
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
		c.pending.grant.Consumed(limits.Download, n)
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

// addr is the peer's address.
func (c *conn) addr() netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
