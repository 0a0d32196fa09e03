package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// victim is account A's bucket with something of every kind in it.
type victim struct {
	tn             *tenant
	bucket, upload string
}

const (
	isolated   = "isolated"
	victimOnly = "isolated-logs" // nobody else ever has one of this name
)

func newVictim(t *testing.T, g *gateway) *victim {
	t.Helper()
	v := &victim{tn: g.tenant(), bucket: isolated}
	c := v.tn.s3()
	ctx := t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(isolated), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(isolated), Key: aws.String(fmt.Sprintf("dir/k%d", i)), Body: strings.NewReader(fmt.Sprint("secret ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(victimOnly)}); err != nil {
		t.Fatal(err)
	}
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String(isolated), Key: aws.String("dir/up")})
	if err != nil {
		t.Fatal(err)
	}
	v.upload = aws.ToString(up.UploadId)
	if _, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String(isolated), Key: aws.String("dir/up"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("a part")}); err != nil {
		t.Fatal(err)
	}
	return v
}

// hash is over everything the account has, as every reading operation of the
// table tells it.
func (v *victim) hash(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	for _, op := range s3op.Operations {
		if op.Method != "GET" && op.Method != "HEAD" || op.Level == s3op.Service {
			continue
		}
		q := attempts(v, op)[0]
		keys := []string{q.path}
		for i := 1; i < 5 && op.Level == s3op.Object && op.Selector != "uploadId"; i++ {
			keys = append(keys, fmt.Sprintf("/%s/dir/k%d", isolated, i))
		}
		for _, q.path = range keys {
			r := v.tn.raw().do(t, &q)
			for _, changes := range []string{"Date", "X-Amz-Request-Id", "X-Amz-Id-2"} {
				r.header.Del(changes)
			}
			fmt.Fprintln(h, op.Name, q.path, r.status, r.header, string(requestIDs.ReplaceAll(r.body, nil)))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// attempts builds, from the operation's row, the requests with which somebody
// could try it on a bucket: signed, and presigned where it has no body.
func attempts(v *victim, op *s3op.Operation) []request {
	q := request{method: op.Method, query: url.Values{}, header: http.Header{}}
	switch op.Level {
	case s3op.Service:
		q.path = "/"
	case s3op.Bucket:
		q.path = "/" + isolated
	default:
		q.path = "/" + isolated + "/dir/k0"
	}
	if op.Selector != "" {
		q.query.Set(op.Selector, map[string]string{"list-type": "2", "uploadId": v.upload}[op.Selector])
	}
	if op.Selector == "uploadId" {
		q.path = "/" + isolated + "/dir/up"
	}
	if op.Name == "UploadPart" || op.Name == "UploadPartCopy" {
		q.query.Set("partNumber", "1")
	}
	if op.CopySource {
		q.header.Set("x-amz-copy-source", isolated+"/dir/k1")
	}
	q.body = []byte(map[string]string{
		"PutObject": "overwritten", "UploadPart": "overwritten",
		"DeleteObjects":                   `<Delete><Object><Key>dir/k1</Key></Object></Delete>`,
		"PutBucketVersioning":             `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
		"PutBucketLifecycleConfiguration": lifecycle,
		"PutBucketTagging":                `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
		"PutObjectTagging":                `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
		"PutBucketPolicy":                 `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::isolated/*"}]}`,
		"PutObjectLockConfiguration":      `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`,
		"PutBucketLogging":                `<BucketLoggingStatus><LoggingEnabled><TargetBucket>isolated</TargetBucket><TargetPrefix>x</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`,
		"PutBucketEncryption":             `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
		"PutObjectRetention":              `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2070-01-01T00:00:00Z</RetainUntilDate></Retention>`,
		"PutObjectLegalHold":              `<LegalHold><Status>ON</Status></LegalHold>`,
		"CompleteMultipartUpload":         `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>`,
	}[op.Name])
	if op.Name == "GetObjectAttributes" {
		q.header.Set("x-amz-object-attributes", "ETag")
	}
	if op.Name == "PutBucketAcl" || op.Name == "PutObjectAcl" {
		q.header.Set("x-amz-acl", "private")
	}
	list := []request{q}
	if op.Body != s3op.Form && op.Name != "PostObject" {
		presigned := q
		presigned.presign = true
		list = append(list, presigned)
	}
	return list
}

// TestIsolation takes every operation of the table to account A's bucket with
// account B's key.
func TestIsolation(t *testing.T) { //nolint:tparallel // the steps build on each other
	t.Parallel()
	g := newGateway(t, options{})
	v := newVictim(t, g)
	before := v.hash(t)
	for _, owns := range []bool{false, true} {
		t.Run(fmt.Sprintf("B owns the same name=%v", owns), func(t *testing.T) {
			b := g.tenant()
			if owns {
				if _, err := b.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(isolated)}); err != nil {
					t.Fatal(err)
				}
			}
			e := b.raw()
			hostA := v.tn.account.Name + ".tenants.example.test"
			for _, op := range s3op.Operations {
				for _, q := range attempts(v, op) {
					name := fmt.Sprintf("%s presigned=%v", op.Name, q.presign)
					shared := e.do(t, &q)
					checkShared(t, name, op, shared, owns)
					b.restore(t, op, owns)
					// A's host with B's key.
					onA := q
					onA.host = hostA
					if op.Name != "PostObject" {
						if r := e.do(t, &onA); r.status != 403 || op.Method != "HEAD" && r.code() != "AccessDenied" {
							t.Errorf("%s on A's host: %d %s", name, r.status, r.code())
						}
						// A bucket in front of A's host, and in front of the shared one.
						if op.Level != s3op.Service {
							virtual := q
							virtual.host = isolated + "." + hostA
							virtual.path = "/" + strings.TrimPrefix(strings.TrimPrefix(q.path, "/"+isolated), "/")
							if r := e.do(t, &virtual); r.status != 403 {
								t.Errorf("%s on A's bucket host: %d %s", name, r.status, r.code())
							}
						}
					}
				}
			}
			isolationSideDoors(t, v, b, owns)
		})
	}
	if after := v.hash(t); after != before {
		t.Error("account A's data has changed")
	}
}

// checkShared: on the shared host B only ever sees B's own names.
func checkShared(t *testing.T, name string, op *s3op.Operation, r *reply, owns bool) {
	t.Helper()
	if bytes.Contains(r.body, []byte("secret ")) || bytes.Contains(r.body, []byte("dir/k2")) {
		t.Errorf("%s on the shared host shows A's data: %d %s", name, r.status, r.body)
	}
	switch {
	case op.Level == s3op.Service:
		if r.status != 200 {
			t.Errorf("%s: %d", name, r.status)
		}
	case op.Name == "CreateBucket":
		// B's own bucket is made; it is taken away again unless B had it.
		if want := map[bool]int{false: 200, true: 409}[owns]; r.status != want {
			t.Errorf("%s: %d %s, wanted %d", name, r.status, r.code(), want)
		}
	case op.Name == "PostObject":
		if r.status < 400 {
			t.Errorf("%s: %d", name, r.status)
		}
	case !owns && (r.status != 404 || op.Method != "HEAD" && r.code() != "NoSuchBucket"):
		t.Errorf("%s: %d %s, wanted NoSuchBucket", name, r.status, r.code())
	}
}

// restore undoes what an operation did to B's own bucket, so that the next one
// finds the case that is tested.
func (tn *tenant) restore(t *testing.T, op *s3op.Operation, owns bool) {
	t.Helper()
	method := map[bool]string{true: "PUT", false: "DELETE"}[owns]
	if op.Name == "CreateBucket" && !owns || op.Name == "DeleteBucket" && owns {
		if r := tn.raw().do(t, &request{method: method, path: "/" + isolated}); r.status >= 300 && r.status != 404 && r.status != 409 {
			t.Fatalf("%s after %s: %d %s", method, op.Name, r.status, r.body)
		}
	}
}

// isolationSideDoors are the ways to a foreign bucket that are no path.
func isolationSideDoors(t *testing.T, v *victim, b *tenant, owns bool) {
	t.Helper()
	e := b.raw()
	own := fmt.Sprintf("side-doors-%v", owns)
	if r := e.do(t, &request{method: "PUT", path: "/" + own}); r.status != 200 {
		t.Fatalf("create: %d %s", r.status, r.code())
	}
	for name, q := range map[string]request{
		"copy source":            {method: "PUT", path: "/" + own + "/k", header: headers("x-amz-copy-source", isolated+"/dir/k2")},
		"copy source with slash": {method: "PUT", path: "/" + own + "/k", header: headers("x-amz-copy-source", "/"+isolated+"/dir/k2")},
		"copy source encoded":    {method: "PUT", path: "/" + own + "/k", header: headers("x-amz-copy-source", isolated+"%2Fdir%2Fk2")},
		"copy by backend name":   {method: "PUT", path: "/" + own + "/k", header: headers("x-amz-copy-source", backendNameOf(t, v.tn, isolated)+"/dir/k2")},
		"get by backend name":    {method: "GET", path: "/" + backendNameOf(t, v.tn, isolated) + "/dir/k2"},
		"list by backend name":   {method: "GET", path: "/" + backendNameOf(t, v.tn, isolated)},
		"foreign upload id":      {method: "PUT", path: "/" + own + "/dir/up", query: query("uploadId", v.upload, "partNumber", "1"), body: []byte("x")},
		"foreign parts":          {method: "GET", path: "/" + own + "/dir/up", query: query("uploadId", v.upload)},
		"policy for A's bucket": {method: "PUT", path: "/" + own, query: query("policy", ""), body: []byte(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::isolated/*"}]}`)},
		"A's bucket as the target of logs": {method: "PUT", path: "/" + own, query: query("logging", ""), body: []byte(
			`<BucketLoggingStatus><LoggingEnabled><TargetBucket>` + victimOnly + `</TargetBucket><TargetPrefix></TargetPrefix></LoggingEnabled></BucketLoggingStatus>`)},
		"traversal": {method: "GET", path: "/" + own + "/../" + isolated + "/dir/k2"},
	} {
		r := e.do(t, &q)
		if r.status < 400 || bytes.Contains(r.body, []byte("secret ")) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	body := []byte(`<Delete><Object><Key>../` + isolated + `/dir/k2</Key></Object><Object><Key>/` + isolated + `/dir/k2</Key></Object><Object><Key>a/../../` + isolated + `/dir/k3</Key></Object></Delete>`)
	r := e.do(t, &request{method: "POST", path: "/" + own, query: query("delete", ""), body: body, header: headers("Content-Md5", contentMD5(body))})
	if r.status != 200 || bytes.Contains(r.body, []byte("<Deleted>")) || bytes.Count(r.body, []byte("<Error>")) != 3 {
		t.Errorf("A9 batch delete by traversal: %d %s", r.status, r.body)
	}
	if r := postForm(t, b, isolated, map[string]string{"key": "dir/k4"}, isolated, "overwritten"); owns != (r.status == 204) {
		t.Errorf("form to A's bucket name (B owns one: %v): %d %s", owns, r.status, r.body)
	}
	if r := postForm(t, b, own, map[string]string{"key": "dir/k4", "bucket": isolated}, isolated, "overwritten"); r.status < 400 {
		t.Errorf("A6 form with A's bucket as a field: %d %s", r.status, r.body)
	}
}

func backendNameOf(t *testing.T, tn *tenant, name string) string {
	t.Helper()
	b, err := tenancy.BucketByName(t.Context(), tn.g.owner, tn.account.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	return b.BackendName
}

// postForm uploads by a browser form whose policy is for policyBucket.
func postForm(t *testing.T, tn *tenant, bucket string, fields map[string]string, policyBucket, file string) *reply {
	t.Helper()
	return sendForm(t, tn, bucket, signForm(t, tn.key.KeyID, tn.key.Secret, fields, policyBucket), file)
}

// signForm completes the fields of a form with its policy and signature.
func signForm(t *testing.T, id, secret string, fields map[string]string, policyBucket string) map[string]string {
	t.Helper()
	now := time.Now().UTC()
	credential := id + "/" + now.Format("20060102") + "/us-east-1/s3/aws4_request"
	all := map[string]string{"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": credential, "x-amz-date": now.Format("20060102T150405Z")}
	conditions := []any{map[string]string{"bucket": policyBucket}, []any{"content-length-range", 0, 10 << 20}}
	for k, v := range fields {
		all[k] = v
	}
	for k, v := range all {
		switch {
		case k == "bucket":
		case v == "": // it may be any
			conditions = append(conditions, []string{"starts-with", "$" + k, ""})
		default:
			conditions = append(conditions, map[string]string{k: v})
		}
	}
	doc, err := json.Marshal(map[string]any{"expiration": now.Add(time.Hour).Format(time.RFC3339), "conditions": conditions})
	if err != nil {
		t.Fatal(err)
	}
	policy := base64.StdEncoding.EncodeToString(doc)
	all["policy"] = policy
	all["x-amz-signature"] = sigv4.SignPolicy(policy, sigv4.NewSigningKey(secret, now.Format("20060102"), "us-east-1"))
	return all
}

func sendForm(t *testing.T, tn *tenant, bucket string, fields map[string]string, file string) *reply {
	t.Helper()
	q := formRequest(t, bucket, fields, file)
	return tn.raw().do(t, &q)
}

func formRequest(t *testing.T, bucket string, fields map[string]string, file string) request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, v := range fields {
		if err := w.WriteField(k, v); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", `C:\dir\name.txt`)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, file)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return request{method: "POST", path: "/" + bucket, anonymous: true, body: body.Bytes(), header: headers("Content-Type", w.FormDataContentType())}
}
