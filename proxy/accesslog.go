package proxy

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

// recordRequest copies what the line will say of the request's head: settle may not
// touch fasthttp's request any more.
func (x *exchange) recordRequest() {
	if x.srv.cfg.AccessLog == nil {
		return
	}
	r, h := &x.record, &x.ctx.Request.Header
	r.Method, r.Protocol = x.keep(h.Method()), x.keep(h.Protocol())
	r.Target = x.keepPublic(h.RequestURI())
	for i := range x.headers {
		switch name, value := x.headers[i].Name, x.headers[i].Value; string(name) {
		case "host":
			r.Host = x.keep(value)
		case "referer":
			r.Referer = x.keepPublic(value)
		case "user-agent":
			r.UserAgent = x.keep(value)
		}
	}
	r.TLS, r.Cipher = x.conn.TLSNames()
}

// secretParams are the query parameters that may not be written anywhere, in
// lower case (S3-RULES.md A17): with most of them a request could be made.
var secretParams = map[string]struct{}{
	"x-amz-signature": {}, "x-amz-credential": {}, "x-amz-security-token": {}, "x-amz-s3session-token": {},
	"signature": {}, "awsaccesskeyid": {}, "authorization": {}, "policy": {},
	"x-amz-server-side-encryption-customer-key": {}, "x-amz-copy-source-server-side-encryption-customer-key": {},
}

// keepPublic keeps a request target or a URL without the secrets in its query.
// Parameters are told by their decoded names, as the gateway itself reads
// them. What is no URL that the gateway would serve loses its whole query.
func (x *exchange) keepPublic(raw []byte) []byte {
	path, query, ok := bytes.Cut(raw, []byte{'?'})
	path, _, _ = bytes.Cut(path, []byte{'#'})
	if i := bytes.Index(path, []byte("//")); i >= 0 {
		// A URL may have a password in front of its host.
		if at := bytes.LastIndexByte(path, '@'); at > i {
			return nil
		}
	}
	n := len(x.arena)
	x.arena = append(x.arena, path...)
	separator := byte('?')
	for ok && len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		if bytes.ContainsAny(pair, ";#? ") || secretParam(pair) {
			continue
		}
		x.arena = append(append(x.arena, separator), pair...)
		separator = '&'
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

// secretParam decodes the name of a raw name=value.
func secretParam(pair []byte) bool {
	name, _, _ := bytes.Cut(pair, []byte{'='})
	var lower [64]byte
	n := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' {
			if i+2 >= len(name) {
				return true // no escape: nobody can say what it is
			}
			high, low := unhex(name[i+1]), unhex(name[i+2])
			if high > 15 || low > 15 {
				return true
			}
			c = high<<4 | low
			i += 2
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if n == len(lower) {
			return false // longer than any of them
		}
		lower[n] = c
		n++
	}
	_, secret := secretParams[string(lower[:n])]
	return secret
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// requestSent and recordResponse are the ends of what the backend takes for itself: the
// last byte that it needs, and the first of its response.
func (x *exchange) requestSent() {
	if x.srv.cfg.AccessLog != nil {
		x.sentAt = x.srv.cfg.now()
	}
}

func (x *exchange) recordResponse() {
	if x.srv.cfg.AccessLog == nil {
		return
	}
	r := &x.record
	r.Backend += x.srv.cfg.now().Sub(x.sentAt)
	r.VersionID = x.keep(x.resp.Header("x-amz-version-id")) // of the last response: a copy asks for its source first
	if x.op.Told != s3op.TellsObject {
		return
	}
	switch x.resp.Status {
	case fasthttp.StatusOK:
		x.objectSize = x.resp.ContentLength
	case fasthttp.StatusPartialContent:
		whole := x.resp.Header("content-range")
		if n, ok := s3op.Decimal(whole[bytes.LastIndexByte(whole, '/')+1:]); ok {
			x.objectSize = n
		}
	}
}

// logLine hands the request over to the access log.
func (x *exchange) logLine(elapsed time.Duration) {
	log := x.srv.cfg.AccessLog
	if log == nil {
		return
	}
	r := &x.record
	r.Time, r.RequestID, r.Node, r.HostID, r.Remote = x.started, x.id[:], x.srv.cfg.Node, x.srv.hostID, x.remote
	r.Operation, r.Status, r.ErrorCode = operationName(x.op), x.status, x.code
	r.SetCounted(x.tally.Key(), x.tally.Counted())
	r.Bucket, r.Key = x.bucketName, x.key
	if x.account != nil {
		r.OwnerID, r.Owner = x.account.ID, x.account.Name
	} else if x.identity != nil {
		r.OwnerID = x.identity.AccountID
	}
	if x.authenticated {
		r.Requester, r.AccessKey = x.account.CanonicalID, x.identity.KeyID
	}
	if v, ok := x.target.Get("versionId"); ok && len(r.VersionID) == 0 && x.op != nil {
		r.VersionID = v
	}
	r.Auth = x.authName()
	r.ObjectSize = x.sizeOfObject()
	r.Elapsed = elapsed
	log.Add(r)
}

// authName is "-" for a credential that nobody came to look at.
func (x *exchange) authName() string {
	_, sent := x.header("authorization")
	switch {
	case x.anonymous() && sent:
		return "-"
	case x.anonymous():
		return "anonymous"
	case x.op != nil && x.op.Body == s3op.Form:
		return "form"
	case x.auth.Mechanism == sigv4.ByQuery:
		return "query"
	}
	return "header"
}

func (x *exchange) sizeOfObject() int64 {
	switch {
	case x.op == nil || x.status >= 300:
	case x.op.Body == s3op.Stream:
		return x.length
	case x.op.Body == s3op.Form:
		return x.declared
	}
	return x.objectSize
}
