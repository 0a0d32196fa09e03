package proxy

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// ownStatus reports whether a backend's status is one of the operation's
// successes. Nothing else passes as one: a redirect, or a 202 with somebody's
// page, is no answer of S3's.
func (x *exchange) ownStatus(status int) bool {
	switch status {
	case 200:
		return true
	case 204:
		return x.op.Answer == s3op.Empty && x.op.Method != "HEAD"
	case 206: // an object's part, or a list whose end is an error (S3-RULES.md F7)
		return x.op.Answer == s3op.Bytes || x.op.Answer == s3op.XML || x.op.Method == "HEAD"
	case 304:
		return x.op.Answer == s3op.Bytes || x.op.Method == "HEAD"
	}
	return false
}

// errorStatuses are those that S3 refuses an operation with
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html), the ones of
// a proxy in front of a backend that is away, and MinIO's for a lock that it
// waited for too long (408), for what it gave up (499) and for disks that are
// full (507; cmd/api-errors.go). Of the others none is about the
// request that the client made: 401 and 407 want a credential of ours, 411 is
// about our framing, 3xx sends us elsewhere.
var errorStatuses = map[int]string{ // the code of an answer without a document: to HEAD above all
	400: "InvalidRequest", 403: "AccessDenied", 404: "NotFound", 405: "MethodNotAllowed", 408: "ServiceUnavailable", 409: "OperationAborted",
	412: "PreconditionFailed", 416: "InvalidRange", 429: "SlowDown", 499: "ServiceUnavailable", 500: "InternalError", 501: "NotImplemented",
	502: "ServiceUnavailable", 503: "ServiceUnavailable", 504: "ServiceUnavailable", 507: "ServiceUnavailable",
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
	doc, err := x.readAnswer(maxErrorDocument)
	if err != nil {
		return err
	}
	x.finish()
	parsed, err := s3xml.ParseError(doc)
	if err != nil {
		return x.statusError(status)
	}
	if _, known := errorStatuses[status]; !known {
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
	return ourFault[code] || code == "AccessDenied" && !x.mayBeDenied()
}

// ourFault are MinIO's (cmd/api-errors.go) and S3's codes of that kind.
// InvalidObjectState is not among them, though a 403 too: it is about the
// object. A lock that protects an object is 400 InvalidRequest in MinIO.
var ourFault = map[string]bool{
	"AccountProblem": true, "AllAccessDisabled": true, "AuthorizationHeaderMalformed": true, "AuthorizationParametersError": true,
	"AuthorizationQueryParametersError": true, "CredentialsNotSupported": true, "ExpiredToken": true, "InvalidAccessKeyId": true, "InvalidPayer": true, "InvalidSecurity": true,
	"InvalidToken": true, "InvalidTokenId": true, "MalformedDate": true, "MissingAuthenticationToken": true, "MissingContentLength": true,
	"MissingFields": true, "MissingHeaders": true, "MissingRequestBodyError": true, "MissingSecurityHeader": true, "NotSignedUp": true,
	"PermanentRedirect": true, "Redirect": true, "RequestExpired": true, "RequestTimeTooSkewed": true, "SignatureDoesNotMatch": true,
	"TemporaryRedirect": true, "TokenRefreshRequired": true, "UnauthorizedAccess": true, "XMinioAdminNoSuchUser": true,
	"XMinioInvalidIAMCredentials": true,
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

// blamed is the answer to the client when the backend complains about us:
// the operator's to mend, and nothing that the account did.
func (x *exchange) blamed(cause *faultError) *s3Error {
	if x.blame { // of many entries of a document
		return &s3Error{code: "ServiceUnavailable", cause: cause}
	}
	x.blame = true
	x.srv.metrics.blamed.Inc()
	x.srv.log.LogAttrs(x.srv.ctx, slog.LevelError, "the backend does not accept the gateway's own request: look at its credential and at both clocks",
		slog.String("request", string(x.id[:])), slog.String("backend", x.backend.of.Name), slog.String("operation", operationName(x.op)),
		slog.String("cause", cause.Error()))
	return &s3Error{code: "ServiceUnavailable", cause: cause}
}

// documentError makes the client's error of a document that came with the status.
// A code that nobody knows here is known by its status: what the backend takes for
// the client's mistake is not made a failure of ours, which clients would try again
// (S3-RULES.md E7). Inside an answer that began as a success there is no status.
func (x *exchange) documentError(e *s3xml.Error, status int) error {
	cause := &faultError{e.Code, e.Message}
	if x.blames(e.Code) {
		return x.blamed(cause)
	}
	code, message, ok := s3xml.MapCode(e.Code)
	if x.op.CopySource && code == "InvalidRequest" && strings.HasPrefix(e.Message, "This copy request is illegal") {
		message = illegalCopy
	}
	if _, known := codes[code]; ok && known {
		return &s3Error{code: code, message: message, cause: cause, about: x.aboutError(code, e)}
	}
	if status >= 400 && status < 500 {
		return x.byStatus(status, errorStatuses[status], cause)
	}
	return &s3Error{code: "InternalError", cause: cause}
}

// illegalCopy is S3's own sentence, of a copy onto itself.
const illegalCopy = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, " +
	"storage class, website redirect location or encryption attributes."

// aboutError is what S3 says with a code beside its sentence: what was asked for is
// the client's own word, numbers are the backend's.
func (x *exchange) aboutError(code string, e *s3xml.Error) (about s3xml.About) {
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
	said, known := errorStatuses[status]
	if b := x.resp.Header("x-minio-error-code"); len(b) > 0 { // MinIO's word to HEAD
		said = string(b)
		cause.message = "no document, " + said
	}
	if !known {
		return x.blamed(cause)
	}
	if status == 404 && x.out.method != "HEAD" && !x.blames(said) {
		// S3 says with a document what is not there. This is somebody's page: a
		// client that took it for an answer would think that its objects are gone.
		return &s3Error{code: "ServiceUnavailable", cause: cause}
	}
	return x.byStatus(status, said, cause)
}

// byStatus is the error that a status stands for; said is what the backend called it.
func (x *exchange) byStatus(status int, said string, cause *faultError) error {
	if x.blames(said) {
		return x.blamed(cause)
	}
	return &s3Error{code: errorStatuses[status], cause: cause}
}
