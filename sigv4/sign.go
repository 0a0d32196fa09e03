package sigv4

import (
	"bytes"
	"slices"
	"time"
)

// AppendAuthorization appends the value of an Authorization header for r.
// r.Headers are the headers exactly as they will be sent, names in lower case,
// with host, x-amz-date (of t) and x-amz-content-sha256 (payload); every one
// of them is signed. It allocates nothing once its buffers have grown.
func AppendAuthorization(dst []byte, r *Request, accessKeyID string, k *SigningKey, payload []byte, t time.Time) []byte {
	return appendAuthorization(dst, r, accessKeyID, k, payload, t, foldASCII)
}

// AppendMinIOAuthorization is AppendAuthorization for a MinIO, which folds
// every white space of Unicode in a header's value where AWS folds spaces: one
// U+00A0 in x-amz-meta-a, and the signatures differ.
func AppendMinIOAuthorization(dst []byte, r *Request, accessKeyID string, k *SigningKey, payload []byte, t time.Time) []byte {
	return appendAuthorization(dst, r, accessKeyID, k, payload, t, foldUnicode)
}

func appendAuthorization(dst []byte, r *Request, accessKeyID string, k *SigningKey, payload []byte, t time.Time, fold folding) []byte {
	w := works.Get().(*work)
	defer works.Put(w)
	w.sortNames(r.Headers)
	canonicalRequest := w.canon.request(r, w.order, w.signed, "", payload, fold)
	w.stringToSign(k, canonicalRequest, t)

	dst = append(dst, algorithm+" Credential="...)
	dst = append(dst, accessKeyID...)
	dst = append(dst, '/')
	dst = k.appendScope(dst)
	dst = append(dst, ",SignedHeaders="...)
	for i, name := range w.signed {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, name...)
	}
	dst = append(dst, ",Signature="...)
	return w.sign(dst, k, w.sts)
}

func (w *work) stringToSign(k *SigningKey, canonicalRequest []byte, t time.Time) {
	w.sts = append(w.sts[:0], algorithm+"\n"...)
	w.sts = AppendTime(w.sts, t)
	w.sts = append(w.sts, '\n')
	w.sts = k.appendScope(w.sts)
	w.sts = append(w.sts, '\n')
	w.sts = w.hashHex(w.sts, canonicalRequest)
}

func (k *SigningKey) appendScope(dst []byte) []byte {
	dst = append(dst, k.day...)
	dst = append(dst, '/')
	dst = append(dst, k.region...)
	return append(dst, "/"+service+"/"+terminator...)
}

// sortNames fills order and signed with all headers.
func (w *work) sortNames(headers []Header) {
	w.order, w.signed = sortHeaders(w.order, headers), w.signed[:0]
	for _, i := range w.order {
		w.signed = append(w.signed, headers[i].Name)
	}
	w.signed = slices.CompactFunc(w.signed, bytes.Equal)
}

// Presign returns the query of a presigned request: r's own parameters and
// the authentication, the signature last. r.Headers are the headers that the
// holder of the URL must send, with host.
func Presign(r *Request, accessKeyID string, k *SigningKey, expires time.Duration, t time.Time) []byte {
	w := works.Get().(*work)
	defer works.Put(w)
	w.sortNames(r.Headers)
	var credential []byte
	credential = append(credential, accessKeyID...)
	credential = append(credential, '/')
	credential = k.appendScope(credential)
	query := slices.Clone(r.Target.Query)
	for _, p := range [...]struct {
		name  string
		value []byte
	}{
		{"X-Amz-Algorithm", []byte(algorithm)},
		{"X-Amz-Credential", credential},
		{"X-Amz-Date", AppendTime(nil, t)},
		{"X-Amz-Expires", appendInt(nil, int64(expires/time.Second))},
		{"X-Amz-SignedHeaders", bytes.Join(w.signed, []byte{';'})},
	} {
		query = append(query, Param{[]byte(p.name), p.value})
	}
	signed := Request{Method: r.Method, Headers: r.Headers, Target: &Target{Path: r.Target.Path, Query: query}}
	payload := unsignedMarker
	if v, n := r.Get("x-amz-content-sha256"); n > 0 {
		payload = v
	}
	canonicalRequest := w.canon.request(&signed, w.order, w.signed, "", payload, foldASCII)
	w.stringToSign(k, canonicalRequest, t)
	out := w.canon.query(nil, query, "")
	out = append(out, "&X-Amz-Signature="...)
	return w.sign(out, k, w.sts)
}

// AppendTime appends t as x-amz-date has it, 20060102T150405Z.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10))
	dst = append2(dst, year%100)
	dst = append2(dst, int(month))
	dst = append2(dst, day)
	dst = append(dst, 'T')
	dst = append2(dst, hour)
	dst = append2(dst, minute)
	dst = append2(dst, second)
	return append(dst, 'Z')
}

func append2(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendInt(dst []byte, n int64) []byte {
	if n >= 10 {
		dst = appendInt(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}
