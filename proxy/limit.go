package proxy

import (
	"bytes"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// limit asks for the request's grant, once: before a byte of its body is asked
// for, or, when an earlier stage refused it with an answer that is billed, then.
// An account that was named but not proved is not charged, nor limited.
func (x *exchange) limit(stores int64) error {
	if x.limited || x.srv.cfg.Limiter == nil || x.account == nil || x.op == nil || x.identity == nil && x.bucket == nil {
		return nil
	}
	x.limited = true
	return x.srv.cfg.Limiter.Admit(x.srv.ctx, &x.grant, limits.Request{
		Account: x.account, Key: x.identity, Class: x.op.Class,
		Upload: max(x.length, 0), Stores: stores, Download: x.op.Answer != s3op.Empty && x.op.Method != "HEAD",
	})
}

// stores is how many bytes the request's body will keep. A copy has none: its
// source is looked at in forward.
func (x *exchange) stores() int64 {
	if x.op.Body == s3op.Stream {
		return x.length
	}
	return 0
}

// reserve is the stage that takes the answer's body from the egress budgets,
// and the memory that it holds meanwhile from the node's, before its first byte
// is sent: what does not fit is not begun.
func reserve(x *exchange) error {
	r := &x.ctx.Response
	if n := cap(x.local); n > keptLocal {
		// Whoever made it: it is held until the client has taken it.
		if err := x.held.answer.cover(x.srv.documents, x.holder(), int64(n)); err != nil {
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

// settleLimits gives back what the request did not use.
func (x *exchange) settleLimits() {
	x.grant.Settle(limits.Outcome{
		Billed: x.billed(), Sent: x.conn.sent, Received: x.received,
		// After a lost answer the object may be there, unless it, or its end, was kept back here.
		Stored: x.status < 400 || (x.status == 499 || x.status >= 500) && x.sent && x.received == x.length && x.body.err == nil,
	})
}

// Ingress counts body bytes that came from the client.
func (x *exchange) Ingress(n int64) {
	x.received += n
	x.tally.Ingress(n)
}

// admitCopy finds the length of a copy's source, which counts against a hard
// storage quota as an upload does (S3-RULES.md D2). What was looked at is what
// is copied: the copy is bound to the source's ETag, so that an object which is
// put in its place in between is none; when the look found nothing to copy, to
// one that nothing has, so that the backend says why.
func (x *exchange) admitCopy() error {
	if !x.op.CopySource || !x.grant.Hard(tenancy.Storage) {
		return nil
	}
	if v, ok := x.header("x-amz-copy-source-range"); ok { // of parts only, and well-formed: parse
		n, _ := s3op.CopyLength(v)
		return x.grant.Store(x.srv.ctx, n)
	}
	x.prepareHead()
	if err := x.send(nil); err != nil {
		return err
	}
	status, n, etag := x.resp.Status, x.resp.ContentLength, x.keep(x.resp.Header("etag"))
	x.finish()
	if status >= 500 || status == 429 || status == 408 || status == 499 {
		return x.statusError(status) // it has not looked
	}
	x.copyOf = noETag
	if status != 200 || n < 0 || len(etag) == 0 {
		return nil
	}
	x.copyOf = etag
	return x.grant.Store(x.srv.ctx, n)
}

// prepareHead asks about the source of a copy.
func (x *exchange) prepareHead() {
	x.out.set("HEAD", x.source.bucket.BackendName, x.source.key)
	x.out.payload = emptySHA256
	if x.source.versionID != nil {
		x.out.param(paramVersionID, x.source.versionID)
	}
	for i := range x.headers {
		h := &x.headers[i]
		if rest, ok := bytes.CutPrefix(h.Name, copySourceCustomerKey); ok {
			x.out.header(append(x.keepString("x-amz-server-side-encryption-customer-"), rest...), h.Value)
		}
		if rest, ok := bytes.CutPrefix(h.Name, copySourceCondition); ok {
			x.out.header(append(x.keepString("if-"), rest...), h.Value)
		}
	}
}

// errChanged is told when the source of a copy was replaced while it was copied.
var errChanged error = &s3err.Error{Code: "OperationAborted"}

// copied looks at the answer to a copy that was bound to an ETag the client
// has not asked for. What the client has asked for held when its source was
// looked at, or that look found something else than an object.
func (x *exchange) copied() error {
	if x.resp.Status != 412 || x.copyOf == nil {
		return nil
	}
	nothing := bytes.Equal(x.copyOf, noETag) // and then the client's own conditions may be why
	for i := range x.headers {
		name := x.headers[i].Name
		if bytes.Equal(name, hdrCopySourceIfMatch) || nothing && bytes.HasPrefix(name, copySourceCondition) {
			return nil
		}
	}
	x.finish()
	return errChanged
}

var (
	paramVersionID        = []byte("versionId")
	copySourceCondition   = []byte("x-amz-copy-source-if-")
	hdrCopySourceIfMatch  = []byte("x-amz-copy-source-if-match")
	noETag                = []byte(`"none"`)
	copySourceCustomerKey = []byte("x-amz-copy-source-server-side-encryption-customer-")
)
