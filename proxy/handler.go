package proxy

import (
	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// A stage fills its part of x or returns the error that ends the request.
type stage func(x *exchange) error

// The stages run in this order for every request; none can be skipped by a
// flag. Those of before run ahead of the body, inside the Expect handler when
// the client waits for permission to send it; the last of after comes before the
// first byte of the answer.
var (
	before = [...]stage{parse, resolve, verify, authorize, admit}
	after  = [...]stage{forward, rewrite, reserve}
)

// expect runs the stages before the body for a request with
// Expect: 100-continue, so that a refused upload costs no bytes. fasthttp
// calls it instead of handle when the answer is not 100.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	x := s.begin(ctx)
	if x.failed == nil {
		x.conn.WithholdContinue(x.op.Body == s3op.Form)
		return fasthttp.StatusContinue
	}
	x.respondError(x.failed)
	return ctx.Response.StatusCode()
}

func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	_, x := connOf(ctx)
	if x == nil || !x.begun {
		x = s.begin(ctx)
	} else {
		x.conn.Start(x) // 100 Continue was no answer
	}
	if x.failed != nil {
		x.respondError(x.failed)
		return
	}
	for _, run := range after {
		if err := run(x); err != nil {
			x.respondError(err)
			return
		}
	}
}

func (s *Server) begin(ctx *fasthttp.RequestCtx) *exchange {
	c, _ := connOf(ctx)
	x := s.newExchange(ctx, c)
	x.begun = true
	for _, run := range before {
		if err := run(x); err != nil {
			x.failed = err
			break
		}
	}
	x.noteHead()
	return x
}

// malformed answers what fasthttp could not read as a request, or a body that
// did not come after 100 Continue: that request has begun, and ends here.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	c, x := connOf(ctx)
	if x == nil || !x.begun {
		x = s.newExchange(ctx, c)
	} else {
		x.conn.Start(x)
	}
	x.respondError(framingError(err))
}
