package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Body writes a request's body: exactly what the head declared. An error means
// that the request must not be completed: the connection is cut.
type Body interface{ WriteBody(w io.Writer) error }

// Request is what is sent.
type Request struct {
	// Head writes the head for this endpoint: Start, then the header lines. It
	// is called again when the request is tried on another one.
	Head       func(h *Head, e *Endpoint)
	Body       Body // nil: none
	Idempotent bool // may be sent again while no byte of an answer was seen
	NoBody     bool // HEAD: the answer has no body
	Client     Client
}

// attempts is how often a request is tried at most.
const attempts = 3

// Do sends the request and returns when the head of the answer is there; the
// caller must Close or Abort resp then. ctx bounds connecting only. While the
// backend is waited for, here and while the answer is read, req.Client is looked at
// every ClientInterval: when it is gone the error is ErrClientGone.
//
// A request is sent again only when the backend cannot have acted on it (no
// connection, or the head was not sent whole and no body byte was taken), or
// when it is idempotent and not a byte of an answer was seen.
func (p *Pool) Do(ctx context.Context, req *Request, resp *Response) error {
	start := p.next.Add(1)
	var last error
	var e *Endpoint
	var tried [attempts]*Endpoint
	fresh := false
	head := heads.Get().(*Head)
	defer heads.Put(head)
	for try := range attempts {
		if try > 0 {
			p.metrics.retries.Inc()
		}
		if !fresh { // else the connection was old, not the endpoint bad
			e = p.pick(start, tried[:try])
		}
		tried[try] = e
		if err := head.write(req, e); err != nil {
			return err
		}
		c, err := e.get(ctx, fresh)
		if err != nil {
			e.failed(err)
			last, fresh = err, false
			continue
		}
		resp.Clear()
		c.client = req.Client
		x := &resp.try
		*x = exchange{conn: c}
		if req.Body == nil {
			err = x.exchangeHead(head.buf, req, resp)
		} else {
			err = x.exchangeBody(head.buf, req, resp)
		}
		if err == nil {
			e.worked()
			return nil
		}
		c.close()
		resp.conn = nil
		if x.abandoned || errors.Is(err, ErrClientGone) {
			return fmt.Errorf("upstream: %w", err)
		}
		last = err
		switch {
		case errors.Is(err, ErrAnswer):
			e.unreadable(err)
		case !c.used:
			e.failed(err)
		}
		safe := !x.taken && (!x.sent || req.Idempotent && !resp.began)
		if !safe {
			return fmt.Errorf("upstream: %w", err)
		}
		fresh = c.used
	}
	return fmt.Errorf("%w: %w", ErrNoEndpoint, last)
}

// exchange is one try.
type exchange struct {
	conn  *Conn
	sent  bool // the head was handed to the socket whole
	taken bool // a byte of the body was asked for

	abandoned bool // the body failed: no endpoint is to blame, and there is no more to send
}

var heads = sync.Pool{New: func() any { return &Head{buf: make([]byte, 0, 4<<10)} }}

// write writes the whole head of req for e.
func (h *Head) write(req *Request, e *Endpoint) error {
	*h = Head{buf: h.buf[:0], host: e.raw}
	req.Head(h, e)
	h.buf = append(h.buf, "\r\n"...)
	return h.err
}

func (x *exchange) exchangeHead(head []byte, req *Request, resp *Response) error {
	if err := x.conn.write(head); err != nil {
		return err
	}
	x.sent = true
	return resp.readHead(x.conn, req.NoBody, x.conn.endpoint.pool.cfg.HeaderTimeout)
}

func (x *exchange) exchangeBody(head []byte, req *Request, resp *Response) error {
	w := &bodyWriter{x: x, resp: resp, head: head}
	err := req.Body.WriteBody(w)
	if err != nil && !w.early && !w.broken {
		x.abandoned = true
		return err
	}
	if err == nil {
		err = w.flush()
	}
	if w.early || w.broken {
		// The backend has answered before it had everything, or has hung up,
		// perhaps after an answer. Either way the connection is spent.
		resp.spent = true
		herr := resp.readHead(x.conn, req.NoBody, x.conn.endpoint.pool.cfg.HeaderTimeout)
		if herr == nil {
			return nil
		}
		return errors.Join(err, errEarly, herr)
	}
	if err != nil {
		return err
	}
	return resp.readHead(x.conn, req.NoBody, x.conn.endpoint.pool.cfg.HeaderTimeout)
}

var errEarly = errors.New("upstream: the backend ended the request early")

// small is how much of a body is sent together with the head in one write.
const small = 64 << 10

// bodyWriter sends the head with the first bytes of the body, and stops when
// the backend answers before the end.
type bodyWriter struct {
	x      *exchange
	resp   *Response
	head   []byte // not sent yet
	early  bool
	broken bool
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	w.x.taken = true
	c := w.x.conn
	if len(w.head) > 0 {
		if len(p) <= small {
			w.head = append(w.head, p...)
			return len(p), w.flush()
		}
		if err := w.flush(); err != nil {
			return 0, err
		}
	} else if w.resp.answered(c) {
		w.early = true
		return 0, errEarly
	}
	if err := c.write(p); err != nil {
		w.broken = true
		return 0, err
	}
	return len(p), nil
}

func (w *bodyWriter) flush() error {
	if len(w.head) == 0 {
		return nil
	}
	if !w.x.conn.clean() { // the body may have been long in coming
		return errUnsolicited
	}
	err := w.x.conn.write(w.head)
	w.head = nil
	if err != nil {
		w.broken = w.x.taken
		return err
	}
	w.x.sent = true
	return nil
}

func (c *Conn) write(p []byte) error {
	stall := c.endpoint.pool.cfg.Stall
	for len(p) > 0 {
		if err := c.extendWrite(stall); err != nil {
			return err
		}
		n, err := c.nc.Write(p[:min(len(p), 1<<20)])
		p = p[n:]
		if err != nil {
			return err
		}
	}
	return nil
}
