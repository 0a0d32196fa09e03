package proxy

import (
	"bytes"
	"errors"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
)

// forward answers here or sends the rebuilt request to the backend and waits
// for the head of its response.
func forward(x *exchange) error {
	h := x.handler()
	if h.serve != nil {
		return h.serve(x)
	}
	if err := x.admitCopy(); err != nil {
		return err
	}
	if err := x.prepareOnto(); err != nil {
		return err
	}
	if err := x.lookAround(); err != nil {
		return err
	}
	x.prepare()
	switch x.op.Body {
	case s3op.Stream:
		if err := x.body.open(); err != nil {
			return err
		}
		return x.send(&x.body)
	case s3op.Document:
		doc, err := x.readDocument()
		if err != nil {
			return err
		}
		out, err := h.document(x, doc)
		if err != nil {
			return err
		}
		if err := x.nameFree(); err != nil {
			return err
		}
		return x.sendDocument(out)
	}
	if err := x.nameFree(); err != nil {
		return err
	}
	if x.op.Headers&s3op.Conditions != 0 {
		return x.sendRead()
	}
	if err := x.send(nil); err != nil {
		return err
	}
	return x.copied()
}

// prepare builds the outgoing request from the operation's row.
func (x *exchange) prepare() {
	o := &x.out
	o.set(x.op.Method, x.bucket.BackendName, x.key)
	if x.anonymous() {
		o.payload = nil
	} else {
		o.payload = emptySHA256
	}
	if query := x.handler().query; query != nil {
		query(x)
	} else {
		x.copyQuery()
	}
	for i := range x.headers {
		if name := x.headers[i].Name; x.copyOf == nil || !bytes.Equal(name, hdrCopySourceIfMatch) {
			x.passHeader(name, x.headers[i].Value)
		}
	}
	if x.copyOf != nil {
		o.header(hdrCopySourceIfMatch, x.copyOf)
	}
	if x.sum != nil {
		o.header(hdrChecksumAlgorithm, x.sum)
	}
	if x.op.CopySource {
		o.header(hdrCopySource, x.copySourceValue())
	}
}

// copyQuery passes on the parameters that the operation's row takes.
func (x *exchange) copyQuery() {
	for i := range x.target.Query {
		p := &x.target.Query[i]
		if x.op.Takes(p.Name) {
			if value, ok := x.backendValue(p); ok {
				x.out.param(p.Name, value)
			}
		}
	}
}

var (
	hdrCopySource      = []byte("x-amz-copy-source")
	hdrContentEncoding = []byte("content-encoding")
	hdrBypass          = []byte("x-amz-bypass-governance-retention")
	valueTrue          = []byte("true")
)

// passHeader forwards a request header if the operation's row takes it.
func (x *exchange) passHeader(name, value []byte) {
	h := s3op.LookupHeader(name)
	if h.Group&x.op.Headers == 0 || h.AsksNothing(value) {
		return
	}
	if h.Group&x.op.Headers&(s3op.Conditions|s3op.IfRange) != 0 {
		if x.reading.conditional = true; x.reading.free {
			return
		}
	}
	if h.Treatment == s3op.Pass {
		x.addHeader(name, value)
		return
	}
	switch string(name) {
	case "range":
		r, ok := parseRange(value)
		if x.reading.ranged = ok; ok && !x.reading.whole {
			n := len(x.arena)
			x.arena = r.append(x.arena)
			x.addHeader(name, x.arena[n:len(x.arena):len(x.arena)])
		}
	case "content-encoding":
		if v := x.withoutAWSChunked(value); len(v) > 0 {
			x.addHeader(hdrContentEncoding, v)
		}
	case "x-amz-server-side-encryption":
		x.addHeader(name, value)
	case "x-amz-bypass-governance-retention":
		if equalFold(value, "true") {
			x.addHeader(hdrBypass, valueTrue)
		}
	}
}

// addHeader merges a repeated header into one line (RFC 9110 section 5.3). What
// was joined last is at the arena's end and grows there: else each line would
// copy all before it.
func (x *exchange) addHeader(name, value []byte) {
	o := &x.out
	for i := range o.headers {
		h := &o.headers[i]
		if !bytes.Equal(h.Name, name) {
			continue
		}
		n := len(x.arena) - len(h.Value)
		if n < 0 || len(h.Value) == 0 || !sameBytes(h.Value, x.arena[n:]) {
			n = len(x.arena)
			x.arena = append(x.arena, h.Value...)
		}
		x.arena = append(append(x.arena, ','), value...)
		h.Value = x.arena[n:len(x.arena):len(x.arena)]
		return
	}
	o.header(name, value)
}

// sameBytes reports whether two slices of one length are the same memory.
func sameBytes(a, b []byte) bool { return &a[0] == &b[0] }

// withoutAWSChunked takes the framing's token out of a Content-Encoding; what
// is left belongs to the object (S3-RULES.md B17).
func (x *exchange) withoutAWSChunked(value []byte) []byte {
	n := len(x.arena)
	for len(value) > 0 {
		token, rest, _ := bytes.Cut(value, []byte{','})
		value = rest
		token = bytes.Trim(token, " \t")
		if len(token) == 0 || equalFold(token, "aws-chunked") {
			continue
		}
		if len(x.arena) > n {
			x.arena = append(x.arena, ',')
		}
		x.arena = append(x.arena, token...)
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

// copySourceValue encodes the source that was authorised, in the backend's names.
func (x *exchange) copySourceValue() []byte {
	n := len(x.arena)
	x.arena = append(x.arena, x.source.bucket.BackendName...)
	x.arena = append(x.arena, '/')
	x.arena = sigv4.AppendEscape(x.arena, x.source.key, true)
	if x.source.versionID != nil {
		x.arena = append(x.arena, "?versionId="...)
		x.arena = sigv4.AppendEscape(x.arena, x.source.versionID, false)
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

// send performs the outgoing request. body may be nil.
func (x *exchange) send(body upstream.Body) error {
	x.upstream = upstream.Request{
		Head:       x.out.head,
		Body:       body,
		Idempotent: x.op.Idempotent,
		NoBody:     x.out.method == "HEAD",
		Client:     x.conn,
	}
	x.respOpen = true
	x.sent = x.sent || x.out.method != "HEAD" // a HEAD asks what a copy's source is
	x.requestSent()
	err := x.backend.pool.Do(x.srv.ctx, &x.upstream, &x.resp)
	if err == nil {
		x.public = x.public || x.anonymous() && letsIn(x.resp.Status)
		x.recordResponse()
		return nil
	}
	x.respOpen = false
	if errors.Is(err, upstream.ErrHead) {
		// What was let in here could not be one request there: a hole in parse.
		x.srv.metrics.unsendable.Inc()
		return &s3err.Error{Code: "InternalError", Cause: err}
	}
	if x.body.err != nil {
		return x.body.err
	}
	return unreadable(err)
}

// letsIn reports whether a backend that answers a request without a signature so
// has found that everyone may make it.
func letsIn(status int) bool { return status < 400 || status == 404 || status == 412 || status == 416 }

// sendDocument sends a document made here: hashed, so that the backend checks
// what it got.
func (x *exchange) sendDocument(doc []byte) error {
	if !x.op.WholeObjectDigests {
		dropDigests(&x.out)
	}
	x.out.length = int64(len(doc))
	x.out.payload = x.hexSHA256(doc)
	if len(doc) > 0 {
		// MinIO wants a digest with most documents, whatever the client sent.
		x.out.header([]byte("content-md5"), x.base64MD5(doc))
	}
	x.body.doc = doc
	return x.send(&x.body)
}

// dropDigests forgets the client's digests: the document sent is another.
func dropDigests(o *outgoing) {
	kept := o.headers[:0]
	for _, h := range o.headers {
		if _, sum := sigv4.ParseChecksum(string(h.Name)); sum || string(h.Name) == "content-md5" {
			continue
		}
		kept = append(kept, h)
	}
	o.headers = kept
}
