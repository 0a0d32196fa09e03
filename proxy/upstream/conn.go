package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

const readBuffer = 16 << 10

// Conn is a connection to an endpoint. All that it may hold of a request is
// bytes read ahead, and a connection with such bytes is never used again.
type Conn struct {
	nc       net.Conn // source, or TLS on it
	source   *source  // the socket
	endpoint *Endpoint
	used     bool // answered a request before
	since    time.Time

	buf  []byte // read ahead
	r, w int

	until                 time.Time // what is waited for must have come
	readUntil, writeUntil time.Time // deadlines of the socket
	client                Client    // whom the answer is for; nil: nobody who can leave

	pace socket.Pace  // of a body that the kernel moves
	look func() error // lookAtClient, bound once
}

// Client is whom a request is made for.
type Client interface {
	// Gone reports, without waiting, that nobody is there any more to take the
	// answer. It may be asked after the end of the request.
	Gone() bool
}

// ErrClientGone means that the client has left while the backend was waited for:
// the connection was closed, and the backend may stop.
var ErrClientGone = errors.New("upstream: the client has left")

func (e *Endpoint) dial(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.pool.cfg.DialTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, err
	}
	e.pool.metrics.dials.Inc()
	s, err := socket.New(nc.(*net.TCPConn))
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	c := &Conn{source: &source{Conn: s, secure: e.tls != nil}, endpoint: e, buf: make([]byte, readBuffer)}
	c.nc, c.look = c.source, c.lookAtClient
	var t *tls.Conn
	if c.source.secure {
		t = tls.Client(c.source, e.tls)
		c.nc = t
	}
	if !e.register(c) {
		return nil, errors.Join(net.ErrClosed, s.Close())
	}
	if t != nil {
		if err := t.HandshakeContext(ctx); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// get returns a kept connection that is clean, or a new one, which must be too.
func (e *Endpoint) get(ctx context.Context, fresh bool) (*Conn, error) {
	for !fresh {
		c := e.pop()
		if c == nil {
			break
		}
		if time.Since(c.since) < e.pool.cfg.IdleTimeout && c.clean() {
			return c, nil
		}
		c.close()
	}
	c, err := e.dial(ctx)
	if err == nil && !c.clean() {
		c.close()
		return nil, errUnsolicited
	}
	return c, err
}

func (e *Endpoint) pop() *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.idle)
	if n == 0 {
		return nil
	}
	c := e.idle[n-1]
	e.idle[n-1] = nil
	e.idle = e.idle[:n-1]
	return c
}

// put keeps a connection for the next request. It closes one that has unread
// bytes in its buffer, or that is one too many.
func (e *Endpoint) put(c *Conn) {
	c.used, c.since, c.client = true, time.Now(), nil
	e.mu.Lock()
	if !e.closed && c.r == c.w && len(e.idle) < e.pool.cfg.MaxIdle {
		e.idle = append(e.idle, c)
		c = nil
	}
	e.mu.Unlock()
	if c != nil {
		c.close()
	}
}

func (c *Conn) close() {
	c.endpoint.mu.Lock()
	delete(c.endpoint.all, c)
	c.endpoint.mu.Unlock()
	_ = c.nc.Close()
}

// register remembers a connection for Abort; false when the pool is closed.
func (e *Endpoint) register(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.all[c] = struct{}{}
	return true
}

// await gives what is waited for from here on d in all, in how many pieces it
// may come.
func (c *Conn) await(d time.Duration) error {
	now := time.Now()
	c.until = now.Add(d)
	return c.arm(now)
}

// arm sets the deadline at which to look whether the client is there. Moving a
// deadline is not free: only when half of it has passed.
func (c *Conn) arm(now time.Time) error {
	d := min(c.until.Sub(now), c.endpoint.pool.cfg.ClientInterval)
	if left := c.readUntil.Sub(now); left > d/2 && left <= d {
		return nil
	}
	c.readUntil = now.Add(d)
	return c.nc.SetReadDeadline(c.readUntil)
}

func (c *Conn) lookAtClient() error {
	if c.client != nil && c.client.Gone() {
		return ErrClientGone
	}
	return nil
}

// receive reads, within what await has given.
func (c *Conn) receive(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if err == nil || n > 0 || c.source.noWait || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		now := time.Now()
		if !now.Before(c.until) {
			return 0, err
		}
		if err := errors.Join(c.lookAtClient(), c.arm(now)); err != nil {
			return 0, err
		}
	}
}

// errStalled is ErrDeadlineExceeded of a body that has not come.
var errStalled = fmt.Errorf("upstream: the body stalls: %w", os.ErrDeadlineExceeded)

// keepReading bounds the waits for a body, and not what is between them: whoever
// takes the body may need longer for one step of it than the endpoint may stall.
func (c *Conn) keepReading() {
	c.pace = socket.Pace{Rate: 1, Window: c.endpoint.pool.cfg.Stall, Slow: errStalled, Look: c.look, Every: c.endpoint.pool.cfg.ClientInterval}
	c.source.KeepReading(&c.pace)
}

func (c *Conn) endReading() {
	c.source.KeepReading(nil)
	c.readUntil = time.Time{} // the deadline that stands is the pace's
}

func (c *Conn) extendWrite(d time.Duration) error {
	now := time.Now()
	if left := c.writeUntil.Sub(now); left > d/2 && left <= d {
		return nil
	}
	c.writeUntil = now.Add(d)
	return c.nc.SetWriteDeadline(c.writeUntil)
}

// fill reads more into the buffer, making room when it is full.
func (c *Conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r > 0 {
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		} else {
			grown := make([]byte, 2*len(c.buf))
			c.w = copy(grown, c.buf[:c.w])
			c.buf = grown
		}
	}
	n, err := c.receive(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// read takes buffered bytes first, then reads straight into p.
func (c *Conn) read(p []byte) (int, error) {
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		return n, nil
	}
	if err := c.await(c.endpoint.pool.cfg.Stall); err != nil {
		return 0, err
	}
	return c.receive(p)
}
