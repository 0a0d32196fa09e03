package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// toBackend makes the backend answer so, whoever asks for what.
func (c *complaining) toBackend(answer func(q *recorded) string) {
	c.rec.answers(func(q *recorded) string {
		a := answer(q)
		if head, _, ok := strings.Cut(a, "\r\n\r\n"); ok && q.method == "HEAD" {
			return head + "\r\n\r\n"
		}
		return a
	})
}

// TestF4_backendsOwnTrouble: a backend that is full or busy says nothing about
// the gateway's credential, and nothing about the client's request: the client
// is told to come again, and the operator is not sent to look at clocks.
func TestF4_backendsOwnTrouble(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	for name, q := range c.asked(t) {
		for _, k := range []struct {
			status     int
			code, want string
		}{
			{507, "XMinioStorageFull", "ServiceUnavailable"}, {507, "", "ServiceUnavailable"},
			{429, "TooManyRequests", "SlowDown"}, {429, "", "SlowDown"}, {503, "SlowDownWrite", "SlowDown"},
			// MinIO's, about its own lock (cmd/api-errors.go): the client's connection was fast enough.
			{503, "RequestTimeout", "SlowDown"},
			{499, "ClientDisconnected", "ServiceUnavailable"}, {499, "", "ServiceUnavailable"}, {408, "XMinioServerTimedOut", "ServiceUnavailable"}, {408, "", "ServiceUnavailable"},
		} {
			c.toBackend(func(*recorded) string { return complaint(k.status, k.code) })
			r := c.tn.raw().do(t, q)
			if r.status != http.StatusServiceUnavailable || q.method != "HEAD" && r.code() != k.want {
				t.Errorf("%s answered %d %s: %d %s", name, k.status, k.code, r.status, r.body)
			}
			if k.code == "XMinioStorageFull" && q.method != "HEAD" && !strings.Contains(string(r.body), "storage is full") {
				t.Errorf("%s: nobody learns that the storage is full: %s", name, r.body)
			}
		}
	}
	if n := c.g.metric(t, "primecloud_proxy_backend_refusals_total"); n != 0 {
		t.Errorf("%v of them are taken for complaints about the gateway", n)
	}
}

// TestDeleteBucket_notGone: the record of a bucket, without which nobody finds its
// objects again, goes when the backend says that the bucket is not there; a page
// that says 404 may be anybody's.
func TestDeleteBucket_notGone(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	e := c.tn.raw()
	for what, answer := range map[string]string{
		"a page": spoken(404, "<html>somebody's page</html>"), "nothing": spoken(404, ""), "another thing": complaint(404, "NoSuchKey"),
	} {
		c.toBackend(func(*recorded) string { return answer })
		if r := e.do(t, &request{method: "DELETE", path: "/complaints"}); r.status < 400 {
			t.Errorf("404 with %s: %d %s", what, r.status, r.body)
		}
		if r := e.do(t, &request{method: "HEAD", path: "/complaints"}); r.status != http.StatusOK {
			t.Errorf("404 with %s: the bucket is answered with %d", what, r.status)
		}
	}
	c.toBackend(func(*recorded) string { return complaint(404, "NoSuchBucket") })
	if r := e.do(t, &request{method: "DELETE", path: "/complaints"}); r.status != http.StatusNoContent {
		t.Errorf("404 NoSuchBucket: %d %s", r.status, r.body)
	}
	if r := e.do(t, &request{method: "HEAD", path: "/complaints"}); r.status != http.StatusNotFound {
		t.Errorf("a bucket that is gone: %d", r.status)
	}
}

// TestDeleteObjects_unsaid: what the backend does not say of a key is not told
// as deleted, nor what it says of keys that nobody named.
func TestDeleteObjects_unsaid(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	e := c.tn.raw()
	send := func(quiet bool, answer string) *reply {
		c.toBackend(func(*recorded) string { return spoken(200, answer) })
		doc := "<Delete><Object><Key>k</Key></Object><Object><Key>l</Key><VersionId>null</VersionId></Object>"
		if quiet {
			doc += "<Quiet>true</Quiet>"
		}
		return e.do(t, &request{method: "POST", path: "/complaints", query: query("delete", ""), body: []byte(doc + "</Delete>")})
	}
	for _, quiet := range []bool{false, true} {
		for answer, code := range map[string]string{
			"<Error><Code>SlowDown</Code></Error>":                   "SlowDown",
			"<Error><Code>XMinioServerNotInitialized</Code></Error>": "ServiceUnavailable",
			"<html>somebody's page</html>":                           "ServiceUnavailable",
			"<ListBucketResult><IsTruncated/></ListBucketResult>":    "ServiceUnavailable",
			"somebody's words":                                       "ServiceUnavailable",
			"":                                                       "ServiceUnavailable",
			"<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResul": "ServiceUnavailable",
		} {
			if r := send(quiet, answer); r.status != http.StatusServiceUnavailable || r.code() != code {
				t.Errorf("quiet %v, %q: %d %s", quiet, answer, r.status, r.body)
			}
		}
	}
	r := send(false, "<DeleteResult><Deleted><Key>k</Key></Deleted><Deleted><Key>foreign</Key></Deleted><Error><Key>alien</Key><Code>SlowDown</Code></Error></DeleteResult>")
	body := string(r.body)
	if strings.Contains(body, "foreign") || strings.Contains(body, "alien") || !strings.Contains(body, "<Deleted><Key>k</Key></Deleted>") ||
		!strings.Contains(body, "<Error><Key>l</Key><VersionId>null</VersionId><Code>InternalError</Code>") || strings.Count(body, "<Error>") != 1 {
		t.Errorf("%d %s", r.status, body)
	}
	if r := send(true, "<DeleteResult/>"); r.status != http.StatusOK || strings.Contains(string(r.body), "<Error>") {
		t.Errorf("all were deleted: %d %s", r.status, r.body)
	}
}

// TestAnswers_documentsHeaders: a document is made here: what the backend says
// of the bytes of its own does not go with it.
func TestAnswers_documentsHeaders(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	asked := c.asked(t)
	for name, doc := range map[string]string{
		"ListObjectsV2": "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", "ListMultipartUploads": "<ListMultipartUploadsResult></ListMultipartUploadsResult>",
		"CopyObject": "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>", "CompleteMultipartUpload": "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
		"GetBucketPolicy": `{"Version":"2012-10-17","Statement":[]}`,
	} {
		c.toBackend(func(*recorded) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-range: bytes 0-1/2\r\ncontent-disposition: attachment\r\n"+
				"cache-control: public\r\nx-amz-meta-a: b\r\nx-amz-version-id: v\r\ncontent-length: %d\r\n\r\n%s", len(doc), doc)
		})
		r := c.tn.raw().do(t, asked[name])
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		for _, h := range []string{"Content-Encoding", "Content-Range", "Content-Disposition", "Cache-Control", "x-amz-meta-a"} {
			if v := r.header.Get(h); v != "" {
				t.Errorf("%s has %s: %s", name, h, v)
			}
		}
		if told := r.header.Get("x-amz-version-id") != ""; told != (name == "CopyObject" || name == "CompleteMultipartUpload") {
			t.Errorf("%s has a version's id: %v", name, told)
		}
	}
}

// TestLimits_lostAnswer: of an upload that came whole and whose answer was lost
// the object may be there: the quota stays taken, in every way to upload.
func TestLimits_lostAnswer(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	for name, size := range map[string]int64{"PutObject": 1, "UploadPart": 1, "PostObject": 4, "CopyObject": 3} {
		c.rec.answers(nil)
		c.tn = c.g.tenant()
		c.tn.raw().must(t, &request{method: "PUT", path: "/complaints"})
		q := c.asked(t)[name]
		c.tn.limit(t, hardCap(tenancy.Storage, size))
		c.rec.answers(func(q *recorded) string {
			if q.method == "PUT" {
				return complaint(500, "InternalError")
			}
			return ""
		})
		for _, want := range []int{http.StatusInternalServerError, http.StatusForbidden} {
			if r := c.tn.raw().do(t, q); r.status != want {
				t.Errorf("%s: %d %s, wanted %d", name, r.status, r.body, want)
			}
		}
	}
}

// TestLimits_lastByteRefused: an upload that came whole and was refused before its
// last byte went on is nowhere, and its quota is given back.
func TestLimits_lastByteRefused(t *testing.T) {
	t.Parallel()
	c := newChanged(t, newGateway(t, options{}))
	const size = 1000
	c.limit(t, hardCap(tenancy.Storage, size))
	q := request{method: "PUT", path: "/" + changing + "/k", body: make([]byte, size), payload: "UNSIGNED-PAYLOAD"}
	waits := q
	waits.header = headers("Expect", "100-continue")
	conn := c.open(c.g.addr)
	head, body, _ := strings.Cut(c.plain(waits), "\r\n\r\n")
	conn.say(head + "\r\n\r\n")
	if r := conn.answer("PUT"); r.status != http.StatusContinue {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := c.g.dir.BeginDeleteBucket(t.Context(), c.bucket); err != nil {
		t.Fatal(err)
	}
	conn.say(body)
	if r := conn.answer("PUT"); r.status != http.StatusServiceUnavailable || r.code() != "SlowDown" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := c.g.dir.RestoreBucket(t.Context(), c.bucket); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the quota to be there again", func() bool { return c.raw().do(t, &q).status == http.StatusOK })
}

// TestLimits_copyUnlooked: a copy whose source could not be looked at is told
// so: PreconditionFailed is for a client that has made a condition.
func TestLimits_copyUnlooked(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	id := c.tn.raw().begin(t, "/complaints/k")
	c.tn.limit(t, hardCap(tenancy.Storage, 100))
	for _, k := range []struct {
		head, put      string
		lines          []string
		status, copies int
	}{
		{complaint(503, "SlowDownRead"), "", nil, 503, 0}, {complaint(500, ""), "", nil, 500, 0}, {complaint(429, ""), "", nil, 503, 0}, {complaint(507, ""), "", nil, 503, 0},
		// It was not there, and is when it is copied.
		{complaint(404, "NoSuchKey"), complaint(412, "PreconditionFailed"), nil, 409, 1},
		{complaint(404, "NoSuchKey"), complaint(404, "NoSuchKey"), nil, 404, 1},
		{"", complaint(412, "PreconditionFailed"), nil, 409, 1},
		{complaint(412, "PreconditionFailed"), complaint(412, "PreconditionFailed"), []string{"x-amz-copy-source-if-match", "\"x\""}, 412, 1},
		{complaint(304, ""), complaint(412, "PreconditionFailed"), []string{"x-amz-copy-source-if-none-match", "\"x\""}, 412, 1},
	} {
		for what, q := range map[string]*request{
			"CopyObject":     {method: "PUT", path: "/complaints/k"},
			"UploadPartCopy": {method: "PUT", path: "/complaints/k", query: query("uploadId", id, "partNumber", "1")},
		} {
			q.header = headers(append(k.lines, "x-amz-copy-source", "complaints/source")...)
			c.rec.take(t)
			c.toBackend(func(q *recorded) string {
				if q.method == "HEAD" {
					return k.head
				}
				return k.put
			})
			r := c.tn.raw().do(t, q)
			copies := 0
			for _, q := range c.rec.take(t) {
				if q.method == "PUT" {
					copies++
				}
			}
			if r.status != k.status || copies != k.copies {
				t.Errorf("%s, HEAD %.12q, PUT %.12q, %q: %d %s after %d copies", what, k.head, k.put, k.lines, r.status, r.body, copies)
			}
		}
	}
}

// TestNotFound_pages: that something is not there is believed with S3's own document
// alone, whatever was asked: after a page of somebody's, or nothing, a client would
// think that its objects are gone, or that it may make them.
func TestNotFound_pages(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	for name, q := range c.asked(t) {
		if q.method == "HEAD" {
			continue // has no document
		}
		for what, answer := range map[string]string{"a page": spoken(404, "<html>somebody's page</html>"), "nothing": spoken(404, "")} {
			c.toBackend(func(*recorded) string { return answer })
			if r := c.tn.raw().do(t, q); r.status != http.StatusServiceUnavailable || r.code() != "ServiceUnavailable" {
				t.Errorf("%s: 404 with %s: %d %s", name, what, r.status, r.body)
			}
		}
	}
}
