package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestRules_refused replays what the rules and advisories warn of: signed by a
// tenant, at its own bucket. After each, nothing has appeared or gone.
func TestRules_refused(t *testing.T) { //nolint:tparallel // one bucket, looked at afterwards
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	must := func(r *reply) *reply {
		t.Helper()
		if r.status >= 300 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return r
	}
	must(e.do(t, &request{method: "PUT", path: "/rules-test"}))
	must(e.do(t, &request{method: "PUT", path: "/rules-test/k", body: []byte("kept")}))
	must(e.do(t, &request{method: "PUT", path: "/rules-test/dir/a", body: []byte("kept")}))
	listing := func() string {
		return string(must(e.do(t, &request{method: "GET", path: "/rules-test", query: query("versions", "")})).body)
	}
	before := dates.ReplaceAllString(listing(), "")
	del := func(keys ...string) []byte {
		body := "<Delete>"
		for _, k := range keys {
			body += "<Object><Key>" + k + "</Key></Object>"
		}
		return []byte(body + "</Delete>")
	}
	nested := []byte(strings.Repeat("<a>", 100_000))
	begun := string(uploadID.FindSubmatch(must(e.do(t, &request{method: "POST", path: "/rules-test/k", query: query("uploads", "")})).body)[1])
	for _, c := range []struct {
		name   string
		req    request
		status int
		code   string
	}{
		{"A1 query credential with an unsigned trailer", request{method: "PUT", path: "/rules-test/a1", anonymous: true, body: []byte("0\r\n\r\n"),
			query:  query("X-Amz-Credential", tn.key.KeyID+"/20260101/us-east-1/s3/aws4_request", "X-Amz-Signature", "00"),
			header: headers("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length", "0")}, 400, "AuthorizationQueryParametersError"},
		{"A1 odd case", request{method: "PUT", path: "/rules-test/a1", anonymous: true, query: query("x-amz-credential", "x")}, 400, "AuthorizationQueryParametersError"},
		{"A2 snowball", request{method: "PUT", path: "/rules-test/a2.tar", body: []byte("tar"), header: headers("x-amz-meta-snowball-auto-extract", "true")}, 501, "NotImplemented"},
		{"A2 minio snowball", request{method: "PUT", path: "/rules-test/a2.tar", body: []byte("tar"), header: headers("x-amz-meta-minio-snowball-prefix", "x")}, 501, "NotImplemented"},
		{"A4 unsigned copy source", request{method: "PUT", path: "/rules-test/a4", edit: func(r *http.Request) { r.Header.Set("x-amz-copy-source", "rules-test/k") }}, 403, "AccessDenied"},
		{"A4 unsigned copy source on a presigned URL", request{method: "PUT", path: "/rules-test/a4", presign: true, edit: func(r *http.Request) { r.Header.Set("x-amz-copy-source", "rules-test/k") }}, 403, "AccessDenied"},
		{"A4 unsigned metadata on a presigned URL", request{method: "PUT", path: "/rules-test/a4", presign: true, body: []byte("x"), edit: func(r *http.Request) { r.Header.Set("x-amz-meta-a", "1") }}, 403, "AccessDenied"},
		{"A8 replay after 16 minutes", request{method: "PUT", path: "/rules-test/a8", at: time.Now().Add(-16 * time.Minute)}, 403, "RequestTimeTooSkewed"},
		{"A10 traversal", request{method: "PUT", path: "/rules-test/../other/k", body: []byte("x")}, 400, "InvalidArgument"},
		{"A10 dot", request{method: "DELETE", path: "/rules-test/./k"}, 400, "InvalidArgument"},
		{"A10 backslash", request{method: "DELETE", path: `/rules-test/dir\..\k`}, 400, "InvalidArgument"},
		{"A10 NUL", request{method: "GET", path: "/rules-test/k\x00"}, 400, "InvalidArgument"},
		{"A13 admin API", request{method: "GET", path: "/minio/admin/v3/info"}, 404, "NoSuchBucket"},
		{"A13 health", request{method: "GET", path: "/minio/health/live", anonymous: true}, 403, "AccessDenied"},
		{"A13 STS", request{method: "POST", path: "/", query: query("Action", "AssumeRole", "Version", "2011-06-15")}, 405, "MethodNotAllowed"},
		{"A16 empty key", request{method: "GET", path: "/rules-test/k", edit: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), tn.key.KeyID, "", 1))
		}}, 400, "AuthorizationHeaderMalformed"},
		{"A16 unknown key", request{method: "GET", path: "/rules-test/k", edit: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), tn.key.KeyID, "AKIANOBODY", 1))
		}}, 403, "InvalidAccessKeyId"},
		{"A18 DOCTYPE", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: []byte(`<!DOCTYPE x [<!ENTITY y "k">]><Delete><Object><Key>&y;</Key></Object></Delete>`)}, 400, "MalformedXML"},
		{"A18 1001 keys", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: del(make([]string, 1001)...)}, 400, "MalformedXML"},
		{"A18 nested", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: nested}, 400, "MalformedXML"},
		{"A18 10001 parts", request{method: "POST", path: "/rules-test/k", query: query("uploadId", begun), body: []byte("<CompleteMultipartUpload>" + strings.Repeat("<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>", 10001) + "</CompleteMultipartUpload>")}, 400, "MalformedXML"},
		{"B2 version 2", request{method: "GET", path: "/rules-test/k", anonymous: true, header: headers("Authorization", "AWS "+tn.key.KeyID+":c2lnbmF0dXJl")}, 400, "InvalidRequest"},
		{"B5 semicolon", request{method: "GET", path: "/rules-test", edit: func(r *http.Request) { r.URL.RawQuery = "a;b" }}, 400, "InvalidArgument"},
		{"B5 repeated", request{method: "GET", path: "/rules-test", edit: func(r *http.Request) { r.URL.RawQuery = "prefix=a&prefix=b" }}, 400, "InvalidArgument"},
		{"B11 region", request{method: "GET", path: "/rules-test/k", region: "eu-west-1"}, 400, "AuthorizationHeaderMalformed"},
		{"B15 wrong hash", request{method: "PUT", path: "/rules-test/b15", body: []byte("x"), payload: strings.Repeat("0", 64)}, 400, "XAmzContentSHA256Mismatch"},
		{"B15 wrong hash of a document", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: del("k"), payload: strings.Repeat("0", 64)}, 400, "XAmzContentSHA256Mismatch"},
		{"B15 GET with a body", request{method: "GET", path: "/rules-test/k", body: []byte("x")}, 400, "UnexpectedContent"},
		{"B16 streaming delete", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: del("k"), payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: headers("x-amz-decoded-content-length", "1")}, 400, "InvalidRequest"},
		{"B18 no decoded length", request{method: "PUT", path: "/rules-test/b18", body: []byte("0\r\n\r\n"), payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, 411, "MissingContentLength"},
		{"B18 negative decoded length", request{method: "PUT", path: "/rules-test/b18", body: []byte("0\r\n\r\n"), payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: headers("x-amz-decoded-content-length", "-1")}, 400, "InvalidArgument"},
		{"B22 override on a presigned URL", request{method: "GET", path: "/rules-test/k", presign: true, edit: func(r *http.Request) { r.URL.RawQuery += "&response-content-type=text/html" }}, 403, "SignatureDoesNotMatch"},
		{"B25 hoisted copy source", request{method: "PUT", path: "/rules-test/b25", query: query("x-amz-copy-source", "rules-test/k")}, 400, "InvalidArgument"},
		{"B26 token", request{method: "GET", path: "/rules-test/k", header: headers("x-amz-security-token", "t")}, 403, "InvalidToken"},
		{"C6 Connection names a header", request{method: "GET", path: "/rules-test/k", header: headers("Connection", "x-amz-date")}, 400, "BadRequest"},
		{"C6 Connection names a signed header beside an offer", request{method: "GET", path: "/rules-test/k", header: headers("Connection", "Upgrade, x-amz-content-sha256", "Upgrade", "h2c")}, 400, "BadRequest"},
		{"C8 another expectation", request{method: "GET", path: "/rules-test/k", header: headers("Expect", "200-maybe")}, 417, "ExpectationFailed"},
		{"D1 source traversal", request{method: "PUT", path: "/rules-test/d1", header: headers("x-amz-copy-source", "rules-test/../x/k")}, 400, "InvalidArgument"},
		{"D1 ARN", request{method: "PUT", path: "/rules-test/d1", header: headers("x-amz-copy-source", "arn:aws:s3:::rules-test/k")}, 400, "InvalidArgument"},
		{"D1 two question marks", request{method: "PUT", path: "/rules-test/d1", header: headers("x-amz-copy-source", "rules-test/k?versionId=1?x")}, 400, "InvalidArgument"},
		{"D1 empty", request{method: "PUT", path: "/rules-test/d1", header: headers("x-amz-copy-source", "/")}, 400, "InvalidArgument"},
		{"D3 copy header on a PUT", request{method: "PUT", path: "/rules-test/d3", body: []byte("x"), header: headers("x-amz-copy-source-range", "bytes=0-1")}, 400, "InvalidRequest"},
		{"D5 root events", request{method: "GET", path: "/", query: query("events", "s3:ObjectCreated:*")}, 501, "NotImplemented"},
		{"D5 bucket events", request{method: "GET", path: "/rules-test", query: query("events", "s3:*")}, 501, "NotImplemented"},
		{"D6 metadata listing", request{method: "GET", path: "/rules-test", query: query("list-type", "2", "metadata", "true")}, 400, "InvalidArgument"},
		{"D8 leading slash", request{method: "PUT", path: "/rules-test//k", body: []byte("x")}, 400, "InvalidArgument"},
		{"D8 too long", request{method: "PUT", path: "/rules-test/" + strings.Repeat("x", 1025), body: []byte("x")}, 400, "KeyTooLongError"},
		{"D8 not UTF-8", request{method: "PUT", path: "/rules-test/\xff\xfe", body: []byte("x")}, 400, "InvalidURI"},
		{"D8 listing prefix", request{method: "GET", path: "/rules-test", query: query("prefix", "a/../../")}, 400, "InvalidArgument"},
		{"D11 policy for writers", request{method: "PUT", path: "/rules-test", query: query("policy", ""), body: []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::rules-test/*"}]}`)}, 501, "NotImplemented"},
		{"D11 notification", request{method: "PUT", path: "/rules-test", query: query("notification", ""), body: []byte("<x/>")}, 501, "NotImplemented"},
		{"D11 replication", request{method: "PUT", path: "/rules-test", query: query("replication", ""), body: []byte("<x/>")}, 501, "NotImplemented"},
		{"D13 two sub-resources", request{method: "GET", path: "/rules-test", query: query("tagging", "", "acl", "")}, 400, "InvalidArgument"},
		{"D15 version twice", request{method: "GET", path: "/rules-test/k", edit: func(r *http.Request) { r.URL.RawQuery = "versionId=1&versionId=2" }}, 400, "InvalidArgument"},
		{"D16 bypass without the right", request{method: "DELETE", path: "/rules-test/k", header: headers("x-amz-bypass-governance-retention", "true")}, 403, "AccessDenied"},
		{"D17 SSE-C in plain text", request{method: "PUT", path: "/rules-test/d17", body: []byte("x"), header: headers("x-amz-server-side-encryption-customer-algorithm", "AES256", "x-amz-server-side-encryption-customer-key", base64.StdEncoding.EncodeToString(make([]byte, 32)))}, 400, "InvalidRequest"},
		{"D18 public ACL", request{method: "PUT", path: "/rules-test/d18", body: []byte("x"), header: headers("x-amz-acl", "public-read")}, 501, "NotImplemented"},
		{"D19 another owner", request{method: "HEAD", path: "/rules-test", header: headers("x-amz-expected-bucket-owner", "123")}, 403, ""},
		{"D20 rename", request{method: "PUT", path: "/rules-test/d20", query: query("renameObject", ""), body: []byte("x")}, 501, "NotImplemented"},
		{"D20 annotation", request{method: "DELETE", path: "/rules-test/k", query: query("annotation", "")}, 501, "NotImplemented"},
		{"D20 abac", request{method: "DELETE", path: "/rules-test", query: query("abac", "")}, 501, "NotImplemented"},
		{"D20 append", request{method: "PUT", path: "/rules-test/k", body: []byte("x"), header: headers("x-amz-write-offset-bytes", "4")}, 501, "NotImplemented"},
		{"D22 batch delete without digest", request{method: "POST", path: "/rules-test", query: query("delete", ""), body: del("k"), payload: "UNSIGNED-PAYLOAD"}, 400, "InvalidRequest"},
		{"E4 unknown checksum", request{method: "PUT", path: "/rules-test/e4", body: []byte("x"), header: headers("x-amz-checksum-md17", "AAAA")}, 501, "NotImplemented"},
		{"E5 conditional delete", request{method: "DELETE", path: "/rules-test/k", header: headers("If-Match", `"x"`)}, 501, "NotImplemented"},
		{"E10 another location", request{method: "PUT", path: "/rules-other", body: []byte(`<CreateBucketConfiguration><LocationConstraint>eu-west-3</LocationConstraint></CreateBucketConfiguration>`)}, 400, "InvalidLocationConstraint"},
		{"E12 host of nobody", request{method: "GET", path: "/rules-test/k", host: "evil.test"}, 421, "MisdirectedRequest"},
		{"F6 preflight", request{method: "OPTIONS", path: "/rules-test/k", anonymous: true, header: headers("Origin", "https://evil.test", "Access-Control-Request-Method", "GET")}, 403, "AccessForbidden"},
		{"rule 3 unknown header", request{method: "PUT", path: "/rules-test/r3", body: []byte("x"), header: headers("x-amz-anything", "1")}, 501, "NotImplemented"},
		{"rule 3 unknown method", request{method: "PATCH", path: "/rules-test/k"}, 405, "MethodNotAllowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := e.do(t, &c.req)
			if r.status != c.status || r.code() != c.code {
				t.Errorf("%d %s, wanted %d %s: %s", r.status, r.code(), c.status, c.code, r.body)
			}
			if r.header.Get("x-amz-request-id") == "" {
				t.Error("no request id")
			}
			for name := range r.header {
				if strings.HasPrefix(name, "Access-Control-") || name == "Server" || strings.HasPrefix(name, "X-Minio") {
					t.Errorf("F2 the answer has %s", name)
				}
			}
		})
	}
	if after := dates.ReplaceAllString(listing(), ""); requestIDs.ReplaceAllString(after, "") != requestIDs.ReplaceAllString(before, "") {
		t.Errorf("the bucket has changed:\n%s\n%s", before, after)
	}
}

// TestRules_noEffect: headers of MinIO's own name space pass without effect.
func TestRules_noEffect(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.do(t, &request{method: "PUT", path: "/no-effect"})
	e.do(t, &request{method: "PUT", path: "/no-effect/p/k", body: []byte("x")})
	if r := e.do(t, &request{method: "DELETE", path: "/no-effect", header: headers("x-minio-force-delete", "true")}); r.code() != "BucketNotEmpty" {
		t.Errorf("D7 force-delete: %d %s", r.status, r.body)
	}
	e.do(t, &request{method: "DELETE", path: "/no-effect/p/", header: headers("x-minio-force-delete", "true")})
	r := e.do(t, &request{method: "PUT", path: "/no-effect/p/etag", body: []byte("x"), header: headers(
		"x-minio-source-etag", "00000000000000000000000000000000", "x-minio-source-mtime", "2001-01-01T00:00:00Z", "X-Minio-Replication-Server-Side-Encryption-Seal-Algorithm", "x",
		"X-Minio-Internal-anything", "x")})
	if r.header.Get("Etag") != `"9dd4e461268c8034f5c8564e155c67a6"` {
		t.Errorf("D7 forged ETag: %v", r.header)
	}
	list := e.do(t, &request{method: "GET", path: "/no-effect"})
	if list.status != 200 || bytes.Count(list.body, []byte("<Key>")) != 2 {
		t.Errorf("A12, D7: %d %s", list.status, list.body)
	}
	get := e.do(t, &request{method: "GET", path: "/no-effect/p/etag", header: headers("x_amz_copy_source", "x", "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6")})
	if get.status != 200 || strings.HasPrefix(get.header.Get("Last-Modified"), "Mon, 01 Jan 2001") {
		t.Errorf("D7 forged time: %v", get.header)
	}
}

// raw sends bytes and returns everything that comes back until the connection
// ends or the deadline passes.
func rawSocket(t *testing.T, addr string, pieces ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if _, err := io.WriteString(c, p); err != nil {
			break
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	out, _ := io.ReadAll(c)
	return string(out)
}

// TestRules_framing is the table of requests that two servers could read in
// two ways (S3-RULES.md C2–C8), byte by byte over a socket.
func TestRules_framing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct {
		name, raw string
		statuses  string // of every answer on the connection
	}{
		{"C2 a request inside a refused body", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled, "403"},
		{"C3 length and chunked", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		{"C3 two lengths", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx" + smuggled, "400"},
		{"C3 different lengths", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx" + smuggled, "400"},
		{"C3 signed length", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nxxx", "400"},
		{"C3 list of lengths", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3, 3\r\n\r\nxxx", "400"},
		{"C3 space before the colon", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nxxx", "400"},
		{"C3 gzip coding", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		{"C3 identity coding", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", "501"},
		{"C3 HTTP/1.0 chunked", "PUT /bucket/k HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"C3 NUL in a value", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", "400"},
		{"C3 bare CR", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", "400"},
		{"C4 LF in a chunk extension", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n" + smuggled, "403"},
		{"C5 lower-case method", "get /bucket/k HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"},
		{"C5 HTTP/1.2", "GET /bucket/k HTTP/1.2\r\nHost: localhost\r\n\r\n", "400"},
		{"C5 absolute target", "GET http://localhost/bucket/k HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		{"C5 no slash", "GET bucket/k HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		{"C5 fragment", "GET /bucket/k#x HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		{"C5 bad escape", "GET /bucket/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		{"C5 two hosts", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", "400"},
		{"C5 no host", "GET /bucket/k HTTP/1.1\r\n\r\n", "400"},
		{"C5 host with a path", "GET /bucket/k HTTP/1.1\r\nHost: local/host\r\n\r\n", "400"},
		{"B6 folded line", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", "400"},
		{"C10 odd header name", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nX(y): a\r\n\r\n", "400"},
		{"C11 endless head", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", "400"},
		{"C1 chunked PUT without a length", "PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "403"},
		{"pipelined", "GET /bucket/k HTTP/1.1\r\nHost: localhost\r\n\r\nGET /bucket/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "403 403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := rawSocket(t, g.addr, c.raw)
			var got []string
			for _, m := range regexp.MustCompile(`HTTP/1\.1 (\d{3})`).FindAllStringSubmatch(out, -1) {
				got = append(got, m[1])
			}
			if strings.Join(got, " ") != c.statuses {
				t.Errorf("answers %v, wanted %s:\n%s", got, c.statuses, out)
			}
			if strings.Contains(out, "smuggled") {
				t.Error("a body was read as a request")
			}
		})
	}
}

// wireOf renders a signed request as bytes.
func wireOf(t *testing.T, r *http.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRules_C8_refusedUploadCostsNothing: with Expect, the refusal comes before
// a byte of the body is asked for.
func TestRules_C8_refusedUploadCostsNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := &endpoint{g.addr, tn.key.KeyID, "wrong secret"}
	r := e.build(t, &request{method: "PUT", path: "/b-1/k", payload: "UNSIGNED-PAYLOAD", body: []byte("x")})
	r.ContentLength = 1 << 30
	head := "PUT /b-1/k HTTP/1.1\r\nHost: " + g.addr + "\r\nExpect: 100-continue\r\nContent-Length: 1073741824\r\n"
	for k, v := range r.Header {
		head += k + ": " + v[0] + "\r\n"
	}
	out := rawSocket(t, g.addr, head+"\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 403") || strings.Contains(out, "100 Continue") || !strings.Contains(strings.ToLower(out), "connection: close") {
		t.Errorf("answer: %s", out)
	}
}

// TestRules_C7_emptyBodyWithExpect: an empty PUT with Expect gets its 100 and
// its answer at once, on a connection that goes on.
func TestRules_C7_emptyBodyWithExpect(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.do(t, &request{method: "PUT", path: "/expectant"})
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(c)
	for i := range 3 {
		r := e.build(t, &request{method: "PUT", path: fmt.Sprintf("/expectant/%d", i), header: headers("Expect", "100-continue")})
		wire := strings.Replace(wireOf(t, r), "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", 1)
		wire = strings.Replace(wire, "Content-Length: 0\r\nContent-Length: 0\r\n", "Content-Length: 0\r\n", 1)
		if strings.Count(wire, "Content-Length") == 2 {
			wire = strings.Replace(wire, "Content-Length: 0\r\n", "", 1)
		}
		if _, err := io.WriteString(c, wire); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{100, 200} {
			resp, err := http.ReadResponse(br, r)
			if err != nil || resp.StatusCode != want {
				t.Fatalf("request %d: %v, %v; wanted %d", i, resp, err, want)
			}
			_ = resp.Body.Close()
		}
	}
}

// TestRules_C12_slowClients: no progress ends the connection, in the head, in
// the body and while an answer is to be read. On each gateway one bound alone is
// short, so that no other ends what it is for.
func TestRules_C12_slowClients(t *testing.T) { //nolint:tparallel // the group waits for its parallel parts
	t.Parallel()
	const short, long = 300 * time.Millisecond, 10 * tooLong
	g := newGateway(t, options{})
	heads := newGateway(t, options{beside: g, limits: proxy.Limits{HeadTimeout: short, Window: long, Idle: long}})
	bodies := newGateway(t, options{beside: g, limits: proxy.Limits{HeadTimeout: long, Window: short, Idle: long}})
	pauses := newGateway(t, options{beside: g, limits: proxy.Limits{HeadTimeout: long, Window: long, Idle: short}})
	tn := g.tenant()
	e := tn.raw()
	const large = 32 << 20 // more than two sockets hold
	tn.put(t, "large", large)
	slow := &endpoint{bodies.addr, tn.key.KeyID, tn.key.Secret}
	upload := wireOf(t, slow.build(t, &request{method: "PUT", path: "/broken/half", body: make([]byte, 100_000)}))
	download := wireOf(t, slow.build(t, &request{method: "GET", path: "/broken/large"}))
	t.Run("group", func(t *testing.T) {
		for name, c := range map[string]struct {
			g        *gateway
			write    string
			trickles int // bytes that come one after the other behind it
			answer   string
		}{
			"silent":          {heads, "", 0, ""},
			"half a head":     {heads, "GET /broken HTTP/1.1\r\nHost: loc", 0, "RequestTimeout"},
			"after a request": {pauses, "GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n", 0, "AccessDenied"},
			"half a body":     {bodies, upload[:len(upload)-50_000], 0, "RequestTimeout"},
			"a trickle":       {bodies, upload[:len(upload)-50_000], 50_000, "RequestTimeout"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				nc := dialFrom(t, "127.0.0.1", c.g.addr, false)
				if _, err := io.WriteString(nc, c.write); err != nil {
					t.Fatal(err)
				}
				go trickle(nc, c.trickles)
				answer, err := io.ReadAll(nc)
				if isTimeout(err) || !strings.Contains(string(answer), c.answer) {
					t.Errorf("it ended with %v, answered %.500q", err, answer)
				}
				_ = nc.Close()
			})
		}
		t.Run("an answer that is not read", func(t *testing.T) {
			t.Parallel()
			nc := dialFrom(t, "127.0.0.1", bodies.addr, false)
			if _, err := io.WriteString(nc, download); err != nil {
				t.Fatal(err)
			}
			var line *accesslog.Record
			testenv.WaitFor(t, "the cut", func() bool {
				for _, r := range bodies.records(t) {
					if r.Operation == "GetObject" {
						line = r
					}
				}
				return line != nil
			})
			if sent := line.Egress; sent == 0 || sent >= large || line.Status != 200 || line.ErrorCode != "RequestTimeout" {
				t.Errorf("%d bytes of %d, %d %s", sent, large, line.Status, line.ErrorCode)
			}
		})
	})
	if r := e.do(t, &request{method: "GET", path: "/broken/half"}); r.status != 404 {
		t.Errorf("half an upload became an object: %d", r.status)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestRules_commit: uploads that do not verify leave no object (S3-RULES.md rule 4).
func TestRules_commit(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/commit-test"})
	data := make([]byte, 300_000)
	_, _ = rand.Read(data)
	var framed []byte
	for rest := data; len(rest) > 0; {
		n := min(100_000, len(rest))
		framed = append(fmt.Appendf(framed, "%x\r\n", n), rest[:n]...)
		framed, rest = append(framed, "\r\n"...), rest[n:]
	}
	good := string(framed) + "0\r\nx-amz-checksum-crc32:" + crc(string(data)) + "\r\n\r\n"
	put := func(name, body string, announce string) *reply {
		return e.do(t, &request{method: "PUT", path: "/commit-test/" + name, body: []byte(body), payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header: headers("x-amz-decoded-content-length", announce, "x-amz-trailer", "x-amz-checksum-crc32", "Content-Encoding", "gzip,aws-chunked")})
	}
	if r := put("good", good, "300000"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	head := e.do(t, &request{method: "HEAD", path: "/commit-test/good", header: headers("x-amz-checksum-mode", "ENABLED")})
	if head.header.Get("X-Amz-Checksum-Crc32") != crc(string(data)) || head.header.Get("Content-Encoding") != "gzip" || head.header.Get("Content-Length") != "300000" {
		t.Errorf("E2, B17: %v", head.header)
	}
	if got := e.do(t, &request{method: "GET", path: "/commit-test/good"}); !bytes.Equal(got.body, data) {
		t.Error("C15: the bytes differ")
	}
	for name, r := range map[string]*reply{
		"B21 wrong checksum":         put("bad", strings.Replace(good, "crc32:", "crc32:AAAA", 1), "300000"),
		"B21 missing trailer":        put("bad", string(framed)+"0\r\n\r\n", "300000"),
		"B21 trailer injects":        put("bad", strings.Replace(good, "x-amz-checksum-crc32:", "x-amz-copy-source:commit-test/good\r\nx-amz-checksum-crc32:", 1), "300000"),
		"B18 one less":               put("bad", good, "299999"),
		"B18 one more":               put("bad", good, "300001"),
		"A5 false chunk size":        put("bad", strings.Replace(good, "186a0", "ffffff", 1), "300000"),
		"B21 more after the trailer": put("bad", good+"x", "300000"),
	} {
		if r.status != 400 && r.status != 403 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	signed := func(name string, alter func(framed string) string) *reply {
		body := alter(signChunks(data, e.secret, "20060102T150405Z", "")) // for its length
		return e.do(t, &request{
			method: "PUT", path: "/commit-test/" + name, body: []byte(body), payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			header: headers("x-amz-decoded-content-length", "300000"), edit: func(r *http.Request) {
				_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
				r.Body = io.NopCloser(strings.NewReader(alter(signChunks(data, e.secret, r.Header.Get("X-Amz-Date"), signature))))
			},
		})
	}
	if r := signed("good", func(framed string) string { return framed }); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := e.do(t, &request{method: "GET", path: "/commit-test/good"}); !bytes.Equal(got.body, data) {
		t.Error("C15: the bytes of signed chunks differ")
	}
	at := func(s string, i int, b byte) string { return s[:i] + string(b) + s[i+1:] }
	end := func(s string) int { return strings.LastIndex(s, "0;chunk-signature=") }
	for name, alter := range map[string]func(string) string{
		"B19 the last signature":  func(s string) string { return at(s, len(s)-len("x\r\n\r\n"), '0'+(s[len(s)-len("x\r\n\r\n")]+1)%10) },
		"B19 the first signature": func(s string) string { i := strings.Index(s, "=") + 1; return at(s, i, '0'+(s[i]+1)%10) },
		"B19 a byte of the last":  func(s string) string { i := end(s) - 3; return at(s, i, s[i]+1) },
		"B19 a byte of the first": func(s string) string { i := strings.Index(s, "\r\n") + 2; return at(s, i, s[i]+1) },
		"B20 without the end":     func(s string) string { return s[:end(s)] },
		"B20 half of the end":     func(s string) string { return s[:len(s)-10] },
		"B20 more behind the end": func(s string) string { return s + "x" },
		"B20 an end in the middle": func(s string) string {
			i := strings.Index(s[10:], ";chunk") + 10
			i = strings.LastIndex(s[:i], "\n") + 1
			return s[:i] + s[end(s):]
		},
		"B20 the first chunk twice": func(s string) string {
			i := strings.Index(s[10:], ";chunk") + 10
			i = strings.LastIndex(s[:i], "\n") + 1
			return s[:i] + s[:i] + s[i:]
		},
	} {
		if r := signed("bad", alter); r.status != 400 && r.status != 403 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	// The client goes away at half.
	r := e.build(t, &request{method: "PUT", path: "/commit-test/bad", body: data})
	wire := wireOf(t, r)
	rawSocket(t, g.addr, wire[:len(wire)-150_000])
	list := e.do(t, &request{method: "GET", path: "/commit-test"})
	if bytes.Contains(list.body, []byte("<Key>bad</Key>")) || !bytes.Contains(list.body, []byte("<Key>good</Key>")) {
		t.Errorf("rule 4: %s", list.body)
	}
}

// TestRules_keys limits a key in every way that keys can be limited.
func TestRules_keys(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	for _, b := range []string{"allowed", "other-bucket"} {
		e.do(t, &request{method: "PUT", path: "/" + b})
		e.do(t, &request{method: "PUT", path: "/" + b + "/in/k", body: []byte("x")})
		e.do(t, &request{method: "PUT", path: "/" + b + "/out/k", body: []byte("x")})
	}
	past := time.Now().Add(-time.Second)
	for _, c := range []struct {
		name string
		key  tenancy.Key
		req  request
		want int
	}{
		{"read-only reads", tenancy.Key{Permissions: []string{"read"}}, request{method: "GET", path: "/allowed/in/k"}, 200},
		{"read-only does not write", tenancy.Key{Permissions: []string{"read"}}, request{method: "PUT", path: "/allowed/in/x", body: []byte("x")}, 403},
		{"read-only does not list", tenancy.Key{Permissions: []string{"read"}}, request{method: "GET", path: "/allowed"}, 403},
		{"read-only does not delete", tenancy.Key{Permissions: []string{"read"}}, request{method: "DELETE", path: "/allowed/in/k"}, 403},
		{"write-only writes", tenancy.Key{Permissions: []string{"write"}}, request{method: "PUT", path: "/allowed/in/x", body: []byte("x")}, 200},
		{"write-only does not read", tenancy.Key{Permissions: []string{"write"}}, request{method: "GET", path: "/allowed/in/k"}, 403},
		{"D2 write-only does not copy", tenancy.Key{Permissions: []string{"write"}}, request{method: "PUT", path: "/allowed/in/x", header: headers("x-amz-copy-source", "allowed/in/k")}, 403},
		{"no manage, no bucket", tenancy.Key{Permissions: []string{"read", "write", "delete", "list"}}, request{method: "PUT", path: "/new-bucket"}, 403},
		{"bucket in the list", tenancy.Key{Buckets: []string{"allowed"}}, request{method: "GET", path: "/allowed/in/k"}, 200},
		{"bucket not in the list", tenancy.Key{Buckets: []string{"allowed"}}, request{method: "GET", path: "/other-bucket/in/k"}, 403},
		{"copy from a bucket not in the list", tenancy.Key{Buckets: []string{"allowed"}}, request{method: "PUT", path: "/allowed/in/x", header: headers("x-amz-copy-source", "other-bucket/in/k")}, 403},
		{"in the prefix", tenancy.Key{Prefix: "in/"}, request{method: "GET", path: "/allowed/in/k"}, 200},
		{"out of the prefix", tenancy.Key{Prefix: "in/"}, request{method: "GET", path: "/allowed/out/k"}, 403},
		{"list in the prefix", tenancy.Key{Prefix: "in/"}, request{method: "GET", path: "/allowed", query: query("prefix", "in/")}, 200},
		{"list above the prefix", tenancy.Key{Prefix: "in/"}, request{method: "GET", path: "/allowed"}, 403},
		{"configuration with a prefix", tenancy.Key{Prefix: "in/"}, request{method: "GET", path: "/allowed", query: query("policy", "")}, 403},
		{"copy from out of the prefix", tenancy.Key{Prefix: "in/"}, request{method: "PUT", path: "/allowed/in/x", header: headers("x-amz-copy-source", "allowed/out/k")}, 403},
		{"from this network", tenancy.Key{CIDRs: prefixes("127.0.0.0/8")}, request{method: "GET", path: "/allowed/in/k"}, 200},
		{"from another network", tenancy.Key{CIDRs: prefixes("10.0.0.0/8")}, request{method: "GET", path: "/allowed/in/k"}, 403},
		{"A19 a network that is only claimed", tenancy.Key{CIDRs: prefixes("10.0.0.0/8")}, request{method: "GET", path: "/allowed/in/k", header: headers("X-Forwarded-For", "10.0.0.1")}, 403},
		{"expired", tenancy.Key{ExpiresAt: &past}, request{method: "GET", path: "/allowed/in/k"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := tn.newKey(c.key)
			r := (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &c.req)
			if r.status != c.want || c.want == 403 && r.code() != "AccessDenied" {
				t.Errorf("%d %s, wanted %d", r.status, r.body, c.want)
			}
		})
	}
	t.Run("batch delete with a prefix", func(t *testing.T) {
		k := tn.newKey(tenancy.Key{Prefix: "in/"})
		body := []byte(`<Delete><Object><Key>in/k</Key></Object><Object><Key>out/k</Key></Object></Delete>`)
		r := (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &request{method: "POST", path: "/other-bucket", query: query("delete", ""), body: body})
		if r.status != 200 || !strings.Contains(string(r.body), "<Deleted><Key>in/k") || !strings.Contains(string(r.body), "<Error><Key>out/k") {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	t.Run("buckets of the list only are listed", func(t *testing.T) {
		k := tn.newKey(tenancy.Key{Buckets: []string{"allowed"}})
		r := (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &request{method: "GET", path: "/"})
		if !strings.Contains(string(r.body), "allowed") || strings.Contains(string(r.body), "other-bucket") {
			t.Errorf("%s", r.body)
		}
	})
}

// TestRules_status: what an account may do in each status.
func TestRules_status(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/status-test"})
	e.do(t, &request{method: "PUT", path: "/status-test/k", body: []byte("x")})
	for _, c := range []struct {
		status                  tenancy.Status
		read, write, deleteMany int
	}{
		{tenancy.ReadOnly, 200, 403, 204}, {tenancy.Suspended, 403, 403, 403}, {tenancy.Closed, 403, 403, 403},
		{tenancy.Pending, 403, 403, 403}, {tenancy.Rejected, 403, 403, 403}, {tenancy.Active, 200, 200, 204},
	} {
		if err := tenancy.SetStatus(t.Context(), g.owner, tn.account.ID, c.status); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the status "+string(c.status), func() bool {
			return e.do(t, &request{method: "GET", path: "/status-test/k"}).status == c.read && e.do(t, &request{method: "PUT", path: "/status-test/w", body: []byte("x")}).status == c.write
		})
		if r := e.do(t, &request{method: "DELETE", path: "/status-test/w"}); r.status != c.deleteMany {
			t.Errorf("%s: delete is %d", c.status, r.status)
		}
	}
}

// TestRules_anonymous: only what the bucket's policy lets everyone do, only on
// a host that names the account.
func TestRules_anonymous(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/public-test"})
	e.do(t, &request{method: "PUT", path: "/public-test/pub/k", body: []byte("public")})
	e.do(t, &request{method: "PUT", path: "/public-test/k", body: []byte("private")})
	host := tn.account.Name + ".tenants.example.test"
	anon := func(method, path, host string, q ...string) *reply {
		return e.do(t, &request{method: method, path: path, host: host, anonymous: true, query: query(q...)})
	}
	if r := anon("GET", "/public-test/pub/k", host); r.status != 403 {
		t.Errorf("before there is a policy: %d", r.status)
	}
	policy := []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::public-test/pub/*"]}]}`)
	if r := e.do(t, &request{method: "PUT", path: "/public-test", query: query("policy", ""), body: policy}); r.status >= 300 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := e.do(t, &request{method: "GET", path: "/public-test", query: query("policy", "")}); !strings.Contains(string(r.body), "arn:aws:s3:::public-test/pub/*") || strings.Contains(string(r.body), "pc-") {
		t.Errorf("F1 the policy comes back as %s", r.body)
	}
	for _, c := range []struct {
		name string
		got  *reply
		want int
	}{
		{"public object", anon("GET", "/public-test/pub/k", host), 200},
		{"public object, virtual host", anon("GET", "/pub/k", "public-test."+host), 200},
		{"head", anon("HEAD", "/public-test/pub/k", host), 200},
		{"private object", anon("GET", "/public-test/k", host), 403},
		{"list", anon("GET", "/public-test", host), 403},
		{"shared host", anon("GET", "/public-test/pub/k", "s3.example.test"), 403},
		{"write", anon("PUT", "/public-test/pub/k", host), 403},
		{"delete", anon("DELETE", "/public-test/pub/k", host), 403},
		{"configuration", anon("GET", "/public-test", host, "policy", ""), 403},
		{"B22 override", anon("GET", "/public-test/pub/k", host, "response-content-type", "text/html"), 400},
		{"missing bucket", anon("GET", "/missing-test/k", host), 404},
	} {
		if c.got.status != c.want {
			t.Errorf("%s: %d %s, wanted %d", c.name, c.got.status, c.got.body, c.want)
		}
	}
	sums := usageBy(t, g, tn, "key")
	if sums["00000000-0000-0000-0000-000000000000"].Egress < int64(2*len("public")) {
		t.Errorf("anonymous reads are the bucket owner's: %+v", sums)
	}
}

// TestRules_A17_F1_nothingLeaks searches the whole log and every answer for
// secrets and backend names.
func TestRules_A17_F1_nothingLeaks(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	var answers strings.Builder
	var secrets []string
	side := &side{e: e, buckets: map[string]string{"a": "leak-a", "b": "leak-b", "missing": "leak-m", "wrong": "leak-w", "empty": "leak-e"}, vars: map[string]string{}}
	for _, s := range script() {
		q := s.req
		q.path, q.query, q.header, q.body = side.fill(q.path), side.fillValues(q.query), http.Header(side.fillValues(map[string][]string(q.header))), []byte(side.fill(string(q.body)))
		q.edit = func(r *http.Request) {
			if _, signature, ok := strings.Cut(r.Header.Get("Authorization"), "Signature="); ok {
				secrets = append(secrets, signature)
			}
			if signature := r.URL.Query().Get("X-Amz-Signature"); signature != "" {
				secrets = append(secrets, signature)
			}
		}
		r := e.do(t, &q)
		side.learn(s.name, r)
		fmt.Fprintln(&answers, s.name, r.status, r.header)
		if len(r.body) < 100_000 {
			answers.Write(r.body)
		}
	}
	log := g.log.String()
	text := answers.String()
	for _, secret := range append(secrets, tn.key.Secret, g.minio.SecretKey, g.minio.AccessKey) {
		if strings.Contains(log, secret) {
			t.Errorf("A17: %q is in the log", secret)
		}
	}
	for _, name := range []string{backendNameOf(t, tn, "leak-a"), strings.TrimPrefix(g.minio.Endpoint, "http://"), g.minio.AccessKey, "MinIO", "minio", "xl.meta"} {
		if i := strings.Index(text, name); i >= 0 {
			t.Errorf("F1: %q is in an answer: …%s…", name, text[max(0, i-200):min(len(text), i+100)])
		}
	}
	if !strings.Contains(log, "operation=GetObject") || len(secrets) < 100 {
		t.Errorf("nothing was searched: %d signatures", len(secrets))
	}
}

// TestPostForm is the browser's upload (S3-RULES.md B27, A7).
func TestPostForm(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/form-test"})
	if r := postForm(t, tn, "form-test", map[string]string{"key": "up/${filename}", "Content-Type": "text/x-form", "x-amz-meta-one": "1"}, "form-test", "form data"); r.status != 204 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	got := e.do(t, &request{method: "GET", path: "/form-test/up/name.txt"})
	if string(got.body) != "form data" || got.header.Get("Content-Type") != "text/x-form" || got.header.Get("X-Amz-Meta-One") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	big := strings.Repeat("0123456789abcdef", 3<<16)
	if r := postForm(t, tn, "form-test", map[string]string{"key": "big", "success_action_status": "201"}, "form-test", big); r.status != 201 || !strings.Contains(string(r.body), "<PostResponse>") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := e.do(t, &request{method: "GET", path: "/form-test/big"}); string(got.body) != big {
		t.Errorf("big: %d bytes", len(got.body))
	}
	for name, r := range map[string]*reply{
		"too large for the range":         postForm(t, tn, "form-test", map[string]string{"key": "refused"}, "form-test", strings.Repeat("x", 11<<20)),
		"traversal":                       postForm(t, tn, "form-test", map[string]string{"key": "../other/refused"}, "form-test", "x"),
		"policy of another bucket":        postForm(t, tn, "form-test", map[string]string{"key": "refused"}, "other-test", "x"),
		"fan-out":                         postForm(t, tn, "form-test", map[string]string{"key": "refused", "x-minio-fanout-list": "[]"}, "form-test", "x"),
		"public ACL":                      postForm(t, tn, "form-test", map[string]string{"key": "refused", "acl": "public-read"}, "form-test", "x"),
		"snowball":                        postForm(t, tn, "form-test", map[string]string{"key": "refused", "x-amz-meta-snowball-auto-extract": "true"}, "form-test", "x"),
		"no signature":                    sendForm(t, tn, "form-test", map[string]string{"key": "refused"}, "x"),
		"token":                           postForm(t, tn, "form-test", map[string]string{"key": "refused", "x-amz-security-token": "t"}, "form-test", "x"),
		"metadata of a control character": postForm(t, tn, "form-test", map[string]string{"key": "refused", "x-amz-meta-a": "a\r\nX: y"}, "form-test", "x"),
	} {
		if r.status < 400 || r.status >= 500 && r.status != 501 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if list := e.do(t, &request{method: "GET", path: "/form-test"}); strings.Contains(string(list.body), "refused") {
		t.Errorf("a refused form became an object: %s", list.body)
	}
}
