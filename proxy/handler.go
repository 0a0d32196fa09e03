package proxy

import (
	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// A stage fills its part of x or returns the error that ends the request.
type stage func(x *exchange) error

// The stages run in this order for every request; none can be skipped by a
// flag. Those of the head run before the body is asked for, inside the Expect
// handler when the client waits for permission to send it; the last of the body's
// comes before the first byte of the response. settle comes after them, when the
// response has reached the socket or has failed: Server.connState sees that.
var (
	headStages = [...]stage{parse, resolve, verify, authorize, admit}
	bodyStages = [...]stage{forward, rewrite, reserve}
)

// expect runs the stages before the body for a request with
// Expect: 100-continue, so that a refused upload costs no bytes. fasthttp
// calls it instead of handle when the response is not 100.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	c, _ := connOf(ctx)
	x := s.newExchange(ctx, c)
	x.runHead()
	if x.failed == nil {
		x.conn.WithholdContinue(x.op.Body == s3op.Form)
		return fasthttp.StatusContinue
	}
	x.respondError(x.failed)
	return ctx.Response.StatusCode()
}

// serve answers a request, of S3 or for the health of this node.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	if !s.answerHealth(ctx) {
		s.handle(ctx)
	}
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
}

func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x, fresh := s.current(ctx)
	if fresh {
		x.runHead()
	}
	if x.failed != nil {
		x.respondError(x.failed)
		return
	}
	for _, run := range bodyStages {
		if err := run(x); err != nil {
			x.respondError(err)
			return
		}
	}
}

// malformed answers what fasthttp could not read as a request, or a body that
// did not come after 100 Continue: that request has begun, and ends here.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	x, _ := s.current(ctx)
	x.respondError(framingError(err))
}

// current returns the request that expect has begun on the connection, or a new one,
// of which nothing has run: then it is fresh.
func (s *Server) current(ctx *fasthttp.RequestCtx) (x *exchange, fresh bool) {
	c, x := connOf(ctx)
	if x == nil || !x.headDone {
		return s.newExchange(ctx, c), true
	}
	c.Start(x) // 100 Continue was no response
	return x, false
}

// runHead runs the stages before the body. The first error is x.failed.
func (x *exchange) runHead() {
	x.headDone = true
	for _, run := range headStages {
		if x.failed = run(x); x.failed != nil {
			break
		}
	}
	x.recordRequest()
}
