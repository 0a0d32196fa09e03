//go:build !race

package sigv4_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/sigv4"
)

// TestAllocs holds the cached hot path to no allocation.
func TestAllocs(t *testing.T) {
	h := newHotPath(t)
	if n := testing.AllocsPerRun(1000, h.verify); n != 0 {
		t.Errorf("parse and verify: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, h.sign); n != 0 {
		t.Errorf("sign: %v allocations", n)
	}
}

type hotPath struct {
	t       testing.TB
	w       *wire
	target  sigv4.Target
	auth    sigv4.Auth
	key     *sigv4.SigningKey
	raw     []byte
	method  []byte
	out     []byte
	outward sigv4.Request
}

func newHotPath(t testing.TB) *hotPath {
	h := &hotPath{t: t, w: get(t), key: sigv4.NewSigningKey(secretKey, now.Format("20060102"), region)}
	h.raw, h.method = []byte(h.w.target), []byte(h.w.method)
	h.outward = sigv4.Request{Method: h.method, Target: &h.target, Headers: []sigv4.Header{
		{Name: []byte("host"), Value: []byte("127.0.0.1:9000")}, {Name: []byte("x-amz-date"), Value: []byte("20260304T050607Z")},
		{Name: []byte("x-amz-content-sha256"), Value: []byte("UNSIGNED-PAYLOAD")},
	}}
	h.verify()
	h.sign()
	return h
}

func (h *hotPath) verify() {
	if err := h.target.Parse(h.raw); err != nil {
		h.t.Fatal(err)
	}
	r := sigv4.Request{Method: h.method, Target: &h.target, Headers: h.w.headers}
	if err := h.auth.Parse(&r, sigv4.Options{Region: region, Now: now}); err != nil {
		h.t.Fatal(err)
	}
	if !h.key.Matches(h.auth.Day, h.auth.Region) {
		h.t.Fatal("another day")
	}
	if err := h.auth.Verify(&r, h.key); err != nil {
		h.t.Fatal(err)
	}
}

var unsigned = []byte("UNSIGNED-PAYLOAD")

func (h *hotPath) sign() {
	h.out = sigv4.AppendAuthorization(h.out[:0], &h.outward, accessKey, h.key, unsigned, now)
}

func BenchmarkVerify(b *testing.B) {
	h := newHotPath(b)
	b.ReportAllocs()
	for b.Loop() {
		h.verify()
	}
}

func BenchmarkVerifySign(b *testing.B) {
	h := newHotPath(b)
	b.ReportAllocs()
	for b.Loop() {
		h.verify()
		h.sign()
	}
}
