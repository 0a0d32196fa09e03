package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// sentTo are requests for every operation that a backend has a part in.
func (c *complaining) sentTo(t *testing.T) map[string]func(n int) *request {
	t.Helper()
	const bucket, locked, object = "/complaints", "/complaints-locked", "/complaints/k"
	id := c.tn.raw().begin(t, object)
	documents := map[string]string{
		"PutBucketVersioning":             "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		"PutBucketLifecycleConfiguration": "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Prefix>x</Prefix><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
		"PutBucketTagging":                "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
		"PutObjectTagging":                "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
		"PutBucketPolicy":                 `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::complaints/*"]}]}`,
		"PutObjectLockConfiguration":      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
		"PutBucketEncryption":             "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
		"PutObjectRetention":              "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2070-01-01T00:00:00Z</RetainUntilDate></Retention>",
		"PutObjectLegalHold":              "<LegalHold><Status>ON</Status></LegalHold>",
		"DeleteObjects":                   "<Delete><Object><Key>k</Key></Object><Object><Key>l</Key></Object></Delete>",
		"CompleteMultipartUpload":         `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>`,
		"CreateBucket":                    "",
	}
	all := map[string]func(n int) *request{}
	for _, op := range s3op.Operations {
		if op.Action != s3op.Forward {
			continue
		}
		q := request{method: op.Method, path: bucket, query: query(), header: http.Header{}}
		if op.Level == s3op.Object {
			q.path = object
		}
		if strings.Contains(op.Name, "Lock") || strings.Contains(op.Name, "Retention") || strings.Contains(op.Name, "LegalHold") {
			q.path = strings.Replace(q.path, bucket, locked, 1)
		}
		switch op.Selector {
		case "":
		case "uploadId":
			q.query.Set("uploadId", id)
		case "list-type":
			q.query.Set("list-type", "2")
		default:
			q.query.Set(op.Selector, "")
		}
		if strings.HasPrefix(op.Name, "UploadPart") {
			q.query.Set("partNumber", "1")
		}
		if op.CopySource {
			q.header.Set("x-amz-copy-source", "complaints/source")
		}
		if op.Name == "GetObjectAttributes" {
			q.header.Set("x-amz-object-attributes", "ETag,ObjectSize")
		}
		switch op.Body {
		case s3op.Stream:
			q.body = []byte("x")
		case s3op.Document:
			doc, ok := documents[op.Name]
			if !ok {
				t.Fatalf("no document for %s", op.Name)
			}
			q.body = []byte(doc)
		case s3op.Form:
			q = formRequest(t, bucket[1:], signForm(t, c.tn.key.KeyID, c.tn.key.Secret, map[string]string{"key": "k", "success_action_status": "201"}, bucket[1:]), "file")
		case s3op.NoBody:
		}
		all[op.Name] = func(n int) *request {
			again := q
			switch op.Name {
			case "CreateBucket":
				again.path = fmt.Sprintf("/complaints-new-%d", n)
			case "DeleteBucket":
				again.path = fmt.Sprintf("/complaints-old-%d", n)
				c.rec.answers(nil)
				c.tn.raw().must(t, &request{method: "PUT", path: again.path})
			}
			return &again
		}
	}
	return all
}

// roots are the answers of operations that have a document.
var roots = map[string]string{
	"ListObjects": "ListBucketResult", "ListObjectsV2": "ListBucketResult", "ListObjectVersions": "ListVersionsResult", "ListMultipartUploads": "ListMultipartUploadsResult",
	"DeleteObjects": "DeleteResult", "GetBucketVersioning": "VersioningConfiguration", "GetBucketLifecycleConfiguration": "LifecycleConfiguration", "GetBucketTagging": "Tagging",
	"GetObjectLockConfiguration": "ObjectLockConfiguration", "GetBucketEncryption": "ServerSideEncryptionConfiguration", "CopyObject": "CopyObjectResult",
	"GetObjectAttributes": "GetObjectAttributesResponse", "CreateMultipartUpload": "InitiateMultipartUploadResult", "UploadPartCopy": "CopyPartResult",
	"CompleteMultipartUpload": "CompleteMultipartUploadResult", "ListParts": "ListPartsResult", "GetObjectTagging": "Tagging", "GetObjectRetention": "Retention", "GetObjectLegalHold": "LegalHold",
	"GetBucketPolicy": "", "GetBucketPolicyStatus": "",
}

// talkative is a document with the word in every place where no answer has anything.
func talkative(op, backendBucket string) string {
	root, ok := roots[op]
	switch {
	case !ok:
		return "canary"
	case root == "":
		return `{"Version":"canary","canary":{"canary":"canary"},"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` +
			backendBucket + `/*"],"Condition":{"canary":{"canary":"canary"}},"canary":"canary"}]}`
	}
	const own = `<Canary canary="canary">canary<Key>canary</Key></Canary><!-- canary --><?canary canary?>canary<![CDATA[canary]]>`
	inner := own + "<HostId>canary</HostId><Owner><ID>canary</ID><DisplayName>canary</DisplayName><Canary>canary</Canary></Owner><Initiator><ID>canary</ID></Initiator>"
	switch op {
	case "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts":
		inner += "<Name>canary</Name>"
		for _, entry := range []string{"Contents", "Version", "DeleteMarker", "Part", "CommonPrefixes"} {
			inner += "<" + entry + ` canary="canary">` + own + "<UserMetadata><X-Amz-Meta-Canary>canary</X-Amz-Meta-Canary></UserMetadata><UserTags>canary</UserTags>" +
				"<Internal><K>canary</K></Internal><Owner><ID>canary</ID><DisplayName>canary</DisplayName></Owner></" + entry + ">"
		}
	case "CompleteMultipartUpload":
		inner += "<Location>http://canary:9000/canary/k</Location><Bucket>canary</Bucket>"
	case "CreateMultipartUpload":
		inner += "<Bucket>canary</Bucket><Key>k</Key><UploadId>" + rawUploadID + "</UploadId>"
	case "DeleteObjects":
		inner += "<Deleted><Key>canary</Key><Canary>canary</Canary></Deleted><Deleted><Key>k</Key><Canary>canary</Canary></Deleted>" +
			"<Error><Key>canary</Key><Code>canary</Code></Error><Error><Key>l</Key><Code>Canary</Code><Message>canary</Message><Canary>canary</Canary></Error>"
	case "GetBucketLifecycleConfiguration":
		inner += "<Rule><ID>a</ID><Status>Enabled</Status><Prefix>x</Prefix><Expiration><Days>1</Days><Canary>canary</Canary></Expiration>" + own + "</Rule>"
	}
	return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><?canary?><!-- canary -->` + "\n" +
		"<" + root + ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/" xmlns:canary="canary">` + inner + "</" + root + "><!-- canary -->"
}

// talkativeError is an error document with the word in every element.
const talkativeError = `<?xml version="1.0"?><!-- canary --><Error canary="canary"><Code>%s</Code><Message>canary</Message><Key>canary</Key><BucketName>canary</BucketName><Resource>/canary</Resource>` +
	`<Region>canary</Region><RequestId>canary</RequestId><HostId>canary</HostId><Endpoint>canary</Endpoint><Canary>canary</Canary><ActualObjectSize>canary</ActualObjectSize>` +
	`<RangeRequested>canary</RangeRequested><ActualPartCount>canary</ActualPartCount><UploadId>canary</UploadId><ArgumentName>canary</ArgumentName><ArgumentValue>canary</ArgumentValue></Error>`

// talkativeHead are header lines that are nobody's to pass on.
func talkativeHead() string {
	var b strings.Builder
	for _, name := range []string{
		"Server", "Location", "Content-Location", "Set-Cookie", "Via", "Warning", "Alt-Svc", "Link", "Refresh", "Pragma", "Vary", "Age", "Date", "Allow", "Upgrade", "Keep-Alive", "Trailer",
		"WWW-Authenticate", "Proxy-Authenticate", "Proxy-Connection", "X-Powered-By", "X-Accel-Redirect", "X-Accel-Buffering", "X-Sendfile", "X-Cache", "X-Forwarded-For",
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Strict-Transport-Security", "Content-Security-Policy",
		"X-Frame-Options", "X-Xss-Protection", "Referrer-Policy", "Permissions-Policy", "Clear-Site-Data", "Report-To", "NEL", "Cross-Origin-Opener-Policy",
		"X-Amz-Id-2", "X-Amz-Request-Id", "X-Amz-Bucket-Region", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Context", "X-Amz-Website-Redirect-Location",
		"X-Amz-Replication-Status", "X-Amz-Restore", "X-Amz-Request-Charged", "X-Amz-Bucket-Arn", "X-Amz-Error-Code", "X-Amz-Error-Message", "X-Amz-Canary", "X-Amz-Transition-Default-Minimum-Object-Size",
		"X-Minio-Deployment-Id", "X-Minio-Error-Code", "X-Minio-Error-Desc", "X-Minio-Canary", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "Retry-After", "X-Canary", "Canary",
	} {
		b.WriteString(name + ": canary\r\n")
	}
	return b.String()
}

// said is everything that a client reads, to the last byte; 0 is an answer that ended
// in its head.
func (c *complaining) said(t *testing.T, q *request) (status int, raw, body string) {
	t.Helper()
	r := c.tn.raw().build(t, q)
	nc, err := net.Dial("tcp", c.g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	if err := r.Write(nc); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(nc, &all)), r)
	if err != nil { // its document came to nothing when the answer had begun
		return 0, all.String(), ""
	}
	doc, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, all.String(), string(doc)
}

// TestF1_backendsWords: nothing of a backend's words reaches a client but an object's
// bytes and what is an account's own data: whatever was asked, whatever the status.
func TestF1_backendsWords(t *testing.T) { //nolint:tparallel // one backend, which answers one at a time
	t.Parallel()
	c := newComplaining(t, "")
	for name, one := range c.sentTo(t) {
		t.Run(name, func(t *testing.T) {
			n, answered := 0, map[int]bool{}
			try := func(status int, what, doc string, chunked bool) {
				n++
				q := one(n)
				c.toBackend(func(r *recorded) string {
					bucket, _, _ := strings.Cut(strings.Trim(r.target, "/"), "/")
					bucket, _, _ = strings.Cut(bucket, "?")
					body := doc
					if what == "the operation's" {
						body = talkative(name, bucket)
					}
					head := fmt.Sprintf("HTTP/1.1 %d canary\r\nconnection: close, canary\r\nETag: \"e\"\r\nContent-Type: application/canary\r\n%s", status, talkativeHead())
					if name == "GetObject" || name == "HeadObject" { // the object's own type
						head = strings.Replace(head, "application/canary", "a/b", 1)
					}
					if chunked {
						return head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x;canary=canary\r\n%s\r\n0\r\nX-Canary: canary\r\n\r\n", len(body), body)
					}
					return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
				})
				got, raw, body := c.said(t, q)
				answered[got] = true
				if name == "GetObject" && got < 300 {
					raw = strings.ReplaceAll(strings.TrimSuffix(raw, body), body, "") // the object
				}
				if strings.Contains(strings.ToLower(raw), "canary") {
					t.Errorf("answered %d with %s, chunked %v: %s", status, what, chunked, raw)
				}
			}
			const page = "<!DOCTYPE html><html><body>canary</body></html>"
			for _, status := range []int{200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 412, 416, 429, 500, 501, 503, 507, 599} {
				try(status, "a page", page, false)
				try(status, "an error", fmt.Sprintf(talkativeError, "Canary"), false)
				if status < 300 || status == 404 || status == 500 {
					for _, chunked := range []bool{false, true} {
						try(status, "the operation's", "", chunked)
						try(status, "an error of S3's", fmt.Sprintf(talkativeError, "InvalidRange"), chunked)
						try(status, "an error of MinIO's", fmt.Sprintf(talkativeError, "XMinioCanary"), chunked)
						try(status, "nothing", "", chunked)
						try(status, "words", "canary", chunked)
					}
				}
			}
			if success := answered[200] || answered[201] || answered[204]; !success {
				t.Errorf("nothing was ever a success: %v", answered)
			}
		})
	}
}
