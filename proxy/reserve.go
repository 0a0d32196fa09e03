package proxy

// reserve is the stage that takes the response's body from the egress budgets,
// and the memory that it holds meanwhile from the node's, before its first byte
// is sent: what does not fit is not begun.
func reserve(x *exchange) error {
	r := &x.ctx.Response
	if n := cap(x.local); n > keptLocal {
		// Whoever made it: it is held until the client has taken it.
		if err := x.held.response.cover(x.srv.documents, x.holder(), int64(n)); err != nil {
			return err
		}
	}
	if !x.billed() || r.SkipBody {
		return nil
	}
	if !r.IsBodyStream() { // else Body would read it whole
		return x.grant.Answer(x.srv.ctx, int64(len(r.Body())))
	}
	n := x.resp.ContentLength
	if n < 0 {
		// A document of unknown length is small: what it has beyond this is
		// taken when it is settled.
		n = 16 << 10
	}
	return x.grant.Answer(x.srv.ctx, n)
}
