package proxy

import (
	"strconv"

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
	head    func(dst []byte, e *upstream.Endpoint) []byte // appendHead, bound once
}

func (o *outgoing) reset() {
	o.method = ""
	o.target.Path = nil
	o.target.Query = o.target.Query[:0]
	o.headers = o.headers[:0]
	o.payload = nil
	o.length = -1
	clear(o.signed[:cap(o.signed)])
	o.signed = o.signed[:0]
	o.req = sigv4.Request{}
}

// set addresses bucket and key in the backend's names.
func (o *outgoing) set(method, backendBucket string, key []byte) {
	x := o.x
	o.reset()
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
	hdrHost          = []byte("host")
	hdrDate          = []byte("x-amz-date")
	hdrContentSHA256 = []byte("x-amz-content-sha256")
	unsignedPayload  = []byte("UNSIGNED-PAYLOAD")
	unsignedTrailer  = []byte("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	emptySHA256      = []byte("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
)

// appendHead writes the complete head for one endpoint. It runs again when the
// request is tried on another one: host and signature differ.
func (o *outgoing) appendHead(dst []byte, e *upstream.Endpoint) []byte {
	dst = append(dst, o.method...)
	dst = append(dst, ' ')
	dst = sigv4.AppendEscape(dst, o.target.Path, true)
	for i := range o.target.Query {
		p := &o.target.Query[i]
		if i == 0 {
			dst = append(dst, '?')
		} else {
			dst = append(dst, '&')
		}
		dst = sigv4.AppendEscape(dst, p.Name, false)
		dst = append(dst, '=')
		dst = sigv4.AppendEscape(dst, p.Value, false)
	}
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, e.Host()...)
	dst = append(dst, "\r\n"...)
	for i := range o.headers {
		dst = append(dst, o.headers[i].Name...)
		dst = append(dst, ": "...)
		dst = append(dst, o.headers[i].Value...)
		dst = append(dst, "\r\n"...)
	}
	if o.length >= 0 {
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, o.length, 10)
		dst = append(dst, "\r\n"...)
	}
	// One address, the gateway's own finding: the client's header never passes.
	dst = append(dst, "x-forwarded-for: "...)
	if a := o.x.remote; a.IsValid() {
		dst = a.AppendTo(dst)
	}
	// Go clients would ask for gzip by themselves; object bytes are opaque (C15).
	dst = append(dst, "\r\naccept-encoding: identity\r\n"...)
	if o.payload != nil {
		dst = o.appendSignature(dst, e)
	}
	return append(dst, "\r\n"...)
}

func (o *outgoing) appendSignature(dst []byte, e *upstream.Endpoint) []byte {
	var stamp [16]byte
	now := o.x.srv.cfg.now()
	date := sigv4.AppendTime(stamp[:0], now)

	dst = append(dst, "x-amz-date: "...)
	dst = append(dst, date...)
	dst = append(dst, "\r\nx-amz-content-sha256: "...)
	dst = append(dst, o.payload...)
	dst = append(dst, "\r\nauthorization: "...)

	o.signed = append(o.signed[:0], sigv4.Header{Name: hdrHost, Value: e.HostBytes()},
		sigv4.Header{Name: hdrDate, Value: o.x.keep(date)}, sigv4.Header{Name: hdrContentSHA256, Value: o.payload})
	o.signed = append(o.signed, o.headers...)
	o.req = sigv4.Request{Method: o.x.keepString(o.method), Target: &o.target, Headers: o.signed}
	b := o.x.backend
	dst = sigv4.AppendAuthorization(dst, &o.req, b.of.AccessKeyID, b.signingKey(date[:8]), o.payload, now)
	return append(dst, "\r\n"...)
}
