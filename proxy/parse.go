package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

// framing is what the head says of the body, taken from the raw head so that
// nothing the HTTP library tidied away is missed.
type framing struct {
	length  int64 // Content-Length; -1 absent
	chunked bool
	expect  bool
}

// parse reads the raw head once: headers, target, host, bucket, key and
// operation. Everything later works on what it found. It runs before anybody
// has proved to be somebody: what it costs is bounded by sigv4.MaxHeaders and
// sigv4.MaxParams, whatever the head has (docs/decisions/0021).
func parse(x *exchange) error {
	h := &x.ctx.Request.Header
	if err := x.parseHeaders(h.RawHeaders()); err != nil {
		return err
	}
	x.remote = x.clientAddr()
	if p := h.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return s3err.New("BadRequest", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
	}
	if err := x.checkFraming(); err != nil {
		return err
	}
	if err := x.target.Parse(h.RequestURI()); err != nil {
		return err
	}
	x.req = sigv4.Request{Method: h.Method(), Target: &x.target, Headers: x.headers}
	if err := x.hoist(); err != nil {
		return err
	}
	if err := x.parseHost(); err != nil {
		return err
	}
	if err := x.resolveDomain(x.srv.ctx); err != nil {
		return err
	}
	if err := x.splitPath(); err != nil {
		return err
	}
	return x.classify()
}

// parseHeaders splits the raw head into lines. Folded lines are refused
// (RFC 9112 section 5.2 lets a server do so), as are names that are no tokens
// and lines that do not end in CR LF: section 2.2 lets a recipient take a bare
// LF for one, and who stands in front may not.
func (x *exchange) parseHeaders(raw []byte) error {
	x.framing = framing{length: -1}
	if bare, known := x.conn.BareLF(x.ctx.Method(), x.ctx.Request.Header.RequestURI()); bare {
		return errBareLF
	} else if !known {
		return &s3err.Error{Code: "SlowDown", Message: "Send the request again, when the answer to the one before has come.", Retry: 1}
	}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		line, ended := bytes.CutSuffix(line, []byte{'\r'})
		if !ended {
			return errBareLF
		}
		if len(line) == 0 {
			break
		}
		if len(x.headers) == sigv4.MaxHeaders {
			return errManyHeaders
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || len(name) == 0 || name[0] == ' ' || name[0] == '\t' {
			return s3err.New("BadRequest", "A header line of the request is not well-formed.")
		}
		n := len(x.names)
		for _, c := range name {
			if !isToken(c) {
				return s3err.New("BadRequest", "A header name of the request has an invalid character.")
			}
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			x.names = append(x.names, c)
		}
		value = bytes.Trim(value, " \t")
		if hasControl(value) {
			return s3err.New("BadRequest", "A header value of the request has a control character.")
		}
		x.headers = append(x.headers, sigv4.Header{Name: x.names[n:len(x.names):len(x.names)], Value: value})
	}
	return nil
}

var (
	errBareLF      = s3err.New("BadRequest", "A line of the request's head does not end in CR LF.")
	errManyHeaders = &s3err.Error{Code: "RequestHeaderSectionTooLarge", Message: "The request has more than 256 header lines."}
	errRepeated    = s3err.New("InvalidArgument", "A header that may come only once was repeated.")
	errTwoWays     = s3err.New("InvalidArgument", "A header was sent as a header and as a query parameter; send it once.")
)

// singletonHeaders are the headers that may come once only, beside those of S3: a second
// one would let two readers see two requests.
var singletonHeaders = map[string]struct{}{
	"host": {}, "content-length": {}, "transfer-encoding": {}, "expect": {}, "content-type": {}, "range": {},
	"authorization": {}, "content-md5": {}, "if-match": {}, "if-none-match": {}, "if-range": {}, "if-modified-since": {}, "if-unmodified-since": {}, "expires": {},
}

// once reports whether a header may come only once. What S3 acts on may, but
// for lists of things: one reader would take the first line of two, the other
// the last, or both.
func once(name []byte) bool {
	if !bytes.HasPrefix(name, amzPrefix) {
		_, ok := singletonHeaders[string(name)]
		return ok
	}
	switch string(name) {
	case "x-amz-object-attributes", "x-amz-optional-object-attributes", "x-amz-user-agent", "x-amz-te":
		return false
	}
	return !bytes.HasPrefix(name, metaPrefix)
}

// hoist appends the headers that a presigner moved into the query to those that
// are lines (S3-RULES.md B25). This is the one list of what the client asks for:
// whoever wants to know a header reads it, and sees it in whatever way and case it
// came. What was signed as a header are the lines alone.
func (x *exchange) hoist() error {
	lines := len(x.headers)
	for i := range x.target.Query {
		p := &x.target.Query[i]
		if !s3op.Hoisted(p.Name) {
			continue
		}
		if !isTokens(p.Name) {
			return s3err.New("InvalidArgument", "The name of a query parameter has an invalid character.")
		}
		if hasControl(p.Value) {
			return errControl
		}
		n := len(x.names)
		x.names = appendLower(x.names, p.Name)
		name := x.names[n:len(x.names):len(x.names)]
		h := s3op.LookupHeader(name)
		switch {
		case string(name) == "x-amz-security-token":
			continue // refused with its own error, wherever it stands
		case !h.Hoistable && h.Treatment != s3op.Decline:
			return s3err.New("InvalidArgument", "This header may not be sent as a query parameter.")
		case has(x.headers[:lines], name):
			return errTwoWays
		}
		x.headers = append(x.headers, sigv4.Header{Name: name, Value: bytes.Trim(p.Value, " \t")})
	}
	return nil
}

func has(headers []sigv4.Header, name []byte) bool {
	for i := range headers {
		if bytes.Equal(headers[i].Name, name) {
			return true
		}
	}
	return false
}

func (x *exchange) checkFraming() error {
	for i := range x.headers {
		name, value := x.headers[i].Name, x.headers[i].Value
		if once(name) && has(x.headers[:i], name) {
			return errRepeated
		}
		switch string(name) {
		case "content-length":
			n, ok := s3op.Decimal(value)
			if !ok {
				return s3err.New("BadRequest", "Content-Length is not a decimal number.")
			}
			x.framing.length = n
		case "transfer-encoding":
			if !equalFold(value, "chunked") {
				return s3err.New("NotImplemented", "Only the chunked transfer coding is supported.")
			}
			x.framing.chunked = true
		case "expect":
			if len(value) == 0 {
				continue // how libcurl is kept from expecting something
			}
			if !equalFold(value, "100-continue") {
				return &s3err.Error{Code: "ExpectationFailed"}
			}
			x.framing.expect = true
		case "connection":
			if err := x.checkConnection(value); err != nil {
				return err
			}
		}
	}
	if x.framing.chunked && x.framing.length >= 0 {
		return s3err.New("BadRequest", "Content-Length and Transfer-Encoding exclude each other.")
	}
	return nil
}

const mostConnectionElements = 16

// hopByHop are what Connection may name: ways to use the connection, and headers
// that are about it and nothing else. libcurl offers HTTP/2 with "Upgrade,
// HTTP2-Settings", Apache's client TLS with "Upgrade"; a server may read over the
// offer (RFC 9110 section 7.8), and this one does. Upgrade is never forwarded.
var hopByHop = map[string]struct{}{
	"keep-alive": {}, "close": {}, "te": {}, "upgrade": {}, "http2-settings": {}, "proxy-connection": {},
}

// checkConnection refuses a Connection header that names a header which
// matters: an intermediary would take it away, and what was signed would not
// be what was sent (S3-RULES.md C6).
//
// Empty elements of a list are read over, in a reasonable number (RFC 9110
// section 5.6.1).
func (x *exchange) checkConnection(value []byte) error {
	for n := 0; len(value) > 0; n++ {
		if n == mostConnectionElements {
			return s3err.New("BadRequest", "Connection has too many elements.")
		}
		token, rest, _ := bytes.Cut(value, []byte{','})
		value = rest
		token = bytes.Trim(token, " \t")
		if len(token) == 0 {
			continue
		}
		var lower [len("proxy-connection")]byte // the longest that is known
		if len(token) <= len(lower) {
			if _, ok := hopByHop[string(appendLower(lower[:0], token))]; ok {
				continue
			}
		}
		return s3err.New("BadRequest", "Connection names a header that must not be dropped on the way.")
	}
	return nil
}

// splitPath finds bucket and key in the decoded path.
func (x *exchange) splitPath() error {
	path := x.target.Path[1:]
	if x.host.bucket != nil {
		x.bucketName, x.key = x.host.bucket, path
	} else {
		name, key, more := bytes.Cut(path, []byte{'/'})
		x.bucketName, x.key = name, key
		if len(name) == 0 && more {
			return &s3err.Error{Code: "InvalidBucketName"}
		}
	}
	switch {
	case len(x.bucketName) == 0:
		x.level = s3op.Service
		return nil
	case len(x.key) == 0:
		x.level = s3op.Bucket
	default:
		x.level = s3op.Object
		if err := checkKey(x.key); err != nil {
			return err
		}
	}
	if !validBucketName(x.bucketName) {
		return &s3err.Error{Code: "InvalidBucketName"}
	}
	return nil
}

func (x *exchange) classify() error {
	if string(x.req.Method) == fasthttp.MethodOptions {
		return errPreflight
	}
	_, copies := x.header("x-amz-copy-source")
	op, refusal := s3op.Classify(x.req.Method, x.level, x.target.Query, copies)
	if refusal != nil {
		return refusal
	}
	x.op = op
	if err := x.checkValues(); err != nil {
		return err
	}
	return x.checkHeaders()
}

// errPreflight answers a CORS preflight: no bucket has CORS rules, and MinIO's
// own answer, which lets every origin in with credentials, must not get out
// (S3-RULES.md F6).
var errPreflight error = &s3err.Error{Code: "AccessForbidden"}

// checkHeaders holds every header against the operation's row (S3-RULES.md C10, D3).
func (x *exchange) checkHeaders() error {
	for i := range x.headers {
		if err := x.checkHeader(x.headers[i].Name, x.headers[i].Value); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) checkHeader(name, value []byte) error {
	return x.checkHeaderOf(x.op.Headers, name, value)
}

// checkHeaderOf is for one that may be of the groups.
func (x *exchange) checkHeaderOf(groups s3op.Group, name, value []byte) error {
	h := s3op.LookupHeader(name)
	switch {
	case h.AsksNothing(value):
		return nil
	case h.Treatment == s3op.Decline:
		return s3err.New("NotImplemented", h.Message)
	}
	amz := bytes.HasPrefix(name, amzPrefix)
	other := h.Group != 0 && h.Group&groups == 0
	if amz && other && !h.IgnoredBy(x.op.Method) {
		return s3err.New("InvalidRequest", "The request has an x-amz- header that this operation does not take.")
	}
	// That a key of a key management service is wanted is refused wherever it is said.
	if amz && other && h.Elsewhere != s3op.IgnoredByWrites {
		return nil
	}
	if refusal := s3op.CheckValue(name, value); refusal != nil {
		return refusal
	}
	switch string(name) {
	case "x-amz-acl":
		if len(value) > 0 && !equalFold(value, "private") && !equalFold(value, "bucket-owner-full-control") {
			return s3err.New("NotImplemented", "Access control lists beyond \"private\" are not supported; "+
				"use access keys with fewer rights, or a bucket policy that lets everyone read.")
		}
	case "x-amz-object-ownership":
		if string(value) != "BucketOwnerEnforced" {
			return s3err.New("NotImplemented", "Object ownership is always BucketOwnerEnforced.")
		}
	case "x-amz-transition-default-minimum-object-size":
		if string(value) != transitionDefault {
			return s3err.New("NotImplemented", "Lifecycle transitions are not supported, so that no object is too small for one; "+
				"leave x-amz-transition-default-minimum-object-size out, or say "+transitionDefault+".")
		}
	case "x-amz-server-side-encryption":
		if string(value) != "AES256" {
			return s3err.New("NotImplemented", "Keys of a key management service are not supported; use AES256.")
		}
	case "expires":
		if !other && len(value) > 0 && !keptDate(value) {
			return s3err.New("NotImplemented", "Expires is kept only when it is an HTTP-date, as in \"Wed, 21 Oct 2037 07:28:00 GMT\"; use Cache-Control for anything else.")
		}
	case "if-match":
		// Open-source MinIO deletes in spite of a wrong If-Match (S3-RULES.md E5).
		if x.op.Method == fasthttp.MethodDelete {
			return s3err.New("NotImplemented", "Conditional deletes are not supported; delete without If-Match.")
		}
	case "range":
		if _, part := x.param("partNumber"); part && x.op.Headers&s3op.Range != 0 {
			return s3err.New("InvalidRequest", "Cannot specify both Range header and partNumber query parameter.")
		}
	case "x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key":
		if !x.conn.TLS() {
			return s3err.New("InvalidRequest", "Requests with customer-provided encryption keys must be made over TLS.")
		}
	}
	return nil
}

// keptDate reports whether an Expires is told as it was sent. S3 tells any text;
// MinIO stores it, and tells it when it is a date.
func keptDate(value []byte) bool {
	at, err := http.ParseTime(string(value))
	return err == nil && at.UTC().Format(http.TimeFormat) == string(value)
}

var amzPrefix = []byte("x-amz-")

// The classes of heads and bodies that fasthttp could not read. Its own errors
// stay here: they quote what they could not read, and the log may not.
var (
	errHeadLong  = errors.New("proxy: the head is longer than the bound")
	errHeadSlow  = errors.New("proxy: the head did not come in time")
	errHeadBad   = errors.New("proxy: the head, or the framing of the body, is not HTTP/1.1")
	errHeadShort = errors.New("proxy: the connection ended inside of the head")
)

// framingError turns fasthttp's errors about a head it could not read into S3's.
func framingError(err error) error {
	var (
		small *fasthttp.ErrSmallBuffer
		nerr  net.Error
	)
	switch {
	case errors.As(err, &small):
		return &s3err.Error{Code: "RequestHeaderSectionTooLarge", Cause: errHeadLong}
	case errors.As(err, &nerr) && nerr.Timeout():
		return &s3err.Error{Code: "RequestTimeout", Cause: errHeadSlow}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &s3err.Error{Code: "BadRequest", Cause: errHeadShort}
	}
	return &s3err.Error{Code: "BadRequest", Cause: errHeadBad}
}
