package proxy

import (
	"errors"
	"io"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/sigv4"
)

// maxResponseDocument bounds a document that is held whole: 1,000 keys of 1,024
// escaped bytes, twice over.
const maxResponseDocument = 16 << 20

// maxErrorDocument bounds an error document of the backend's.
const maxErrorDocument = 64 << 10

// rewrite turns the backend's response into the client's.
func rewrite(x *exchange) error {
	if x.responded {
		return nil
	}
	if !x.ownStatus(x.resp.Status) {
		return x.backendError()
	}
	if err := x.recheckAt(x.srv.cfg.now(), limits.Download); err != nil {
		return err // the backend may have taken minutes
	}
	r := &x.ctx.Response
	if err := x.copyHeaders(); err != nil {
		return err
	}
	x.setStatus(x.resp.Status)
	if x.reading.ranged && x.status != 206 {
		r.Header.Del("Content-Range") // what was a 206 at the backend
	}
	switch {
	case x.resp.Status == 204, x.resp.Status == 304:
		x.finish()
		return nil
	case x.ctx.IsHead():
		if x.resp.ContentLength < 0 {
			return errNoLength
		}
		r.Header.SetContentLength(int(x.resp.ContentLength))
		r.SkipBody = true
		x.finish()
		return nil
	}
	switch x.op.Response {
	case s3op.Bytes:
		if x.resp.UntilEnd() {
			return errNoLength
		}
		x.tally.DeclaredEgress(max(x.resp.ContentLength, 0))
		r.SetBodyStream(&x.stream, int(x.resp.ContentLength))
		return nil
	case s3op.XML, s3op.JSON:
		return x.handler().response(x)
	}
	x.finish()
	return nil
}

// errNoLength is told when nothing says how long an object is: what breaks off
// would be taken for the whole of it (RFC 9112 section 8).
var errNoLength = &s3err.Error{Code: "ServiceUnavailable", Cause: errors.New("the backend does not say how long the object is")}

// rewritten takes the known elements and maps the names in them. A response of
// unknown length is streamed: the backend sends white space while a long Complete
// or copy works, and the client must see it to stay on the line (S3-RULES.md E8).
func rewritten(a *s3xml.Response) func(*exchange) error {
	return func(x *exchange) error {
		x.ctx.Response.Header.SetContentType("application/xml")
		if x.resp.ContentLength < 0 && !x.op.Idempotent {
			x.stream.response, x.stream.names = a, x.responseNames()
			x.stream.names.Failed = x.failedLate
			x.ctx.Response.SetBodyStream(&x.stream, -1)
			return nil
		}
		doc := x.newDoc(&x.held.response, x.local)
		result, err := s3xml.Rewrite(&doc, io.LimitReader(&x.resp, maxResponseDocument), a, x.responseNames())
		x.local = doc.b
		switch {
		case errors.Is(err, errForeignID), errors.Is(err, opaque.ErrBackendText):
			return &s3err.Error{Code: "InternalError", Cause: err}
		case err != nil:
			return unreadable(err)
		}
		x.finish()
		if result.Error != nil {
			// An error in a 200 or 206 (S3-RULES.md E8, F7).
			return x.documentError(result.Error, x.resp.Status)
		}
		x.tally.DeclaredEgress(int64(len(x.local)))
		x.ctx.Response.SetBodyRaw(x.local)
		return nil
	}
}

// failedLate is the client's error where the response is 200 already.
func (x *exchange) failedLate(e *s3xml.ErrorDocument) *s3xml.ErrorDocument {
	failed := asS3(x.documentError(e, x.resp.Status))
	x.code, x.cause = failed.Code, failed.Cause
	return x.errorDocument(failed)
}

func rewriteLifecycle(x *exchange) error {
	return x.rewriteWhole("application/xml", func(doc []byte) ([]byte, *s3xml.ErrorDocument, error) {
		return s3xml.LifecycleOut(doc, x.uploadRules)
	})
}

func rewritePolicy(x *exchange) error {
	return x.rewriteWhole("application/json", func(doc []byte) ([]byte, *s3xml.ErrorDocument, error) {
		out, err := s3xml.PolicyOut(doc, x.bucket.Name, x.bucket.BackendName)
		return out, nil, err
	})
}

// rewriteWhole answers with a document that is made of the backend's.
func (x *exchange) rewriteWhole(contentType string, out func(doc []byte) ([]byte, *s3xml.ErrorDocument, error)) error {
	doc, err := x.readResponse(maxResponseDocument)
	if err != nil {
		return err
	}
	x.finish()
	if err := x.roomToUnderstand(doc); err != nil {
		return err
	}
	made, failed, err := out(doc)
	switch {
	case errors.Is(err, s3xml.ErrForeignBucket):
		return &s3err.Error{Code: "InternalError", Cause: err}
	case err != nil:
		return unreadable(err)
	case failed != nil:
		return x.documentError(failed, x.resp.Status)
	}
	x.local = made
	x.ctx.Response.Header.SetContentType(contentType)
	x.tally.DeclaredEgress(int64(len(x.local)))
	x.ctx.Response.SetBodyRaw(x.local)
	return nil
}

// responseNames is what names in a response are mapped to.
func (x *exchange) responseNames() *s3xml.Names {
	n := &s3xml.Names{
		Owner:     x.account.CanonicalID,
		OwnerName: x.account.DisplayName,
		Location:  x.location(string(x.key)),
		Seal:      x.sealed,
	}
	if x.bucket != nil {
		n.Bucket = x.bucket.Name
	}
	if v, ok := x.param("uploadId"); ok {
		n.UploadID = string(v)
	}
	if v, ok := x.param("continuation-token"); ok {
		n.Token = string(v)
	}
	return n
}

// location is an object's address as the client reached it.
func (x *exchange) location(key string) string {
	raw, _ := x.header("host")
	b := append([]byte(x.publicScheme()), "://"...)
	b = append(b, raw...)
	if x.host.bucket == nil {
		b = append(b, '/')
		b = append(b, x.bucketName...)
	}
	b = append(b, '/')
	return string(sigv4.AppendEscape(b, []byte(key), true))
}

// finish gives the backend's connection back.
func (x *exchange) finish() {
	x.endLook()
	if x.respOpen {
		x.resp.Close()
		x.respOpen = false
	}
}
