package proxy_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// request is an S3 request below the level of SDKs, signed by AWS's signer.
type request struct {
	method, path string // path decoded: /bucket/key
	query        url.Values
	header       http.Header
	body         []byte
	host         string // Host header; default: the address
	payload      string // x-amz-content-sha256; default: the body's hash
	anonymous    bool
	presign      bool
	edit         func(*http.Request) // after signing
	at           time.Time
	region       string
}

// reply is the whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *reply) code() string {
	_, rest, ok := strings.Cut(string(r.body), "<Code>")
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(rest, "</Code>")
	return code
}

// endpoint is where requests go, with the credential that signs them.
type endpoint struct {
	addr, id, secret string
}

func (tn *tenant) raw() *endpoint { return &endpoint{tn.g.addr, tn.key.KeyID, tn.key.Secret} }

var rawClient = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (e *endpoint) build(t testing.TB, q *request) *http.Request {
	t.Helper()
	u := url.URL{Scheme: "http", Host: e.addr, Path: q.path, RawPath: escapePath(q.path), RawQuery: strings.ReplaceAll(q.query.Encode(), "+", "%20")}
	r, err := http.NewRequestWithContext(t.Context(), q.method, u.String(), bytes.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range q.header {
		r.Header[k] = v
	}
	if q.host != "" {
		r.Host = q.host
	}
	if len(q.body) == 0 {
		r.Body = http.NoBody
	}
	payload := q.payload
	if payload == "" {
		sum := sha256.Sum256(q.body)
		payload = hex.EncodeToString(sum[:])
	}
	at := q.at
	if at.IsZero() {
		at = time.Now()
	}
	region := q.region
	if region == "" {
		region = "us-east-1"
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	creds := aws.Credentials{AccessKeyID: e.id, SecretAccessKey: e.secret}
	switch {
	case q.anonymous:
	case q.presign:
		r.Header.Del("x-amz-content-sha256")
		query := r.URL.Query()
		query.Set("X-Amz-Expires", "300")
		r.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
		signed, headers, err := signer.PresignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", region, at)
		if err != nil {
			t.Fatal(err)
		}
		_, raw, _ := strings.Cut(signed, "?")
		r.URL.RawQuery = raw
		r.Header = http.Header{} // what is not signed was moved into the query
		for k, v := range headers {
			if k != "Host" {
				r.Header[k] = v
			}
		}
	default:
		r.Header.Set("X-Amz-Content-Sha256", payload)
		if err := signer.SignHTTP(context.Background(), creds, r, payload, "s3", region, at); err != nil {
			t.Fatal(err)
		}
	}
	if q.edit != nil {
		q.edit(r)
	}
	return r
}

func (e *endpoint) do(t testing.TB, q *request) *reply {
	t.Helper()
	resp, err := rawClient.Do(e.build(t, q))
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.path, err)
	}
	return &reply{resp.StatusCode, resp.Header, body}
}

// doTLS sends a request with the tenant's key to the gateway's TLS listener.
func (tn *tenant) doTLS(t testing.TB, q *request) *reply {
	t.Helper()
	r := (&endpoint{tn.g.tlsAddr, tn.key.KeyID, tn.key.Secret}).build(t, q)
	r.URL.Scheme = "https"
	transport := tn.g.transport()
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &reply{resp.StatusCode, resp.Header, body}
}

// escapePath is S3's encoding, independent of ours: Go's, with what it leaves
// alone encoded too.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i, s := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	return strings.Join(parts, "/")
}

func query(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func contentMD5(body []byte) string {
	sum := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
