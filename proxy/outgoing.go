package proxy

import (
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
)

// outgoing is the request to the backend, built from nothing: method, bucket,
// key, the parameters and headers that the operation's row allows.
type outgoing struct {
	x       *exchange
	method  string
	target  sigv4.Target // Path decoded: /<backend bucket>/<key>
	headers []sigv4.Header
	payload []byte // x-amz-content-sha256; nil: unsigned request
	length  int64  // Content-Length; -1: no body
	signed  []sigv4.Header
	req     sigv4.Request
	head    func(h *upstream.Head, e *upstream.Endpoint) // writeHead, bound once
}

// clear forgets the request and keeps the memory for the next.
func (o *outgoing) clear() {
	clear(o.headers[:cap(o.headers)]) // they alias fasthttp's request
	clear(o.signed[:cap(o.signed)])
	o.target.Clear()
	*o = outgoing{x: o.x, head: o.head, length: -1, target: o.target, headers: o.headers[:0], signed: o.signed[:0]}
}

// set addresses bucket and key in the backend's names.
func (o *outgoing) set(method, backendBucket string, key []byte) {
	x := o.x
	o.clear()
	o.method = method
	n := len(x.arena)
	x.arena = append(x.arena, '/')
	x.arena = append(x.arena, backendBucket...)
	if len(key) > 0 {
		x.arena = append(x.arena, '/')
		x.arena = append(x.arena, key...)
	}
	o.target.Path = x.arena[n:len(x.arena):len(x.arena)]
}

func (o *outgoing) param(name, value []byte) {
	o.target.Query = append(o.target.Query, sigv4.Param{Name: name, Value: value})
}

// header adds a header by its lower-case name.
func (o *outgoing) header(name, value []byte) {
	o.headers = append(o.headers, sigv4.Header{Name: name, Value: value})
}

var (
	hdrHost           = []byte("host")
	hdrDate           = []byte("x-amz-date")
	hdrContentSHA256  = []byte("x-amz-content-sha256")
	hdrAuthorization  = []byte("authorization")
	hdrForwardedFor   = []byte("x-forwarded-for")
	hdrAcceptEncoding = []byte("accept-encoding")
	valueIdentity     = []byte("identity")
	unsignedPayload   = []byte("UNSIGNED-PAYLOAD")
	unsignedTrailer   = []byte("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	emptySHA256       = []byte("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
)

// writeHead writes the complete head for one endpoint. It runs again when the
// request is tried on another one: host and signature differ.
func (o *outgoing) writeHead(h *upstream.Head, e *upstream.Endpoint) {
	h.Start(o.method, o.encodedTarget())
	for i := range o.headers {
		h.Field(o.headers[i].Name, o.headers[i].Value)
	}
	if o.length >= 0 {
		h.Length(o.length)
	}
	// One address, the gateway's own finding: the client's header never passes.
	var addr [64]byte
	var remote []byte
	if a := o.x.remote; a.IsValid() {
		remote = a.AppendTo(addr[:0])
	}
	h.Field(hdrForwardedFor, remote)
	// Go clients would ask for gzip by themselves; object bytes are opaque (S3-RULES.md C15).
	h.Field(hdrAcceptEncoding, valueIdentity)
	if o.payload != nil {
		o.sign(h, e)
	}
}

// encodedTarget is the request target with every byte of path and query
// percent-encoded that does not stand for itself.
func (o *outgoing) encodedTarget() []byte {
	x := o.x
	n := len(x.arena)
	x.arena = sigv4.AppendEscape(x.arena, o.target.Path, true)
	separator := byte('?')
	for i := range o.target.Query {
		p := &o.target.Query[i]
		x.arena = append(x.arena, separator)
		x.arena = sigv4.AppendEscape(x.arena, p.Name, false)
		x.arena = append(x.arena, '=')
		x.arena = sigv4.AppendEscape(x.arena, p.Value, false)
		separator = '&'
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

func (o *outgoing) sign(h *upstream.Head, e *upstream.Endpoint) {
	x := o.x
	now := x.srv.cfg.now()
	n := len(x.arena)
	x.arena = sigv4.AppendTime(x.arena, now)
	date := x.arena[n:len(x.arena):len(x.arena)]

	o.signed = append(o.signed[:0], sigv4.Header{Name: hdrHost, Value: e.Host()},
		sigv4.Header{Name: hdrDate, Value: date}, sigv4.Header{Name: hdrContentSHA256, Value: o.payload})
	o.signed = append(o.signed, o.headers...)
	o.req = sigv4.Request{Method: x.keepString(o.method), Target: &o.target, Headers: o.signed}
	b := x.backend
	sign := sigv4.AppendAuthorization
	if x.minio() {
		sign = sigv4.AppendMinIOAuthorization
	}
	n = len(x.arena)
	x.arena = sign(x.arena, &o.req, b.of.AccessKeyID, b.signingKey(date[:8]), o.payload, now)
	h.Field(hdrDate, date)
	h.Field(hdrContentSHA256, o.payload)
	h.Field(hdrAuthorization, x.arena[n:len(x.arena):len(x.arena)])
}
