package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// complaining is a gateway in front of a backend that answers what a test says.
type complaining struct {
	g   *gateway
	tn  *tenant
	rec *recorder
}

func newComplaining(t testing.TB, kind tenancy.BackendKind) *complaining {
	t.Helper()
	c := &complaining{rec: newRecorder(t)}
	c.g = newGateway(t, options{names: true, kind: kind, minio: &devstack.MinIO{Endpoint: "http://" + c.rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}})
	c.tn = c.g.tenant()
	c.tn.raw().must(t, &request{method: "PUT", path: "/complaints"})
	c.tn.raw().must(t, &request{method: "PUT", path: "/complaints-locked", header: headers("x-amz-bucket-object-lock-enabled", "true")})
	return c
}

// complaint is what a backend answers with.
func complaint(status int, code string) string {
	doc := ""
	if code != "" {
		doc = "<Error><Code>" + code + "</Code><Message>the backend's words</Message></Error>"
	}
	return spoken(status, doc)
}

func spoken(status int, doc string) string {
	head := ""
	if _, rest, ok := strings.Cut(doc, "<Code>"); ok { // as MinIO says it to HEAD
		code, _, _ := strings.Cut(rest, "<")
		head = "x-minio-error-code: " + code + "\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 %d X\r\n"+head+"connection: close\r\nlocation: http://backend.internal/\r\ncontent-length: %d\r\n\r\n%s", status, len(doc), doc)
}

// asked are requests of every way through the gateway to a backend.
func (c *complaining) asked(t *testing.T) map[string]*request {
	t.Helper()
	const bucket, object = "/complaints", "/complaints/k"
	id := c.tn.raw().begin(t, object)
	form := formRequest(t, bucket[1:], signForm(t, c.tn.key.KeyID, c.tn.key.Secret, map[string]string{"key": "k"}, bucket[1:]), "file")
	return map[string]*request{
		"GetObject":             {method: "GET", path: object},
		"HeadObject":            {method: "HEAD", path: object},
		"PutObject":             {method: "PUT", path: object, body: []byte("x")},
		"PutObject, empty":      {method: "PUT", path: object},
		"DeleteObject":          {method: "DELETE", path: object, query: query("versionId", "null")},
		"CopyObject":            {method: "PUT", path: object, header: headers("x-amz-copy-source", bucket[1:]+"/source")},
		"ListObjectsV2":         {method: "GET", path: bucket, query: query("list-type", "2")},
		"ListMultipartUploads":  {method: "GET", path: bucket, query: query("uploads", "")},
		"GetBucketPolicy":       {method: "GET", path: bucket, query: query("policy", "")},
		"GetBucketPolicyStatus": {method: "GET", path: bucket, query: query("policyStatus", "")},
		"PutBucketVersioning":   {method: "PUT", path: bucket, query: query("versioning", ""), body: []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")},
		"DeleteObjects":         {method: "POST", path: bucket, query: query("delete", ""), body: []byte("<Delete><Object><Key>k</Key></Object><Object><Key>l</Key></Object></Delete>")},
		"CreateMultipartUpload": {method: "POST", path: object, query: query("uploads", "")},
		"UploadPart":            {method: "PUT", path: object, query: query("uploadId", id, "partNumber", "1"), body: []byte("x")},
		"CompleteMultipartUpload": {method: "POST", path: object, query: query("uploadId", id),
			body: []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>`)},
		"PostObject":   &form,
		"CreateBucket": {method: "PUT", path: "/complaints-new"},
		"DeleteBucket": {method: "DELETE", path: bucket},
	}
}

// complaints are answers that say something about who asked, or nothing that
// S3 says.
func complaints() map[string]string {
	all := map[string]string{}
	for code, status := range map[string]int{
		"InvalidAccessKeyId": 403, "SignatureDoesNotMatch": 403, "AccessDenied": 403, "RequestTimeTooSkewed": 403, "AllAccessDisabled": 403,
		"InvalidTokenId": 403, "ExpiredToken": 400, "InvalidToken": 400, "AuthorizationHeaderMalformed": 400, "AuthorizationQueryParametersError": 400,
		"MissingFields": 400, "MalformedDate": 400, "MissingSecurityHeader": 400, "MissingContentLength": 411, "MissingRequestBodyError": 411,
		"UnauthorizedAccess": 401, "AccountProblem": 403, "NotSignedUp": 403, "TemporaryRedirect": 307, "PermanentRedirect": 301, "XMinioInvalidIAMCredentials": 403,
	} {
		all[code] = complaint(status, code)
	}
	all["AccessDenied, 400"] = complaint(400, "AccessDenied")
	for _, status := range []int{201, 202, 203, 205, 207, 226, 300, 301, 302, 303, 305, 307, 308, 401, 402, 403, 407, 411, 418, 421, 426, 431, 451, 505, 511, 599, 999} {
		all[fmt.Sprint(status)] = complaint(status, "")
		if status != 403 {
			all[fmt.Sprint(status, " NoSuchKey")] = complaint(status, "NoSuchKey")
			all[fmt.Sprint(status, " page")] = spoken(status, "<html>somebody's page</html>")
		}
	}
	return all
}

// TestF4_complaints: what a backend says about the gateway is 503 for the
// client, with nothing of it, and told to the operator; whatever was asked.
func TestF4_complaints(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	asked := c.asked(t)
	tried := 0
	check := func(what, answer string, q *request) {
		c.rec.answers(func(r *recorded) string {
			if r.method == "HEAD" {
				head, _, _ := strings.Cut(answer, "\r\n\r\n")
				return head + "\r\n\r\n"
			}
			return answer
		})
		tried++
		r := c.tn.raw().do(t, q)
		if r.status != http.StatusServiceUnavailable || q.method != "HEAD" && r.code() != "ServiceUnavailable" {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
		if text := string(r.body) + fmt.Sprint(r.header); strings.Contains(text, "backend") || strings.Contains(text, "somebody") {
			t.Errorf("%s: the answer has something of the backend's: %s", what, text)
		}
	}
	for name, q := range asked {
		for fault, answer := range complaints() {
			check(name+" answered "+fault, answer, q)
		}
	}
	// A success of another operation's is none of this one's.
	for name, statuses := range map[string][]int{
		"GetObject": {204}, "PutObject": {206, 304}, "DeleteObject": {206, 304}, "ListObjectsV2": {204, 304}, "GetBucketPolicy": {204, 206, 304}, "DeleteObjects": {204, 206, 304},
		"PostObject": {204, 206, 304}, "CompleteMultipartUpload": {204, 304}, "CopyObject": {304},
	} {
		for _, status := range statuses {
			check(fmt.Sprint(name, " answered ", status), spoken(status, ""), asked[name])
		}
	}
	for _, name := range []string{"CopyObject", "ListObjectsV2", "ListMultipartUploads", "CreateMultipartUpload", "CompleteMultipartUpload"} {
		check(name+" refused in a 200", strings.Replace(complaint(200, "SignatureDoesNotMatch"), "\r\n\r\n", "\r\ncontent-type: application/xml\r\n\r\n", 1), asked[name])
	}
	// A message has a rate: what the log leaves out, the figure has.
	counted := c.g.metric(t, "primecloud_proxy_backend_refusals_total")
	if !strings.Contains(c.g.log.String(), `level=ERROR msg="the backend does not accept`) || counted != float64(tried) {
		t.Errorf("the operator is told of %v complaints of %d", counted, tried)
	}
}

// TestF4_complaintsLate: where the answer is 200 already, its document says it.
func TestF4_complaintsLate(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	asked := c.asked(t)
	for _, code := range []string{"SignatureDoesNotMatch", "AccessDenied", "InvalidAccessKeyId"} {
		for name, answer := range map[string]string{
			"CompleteMultipartUpload": "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n%x\r\n%s\r\n0\r\n\r\n",
			"DeleteObjects":           "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s",
		} {
			doc := "<Error><Code>" + code + "</Code><Message>the backend's words</Message></Error>"
			if name == "DeleteObjects" {
				doc = "<DeleteResult>" + strings.Replace(doc, "<Error>", "<Error><Key>k</Key>", 1) + strings.Replace(doc, "<Error>", "<Error><Key>l</Key>", 1) + "</DeleteResult>"
			}
			length := fmt.Sprintf("%d", len(doc))
			if name == "CompleteMultipartUpload" {
				length = fmt.Sprintf("%x", len(doc))
			}
			answer = strings.NewReplacer("%x", length, "%d", length, "%s", doc).Replace(answer)
			c.rec.answers(func(*recorded) string { return answer })
			before := c.g.metric(t, "primecloud_proxy_backend_refusals_total")
			r := c.tn.raw().do(t, asked[name])
			if r.status != http.StatusOK || r.code() != "ServiceUnavailable" || strings.Contains(string(r.body), code) || strings.Contains(string(r.body), "backend") {
				t.Errorf("%s %s: %d %s", name, code, r.status, r.body)
			}
			if n := c.g.metric(t, "primecloud_proxy_backend_refusals_total") - before; n != 1 {
				t.Errorf("%s %s: counted %v times", name, code, n)
			}
		}
	}
}

// TestF4_theirs: a 403 that is about the client's own object stays theirs.
func TestF4_theirs(t *testing.T) {
	t.Parallel()
	locked := func(method, path string, q ...string) *request {
		return &request{method: method, path: path, query: query(q...)}
	}
	retention := locked("PUT", "/complaints-locked/k", "retention", "")
	retention.body = []byte("<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2070-01-01T00:00:00Z</RetainUntilDate></Retention>")
	for _, k := range []struct {
		kind   tenancy.BackendKind
		name   string
		q      *request
		status int
		code   string
		want   string // "": it is the operator's
	}{
		{"", "archived", locked("GET", "/complaints/k"), 403, "InvalidObjectState", "InvalidObjectState"},
		{"", "locked, as MinIO says it", locked("DELETE", "/complaints-locked/k", "versionId", "null"), 400, "InvalidRequest", "InvalidRequest"},
		{"", "locked, as MinIO never says it", locked("DELETE", "/complaints-locked/k", "versionId", "null"), 403, "AccessDenied", ""},
		{"s3", "locked, as S3 says it", locked("DELETE", "/complaints-locked/k", "versionId", "null"), 403, "AccessDenied", "AccessDenied"},
		{"s3", "retention", retention, 403, "AccessDenied", "AccessDenied"},
		{"s3", "no lock in the bucket", locked("DELETE", "/complaints/k", "versionId", "null"), 403, "AccessDenied", ""},
		{"s3", "nothing that a lock forbids", locked("GET", "/complaints-locked/k"), 403, "AccessDenied", ""},
	} {
		c := newComplaining(t, k.kind)
		c.rec.answers(func(*recorded) string { return complaint(k.status, k.code) })
		r := c.tn.raw().do(t, k.q)
		want, status := k.want, k.status
		if want == "" {
			want, status = "ServiceUnavailable", 503
		}
		if r.status != status || r.code() != want {
			t.Errorf("%s: %d %s", k.name, r.status, r.body)
		}
	}
	c := newComplaining(t, "")
	host := c.tn.account.Name + ".tenants.example.test"
	for _, method := range []string{"GET", "HEAD"} {
		c.rec.answers(func(q *recorded) string {
			if q.method == "HEAD" {
				return "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n"
			}
			return complaint(403, "AccessDenied")
		})
		if r := c.tn.raw().do(t, &request{method: method, path: "/complaints/k", anonymous: true, host: host}); r.status != http.StatusForbidden {
			t.Errorf("anonymous %s: %d %s", method, r.status, r.body)
		}
	}
}

// TestF4_theirsByMinIO: the same from MinIO itself.
func TestF4_theirsByMinIO(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true, minio: testenv.MinIOTLS(t)})
	tn := g.tenant()
	do := func(q *request) *reply { return tn.doTLS(t, q) }
	key := func(c string) http.Header {
		k := strings.Repeat(c, 32)
		return headers("x-amz-server-side-encryption-customer-algorithm", "AES256", "x-amz-server-side-encryption-customer-key", b64(k),
			"x-amz-server-side-encryption-customer-key-MD5", contentMD5([]byte(k)))
	}
	do(&request{method: "PUT", path: "/theirs", header: headers("x-amz-bucket-object-lock-enabled", "true")})
	if r := do(&request{method: "PUT", path: "/theirs/sealed", body: []byte("x"), header: key("a")}); r.status != http.StatusOK {
		t.Fatal(r.status, string(r.body))
	}
	hold := headers("x-amz-object-lock-mode", "COMPLIANCE", "x-amz-object-lock-retain-until-date", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	put := do(&request{method: "PUT", path: "/theirs/locked", body: []byte("x"), header: hold})
	if put.status != http.StatusOK {
		t.Fatal(put.status, string(put.body))
	}
	for name, c := range map[string]struct {
		q      *request
		status int
		code   string
	}{
		"another customer key":           {&request{method: "GET", path: "/theirs/sealed", header: key("b")}, 403, "AccessDenied"},
		"another customer key, HEAD":     {&request{method: "HEAD", path: "/theirs/sealed", header: key("b")}, 403, ""},
		"no customer key":                {&request{method: "GET", path: "/theirs/sealed"}, 400, "InvalidRequest"},
		"a version that is locked":       {&request{method: "DELETE", path: "/theirs/locked", query: query("versionId", put.header.Get("x-amz-version-id"))}, 400, "InvalidRequest"},
		"a shorter lock":                 {&request{method: "PUT", path: "/theirs/locked", query: query("retention", ""), body: []byte("<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>" + time.Now().Add(time.Minute).UTC().Format(time.RFC3339) + "</RetainUntilDate></Retention>")}, 400, "InvalidRequest"},
		"a key that is not there":        {&request{method: "GET", path: "/theirs/missing"}, 404, "NoSuchKey"},
		"a condition that does not hold": {&request{method: "GET", path: "/theirs/locked", header: headers("If-Match", `"x"`)}, 412, "PreconditionFailed"},
		"a copy with another key": {&request{method: "PUT", path: "/theirs/copy", header: headers("x-amz-copy-source", "theirs/sealed",
			"x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256", "x-amz-copy-source-server-side-encryption-customer-key", b64(strings.Repeat("b", 32)),
			"x-amz-copy-source-server-side-encryption-customer-key-MD5", contentMD5([]byte(strings.Repeat("b", 32))))}, 403, "AccessDenied"},
	} {
		if r := do(c.q); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if n := g.metric(t, "primecloud_proxy_backend_refusals_total"); n != 0 {
		t.Errorf("%v of them are taken for complaints about the gateway", n)
	}
}
