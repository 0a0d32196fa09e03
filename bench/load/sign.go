package load

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
)

// Payload is how a body is signed and framed.
type Payload string

// The payload forms that S3 clients use.
const (
	Unsigned        Payload = "UNSIGNED-PAYLOAD"
	SignedHash      Payload = "signed hash"
	SignedChunks    Payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	UnsignedTrailer Payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// inline is the longest body that is sent in one write with its head.
const inline = 16 << 10

// chunkSize is what the AWS SDKs and minio-go cut signed chunks to.
const chunkSize = 64 << 10

// Signer makes signed requests for one access key.
type Signer struct {
	Host      string // as the server that verifies knows itself
	AccessKey string
	Region    string

	day    string
	key    *sigv4.SigningKey
	hmac   []byte // the derived key, for chunks
	secret string
}

// NewSigner derives the key of today.
func NewSigner(host, accessKey, secret, region string) *Signer {
	s := &Signer{Host: host, AccessKey: accessKey, Region: region, secret: secret}
	s.derive(time.Now())
	return s
}

func (s *Signer) derive(now time.Time) {
	s.day = now.UTC().Format("20060102")
	s.key = sigv4.NewSigningKey(s.secret, s.day, s.Region)
	k := sum([]byte("AWS4"+s.secret), []byte(s.day))
	for _, step := range []string{s.Region, "s3", "aws4_request"} {
		k = sum(k, []byte(step))
	}
	s.hmac = k
}

func sum(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// Read makes a request without a body: GET, HEAD, DELETE. target is the raw
// path and query.
func (s *Signer) Read(method, target string, status int, expect int64) (*Request, error) {
	return s.request(method, target, status, expect, nil, nil, hexSum(nil), nil)
}

// Post makes a request with a small document.
func (s *Signer) Post(target string, doc []byte) (*Request, error) {
	return s.request("POST", target, 200, -1, doc, nil, hexSum(doc), nil)
}

// Content is a payload with its sums, made once for any number of requests.
type Content struct {
	bytes  []byte
	body   *Body // when it is long
	sha256 string
	crc64  string
}

// NewContent keeps b.
func NewContent(b []byte) (*Content, error) {
	c := &Content{bytes: b, sha256: hexSum(b)}
	h := sigv4.CRC64NVME.New()
	h.Write(b)
	c.crc64 = base64.StdEncoding.EncodeToString(h.Sum(nil))
	var err error
	if len(b) > inline {
		c.body, err = NewBody(b)
	}
	return c, err
}

// Close gives the memory back.
func (c *Content) Close() error {
	if c.body == nil {
		return nil
	}
	return c.body.Close()
}

// Put makes an upload. The framed forms build a body of their own for each
// call, since the chunks are signed with the request.
func (s *Signer) Put(target string, c *Content, p Payload) (*Request, error) {
	switch p {
	case SignedHash:
		return s.request("PUT", target, 200, -1, c.bytes, c.body, c.sha256, nil)
	case SignedChunks:
		return s.request("PUT", target, 200, -1, c.bytes, nil, string(p), s.signedChunks)
	case UnsignedTrailer:
		return s.request("PUT", target, 200, -1, c.bytes, nil, string(p), func(b []byte, _ string, _ time.Time) []byte { return trailed(b, c.crc64) })
	}
	return s.request("PUT", target, 200, -1, c.bytes, c.body, string(Unsigned), nil)
}

// frame makes the wire's body of a payload and the request's signature.
type frame func(payload []byte, signature string, now time.Time) []byte

func (s *Signer) request(method, target string, status int, expect int64, payload []byte, long *Body, hash string, framed frame) (*Request, error) {
	now := time.Now().UTC()
	if now.Format("20060102") != s.day {
		s.derive(now)
	}
	headers := []sigv4.Header{
		{Name: []byte("host"), Value: []byte(s.Host)},
		{Name: []byte("x-amz-content-sha256"), Value: []byte(hash)},
		{Name: []byte("x-amz-date"), Value: []byte(now.Format("20060102T150405Z"))},
	}
	if framed != nil {
		headers = append(headers, sigv4.Header{Name: []byte("content-encoding"), Value: []byte("aws-chunked")},
			sigv4.Header{Name: []byte("x-amz-decoded-content-length"), Value: []byte(strconv.Itoa(len(payload)))})
		if hash == string(UnsignedTrailer) {
			headers = append(headers, sigv4.Header{Name: []byte("x-amz-trailer"), Value: []byte("x-amz-checksum-crc64nvme")})
		}
	}
	var t sigv4.Target
	if err := t.Parse([]byte(target)); err != nil {
		return nil, err
	}
	r := sigv4.Request{Method: []byte(method), Target: &t, Headers: headers}
	authorization := sigv4.AppendAuthorization(nil, &r, s.AccessKey, s.key, []byte(hash), now)
	body := payload
	if framed != nil {
		_, signature, _ := bytes.Cut(authorization, []byte("Signature="))
		body = framed(payload, string(signature), now)
	}
	wire := fmt.Appendf(nil, "%s %s HTTP/1.1\r\n", method, target)
	for _, h := range headers {
		wire = fmt.Appendf(wire, "%s: %s\r\n", h.Name, h.Value)
	}
	wire = fmt.Appendf(wire, "authorization: %s\r\n", authorization)
	if method == "PUT" || method == "POST" {
		wire = fmt.Appendf(wire, "content-length: %d\r\n", len(body))
	}
	out := &Request{Method: method, Wire: append(wire, '\r', '\n'), Bytes: int64(len(payload)), Status: status, Expect: expect}
	switch {
	case long != nil:
		out.Body = long
	case len(body) <= inline:
		out.Wire = append(out.Wire, body...)
	default:
		var err error
		if out.Body, err = NewBody(body); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// signedChunks frames a payload in chunks that are each signed after the one
// before (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html).
func (s *Signer) signedChunks(payload []byte, seed string, now time.Time) []byte {
	scope := s.day + "/" + s.Region + "/s3/aws4_request"
	out := make([]byte, 0, len(payload)+len(payload)/chunkSize*100+200)
	previous := seed
	for last := false; !last; {
		chunk := payload[:min(len(payload), chunkSize)]
		payload, last = payload[len(chunk):], len(chunk) == 0
		text := "AWS4-HMAC-SHA256-PAYLOAD\n" + now.Format("20060102T150405Z") + "\n" + scope + "\n" + previous + "\n" + hexSum(nil) + "\n" + hexSum(chunk)
		previous = hex.EncodeToString(sum(s.hmac, []byte(text)))
		out = fmt.Appendf(out, "%x;chunk-signature=%s\r\n", len(chunk), previous)
		out = append(append(out, chunk...), '\r', '\n')
	}
	return out
}

// trailed frames a payload as the AWS SDKs do over TLS: chunks without
// signatures, and the checksum behind them.
func trailed(payload []byte, crc64 string) []byte {
	out := make([]byte, 0, len(payload)+len(payload)/(1<<20)*16+200)
	for len(payload) > 0 {
		chunk := payload[:min(len(payload), 1<<20)]
		payload = payload[len(chunk):]
		out = fmt.Appendf(out, "%x\r\n", len(chunk))
		out = append(append(out, chunk...), '\r', '\n')
	}
	return fmt.Appendf(out, "0\r\nx-amz-checksum-crc64nvme:%s\r\n\r\n", crc64)
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
