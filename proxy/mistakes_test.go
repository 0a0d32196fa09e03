package proxy_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/proxy"
)

// answerWith is an answer of a backend's with an error document.
func answerWith(status int, code, message string) string {
	doc := fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	return fmt.Sprintf("HTTP/1.1 %d x\r\ncontent-type: application/xml\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s", status, len(doc), doc)
}

// TestMistake_ofTheBackendsWords: whatever a backend calls a client's mistake, it is
// one; what it says about the gateway's own request is the operator's, and a code
// that nobody knows is known by its status.
func TestMistake_ofTheBackendsWords(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	g := newGateway(t, options{names: true, minio: &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/mistakes"})
	for _, c := range []struct {
		status int
		code   string
		want   int
		as     string
	}{
		{400, "XMinioNeverHeardOf", 400, "InvalidRequest"},
		{400, "NeverHeardOf", 400, "InvalidRequest"},
		{400, "InvalidEncryptionAlgorithmError", 400, "InvalidRequest"},
		{404, "XMinioNeverHeardOf", 404, "NotFound"},
		{404, "NoSuchConfiguration", 404, "NotFound"},
		{405, "NeverHeardOf", 405, "MethodNotAllowed"},
		{409, "NeverHeardOf", 409, "OperationAborted"},
		{412, "NeverHeardOf", 412, "PreconditionFailed"},
		{416, "NeverHeardOf", 416, "InvalidRange"},
		{429, "NeverHeardOf", 503, "SlowDown"},
		// About us.
		{403, "NeverHeardOf", 503, "ServiceUnavailable"},
		{403, "AccessDenied", 503, "ServiceUnavailable"},
		{400, "AuthorizationHeaderMalformed", 503, "ServiceUnavailable"},
		{400, "MalformedDate", 503, "ServiceUnavailable"},
		{401, "NeverHeardOf", 503, "ServiceUnavailable"},
		{411, "MissingContentLength", 503, "ServiceUnavailable"},
		{307, "NeverHeardOf", 503, "ServiceUnavailable"},
		// Its own.
		{500, "XMinioNeverHeardOf", 500, "InternalError"},
		{500, "NeverHeardOf", 500, "InternalError"},
	} {
		rec.answers(func(*recorded) string { return answerWith(c.status, c.code, "the backend's secret") })
		for _, q := range []*request{
			{method: "PUT", path: "/mistakes/k", body: []byte("x")},
			{method: "PUT", path: "/mistakes", query: query("versioning", ""), body: []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")},
			{method: "DELETE", path: "/mistakes/k"},
		} {
			r := e.do(t, q)
			if r.status != c.want || r.code() != c.as || strings.Contains(string(r.body), "secret") || strings.Contains(string(r.body), "NeverHeardOf") {
				t.Errorf("%s, %d %s: %d %s", q.method, c.status, c.code, r.status, r.body)
			}
		}
	}
}

// TestMistake_numbers: a number that is none is the client's mistake, in whichever
// place, and S3's words name it.
func TestMistake_numbers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/numbers"})
	e.must(t, &request{method: "PUT", path: "/numbers/k", body: []byte("hello")})
	part := "Part number must be an integer between 1 and 10000, inclusive"
	keys, text := "Argument maxKeys must be an integer between 0 and 2147483647", "Provided max-keys not an integer or within integer range"
	for _, c := range []struct {
		path                     string
		query, header            []string
		message, argument, value string
	}{
		{"/numbers/k", []string{"partNumber", "0"}, nil, part, "partNumber", "0"},
		{"/numbers/k", []string{"partNumber", "-1"}, nil, part, "partNumber", "-1"},
		{"/numbers/k", []string{"partNumber", "x"}, nil, part, "partNumber", "x"},
		{"/numbers/k", []string{"partNumber", "10001"}, nil, part, "partNumber", "10001"},
		{"/numbers/k", []string{"partNumber", ""}, nil, part, "partNumber", ""},
		{"/numbers", []string{"max-keys", "-1"}, nil, keys, "maxKeys", "-1"},
		{"/numbers", []string{"max-keys", "-2147483648"}, nil, keys, "maxKeys", "-2147483648"},
		{"/numbers", []string{"max-keys", "x"}, nil, text, "max-keys", "x"},
		{"/numbers", []string{"max-keys", "2147483648"}, nil, text, "max-keys", "2147483648"},
		{"/numbers", []string{"max-keys", "<&>"}, nil, text, "max-keys", "&lt;&amp;&gt;"},
		{"/numbers", []string{"encoding-type", "base64"}, nil, "Invalid Encoding Method specified in Request", "encoding-type", "base64"},
		{"/numbers", []string{"versions", "", "version-id-marker", "null"}, nil, "A version-id marker cannot be specified without a key marker.", "version-id-marker", "null"},
		{"/numbers/k", []string{"versionId", "no version"}, nil, "Invalid version id specified", "versionId", "no version"},
		{"/numbers/k", []string{"versionId", ""}, nil, "Version id cannot be the empty string", "versionId", ""},
		{"/numbers", []string{"versionId", "x"}, nil, "This operation does not accept a version-id.", "versionId", "x"},
		{"/numbers", []string{"acl", "", "versioning", ""}, nil, "Conflicting query string parameters: acl, versioning", "ResourceType", "acl"},
		{"/numbers", []string{"list-type", "2", "continuation-token", "x"}, nil, "The continuation token provided is incorrect", "continuation-token", "-"},
		{"/numbers", []string{"continuation-token", "x"}, nil, "continuation-token only supported in REST.GET.BUCKET with list-type=2", "continuation-token", "-"},
		{"/numbers", []string{"start-after", "x"}, nil, "startAfter only supported in REST.GET.BUCKET with list-type=2", "start-after", "-"},
		{"/numbers", []string{"list-type", "2", "marker", "x"}, nil, "Marker unsupported with REST.GET.BUCKET in list-type=2", "marker", "-"},
		{"/", []string{"max-buckets", "0"}, nil, "Argument max-buckets must be an integer between 1 and 10000", "max-buckets", "0"},
		{"/numbers/k", []string{"attributes", ""}, []string{"x-amz-object-attributes", "ETag", "x-amz-max-parts", "x"}, "Provided x-amz-max-parts not an integer or within integer range", "x-amz-max-parts", "x"},
	} {
		r := e.do(t, &request{method: "GET", path: c.path, query: query(c.query...), header: headers(c.header...)})
		want := "<Code>InvalidArgument</Code><Message>" + c.message + "</Message><ArgumentName>" + c.argument + "</ArgumentName>"
		if c.value != "-" {
			want += "<ArgumentValue>" + c.value + "</ArgumentValue>"
		}
		if r.status != 400 || !strings.Contains(string(r.body), want) || c.value == "-" && strings.Contains(string(r.body), "ArgumentValue") {
			t.Errorf("%s %v: %d %s\nwanted %s", c.path, c.query, r.status, r.body, want)
		}
	}
	for name, h := range map[string]http.Header{"x-amz-copy-source": headers("x-amz-copy-source", "numbers"), "x-amz-metadata-directive": headers("x-amz-copy-source", "numbers/k", "x-amz-metadata-directive", "ACCESS")} {
		r := e.do(t, &request{method: "PUT", path: "/numbers/copy", header: h})
		if r.status != 400 || textOf(t, r.body, "ArgumentName") != name || textOf(t, r.body, "ArgumentValue") != h.Get(name) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	r := e.do(t, &request{method: "GET", path: "/numbers/k", header: headers("range", "bytes=7-9")})
	if r.status != 416 || textOf(t, r.body, "Message") != "The requested range is not satisfiable" || textOf(t, r.body, "ActualObjectSize") != "5" || textOf(t, r.body, "RangeRequested") != "bytes=7-9" {
		t.Errorf("a range: %d %s", r.status, r.body)
	}
	for _, days := range []string{"x", "", "1.5", "0", "-1", "99999999999999999999"} {
		r := e.do(t, &request{method: "PUT", path: "/numbers", query: query("lifecycle", ""),
			body: []byte("<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>" + days + "</Days></Expiration></Rule></LifecycleConfiguration>")})
		if r.status != 400 || r.code() != "MalformedXML" && r.code() != "InvalidArgument" {
			t.Errorf("%q days: %d %s", days, r.status, r.body)
		}
	}
}

// TestMistake_elements: what S3 says beside a code's sentence is the client's own
// word, and what was found here.
func TestMistake_elements(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{ObjectSize: 100}})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/elements"})
	e.must(t, &request{method: "PUT", path: "/elements/k", body: []byte("x")})
	versioning := []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	path := "/elements/k"
	for _, c := range []struct {
		q      request
		status int
		code   string
		tells  []string
	}{
		{request{method: "DELETE", path: path, query: query("uploadId", "none <such>")}, 404, "NoSuchUpload", []string{"UploadId", "none &lt;such&gt;"}},
		{request{method: "GET", path: path, query: query("uploadId", "none")}, 404, "NoSuchUpload", []string{"UploadId", "none"}},
		{request{method: "POST", path: path}, 405, "MethodNotAllowed", []string{"Method", "POST", "ResourceType", "OBJECT"}},
		{request{method: "DELETE", path: "/"}, 405, "MethodNotAllowed", []string{"Method", "DELETE", "ResourceType", "SERVICE"}},
		{request{method: "PATCH", path: "/elements"}, 405, "MethodNotAllowed", []string{"Method", "PATCH", "ResourceType", "BUCKET"}},
		{request{method: "GET", path: path, header: headers("If-Match", `"x"`)}, 412, "PreconditionFailed", []string{"Condition", "If-Match"}},
		{request{method: "GET", path: path, header: headers("If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT")}, 412, "PreconditionFailed", []string{"Condition", "If-Unmodified-Since"}},
		{request{method: "PUT", path: path, body: []byte("y"), header: headers("If-None-Match", "*")}, 412, "PreconditionFailed", []string{"Condition", "If-None-Match"}},
		{request{method: "PUT", path: "/elements/c", header: headers("x-amz-copy-source", "elements/k", "x-amz-copy-source-if-match", "x")}, 412, "PreconditionFailed", []string{"Condition", "x-amz-copy-source-If-Match"}},
		{request{method: "PUT", path: path, body: bytes.Repeat([]byte("x"), 101)}, 400, "EntityTooLarge", []string{"ProposedSize", "101", "MaxSizeAllowed", "100"}},
		{request{method: "PUT", path: "/elements", query: query("versioning", ""), body: versioning, header: headers("content-md5", contentMD5([]byte("x")))}, 400, "BadDigest",
			[]string{"ExpectedDigest", contentMD5([]byte("x")), "CalculatedDigest", contentMD5(versioning)}},
		{request{method: "PUT", path: "/elements", query: query("versioning", ""), body: versioning, header: headers("x-amz-checksum-crc32", "AAAAAA==")}, 400, "BadDigest", []string{"ExpectedDigest", "AAAAAA=="}},
	} {
		r := e.do(t, &c.q)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s %s %v: %d %s", c.q.method, c.q.path, c.q.query, r.status, r.body)
		}
		for i := 0; i < len(c.tells); i += 2 {
			if !strings.Contains(string(r.body), "<"+c.tells[i]+">"+c.tells[i+1]+"</"+c.tells[i]+">") {
				t.Errorf("%s %s: no %s %s in %s", c.q.method, c.code, c.tells[i], c.tells[i+1], r.body)
			}
		}
	}
	// Of two conditions nobody says which has failed.
	if r := e.do(t, &request{method: "PUT", path: "/elements/c", header: headers("x-amz-copy-source", "elements/k", "x-amz-copy-source-if-match", "x", "x-amz-copy-source-if-none-match", "y")}); r.status != 412 || strings.Contains(string(r.body), "<Condition>") {
		t.Errorf("two conditions: %d %s", r.status, r.body)
	}
}

// TestMistake_messages: sentences that clients compare are S3's to the full stop.
func TestMistake_messages(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/messages"})
	e.must(t, &request{method: "PUT", path: "/messages/k", body: []byte("x")})
	for _, c := range []struct {
		q       request
		message string
	}{
		{request{method: "GET", path: "/none-such"}, "The specified bucket does not exist"},
		{request{method: "GET", path: "/messages/none"}, "The specified key does not exist."},
		{request{method: "DELETE", path: "/messages"}, "The bucket you tried to delete is not empty"},
		{request{method: "GET", path: "/messages", query: query("policy", "")}, "The bucket policy does not exist"},
		{request{method: "GET", path: "/messages", query: query("lifecycle", "")}, "The lifecycle configuration does not exist"},
		{request{method: "GET", path: "/messages", query: query("cors", "")}, "The CORS configuration does not exist"},
		{request{method: "GET", path: "/messages", query: query("website", "")}, "The specified bucket does not have a website configuration"},
		{request{method: "GET", path: "/messages", query: query("tagging", "")}, "The TagSet does not exist"},
		{request{method: "GET", path: "/messages", query: query("object-lock", "")}, "Object Lock configuration does not exist for this bucket"},
		{request{method: "GET", path: "/messages", query: query("replication", "")}, "The replication configuration was not found"},
		{request{method: "DELETE", path: "/messages/k", query: query("uploadId", "x")}, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
		{request{method: "GET", path: "/messages/k", header: headers("If-Match", `"x"`)}, "At least one of the pre-conditions you specified did not hold"},
		{request{method: "GET", path: "/messages/k", anonymous: true}, "Access Denied"},
		{request{method: "PUT", path: "/messages", query: query("versioning", ""), body: []byte("<Versioning")}, ""},
		{request{method: "PUT", path: "/messages/" + strings.Repeat("k", 1025), body: []byte("x")}, "Your key is too long"},
	} {
		r := e.do(t, &c.q)
		if r.status < 400 || r.status >= 500 || c.message != "" && textOf(t, r.body, "Message") != c.message {
			t.Errorf("%s %s %v: %d %s\nwanted %q", c.q.method, c.q.path[:min(len(c.q.path), 40)], c.q.query, r.status, r.body, c.message)
		}
	}
}

// TestMistake_logSegment: a prefix behind which no object could be stored is refused
// when it is put, and not found out at each delivery.
func TestMistake_logSegment(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/segments"})
	partitioned := "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>"
	long := func(n int) string { return strings.Repeat("s", n) }
	account := 255 - len(tn.account.Name)
	for _, c := range []struct {
		prefix, format string
		fine           bool
	}{
		{long(255) + "/", "", true}, {long(256) + "/", "", false}, {"a/" + long(256) + "/b/", "", false}, {"a/" + long(255) + "/b/", "", true},
		{long(219), "", true}, {long(220), "", false}, {"a/" + long(219), "", true}, {"a/" + long(220), "", false},
		{long(account), partitioned, true}, {long(account + 1), partitioned, false},
	} {
		r := e.do(t, &request{method: "PUT", path: "/segments", query: query("logging", ""), body: []byte("<BucketLoggingStatus><LoggingEnabled><TargetBucket>segments</TargetBucket>" +
			c.format + "<TargetPrefix>" + c.prefix + "</TargetPrefix></LoggingEnabled></BucketLoggingStatus>")})
		if c.fine != (r.status == 200) || !c.fine && (r.status != 400 || r.code() != "InvalidArgument") {
			t.Errorf("%d bytes, %q: %d %s", len(c.prefix), c.format, r.status, r.body)
		}
		if name := c.prefix + "2006-01-02-15-04-05-0123456789ABCDEF"; c.format == "" { // MinIO's own word
			if r := e.do(t, &request{method: "PUT", path: "/segments/" + name, body: []byte("x")}); c.fine != (r.status == 200) {
				t.Errorf("an object of that name: %d %s", r.status, r.body)
			}
		}
	}
}
