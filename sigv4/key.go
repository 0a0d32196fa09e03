package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"hash"
	"sync"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	service    = "s3"
	terminator = "aws4_request"
)

// SigningKey signs for one secret, day and region. It holds the two halves of
// HMAC-SHA-256 already started with the derived key, so that a signature costs
// no key schedule. Immutable; shared between goroutines.
type SigningKey struct {
	day, region  string
	inner, outer []byte // marshalled SHA-256 states
}

// NewSigningKey derives the key for a day ("20060102") and region
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func NewSigningKey(secret, day, region string) *SigningKey {
	k := hmacSum([]byte("AWS4"+secret), day)
	k = hmacSum(k, region)
	k = hmacSum(k, service)
	k = hmacSum(k, terminator)
	s := &SigningKey{day: day, region: region}
	var pad [sha256.BlockSize]byte
	copy(pad[:], k)
	s.inner = padState(pad, 0x36)
	s.outer = padState(pad, 0x5c)
	return s
}

// DummyKey is verified against when the access key id is unknown, so that the
// answer takes as long as for a known one (S3-RULES.md B13).
var DummyKey = NewSigningKey("there is no such secret", "20000101", "us-east-1")

// Matches reports whether the key is for that day and region.
func (k *SigningKey) Matches(day, region []byte) bool {
	return string(day) == k.day && string(region) == k.region
}

func hmacSum(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func padState(key [sha256.BlockSize]byte, pad byte) []byte {
	for i := range key {
		key[i] ^= pad
	}
	h := sha256.New()
	h.Write(key[:])
	state, err := h.(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil {
		panic("sigv4: SHA-256 state: " + err.Error()) // documented never to happen
	}
	return state
}

// work is what one signature needs, pooled.
type work struct {
	h      hash.Hash
	canon  canonical
	sts    []byte
	sum    [sha256.Size]byte
	hex    [2 * sha256.Size]byte
	signed [][]byte
	order  []int
}

var works = sync.Pool{New: func() any { return &work{h: sha256.New()} }}

func (w *work) restore(state []byte) {
	if err := w.h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		panic("sigv4: SHA-256 state: " + err.Error()) // the state is one of padState's
	}
}

// sign appends the lower-case hexadecimal HMAC of data to dst.
func (w *work) sign(dst []byte, k *SigningKey, data []byte) []byte {
	w.restore(k.inner)
	w.h.Write(data)
	inner := w.h.Sum(w.sum[:0])
	w.restore(k.outer)
	w.h.Write(inner)
	return appendHex(dst, w.h.Sum(w.sum[:0]))
}

// hashHex appends the lower-case hexadecimal SHA-256 of data to dst.
func (w *work) hashHex(dst, data []byte) []byte {
	w.h.Reset()
	w.h.Write(data)
	return appendHex(dst, w.h.Sum(w.sum[:0]))
}

const lowerHex = "0123456789abcdef"

func appendHex(dst, src []byte) []byte {
	for _, c := range src {
		dst = append(dst, lowerHex[c>>4], lowerHex[c&15])
	}
	return dst
}
