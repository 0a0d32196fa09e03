// Package clientconn is a client's connection as the data path needs it: it sees
// every byte that the socket took, bounds each wait for the client, and keeps
// the end of a request apart from the end of its handler.
//
// fasthttp writes a streamed body after the handler has returned and closes
// the stream before the last bytes reach the socket; only the connection knows
// when a response is out. It tells its Exchange, which is settled then.
package clientconn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

// Exchange is the request that a connection serves, as far as the connection
// needs it. It is called by the goroutine that serves the connection alone.
type Exchange interface {
	// Throttle waits until the transfer rates of account and key let the next step
	// of a body go. An error ends the transfer.
	Throttle(d limits.Direction) error
	// Recheck returns an error when the transfer may not go on. It is asked at each
	// step, and now and then while a step waits for the client.
	Recheck(d limits.Direction) error
	// Moved counts n bytes: of a request's body as they were read, framing
	// included (Upload), or of a response's body that the socket took (Download).
	Moved(d limits.Direction, n int64)
	// Failed records why no more of the body can be read of the client (Upload), or
	// why the client has not had all of the response (Download).
	Failed(d limits.Direction, err error)
	// Settle ends the exchange, once: its response has reached the socket or has
	// failed. The connection does not use it any more.
	Settle()
}

// Config is what the connections of one server share.
type Config struct {
	MinRate      int64         // bytes per second that a body must move in any Window
	Window       time.Duration // of waiting for the client
	ContinueWait time.Duration // after which a client that waits for 100 Continue gets it
	// Stopping reports whether idle connections are being closed.
	Stopping func() bool
	Spliced  prometheus.Counter // bytes that went from socket to socket in the kernel
}

// CopyStep is how many bytes of a body move at once through memory.
const CopyStep = 256 << 10

// Buffers has buffers of CopyStep bytes, as *[]byte.
var Buffers = sync.Pool{New: func() any { b := make([]byte, CopyStep); return &b }}

// Conn is a client's connection. It counts what was delivered rather than what
// was meant to be. Each wait for the client is bounded: for a head by fasthttp's
// time-outs, for a body in either direction by the rate at which it must move.
type Conn struct {
	net.Conn
	socket *socket.Conn // what is below TLS, and all there is without
	cfg    *Config

	tlsVersion, tlsCipher string // names, once they are asked for

	in, out socket.Pace // of a request's body, of responses

	// Only the serving goroutine touches these.
	pending Exchange // begun and not settled
	first   firstLine
	head    headEnd
	sent    int64 // body bytes the socket took
	reading bool  // a request body is being read
	going   continuing

	// fasthttp closes idle connections from elsewhere.
	idle   atomic.Bool
	linger atomic.Bool // the response that ends the connection was sent before all of the request was read
}

var errNotSocket = errors.New("clientconn: neither a socket.Conn nor TLS over one")

// windowsAhead is for how many windows a reader may have taken bytes ahead: 480
// KiB and eight minutes by default, more than a sixteenth of the 6 MiB to which
// Linux lets a socket's room grow by itself (tcp_rmem).
const windowsAhead = 16

// New makes a Conn of a *socket.Conn, or of a *tls.Conn over one. It takes nc over
// unless it returns an error.
func New(nc net.Conn, cfg *Config) (*Conn, error) {
	below := nc
	if secure, ok := nc.(*tls.Conn); ok {
		below = secure.NetConn()
	}
	sock, ok := below.(*socket.Conn)
	if !ok {
		return nil, errNotSocket
	}
	pace := socket.Pace{Rate: cfg.MinRate, Window: cfg.Window}
	c := &Conn{Conn: nc, socket: sock, cfg: cfg, in: pace, out: pace}
	c.out.Ahead = int64(float64(pace.Rate) * pace.Window.Seconds() * windowsAhead)
	c.in.Look = func() error { return c.recheck(limits.Upload) }
	c.out.Look = func() error { return c.recheck(limits.Download) }
	sock.KeepWriting(&c.out)
	return c, nil
}

// Pending is the exchange that has begun and is not settled; nil: none.
func (c *Conn) Pending() Exchange { return c.pending }

// Start begins a response of x: the bytes up to the end of its head are not body.
// A nil x drops the exchange unsettled.
func (c *Conn) Start(x Exchange) {
	c.head = headEnd{}
	c.sent = 0
	c.pending = x
}

// Accepted is called when a connection is new: it waits for its first request.
func (c *Conn) Accepted() { c.idle.Store(true) }

// Active is called when the first byte of a request is there.
func (c *Conn) Active() {
	c.idle.Store(false)
	c.first.begun()
}

// Idle is called when a response has been flushed: it settles its exchange.
func (c *Conn) Idle() {
	c.Settle()
	c.first.expect()
	c.idle.Store(true)
}

// Settle settles the pending exchange, if there is one. It is called when the
// connection has ended, too.
func (c *Conn) Settle() {
	if c.pending == nil {
		return
	}
	c.pending.Settle()
	c.pending = nil
	c.going = continuing{}
}

// Linger makes Close wait for the rest of a request that was answered before it
// was read.
func (c *Conn) Linger() { c.linger.Store(true) }

// Cut closes the connection below TLS, whose farewell could wait for a client
// that does not read. It may be called by any goroutine.
func (c *Conn) Cut() { _ = c.socket.Close() }

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
func (c *Conn) Close() error {
	switch {
	case c.idle.Load() && c.TLS() && c.cfg.Stopping():
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

func (c *Conn) Read(p []byte) (int, error) {
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
		c.pending.Moved(limits.Upload, int64(n))
		if err != nil {
			c.pending.Failed(limits.Upload, err)
		}
	}
	return n, err
}

func (c *Conn) readStep(p []byte) (int, error) {
	if err := c.throttle(limits.Upload); err != nil {
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
func (c *Conn) recheck(d limits.Direction) error {
	if c.pending == nil {
		return nil
	}
	return c.pending.Recheck(d)
}

// ReadBody switches between waiting for a request (fasthttp's time-outs) and
// reading a body (bounded by its rate).
func (c *Conn) ReadBody(on bool) {
	c.reading = on
	if !on {
		c.socket.KeepReading(nil)
		return
	}
	c.in.Reset()
	c.socket.KeepReading(&c.in)
}

// throttle waits for the exchange's rates. That is our doing, and no slowness of
// the client's: its socket is not waited for meanwhile.
func (c *Conn) throttle(d limits.Direction) error {
	if c.pending == nil {
		return nil
	}
	return c.pending.Throttle(d)
}

func (c *Conn) Write(p []byte) (int, error) {
	if c.withheld(p) {
		return len(p), nil
	}
	if err := c.throttle(limits.Download); err != nil {
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

// notTaken tells why a client has not had all of its response.
func (c *Conn) notTaken(err error) {
	if err != nil && c.pending != nil {
		c.pending.Failed(limits.Download, err)
	}
}

// Gone is upstream.Client's.
func (c *Conn) Gone() bool { return c.socket.Gone() }

// ReadFrom moves a body from an upstream socket. Without TLS on either side
// the kernel moves it (splice); otherwise through a pooled buffer.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	part, _ := r.(*io.LimitedReader)
	var from *socket.Conn
	if part != nil {
		from, _ = part.R.(*socket.Conn)
	}
	if from == nil || c.TLS() {
		return c.copy(r)
	}
	if err := c.throttle(limits.Download); err != nil {
		c.notTaken(err)
		return 0, err
	}
	if err := c.recheck(limits.Download); err != nil {
		return 0, err
	}
	n, err := c.socket.Splice(from, part.N)
	c.body(n)
	if c.pending != nil {
		c.cfg.Spliced.Add(float64(n))
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

func (c *Conn) copy(r io.Reader) (int64, error) {
	buf := Buffers.Get().(*[]byte)
	defer Buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{r}, *buf)
}

func (c *Conn) count(p []byte) {
	if !c.head.seen {
		p = p[c.head.find(p):]
		if !c.head.seen {
			return
		}
	}
	c.body(int64(len(p)))
}

func (c *Conn) body(n int64) {
	if n == 0 {
		return
	}
	c.sent += n
	if c.pending != nil {
		c.pending.Moved(limits.Download, n)
	}
}

// Sent is how many bytes of the response's body the socket has taken.
func (c *Conn) Sent() int64 { return c.sent }

// Addr is the peer's address.
func (c *Conn) Addr() netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// TLS reports whether the connection is one.
func (c *Conn) TLS() bool {
	_, ok := c.Conn.(*tls.Conn)
	return ok
}

// TLSNames are the names of the TLS version and cipher suite; empty without TLS.
func (c *Conn) TLSNames() (version, cipher string) {
	if t, ok := c.Conn.(*tls.Conn); ok && c.tlsVersion == "" {
		state := t.ConnectionState()
		c.tlsVersion, c.tlsCipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	}
	return c.tlsVersion, c.tlsCipher
}
