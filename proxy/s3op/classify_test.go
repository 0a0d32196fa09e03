package s3op_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

func params(t testing.TB, raw string) []sigv4.Param {
	t.Helper()
	var target sigv4.Target
	if err := target.Parse([]byte("/?" + raw)); err != nil {
		t.Fatal(err)
	}
	return target.Query
}

// TestClassify finds every row of the table by the request that its page shows.
func TestClassify(t *testing.T) {
	t.Parallel()
	for _, o := range s3op.Operations {
		q := url.Values{}
		if o.Selector != "" {
			q.Set(o.Selector, map[string]string{"list-type": "2"}[o.Selector])
		}
		if strings.HasPrefix(o.Name, "UploadPart") {
			q.Set("partNumber", "1")
		}
		got, refusal := s3op.Classify([]byte(o.Method), o.Level, params(t, q.Encode()), o.CopySource)
		if got != o {
			t.Errorf("%s: got %v, %v", o.Name, got, refusal)
		}
		for _, p := range o.Params {
			if p == "partNumber" {
				continue
			}
			q.Set(p, "x")
		}
		q.Set("x-id", o.Name)
		if got, refusal := s3op.Classify([]byte(o.Method), o.Level, params(t, q.Encode()), o.CopySource); got != o {
			t.Errorf("%s with all its parameters: %v", o.Name, refusal)
		}
	}
}

// TestClassify_rule3_failsClosed: no unknown sub-resource reaches the base
// operation, on any method or level.
func TestClassify_rule3_failsClosed(t *testing.T) {
	t.Parallel()
	unknown := []string{"anything", "ABAC", "Delete", "policy ", "list-Type=2", "x", "", "acl2", "versionid=1", "uploadid=x"}
	s3op.Refused(func(selector, _ string) { unknown = append(unknown, selector) })
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
		for level := s3op.Service; level <= s3op.Object; level++ {
			for _, name := range unknown {
				raw := url.QueryEscape(name)
				if i := strings.IndexByte(name, '='); i > 0 {
					raw = name
				}
				if raw == "" {
					raw = "=x"
				}
				o, refusal := s3op.Classify([]byte(method), level, params(t, raw), false)
				if o != nil && o.Selector != name {
					t.Errorf("%s level %d ?%s became %s", method, level, name, o.Name)
				}
				if o == nil && refusal == nil {
					t.Errorf("%s level %d ?%s: neither an operation nor a refusal", method, level, name)
				}
			}
		}
	}
}

// TestClassify_D13_oneSubResource: all pairs of sub-resources are refused.
func TestClassify_D13_oneSubResource(t *testing.T) {
	t.Parallel()
	var selectors []string
	seen := map[string]bool{}
	for _, o := range s3op.Operations {
		if o.Selector != "" && !seen[o.Selector] {
			seen[o.Selector] = true
			selectors = append(selectors, o.Selector)
		}
	}
	for _, a := range selectors {
		for _, b := range selectors {
			if a == b {
				continue
			}
			for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
				for level := s3op.Bucket; level <= s3op.Object; level++ {
					if o, _ := s3op.Classify([]byte(method), level, params(t, a+"&"+b), false); o != nil {
						t.Errorf("%s ?%s&%s became %s", method, a, b, o.Name)
					}
				}
			}
		}
	}
}

func TestClassify_methods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"get", "Get", "PATCH", "TRACE", "CONNECT", "PROPFIND", "", "GET "} {
		if o, refusal := s3op.Classify([]byte(method), s3op.Object, nil, false); o != nil || refusal.Code != "MethodNotAllowed" {
			t.Errorf("%q: %v, %v", method, o, refusal)
		}
	}
}

// TestLookupHeader: what asks for something unknown is declined, what comes
// from MinIO's own name space has no effect (D7, A2).
func TestLookupHeader(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]s3op.Treatment{
		"x-amz-anything": s3op.Decline, "x-amz-meta-snowball-auto-extract": s3op.Decline, "x-amz-meta-minio-snowball-prefix": s3op.Decline,
		"x-amz-meta-a": s3op.Pass, "x-minio-force-delete": s3op.Consume, "x-minio-source-etag": s3op.Consume, "x-forwarded-for": s3op.Consume,
		"accept-encoding": s3op.Consume, "range": s3op.Consume, "x_amz_copy_source": s3op.Consume, "x-amz-grant-read": s3op.Decline,
	} {
		if got := s3op.LookupHeader([]byte(name)).Treatment; got != want {
			t.Errorf("%s: %d, wanted %d", name, got, want)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	get, list := params(b, "versionId=3"), params(b, "list-type=2&prefix=a&max-keys=10")
	method := []byte("GET")
	b.ReportAllocs()
	for b.Loop() {
		s3op.Classify(method, s3op.Object, get, false)
		s3op.Classify(method, s3op.Bucket, list, false)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("GET", uint8(2), "versionId=1&uploadId=2")
	f.Fuzz(func(t *testing.T, method string, level uint8, raw string) {
		var target sigv4.Target
		if target.Parse([]byte("/?"+raw)) != nil {
			return
		}
		o, refusal := s3op.Classify([]byte(method), s3op.Level(level%3), target.Query, false)
		if (o == nil) == (refusal == nil) {
			t.Fatal("neither or both")
		}
		if o == nil {
			return
		}
		for _, p := range target.Query {
			if string(p.Name) != o.Selector && !o.Allows(p.Name) && !s3op.AuthParam(p.Name) && !s3op.Hoisted(p.Name) &&
				!strings.Contains("x-id AWSAccessKeyId Signature Expires", string(p.Name)) {
				t.Fatalf("%s took %q", o.Name, p.Name)
			}
		}
	})
}
