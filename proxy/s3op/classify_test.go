package s3op_test

import (
	"net/url"
	"slices"
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

// unknown are parameters that neither S3 nor the table has.
var unknown = []string{"anything", "ABAC", "Delete", "policy ", "list-Type=2", "x", "=x", "=", "acl2", "versionid=1", "uploadid=x", "v=1", "utm_source=a",
	"x-user=a", "x-minio-force-delete=true", "x-=1", "X-Amz=1", "fbclid=a", "partnumber=0", "subresource=acl"}

// raw is a parameter as it stands in a target, with its value or without.
func raw(name string) string {
	n, v, ok := strings.Cut(name, "=")
	if n = url.QueryEscape(n); ok {
		n += "=" + v
	}
	return n
}

var methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE"}

// TestClassify_rule3_failsClosed: no sub-resource that S3 or MinIO has reaches
// the base operation, with or without a value, on any method or level, and no
// other name reaches an operation that changes something.
func TestClassify_rule3_failsClosed(t *testing.T) {
	t.Parallel()
	var known []string
	add := func(name string) { known = append(known, name, name+"=", name+"=x", name+"=true") }
	s3op.Refused(func(selector, _ string) { add(selector) })
	for _, o := range s3op.Operations {
		if o.Selector != "" && o.Selector != "list-type" {
			add(o.Selector)
		}
	}
	add("versionId")
	add("partNumber")
	for _, method := range methods {
		for level := s3op.Service; level <= s3op.Object; level++ {
			for _, p := range slices.Concat(known, unknown) {
				o, refusal := s3op.Classify([]byte(method), level, params(t, raw(p)), false)
				name, _, _ := strings.Cut(p, "=")
				reads := method == "GET" || method == "HEAD"
				switch {
				case o == nil && refusal == nil:
					t.Errorf("%s level %d ?%s: neither an operation nor a refusal", method, level, p)
				case o != nil && !o.Takes([]byte(name)) && (!reads || !slices.Contains(unknown, p)):
					t.Errorf("%s level %d ?%s became %s", method, level, p, o.Name)
				}
			}
		}
	}
}

// TestClassify_rule3_asksForNothing: what S3 does not know makes no difference
// to what reads, in a presigned URL nor in another; a presigned URL for a change
// may carry x- parameters, and no others.
func TestClassify_rule3_asksForNothing(t *testing.T) {
	t.Parallel()
	const presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
	for _, o := range s3op.Operations {
		reads := o.Method == "GET" || o.Method == "HEAD"
		own := map[string]string{"": "", "list-type": "list-type=2&"}[o.Selector]
		if o.Selector != "" && own == "" {
			own = o.Selector + "&"
		}
		if strings.HasPrefix(o.Name, "UploadPart") {
			own += "partNumber=1&"
		}
		for _, p := range unknown {
			for _, signed := range []bool{false, true} {
				target := own + raw(p)
				if new(sigv4.Target).Parse([]byte("/?"+target)) != nil {
					continue // the row's own parameter in another case: twice the same to a careless reader
				}
				if signed {
					target += "&" + presigned
				}
				got, refusal := s3op.Classify([]byte(o.Method), o.Level, params(t, target), o.CopySource)
				if may := reads || signed && strings.HasPrefix(strings.ToLower(p), "x-"); (got == o) != may || !may && refusal.Code != "NotImplemented" {
					t.Errorf("%s ?%s: %v, %v", o.Name, target, got, refusal)
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
// from MinIO's own name space has no effect (S3-RULES.md D7, A2).
func TestLookupHeader(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]s3op.Treatment{
		"x-amz-anything": s3op.Decline, "x-amz-meta-snowball-auto-extract": s3op.Decline, "x-amz-meta-minio-snowball-prefix": s3op.Decline,
		"x-amz-meta-a": s3op.Pass, "x-minio-force-delete": s3op.Consume, "x-minio-source-etag": s3op.Consume, "x-forwarded-for": s3op.Consume,
		"x-amz-api-version": s3op.Consume, "x-amz-id-2": s3op.Consume, "x-amz-request-id": s3op.Consume, "x-amz-sdk-retry": s3op.Consume, "x-amz-cf-id": s3op.Consume,
		"x-amz-api": s3op.Decline, "x-amz-sdk": s3op.Decline, "x-amz-cf": s3op.Decline, "x-amz-id": s3op.Decline,
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
			ignored := o.Method == "GET" || o.Method == "HEAD" || strings.HasPrefix(strings.ToLower(string(p.Name)), "x-")
			if !ignored && !o.Takes(p.Name) && !s3op.AuthParam(p.Name) && !s3op.Hoisted(p.Name) &&
				!strings.Contains("x-id AWSAccessKeyId Signature Expires", string(p.Name)) {
				t.Fatalf("%s took %q", o.Name, p.Name)
			}
		}
	})
}

// TestOperations_idempotent: what may be sent to a backend a second time changes
// nothing there.
func TestOperations_idempotent(t *testing.T) {
	t.Parallel()
	for _, o := range s3op.Operations {
		if reads := o.Method == "GET" || o.Method == "HEAD"; o.Idempotent != reads {
			t.Errorf("%s %s: idempotent %v", o.Method, o.Name, o.Idempotent)
		}
	}
}
