package sigv4_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
)

// get is a plain signed request to be spoilt.
func get(t testing.TB) *wire {
	t.Helper()
	r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h.test", Path: "/b/k"}, Host: "h.test", Header: http.Header{}}
	awsSign(t, r, hashOf(""))
	return fromHTTP(r)
}

func (w *wire) set(name, value string) *wire {
	for i := range w.headers {
		if strings.EqualFold(string(w.headers[i].Name), name) {
			w.headers[i].Value = []byte(value)
			return w
		}
	}
	w.headers = append(w.headers, sigv4.Header{Name: []byte(name), Value: []byte(value)})
	return w
}

func (w *wire) add(name, value string) *wire {
	w.headers = append(w.headers, sigv4.Header{Name: []byte(name), Value: []byte(value)})
	return w
}

func (w *wire) del(name string) *wire {
	for i := range w.headers {
		if strings.EqualFold(string(w.headers[i].Name), name) {
			w.headers = append(w.headers[:i], w.headers[i+1:]...)
			return w
		}
	}
	return w
}

func (w *wire) header(name string) string {
	for _, h := range w.headers {
		if strings.EqualFold(string(h.Name), name) {
			return string(h.Value)
		}
	}
	return ""
}

func (w *wire) authorization(old, replacement string) *wire {
	return w.set("Authorization", strings.Replace(w.header("Authorization"), old, replacement, 1))
}

// TestParse_refusals is a table of what must not pass, by rule.
func TestParse_refusals(t *testing.T) {
	t.Parallel()
	signature := func(w *wire) string {
		_, s, _ := strings.Cut(w.header("Authorization"), "Signature=")
		return s
	}
	for _, c := range []struct {
		name  string
		spoil func(w *wire) *wire
		want  error
	}{
		{"A1 query credential beside nothing else", func(w *wire) *wire {
			w.target += "?X-Amz-Credential=" + accessKey + "/20260304/us-east-1/s3/aws4_request"
			return w.del("Authorization")
		}, sigv4.ErrAuthorizationQuery},
		{"A1 query credential in odd case", func(w *wire) *wire {
			w.target += "?x-amz-credential=x"
			return w.del("Authorization")
		}, sigv4.ErrAuthorizationQuery},
		{"A4 unsigned x-amz-copy-source", func(w *wire) *wire { return w.add("x-amz-copy-source", "b/k") }, sigv4.ErrAccessDenied},
		{"A4 unsigned x-amz-meta", func(w *wire) *wire { return w.add("X-Amz-Meta-A", "1") }, sigv4.ErrAccessDenied},
		{"B1 both mechanisms", func(w *wire) *wire { w.target += "?X-Amz-Signature=x"; return w }, sigv4.ErrInvalidArgument},
		{"B1 two Authorization headers", func(w *wire) *wire { return w.add("authorization", w.header("Authorization")) }, sigv4.ErrInvalidArgument},
		{"B2 version 2 header", func(w *wire) *wire { return w.set("Authorization", "AWS AKIA:c2ln") }, sigv4.ErrInvalidRequest},
		{"B2 version 2 query", func(w *wire) *wire {
			w.target += "?AWSAccessKeyId=a&Signature=b&Expires=1"
			return w.del("Authorization")
		}, sigv4.ErrInvalidRequest},
		{"B2 version 4A", func(w *wire) *wire { return w.authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256") }, sigv4.ErrNotImplemented},
		{"B2 another scheme", func(w *wire) *wire { return w.set("Authorization", "Bearer x") }, sigv4.ErrInvalidRequest},
		{"B8 signed header is absent", func(w *wire) *wire { return w.authorization("SignedHeaders=host", "SignedHeaders=absent;host") }, sigv4.ErrAccessDenied},
		{"B8 unsorted list", func(w *wire) *wire {
			return w.authorization("SignedHeaders=host;x-amz-content-sha256", "SignedHeaders=x-amz-content-sha256;host")
		}, sigv4.ErrAuthorizationHeaderMalformed},
		{"B8 repeated name", func(w *wire) *wire { return w.authorization("SignedHeaders=host", "SignedHeaders=host;host") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B8 upper case", func(w *wire) *wire { return w.authorization("SignedHeaders=host", "SignedHeaders=Host") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B9 host is not signed", func(w *wire) *wire { return w.authorization("SignedHeaders=host;", "SignedHeaders=") }, sigv4.ErrAccessDenied},
		{"B10 no date", func(w *wire) *wire { return w.del("X-Amz-Date").authorization(";x-amz-date", "") }, sigv4.ErrAccessDenied},
		{"B10 malformed date", func(w *wire) *wire { return w.set("X-Amz-Date", "2026-03-04") }, sigv4.ErrAccessDenied},
		{"B10 another day than the scope's", func(w *wire) *wire { return w.set("X-Amz-Date", "20260303T235959Z") }, sigv4.ErrAccessDenied},
		{"B10 February 30", func(w *wire) *wire { return w.set("X-Amz-Date", "20260230T000000Z") }, sigv4.ErrAccessDenied},
		{"B11 wrong region", func(w *wire) *wire { return w.authorization("us-east-1", "eu-west-1") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B11 wrong service", func(w *wire) *wire { return w.authorization("/s3/", "/ec2/") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B11 wrong end", func(w *wire) *wire { return w.authorization("aws4_request", "aws4") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 no signature", func(w *wire) *wire { return w.authorization(", Signature=", ", Sig=") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 empty signature", func(w *wire) *wire { return w.authorization(signature(w), "") }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 63 digits", func(w *wire) *wire { return w.authorization(signature(w), signature(w)[1:]) }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 65 digits", func(w *wire) *wire { return w.authorization(signature(w), "0"+signature(w)) }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 upper-case digits", func(w *wire) *wire { return w.authorization(signature(w), strings.Repeat("A", 64)) }, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 doubled part", func(w *wire) *wire {
			return w.set("Authorization", w.header("Authorization")+", Signature="+signature(w))
		}, sigv4.ErrAuthorizationHeaderMalformed},
		{"B12 flipped digit", func(w *wire) *wire {
			s := []byte(signature(w))
			s[0] ^= 1
			return w.authorization(signature(w), string(s))
		}, sigv4.ErrSignatureDoesNotMatch},
		{"B14 no payload hash", func(w *wire) *wire {
			return w.del("X-Amz-Content-Sha256").authorization("x-amz-content-sha256;", "")
		}, sigv4.ErrMissingSecurityHeader},
		{"B14 lower-case marker", func(w *wire) *wire { return w.set("X-Amz-Content-Sha256", "unsigned-payload") }, sigv4.ErrInvalidArgument},
		{"B14 short hash", func(w *wire) *wire { return w.set("X-Amz-Content-Sha256", "abc") }, sigv4.ErrInvalidArgument},
		{"B14 ECDSA chunks", func(w *wire) *wire { return w.set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") }, sigv4.ErrNotImplemented},
		{"B26 token header", func(w *wire) *wire { return w.add("x-amz-security-token", "t") }, sigv4.ErrInvalidToken},
		{"B26 token in the query", func(w *wire) *wire { w.target += "?X-Amz-Security-Token=t"; return w }, sigv4.ErrInvalidToken},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.spoil(get(t)).verify(now); !errors.Is(err, c.want) {
				t.Errorf("got %v, wanted %v", err, c.want)
			}
		})
	}
}

// TestParse_A3_everyPayloadType: the seed signature counts whatever the marker says.
func TestParse_A3_everyPayloadType(t *testing.T) {
	t.Parallel()
	for _, marker := range []string{hashOf("x"), "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
		r := &http.Request{Method: "PUT", URL: &url.URL{Scheme: "http", Host: "h.test", Path: "/b/k"}, Host: "h.test", Header: http.Header{}}
		awsSign(t, r, marker)
		if err := fromHTTP(r).verify(now); err != nil {
			t.Errorf("%s: %v", marker, err)
		}
		for name, spoil := range map[string]func(*wire) *wire{
			"flipped": func(w *wire) *wire {
				a := w.header("Authorization")
				return w.set("Authorization", a[:len(a)-1]+string(a[len(a)-1]^1))
			},
			"zero": func(w *wire) *wire {
				a := w.header("Authorization")
				return w.set("Authorization", a[:len(a)-64]+strings.Repeat("0", 64))
			},
			"empty":     func(w *wire) *wire { a := w.header("Authorization"); return w.set("Authorization", a[:len(a)-64]) },
			"marker":    func(w *wire) *wire { return w.set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD").set("x-amz-meta-x", "") },
			"no header": func(w *wire) *wire { return w.del("Authorization") },
		} {
			if err := spoil(fromHTTP(r)).verify(now); err == nil {
				t.Errorf("%s with a %s signature was accepted", marker, name)
			}
		}
	}
}

func TestParse_B10_skew(t *testing.T) {
	t.Parallel()
	for d, ok := range map[time.Duration]bool{14 * time.Minute: true, -14 * time.Minute: true, 16 * time.Minute: false, -16 * time.Minute: false, 24 * time.Hour: false} {
		if err := get(t).verify(now.Add(d)); (err == nil) != ok {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func TestParse_B23_expires(t *testing.T) {
	t.Parallel()
	key := sigv4.NewSigningKey(secretKey, now.Format("20060102"), region)
	host := []sigv4.Header{{Name: []byte("host"), Value: []byte("h.test")}}
	target := &sigv4.Target{Path: []byte("/b/k")}
	q := string(sigv4.Presign(&sigv4.Request{Method: []byte("GET"), Target: target, Headers: host}, accessKey, key, 604800*time.Second, now))
	for value, ok := range map[string]bool{"604800": true, "604801": false, "0": false, "-1": false, "+5": false, "%205": false, "abc": false, "1e3": false, "9223372036854775808": false, "": false} {
		w := &wire{"GET", "/b/k?" + strings.Replace(q, "X-Amz-Expires=604800", "X-Amz-Expires="+value, 1), host}
		err := w.verify(now)
		if (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
		if !ok && !errors.Is(err, sigv4.ErrAuthorizationQuery) {
			t.Errorf("%q: %v, wanted %v", value, err, sigv4.ErrAuthorizationQuery)
		}
	}
	w := &wire{"GET", "/b/k?" + q, host}
	if err := w.verify(now.Add(-16 * time.Minute)); !errors.Is(err, sigv4.ErrAccessDenied) {
		t.Errorf("not valid yet: %v", err)
	}
	if err := w.verify(now.Add(7*24*time.Hour + time.Second)); !errors.Is(err, sigv4.ErrAccessDenied) {
		t.Errorf("expired: %v", err)
	}
}

func TestTarget_Parse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/":                            "/",
		"/b/%2F..%2e/x+y":              "/b//.../x+y",
		"/b/k?a=b+c&d=%2B&e":           "/b/k|a=b c|d=+|e=",
		"/b/k?&&a=1&":                  "/b/k|a=1",
		"/\xff/%00?x=%zz":              "",
		"/b/%zz":                       "",
		"/b/%2":                        "",
		"/b?x=1;y=2":                   "",
		"/b?a=1&a=2":                   "",
		"/b?X-Amz-Date=1&x-amz-date=2": "",
		"http://evil/b":                "",
		"*":                            "",
		"":                             "",
		"/b#frag":                      "",
		"/b k":                         "",
		"/b\x00":                       "",
		"/b?=1":                        "/b|=1",
	} {
		var target sigv4.Target
		err := target.Parse([]byte(raw))
		got := ""
		if err == nil {
			got = string(target.Path)
			for _, p := range target.Query {
				got += "|" + string(p.Name) + "=" + string(p.Value)
			}
		}
		if got != want {
			t.Errorf("%q: %q, %v; wanted %q", raw, got, err, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("/b/k?a=b&c=%20")
	f.Add("/%00/%ff?;")
	f.Fuzz(func(t *testing.T, raw string) {
		var target sigv4.Target
		if target.Parse([]byte(raw)) != nil {
			return
		}
		path, query, _ := strings.Cut(raw, "?")
		if want, err := url.PathUnescape(path); err != nil || want != string(target.Path) {
			t.Fatalf("path %q, net/url has %q, %v", target.Path, want, err)
		}
		want, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("net/url refuses %q: %v", query, err)
		}
		for _, p := range target.Query {
			if want.Get(string(p.Name)) != string(p.Value) {
				t.Fatalf("%q is %q, net/url has %q", p.Name, p.Value, want.Get(string(p.Name)))
			}
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add(get(f).header("Authorization"), "20260304T050607Z", hashOf(""))
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=,Signature=", "", "")
	f.Fuzz(func(t *testing.T, authorization, date, payload string) {
		w := get(t)
		original := *w
		w.set("Authorization", authorization).set("X-Amz-Date", date).set("X-Amz-Content-Sha256", payload)
		if w.verify(now) == nil && !sameMeaning(&original, w) &&
			strings.ReplaceAll(authorization, " ", "") != strings.ReplaceAll(get(t).header("Authorization"), " ", "") {
			t.Fatalf("verified: %q %q %q", authorization, date, payload)
		}
	})
}

func FuzzPresigned(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260304/us-east-1/s3/aws4_request&X-Amz-Date=20260304T050607Z&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=00")
	f.Fuzz(func(t *testing.T, query string) {
		w := &wire{"GET", "/b/k?" + query, []sigv4.Header{{Name: []byte("host"), Value: []byte("h")}}}
		if w.verify(now) == nil {
			t.Fatalf("verified without the secret: %q", query)
		}
	})
}
