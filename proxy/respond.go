package proxy

import (
	"io"
	"strconv"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

func (x *exchange) setCommonHeaders() {
	h := &x.ctx.Response.Header
	h.SetBytesV("x-amz-request-id", x.id[:])
}

func (x *exchange) setStatus(status int) {
	x.status = status
	// Before a byte of the response moves: a refusal's document is not billed.
	x.reclass()
	x.ctx.Response.SetStatusCode(status)
}

// respondEmpty answers without a body.
func (x *exchange) respondEmpty(status int) {
	x.setCommonHeaders()
	x.setStatus(status)
	x.responded = true
}

// respondXML answers with a document made here; doc must live until settle.
func (x *exchange) respondXML(status int, doc []byte) {
	x.respondEmpty(status)
	x.ctx.Response.Header.SetContentType("application/xml")
	x.tally.DeclaredEgress(int64(len(doc)))
	x.ctx.Response.SetBodyRaw(doc)
}

// unread reports whether more of the request may come than was read of it: then
// the response is the last one of its connection, however small the body
// (docs/decisions/0004).
func (x *exchange) unread(code string) bool {
	switch {
	case !x.headDone, code == "ClientDisconnected", code == "IncompleteBody", code == "RequestTimeout", code == "BadRequest":
		return true // where the next request would begin is not known
	}
	body := x.ctx.RequestBodyStream()
	switch {
	case body == nil:
		return x.framing.expect // the body has not been asked for, or there is none
	case x.ctx.Request.Header.ContentLength() < 0:
		return true // chunked: to ask for the end could wait for it
	}
	_, err := body.Read(nil) // waits for nothing
	return err != io.EOF     // what fasthttp's stream says at its end, unwrapped
}

// respondError ends the request with S3's error document.
func (x *exchange) respondError(err error) {
	if x.ended != nil {
		err, x.ended = x.ended, nil // whatever a stage made of it
	}
	if x.respOpen {
		x.resp.Abort()
	}
	x.finish()
	x.ctx.Response.Reset()
	x.ctx.Response.Header.DisableNormalizing()
	// Nothing is held for a request that is over, however long its client takes
	// to hear that, and to stop.
	x.local = emptied(x.local, keptLocal)
	x.body.doc, x.body.src = nil, nil
	x.held.end()
	e := asS3(err)
	x.fail(e)
	if err := x.chargeError(); err != nil {
		e = asS3(err)
		x.fail(e)
	}
	switch e.Code {
	case "SlowDown", "ServiceUnavailable":
		x.ctx.Response.Header.Set("Retry-After", strconv.Itoa(max(1, e.Retry)))
	}
	if x.unread(e.Code) {
		x.ctx.SetConnectionClose()
		x.conn.Linger()
	}
	for i, v := range x.errorHeaders {
		if len(v) > 0 {
			x.ctx.Response.Header.AddBytesV(x.op.Tells([]byte(errorHeaders[i])).Wire, v)
		}
	}
	if len(x.local) == 0 {
		x.respondEmpty(x.status)
		x.ctx.Response.SkipBody = true
		return
	}
	x.respondXML(x.status, x.local)
}

// fail makes e what the request ends with, and its document, which a HEAD and a 304
// have not, x.local.
func (x *exchange) fail(e *s3err.Error) {
	x.status, x.code, x.cause = e.Status(), e.Code, e.Cause
	x.local = x.local[:0]
	if !x.ctx.IsHead() && x.status != 304 {
		x.local = s3xml.AppendError(x.local, x.errorDocument(e))
	}
}

// errorDocument is what the client is told of an error: nothing of the backend's
// text, which may name buckets, paths or hosts (S3-RULES.md F1, F4).
func (x *exchange) errorDocument(e *s3err.Error) *s3xml.ErrorDocument {
	doc := &s3xml.ErrorDocument{
		Code:      e.Code,
		Message:   e.Text(),
		Resource:  string(x.target.Path),
		Region:    e.Region,
		RequestID: string(x.id[:]),
		HostID:    x.srv.hostID,
		Details:   e.Details,
	}
	x.aboutRequest(e.Code, &doc.Details)
	if x.identity != nil && x.level > 0 {
		doc.BucketName, doc.Key = string(x.bucketName), string(x.key)
	}
	return doc
}

// aboutRequest adds what S3 says of the client's own request with a code
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; the elements are those
// of its answers).
func (x *exchange) aboutRequest(code string, about *s3err.Details) {
	switch code {
	case "NoSuchUpload":
		id, _ := x.param("uploadId")
		about.UploadID = string(id)
	case "MethodNotAllowed":
		about.Method = string(x.req.Method)
		about.ResourceType = [...]string{s3op.Service: "SERVICE", s3op.Bucket: "BUCKET", s3op.Object: "OBJECT"}[x.level]
	case "PreconditionFailed":
		about.Condition = x.failedCondition()
	}
}

// conditions are the headers that 412 may be about, in S3's spelling.
var conditions = [...]struct{ name, told string }{
	{"if-match", "If-Match"}, {"if-unmodified-since", "If-Unmodified-Since"}, {"if-none-match", "If-None-Match"},
	{"x-amz-copy-source-if-match", "x-amz-copy-source-If-Match"}, {"x-amz-copy-source-if-unmodified-since", "x-amz-copy-source-If-Unmodified-Since"},
	{"x-amz-copy-source-if-none-match", "x-amz-copy-source-If-None-Match"}, {"x-amz-copy-source-if-modified-since", "x-amz-copy-source-If-Modified-Since"},
}

// failedCondition is the only one that there is; of several the backend does not say
// which.
func (x *exchange) failedCondition() (told string) {
	for _, c := range conditions {
		if _, asked := x.header(c.name); asked {
			if told != "" {
				return ""
			}
			told = c.told
		}
	}
	return told
}
