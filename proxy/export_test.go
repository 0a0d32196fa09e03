package proxy

import (
	"bufio"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/clientconn"
)

// Admission runs the stages up to admit again and again on one request, as a
// kept-alive connection does, without a socket in the way.
type Admission struct {
	srv *Server
	ctx fasthttp.RequestCtx
	c   *clientconn.Conn
}

// NewAdmission prepares a run over nc, whose addresses are all that is used.
// fill reads the request.
func (s *Server) NewAdmission(nc net.Conn, fill func(*fasthttp.Request) error) (*Admission, error) {
	a := &Admission{srv: s, c: &clientconn.Conn{Conn: nc}}
	a.ctx.Init2(a.c, nil, false)
	return a, fill(&a.ctx.Request)
}

// Run returns the error that ends the request.
func (a *Admission) Run() error {
	x := a.srv.newExchange(&a.ctx, a.c)
	x.runHead()
	err := x.failed
	a.c.Start(nil)
	x.release()
	return err
}

// Settle does the same and then what ends a request that was answered.
func (a *Admission) Settle() error {
	x := a.srv.newExchange(&a.ctx, a.c)
	x.runHead()
	err := x.failed
	x.setStatus(200)
	a.c.Settle()
	return err
}

// Answer reads a request and takes it through every stage up to admit, to the
// answer of its refusal and to settle. It is not forwarded.
func (a *Admission) Answer(r *bufio.Reader) (status int, err error) {
	a.ctx.Request.Reset()
	a.ctx.Response.Reset()
	if err := a.ctx.Request.Read(r); err != nil {
		return 0, err
	}
	x := a.srv.newExchange(&a.ctx, a.c)
	x.runHead()
	if x.failed != nil {
		x.respondError(x.failed)
	}
	status = x.status
	a.c.Settle()
	return status, nil
}

// Verify reads a head, as the server does, and takes it through the stages up
// to verify: all that is done before anybody has proved to be somebody.
func (a *Admission) Verify(r *bufio.Reader) error {
	a.ctx.Request.Reset()
	if err := a.ctx.Request.Read(r); err != nil {
		return framingError(err)
	}
	x := a.srv.newExchange(&a.ctx, a.c)
	var err error
	for _, run := range headStages[:3] { // parse, resolve, verify
		if err = run(x); err != nil {
			break
		}
	}
	a.c.Start(nil)
	x.release()
	return err
}

// StatusOf is what a stage's error is answered with.
func StatusOf(err error) int { return asS3(err).Status() }

// FormFieldNames are the fields of a form that have a meaning of their own.
func FormFieldNames() []string { return slices.Sorted(maps.Keys(formFields)) }

// SetNow makes now the clock of a server to be.
func SetNow(c *Config, now func() time.Time) { c.now = now }
