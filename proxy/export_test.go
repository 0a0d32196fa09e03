package proxy

import (
	"net"

	"github.com/valyala/fasthttp"
)

// Admission runs the stages up to admit again and again on one request, as a
// kept-alive connection does, without a socket in the way.
type Admission struct {
	srv *Server
	ctx fasthttp.RequestCtx
	c   *conn
}

// NewAdmission prepares a run over nc, whose addresses are all that is used.
// fill reads the request.
func (s *Server) NewAdmission(nc net.Conn, fill func(*fasthttp.Request) error) (*Admission, error) {
	a := &Admission{srv: s, c: &conn{Conn: nc, limits: &s.cfg.Limits}}
	a.ctx.Init2(a.c, nil, false)
	return a, fill(&a.ctx.Request)
}

// Run returns the error that ends the request.
func (a *Admission) Run() error {
	x := a.srv.begin(&a.ctx)
	err := x.failed
	a.c.pending = nil
	x.release()
	return err
}

// Settle does the same and then what ends a request that was answered.
func (a *Admission) Settle() error {
	x := a.srv.begin(&a.ctx)
	err := x.failed
	x.setStatus(200)
	a.c.settle()
	return err
}
