package proxy

import (
	"errors"
	"net"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/clientconn"
)

// listener makes a clientconn.Conn of what it accepts. How many connections there
// may be is not its business: fasthttp's own bounds are never reached.
type listener struct {
	net.Listener
	srv *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, err := clientconn.New(nc, &l.srv.clients)
		if err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		if l.srv.conns.add(c) {
			return c, nil
		}
		c.Cut()
	}
}

// connState is where an exchange ends: fasthttp reports a connection idle
// after the flush of an answer, and closed after everything.
func (s *Server) connState(nc net.Conn, state fasthttp.ConnState) {
	c, ok := nc.(*clientconn.Conn)
	if !ok {
		return
	}
	switch state {
	case fasthttp.StateNew:
		c.Accepted()
	case fasthttp.StateActive:
		c.Active()
	case fasthttp.StateIdle:
		c.Idle()
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		c.Settle()
		s.conns.remove(c)
	}
}

// connOf is a request's connection, and the exchange that has begun on it and is
// not settled; nil: none.
func connOf(ctx *fasthttp.RequestCtx) (*clientconn.Conn, *exchange) {
	c := ctx.Conn().(*clientconn.Conn)
	x, _ := c.Pending().(*exchange)
	return c, x
}

// An exchange is its connection's clientconn.Exchange.

// Throttle is clientconn.Exchange's.
func (x *exchange) Throttle(d limits.Direction) error { return x.grant.Wait(x.srv.ctx, d) }

// Recheck is clientconn.Exchange's.
func (x *exchange) Recheck(d limits.Direction) error { return x.recheckAt(x.srv.cfg.now(), d) }

// Moved is clientconn.Exchange's. An upload's bytes are counted in the ledger when
// they are decoded: see Ingress.
func (x *exchange) Moved(d limits.Direction, n int64) {
	if d == limits.Download {
		x.tally.Egress(n)
	}
	x.grant.Consumed(d, n)
}

// Failed is clientconn.Exchange's.
func (x *exchange) Failed(d limits.Direction, err error) {
	if d == limits.Upload {
		x.clientFailed(err)
		return
	}
	x.clientLeft(err)
}

// Settle is clientconn.Exchange's.
func (x *exchange) Settle() {
	x.settle()
	x.release()
}
