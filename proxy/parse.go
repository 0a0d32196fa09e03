package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"

	"github.com/valyala/fasthttp"

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
// operation. Everything later works on what it found.
func parse(x *exchange) error {
	h := &x.ctx.Request.Header
	if err := x.parseHeaders(h.RawHeaders()); err != nil {
		return err
	}
	x.remote = x.clientAddr()
	if p := h.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return refuse("BadRequest", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
	}
	if err := x.checkFraming(); err != nil {
		return err
	}
	if err := x.target.Parse(h.RequestURI()); err != nil {
		return err
	}
	x.req = sigv4.Request{Method: h.Method(), Target: &x.target, Headers: x.headers}
	if err := x.parseHost(); err != nil {
		return err
	}
	if err := x.splitPath(); err != nil {
		return err
	}
	return x.classify()
}

// parseHeaders splits the raw head into lines. Folded lines are refused
// (RFC 9112 section 5.2 lets a server do so), as are names that are no tokens.
func (x *exchange) parseHeaders(raw []byte) error {
	x.framing = framing{length: -1}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || len(name) == 0 || name[0] == ' ' || name[0] == '\t' {
			return refuse("BadRequest", "A header line of the request is not well-formed.")
		}
		n := len(x.names)
		for _, c := range name {
			if !isToken(c) {
				return refuse("BadRequest", "A header name of the request has an invalid character.")
			}
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			x.names = append(x.names, c)
		}
		value = bytes.Trim(value, " \t")
		for _, c := range value {
			if c < ' ' && c != '\t' || c == 0x7f {
				return refuse("BadRequest", "A header value of the request has a control character.")
			}
		}
		x.headers = append(x.headers, sigv4.Header{Name: x.names[n:len(x.names):len(x.names)], Value: value})
	}
	return nil
}

// single are the headers that may come once only: a second one would let two
// readers see two requests.
var single = map[string]struct{}{
	"host": {}, "content-length": {}, "transfer-encoding": {}, "expect": {}, "content-type": {}, "range": {},
	"authorization": {}, "x-amz-date": {}, "x-amz-content-sha256": {}, "x-amz-copy-source": {},
	"x-amz-decoded-content-length": {}, "x-amz-trailer": {}, "content-md5": {}, "if-match": {}, "if-none-match": {},
}

func (x *exchange) checkFraming() error {
	for i := range x.headers {
		name, value := x.headers[i].Name, x.headers[i].Value
		if _, ok := single[string(name)]; ok {
			for j := range x.headers[:i] {
				if bytes.Equal(x.headers[j].Name, name) {
					return refuse("InvalidArgument", "A header that may come only once was repeated.")
				}
			}
		}
		switch string(name) {
		case "content-length":
			n, ok := s3op.Decimal(value)
			if !ok {
				return refuse("BadRequest", "Content-Length is not a decimal number.")
			}
			x.framing.length = n
		case "transfer-encoding":
			if !equalFold(value, "chunked") {
				return refuse("NotImplemented", "Only the chunked transfer coding is supported.")
			}
			x.framing.chunked = true
		case "expect":
			if !equalFold(value, "100-continue") {
				return &s3Error{code: "ExpectationFailed"}
			}
			x.framing.expect = true
		case "upgrade":
			return refuse("BadRequest", "Protocol upgrades are not supported.")
		case "connection":
			if err := x.checkConnection(value); err != nil {
				return err
			}
		}
	}
	if x.framing.chunked && x.framing.length >= 0 {
		return refuse("BadRequest", "Content-Length and Transfer-Encoding exclude each other.")
	}
	return nil
}

// checkConnection refuses a Connection header that names a header which
// matters: an intermediary would take it away, and what was signed would not
// be what was sent (S3-RULES.md C6).
func (x *exchange) checkConnection(value []byte) error {
	for len(value) > 0 {
		token, rest, _ := bytes.Cut(value, []byte{','})
		value = rest
		token = bytes.Trim(token, " \t")
		if equalFold(token, "keep-alive") || equalFold(token, "close") || equalFold(token, "te") || len(token) == 0 {
			continue
		}
		return refuse("BadRequest", "Connection names a header that must not be dropped on the way.")
	}
	return nil
}

// splitPath finds bucket and key in the decoded path.
func (x *exchange) splitPath() error {
	path := x.target.Path[1:]
	if x.host.bucket != nil {
		x.bucketNm, x.key = x.host.bucket, path
	} else {
		name, key, more := bytes.Cut(path, []byte{'/'})
		x.bucketNm, x.key = name, key
		if len(name) == 0 && more {
			return &s3Error{code: "InvalidBucketName"}
		}
	}
	switch {
	case len(x.bucketNm) == 0:
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
	if !validBucketName(x.bucketNm) {
		return &s3Error{code: "InvalidBucketName"}
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
var errPreflight error = &s3Error{code: "AccessForbidden"}

// checkHeaders holds every header against the operation's row, and the
// parameters that a presigner made of headers (S3-RULES.md B25, C10, D3).
func (x *exchange) checkHeaders() error {
	for i := range x.headers {
		if err := x.checkHeader(x.headers[i].Name, x.headers[i].Value); err != nil {
			return err
		}
	}
	var lower [64]byte
	for i := range x.target.Query {
		p := &x.target.Query[i]
		if !s3op.Hoisted(p.Name) {
			continue
		}
		if len(p.Name) > len(lower) {
			return refuse("NotImplemented", "The request has a query parameter that this operation does not take.")
		}
		if !isTokens(p.Name) {
			return refuse("InvalidArgument", "The name of a query parameter has an invalid character.")
		}
		name := appendLower(lower[:0], p.Name)
		if h := s3op.LookupHeader(name); !h.Hoistable && h.Treatment != s3op.Decline && string(name) != "x-amz-security-token" {
			return refuse("InvalidArgument", "This header may not be sent as a query parameter.")
		}
		for _, c := range p.Value {
			if c < ' ' && c != '\t' || c == 0x7f {
				return refuse("InvalidArgument", "A parameter has a control character.")
			}
		}
		if err := x.checkHeader(name, p.Value); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) checkHeader(name, value []byte) error {
	h := s3op.LookupHeader(name)
	if h.Treatment == s3op.Decline {
		return refuse("NotImplemented", h.Sentence)
	}
	if h.Group != 0 && h.Group&x.op.Headers == 0 && bytes.HasPrefix(name, amzPrefix) {
		return refuse("InvalidRequest", "The request has an x-amz- header that this operation does not take.")
	}
	if refusal := s3op.CheckValue(name, value); refusal != nil {
		return refusal
	}
	switch string(name) {
	case "x-amz-acl":
		if !equalFold(value, "private") && !equalFold(value, "bucket-owner-full-control") {
			return refuse("NotImplemented", "Access control lists beyond \"private\" are not supported; "+
				"use access keys with fewer rights, or a bucket policy that lets everyone read.")
		}
	case "x-amz-object-ownership":
		if string(value) != "BucketOwnerEnforced" {
			return refuse("NotImplemented", "Object ownership is always BucketOwnerEnforced.")
		}
	case "x-amz-server-side-encryption":
		if string(value) != "AES256" {
			return refuse("NotImplemented", "Keys of a key management service are not supported; use AES256.")
		}
	case "if-match":
		// Open-source MinIO deletes in spite of a wrong If-Match (E5).
		if x.op.Method == fasthttp.MethodDelete {
			return refuse("NotImplemented", "Conditional deletes are not supported; delete without If-Match.")
		}
	case "x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key":
		if !x.conn.tls {
			return refuse("InvalidRequest", "Requests with customer-provided encryption keys must be made over TLS.")
		}
	}
	return nil
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
		return &s3Error{code: "RequestHeaderSectionTooLarge", cause: errHeadLong}
	case errors.As(err, &nerr) && nerr.Timeout():
		return &s3Error{code: "RequestTimeout", cause: errHeadSlow}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &s3Error{code: "BadRequest", cause: errHeadShort}
	}
	return &s3Error{code: "BadRequest", cause: errHeadBad}
}
