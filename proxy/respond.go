package proxy

import (
	"strconv"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

func (x *exchange) setCommonHeaders() {
	h := &x.ctx.Response.Header
	h.SetBytesV("x-amz-request-id", x.id[:])
}

func (x *exchange) setStatus(status int) {
	x.status = status
	// Before a byte of the answer moves: a refusal's document is not billed.
	x.tally.Reclass(x.op.Counted(x.caller(), status))
	x.ctx.Response.SetStatusCode(status)
}

// respondEmpty answers without a body.
func (x *exchange) respondEmpty(status int) {
	x.setCommonHeaders()
	x.setStatus(status)
	x.answered = true
}

// respondXML answers with a document made here; doc must live until settle.
func (x *exchange) respondXML(status int, doc []byte) {
	x.respondEmpty(status)
	x.ctx.Response.Header.SetContentType("application/xml")
	x.tally.DeclaredEgress(int64(len(doc)))
	x.ctx.Response.SetBodyRaw(doc)
}

// respondError ends the request with S3's error document.
func (x *exchange) respondError(err error) {
	e := asS3(err)
	status := e.status()
	x.status, x.code, x.cause = status, e.code, e.cause
	x.meter()
	if x.responded {
		x.resp.Abort()
		x.finish()
	}
	if x.billed() {
		if err := x.limit(0); err != nil {
			x.respondError(err) // unbilled, so that this ends here
			return
		}
	}
	x.ctx.Response.Reset()
	x.ctx.Response.Header.DisableNormalizing()
	// Nothing is held for a request that is over, however long its client takes
	// to hear that, and to stop.
	x.local = emptied(x.local, keptLocal)
	x.body.doc, x.body.src = nil, nil
	x.held.end()
	switch e.code {
	case "SlowDown", "ServiceUnavailable":
		x.ctx.Response.Header.Set("Retry-After", strconv.Itoa(max(1, e.retry)))
	case "ClientDisconnected", "IncompleteBody", "RequestTimeout", "BadRequest", "RequestHeaderSectionTooLarge":
		// Where the next request would begin is not known.
		x.ctx.SetConnectionClose()
	}
	x.conn.linger.Store(x.framing.length > 0 || x.framing.chunked)
	for i, v := range x.errorHeaders {
		if len(v) > 0 {
			x.ctx.Response.Header.AddBytesV(passed[errorHeaders[i]], v)
		}
	}
	if x.framing.expect || x.framing.chunked {
		x.ctx.SetConnectionClose()
	}
	if x.ctx.IsHead() || status == 304 {
		x.respondEmpty(status)
		x.ctx.Response.SkipBody = true
		return
	}
	doc := s3xml.Error{
		Code:      e.code,
		Message:   e.text(),
		Resource:  string(x.target.Path),
		Region:    e.region,
		RequestID: string(x.id[:]),
		HostID:    x.srv.hostID,
	}
	if x.identity != nil && x.level > 0 {
		doc.BucketName, doc.Key = string(x.bucketNm), string(x.key)
	}
	x.local = s3xml.AppendError(x.local[:0], &doc)
	if x.billed() {
		if err := x.grant.Answer(x.srv.ctx, int64(len(x.local))); err != nil {
			x.respondError(err)
			return
		}
	}
	x.respondXML(status, x.local)
}
