package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/primecloudpro/primecloud/sigv4"
)

const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	region    = "us-east-1"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// wire is a request as a server sees it.
type wire struct {
	method, target string
	headers        []sigv4.Header
}

func (w *wire) request(t testing.TB) *sigv4.Request {
	t.Helper()
	target := &sigv4.Target{}
	if err := target.Parse([]byte(w.target)); err != nil {
		t.Fatalf("target %q: %v", w.target, err)
	}
	return &sigv4.Request{Method: []byte(w.method), Target: target, Headers: w.headers}
}

// verify does what a server does, with the secret at hand.
func (w *wire) verify(at time.Time) error {
	target := &sigv4.Target{}
	if err := target.Parse([]byte(w.target)); err != nil {
		return err
	}
	r := &sigv4.Request{Method: []byte(w.method), Target: target, Headers: w.headers}
	var a sigv4.Auth
	if err := a.Parse(r, sigv4.Options{Region: region, Now: at}); err != nil {
		return err
	}
	if a.Mechanism == sigv4.Anonymous {
		return fmt.Errorf("anonymous")
	}
	if string(a.AccessKeyID) != accessKey {
		return fmt.Errorf("unknown key %q", a.AccessKeyID)
	}
	return a.Verify(r, sigv4.NewSigningKey(secretKey, string(a.Day), string(a.Region)))
}

func fromHTTP(r *http.Request) *wire {
	w := &wire{method: r.Method, target: r.URL.EscapedPath()}
	if r.URL.RawQuery != "" {
		w.target += "?" + r.URL.RawQuery
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	w.headers = append(w.headers, sigv4.Header{Name: []byte("Host"), Value: []byte(host)})
	for k, list := range r.Header {
		for _, v := range list {
			w.headers = append(w.headers, sigv4.Header{Name: []byte(k), Value: []byte(v)})
		}
	}
	return w
}

// escape is Go's own, with what it leaves alone encoded too.
func escape(s string) string {
	parts := strings.Split(s, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return strings.Join(parts, "/")
}

// random makes a request with keys, parameters and headers of all kinds.
func random(rng *rand.Rand) *http.Request {
	text := func(n int) string {
		var b strings.Builder
		for range rng.IntN(n) + 1 {
			switch rng.IntN(6) {
			case 0:
				b.WriteRune([]rune("üñ☃𝄞")[rng.IntN(4)])
			default:
				b.WriteByte(byte(' ' + rng.IntN(95)))
			}
		}
		return b.String()
	}
	path := "/bucket/" + strings.Trim(text(30), "/")
	u := &url.URL{Scheme: "http", Host: "s3.example.test:9000", Path: path, RawPath: escape(path)}
	query := url.Values{}
	for range rng.IntN(4) {
		query.Set("p"+strings.ToLower(text(6)), text(12))
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	r := &http.Request{Method: []string{"GET", "PUT", "POST", "DELETE", "HEAD"}[rng.IntN(5)], URL: u, Host: u.Host, Header: http.Header{}}
	for i := range rng.IntN(3) {
		r.Header.Set(fmt.Sprintf("X-Amz-Meta-%d", i), "  a  "+strings.Trim(text(10), " ")+"  b ")
	}
	if rng.IntN(2) == 0 {
		r.Header.Set("Content-Type", "text/plain;  charset=utf-8")
	}
	return r
}

func awsSign(t testing.TB, r *http.Request, payload string) {
	t.Helper()
	r.Header.Set("X-Amz-Content-Sha256", payload)
	s := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := s.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, r, payload, "s3", region, now); err != nil {
		t.Fatal(err)
	}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// TestVerify_B30_aws: what AWS's SDK signs, we verify.
func TestVerify_B30_aws(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		r := random(rng)
		awsSign(t, r, hashOf("body"))
		if err := fromHTTP(r).verify(now); err != nil {
			t.Fatalf("request %d: %s %s: %v", i, r.Method, r.URL, err)
		}
	}
}

func TestVerify_B30_awsPresigned(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	s := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	for i := range 1000 {
		r := random(rng)
		r.Header = http.Header{}
		q := r.URL.Query()
		q.Set("X-Amz-Expires", "600")
		r.URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
		signed, _, err := s.PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, r, "UNSIGNED-PAYLOAD", "s3", region, now)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{method: r.Method, target: u.EscapedPath() + "?" + u.RawQuery, headers: []sigv4.Header{{Name: []byte("host"), Value: []byte(r.Host)}}}
		if err := w.verify(now.Add(599 * time.Second)); err != nil {
			t.Fatalf("request %d: %s: %v", i, signed, err)
		}
		if err := w.verify(now.Add(601 * time.Second)); err == nil {
			t.Fatal("B23 verified after its expiry")
		}
	}
}

func TestVerify_B30_minio(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 500 {
		r := random(rng)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		// It sorts parameters by their decoded names, which differs from S3's
		// rule for names that need encoding: plain names only.
		r.URL.RawQuery = fmt.Sprintf("a=%d&prefix=x%%20y&z=", i)
		signed := signer.SignV4(*r, accessKey, secretKey, "", region)
		// minio-go signs with the present time.
		if err := fromHTTP(signed).verify(time.Now()); err != nil {
			t.Fatalf("request %d: %s %s: %v", i, r.Method, r.URL, err)
		}
	}
}

// TestVerify_B30_everyByte changes each byte of signed requests: none may
// verify, unless the change means the same to AWS's own signer.
func TestVerify_B30_everyByte(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	for range 25 {
		r := random(rng)
		awsSign(t, r, hashOf("body"))
		signed := fromHTTP(r)
		mutate := func(part []byte, what string, put func([]byte) *wire) {
			for i := range part {
				for _, flip := range []byte{1, 0x20, 0x80} {
					changed := []byte(string(part))
					changed[i] ^= flip
					w := put(changed)
					if w.verify(now) == nil && !sameMeaning(signed, w) {
						t.Fatalf("%s: %q verified as %q", what, changed, part)
					}
				}
			}
		}
		mutate([]byte(signed.method), "method", func(b []byte) *wire { w := *signed; w.method = string(b); return &w })
		mutate([]byte(signed.target), "target", func(b []byte) *wire { w := *signed; w.target = string(b); return &w })
		for i, h := range signed.headers {
			mutate(h.Value, string(h.Name), func(b []byte) *wire {
				w := *signed
				w.headers = append([]sigv4.Header(nil), signed.headers...)
				w.headers[i].Value = b
				return &w
			})
		}
	}
}

// sameMeaning compares decoded targets and folded headers with the standard
// library's decoders: "%41" and "A" are one key, and "a  b" is "a b".
func sameMeaning(a, b *wire) bool {
	decode := func(w *wire) string {
		path, query, _ := strings.Cut(w.target, "?")
		p, err := url.PathUnescape(path)
		if err != nil {
			return "bad " + w.target
		}
		q, err := url.ParseQuery(query)
		if err != nil {
			return "bad " + w.target
		}
		s := w.method + p + q.Encode()
		for _, h := range w.headers {
			if name := strings.ToLower(string(h.Name)); name == "authorization" {
				s += strings.ReplaceAll(string(h.Value), " ", "")
			} else {
				s += name + strings.Join(strings.FieldsFunc(string(h.Value), func(r rune) bool { return r == ' ' || r == '\t' }), " ")
			}
		}
		return s
	}
	return decode(a) == decode(b)
}

// TestAppendAuthorization signs as for the backend; AWS's signer agrees.
func TestAppendAuthorization(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 10))
	for range 500 {
		r := random(rng)
		awsSign(t, r, "UNSIGNED-PAYLOAD")
		want := r.Header.Get("Authorization")
		r.Header.Del("Authorization")
		w := fromHTTP(r)
		req := w.request(t)
		req.Headers = nil
		for _, h := range w.headers {
			req.Headers = append(req.Headers, sigv4.Header{Name: []byte(strings.ToLower(string(h.Name))), Value: h.Value})
		}
		got := sigv4.AppendAuthorization(nil, req, accessKey, sigv4.NewSigningKey(secretKey, now.Format("20060102"), region), []byte("UNSIGNED-PAYLOAD"), now)
		if string(got) != strings.ReplaceAll(want, ", ", ",") {
			t.Fatalf("signed\n%s\nAWS\n%s", got, want)
		}
	}
}

func TestPresign(t *testing.T) {
	t.Parallel()
	target := &sigv4.Target{}
	if err := target.Parse([]byte("/b/k%20%C3%BC?versionId=7")); err != nil {
		t.Fatal(err)
	}
	host := []sigv4.Header{{Name: []byte("host"), Value: []byte("s3.example.test")}}
	q := sigv4.Presign(&sigv4.Request{Method: []byte("GET"), Target: target, Headers: host}, accessKey,
		sigv4.NewSigningKey(secretKey, now.Format("20060102"), region), time.Minute, now)
	w := &wire{method: "GET", target: "/b/k%20%C3%BC?" + string(q), headers: host}
	if err := w.verify(now); err != nil {
		t.Fatal(err)
	}
	w.target += "&response-content-type=text/html"
	if err := w.verify(now); err == nil {
		t.Error("B22: a parameter was added to a presigned URL")
	}
}
