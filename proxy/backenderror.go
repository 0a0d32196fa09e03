package proxy

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// ownStatus reports whether a backend's status is one of the operation's
// successes. Nothing else passes as one: a redirect, or a 202 with somebody's
// page, is no response of S3's.
func (x *exchange) ownStatus(status int) bool {
	switch status {
	case 200:
		return true
	case 204:
		return x.op.Response == s3op.Empty && x.op.Method != "HEAD"
	case 206: // an object's part, or a list whose end is an error (S3-RULES.md F7)
		return x.op.Response == s3op.Bytes || x.op.Response == s3op.XML || x.op.Method == "HEAD"
	case 304:
		return x.op.Response == s3op.Bytes || x.op.Method == "HEAD"
	}
	return false
}

// backendError makes the client's error of the backend's: its code through
// the table, never its text, and never its opinion of our credential.
func (x *exchange) backendError() error {
	status := x.resp.Status
	x.keepErrorHeaders()
	if x.resp.ContentLength == 0 || x.ctx.IsHead() {
		x.resp.Abort()
		return x.statusError(status)
	}
	doc, err := x.readResponse(maxErrorDocument)
	if err != nil {
		return err
	}
	x.finish()
	parsed, err := s3xml.ParseError(doc)
	if err != nil {
		return x.statusError(status)
	}
	if _, known := s3err.OfBackendStatus(status); !known {
		return x.blamed(&faultError{strconv.Itoa(status) + " " + parsed.Code, parsed.Message})
	}
	return x.documentError(parsed, status)
}

// blames reports whether a backend's code is about the gateway that asked: its
// credential, its signature, its clock, the request that it made. The client's
// own was checked here, and had no part in any of that (S3-RULES.md F4).
//
// AccessDenied is both: see mayBeDenied.
func (x *exchange) blames(code string) bool {
	return s3err.AboutGateway(code) || code == "AccessDenied" && !x.mayBeDenied()
}

// mayBeDenied reports whether AccessDenied, or a 403 without a document, can be
// about the client. Our credential is to be let do everything in a backend, so
// that a signed request is denied for three reasons alone: the credential has
// lost a right, the customer's encryption key is not the object's (MinIO and
// S3), or the object is locked (S3, where MinIO says InvalidRequest).
func (x *exchange) mayBeDenied() bool {
	if x.out.payload == nil {
		return true // not signed: the bucket's policy decides
	}
	if x.hasCustomerKey() {
		return true
	}
	if x.minio() || x.bucket == nil || !x.bucket.ObjectLock {
		return false
	}
	return x.op.LockDenies
}

// blamed is the response to the client when the backend complains about us:
// the operator's to mend, and nothing that the account did.
func (x *exchange) blamed(cause *faultError) *s3err.Error {
	if x.blame { // of many entries of a document
		return &s3err.Error{Code: "ServiceUnavailable", Cause: cause}
	}
	x.blame = true
	x.srv.metrics.blamed.Inc()
	x.backend.pool.Blamed()
	x.srv.log.LogAttrs(x.srv.ctx, slog.LevelError, "the backend does not accept the gateway's own request: look at its credential and at both clocks",
		slog.String("request", string(x.id[:])), slog.String("backend", x.backend.of.Name), slog.String("operation", operationName(x.op)),
		slog.String("cause", cause.Error()))
	return &s3err.Error{Code: "ServiceUnavailable", Cause: cause}
}

// documentError makes the client's error of a document that came with the status.
// A code that nobody knows here is known by its status: what the backend takes for
// the client's mistake is not made a failure of ours, which clients would try again
// (S3-RULES.md E7). Inside a response that began as a success there is no status.
func (x *exchange) documentError(e *s3xml.ErrorDocument, status int) error {
	cause := &faultError{e.Code, e.Message}
	if x.blames(e.Code) {
		return x.blamed(cause)
	}
	code, message, known := s3err.OfBackend(e.Code)
	if x.op.CopySource && code == "InvalidRequest" && strings.HasPrefix(e.Message, "This copy request is illegal") {
		message = illegalCopy
	}
	if known {
		return &s3err.Error{Code: code, Message: message, Cause: cause, Details: x.aboutError(code, e)}
	}
	if status >= 400 && status < 500 {
		code, _ := s3err.OfBackendStatus(status)
		return x.byStatus(status, code, cause)
	}
	return &s3err.Error{Code: "InternalError", Cause: cause}
}

// illegalCopy is S3's own sentence, of a copy onto itself.
const illegalCopy = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, " +
	"storage class, website redirect location or encryption attributes."

// aboutError is what S3 says with a code beside its sentence: what was asked for is
// the client's own word, numbers are the backend's.
func (x *exchange) aboutError(code string, e *s3xml.ErrorDocument) (about s3err.Details) {
	switch code {
	case "InvalidRange":
		asked, _ := x.header("range")
		about.RangeRequested, about.ActualObjectSize = string(asked), digits(e.ActualObjectSize)
		if about.ActualObjectSize == "" { // "bytes */<size>", RFC 9110 section 14.4
			_, size, _ := bytes.Cut(x.resp.Header("content-range"), []byte("*/"))
			about.ActualObjectSize = digits(string(size))
		}
	case "InvalidPartNumber":
		asked, _ := x.param("partNumber")
		about.PartRequested, about.ActualPartCount = string(asked), digits(e.ActualPartCount)
	}
	return about
}

// digits is s when it is a number.
func digits(s string) string {
	if _, ok := s3op.Decimal([]byte(s)); !ok {
		return ""
	}
	return s
}

// statusError is for answers without a document.
func (x *exchange) statusError(status int) error {
	cause := &faultError{strconv.Itoa(status), "no document"}
	said, known := s3err.OfBackendStatus(status)
	if b := x.resp.Header("x-minio-error-code"); len(b) > 0 { // MinIO's word to HEAD
		said = string(b)
		cause.message = "no document, " + said
	}
	if !known {
		return x.blamed(cause)
	}
	if status == 404 && x.out.method != "HEAD" && !x.blames(said) {
		// S3 says with a document what is not there. This is somebody's page: a
		// client that took it for a response would think that its objects are gone.
		return &s3err.Error{Code: "ServiceUnavailable", Cause: cause}
	}
	return x.byStatus(status, said, cause)
}

// byStatus is the error that a status stands for; said is what the backend called it.
func (x *exchange) byStatus(status int, said string, cause *faultError) error {
	if x.blames(said) {
		return x.blamed(cause)
	}
	code, _ := s3err.OfBackendStatus(status)
	return &s3err.Error{Code: code, Cause: cause}
}
