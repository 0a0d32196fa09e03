package proxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/tenancy"
)

// watched is a gateway whose backend's requests are seen on their way to MinIO.
type watched struct {
	*gateway
	mu   sync.Mutex
	seen []string
}

func newWatched(t *testing.T, o options) *watched {
	t.Helper()
	w := &watched{}
	m := *testenv.MinIO(t)
	target, err := url.Parse(m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
		if strings.HasPrefix(r.In.URL.Path, "/minio/health/") {
			return // nobody's request
		}
		w.mu.Lock()
		w.seen = append(w.seen, r.In.Method+" "+r.In.RequestURI)
		w.mu.Unlock()
	}})
	t.Cleanup(front.Close)
	m.Endpoint = front.URL
	o.minio = &m
	w.gateway = newGateway(t, o)
	return w
}

// asked returns what the backend was asked since the last time.
func (w *watched) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// direct is MinIO itself, with the gateway's credential.
func (g *gateway) direct() *endpoint {
	return &endpoint{strings.TrimPrefix(g.minio.Endpoint, "http://"), g.minio.AccessKey, g.minio.SecretKey}
}

func (e *endpoint) must(t testing.TB, q *request) *reply {
	t.Helper()
	r := e.do(t, q)
	if r.status >= 300 {
		t.Fatalf("%s %s %v: %d %s", q.method, q.path, q.query, r.status, r.body)
	}
	return r
}

// begin starts an upload and returns its id.
func (e *endpoint) begin(t testing.TB, path string) string {
	t.Helper()
	m := uploadID.FindSubmatch(e.must(t, &request{method: "POST", path: path, query: query("uploads", "")}).body)
	if m == nil {
		t.Fatal("no upload id")
	}
	return string(m[1])
}

// rawID is an upload's id as the backend itself calls it.
func (tn *tenant) rawID(t *testing.T, bucket, key string) string {
	t.Helper()
	r := tn.g.direct().must(t, &request{method: "GET", path: "/" + backendNameOf(t, tn, bucket), query: query("uploads", "", "prefix", key)})
	m := uploadID.FindSubmatch(r.body)
	if m == nil {
		t.Fatalf("no upload of %s: %s", key, r.body)
	}
	return string(m[1])
}

// withUpload are the operations that name an upload.
func withUpload(path, id string) map[string]request {
	complete := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"9dd4e461268c8034f5c8564e155c67a6"</ETag></Part></CompleteMultipartUpload>`)
	bucket, _, _ := strings.Cut(path[1:], "/")
	return map[string]request{
		"UploadPart":              {method: "PUT", path: path, query: query("uploadId", id, "partNumber", "1"), body: []byte("overwritten")},
		"UploadPartCopy":          {method: "PUT", path: path, query: query("uploadId", id, "partNumber", "1"), header: headers("x-amz-copy-source", bucket+"/source")},
		"CompleteMultipartUpload": {method: "POST", path: path, query: query("uploadId", id), body: complete},
		"AbortMultipartUpload":    {method: "DELETE", path: path, query: query("uploadId", id)},
		"ListParts":               {method: "GET", path: path, query: query("uploadId", id)},
	}
}

// TestIDs_D14_paths is the seen attack: MinIO decodes an upload id as a path
// below its folder of uploads, and `../` in it reached every object of every
// account, COMPLIANCE-locked ones too, and MinIO's own files.
func TestIDs_D14_paths(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	victim, attacker := g.tenant(), g.tenant()
	v, e := victim.raw(), attacker.raw()
	secretData := bytes.Repeat([]byte("the victim's only copy. "), 20_000) // large enough to have a file of its own
	v.must(t, &request{method: "PUT", path: "/vault", header: headers("x-amz-bucket-object-lock-enabled", "true")})
	keys := []string{"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts"}
	for _, key := range keys {
		v.must(t, &request{method: "PUT", path: "/vault/" + key, body: secretData, header: headers(
			"x-amz-object-lock-mode", "COMPLIANCE", "x-amz-object-lock-retain-until-date", "2070-01-01T00:00:00Z", "Content-Md5", contentMD5(secretData))})
	}
	e.must(t, &request{method: "PUT", path: "/mine"})
	e.must(t, &request{method: "PUT", path: "/mine/source", body: []byte("copied over it")})
	e.begin(t, "/mine/k")
	// The deployment's id is in every raw upload id.
	raw, err := base64.RawURLEncoding.DecodeString(attacker.rawID(t, "mine", "k"))
	if err != nil {
		t.Fatal(err)
	}
	deployment, _, _ := strings.Cut(string(raw), ".")
	backendBucket := backendNameOf(t, victim, "vault")
	for _, name := range keys {
		for _, path := range []string{"../../../" + backendBucket + "/" + name, "../../../../" + backendBucket + "/" + name, "./../../../" + backendBucket + "/" + name} {
			forged := base64.RawURLEncoding.EncodeToString([]byte(deployment + "." + path))
			q := withUpload("/mine/k", forged)[name]
			if r := e.do(t, &q); r.status != 404 || r.code() != "NoSuchUpload" {
				t.Errorf("%s of %s: %d %s", name, path, r.status, r.body)
			}
		}
		if r := v.do(t, &request{method: "GET", path: "/vault/" + name}); r.status != 200 || !bytes.Equal(r.body, secretData) {
			t.Errorf("%s has reached the victim's object: %d, %d bytes: %.60s", name, r.status, len(r.body), r.body)
		}
	}
}

// TestIDs_D14_foreign: an upload id is good for its account, bucket and key,
// and for nothing that somebody made of it. The backend is not asked.
func TestIDs_D14_foreign(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	a, b := g.tenant(), g.tenant()
	ea, eb := a.raw(), b.raw()
	for _, e := range []*endpoint{ea, eb} {
		for _, bucket := range []string{"/one-bucket", "/two-bucket", "/old-bucket"} {
			e.must(t, &request{method: "PUT", path: bucket})
			e.must(t, &request{method: "PUT", path: bucket + "/source", body: []byte("x")})
		}
	}
	mine := ea.begin(t, "/one-bucket/k")
	part := withUpload("/one-bucket/k", mine)["UploadPart"]
	part.body = []byte("x")
	ea.must(t, &part)

	dead := ea.begin(t, "/old-bucket/k")
	abort := withUpload("/old-bucket/k", dead)["AbortMultipartUpload"]
	ea.must(t, &request{method: "DELETE", path: "/old-bucket/source"})
	ea.must(t, &request{method: "DELETE", path: "/old-bucket"})
	ea.must(t, &request{method: "PUT", path: "/old-bucket"})
	if r := ea.do(t, &abort); r.code() != "NoSuchUpload" {
		t.Errorf("an upload of the bucket that had the name before: %d %s", r.status, r.body)
	}

	other, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	one, err := tenancy.BucketByName(t.Context(), g.owner, a.account.ID, "one-bucket")
	if err != nil {
		t.Fatal(err)
	}
	rawID := a.rawID(t, "one-bucket", "k")
	place := opaque.Place{Backend: one.BackendID, Bucket: one.ID, Key: []byte("k")}
	sealed := func(m opaque.MAC, k opaque.Kind, p opaque.Place, text string) string {
		token, err := m.Seal(k, p, text)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if got := sealed(g.keyring.MAC, opaque.UploadID, place, rawID); got != mine {
		t.Errorf("the upload id is %s, wanted %s", mine, got)
	}
	paths := func(p string) string { return base64.RawURLEncoding.EncodeToString([]byte("x." + p)) }
	ids := map[string]string{
		"of another account":            eb.begin(t, "/one-bucket/k"),
		"of another bucket":             ea.begin(t, "/two-bucket/k"),
		"of another key":                ea.begin(t, "/one-bucket/k2"),
		"of a key below":                ea.begin(t, "/one-bucket/k/k"),
		"of a key as long":              ea.begin(t, "/one-bucket/j"),
		"the backend's own":             rawID,
		"of another keyring":            sealed(other.MAC, opaque.UploadID, place, rawID),
		"a continuation token":          sealed(g.keyring.MAC, opaque.ContinuationToken, opaque.Place{Backend: one.BackendID, Bucket: one.ID}, rawID),
		"a token of another kind":       sealed(g.keyring.MAC, opaque.ContinuationToken, place, rawID),
		"of another backend":            sealed(g.keyring.MAC, opaque.UploadID, opaque.Place{Backend: tenancy.NewID(), Bucket: one.ID, Key: []byte("k")}, rawID),
		"ours, of a path":               sealed(g.keyring.MAC, opaque.UploadID, place, paths("../../../x/k")),
		"ours, of no base64":            sealed(g.keyring.MAC, opaque.UploadID, place, "../../../x/k"),
		"a path":                        paths("../../../x/k"),
		"MinIO's own files":             paths("../../config/config.json"),
		"a path in standard base64":     base64.StdEncoding.EncodeToString([]byte("x.../../../x/k")),
		"nothing":                       "",
		"a word":                        "nothing",
		"two of them":                   mine + mine,
		"with a line end":               mine + "\n",
		"with padding":                  mine + "=",
		"with white space":              " " + mine,
		"the backend's, in our clothes": base64.RawURLEncoding.EncodeToString(append(make([]byte, 17), rawID...)),
	}
	for n := 0; n < len(mine); n++ {
		flipped := []byte(mine)
		flipped[n] ^= 1
		ids[fmt.Sprint("flipped at ", n)] = string(flipped)
		ids[fmt.Sprint("cut at ", n)] = mine[:n]
	}
	g.asked()
	for name, id := range ids {
		for op, q := range withUpload("/one-bucket/k", id) {
			if r := ea.do(t, &q); r.status != 404 || r.code() != "NoSuchUpload" {
				t.Errorf("%s, %s: %d %s", op, name, r.status, r.body)
			}
		}
		if id == "" {
			continue // no marker
		}
		q := request{method: "GET", path: "/one-bucket", query: query("uploads", "", "prefix", "k", "key-marker", "k", "upload-id-marker", id)}
		if r := ea.do(t, &q); r.status != 404 || r.code() != "NoSuchUpload" {
			t.Errorf("marker, %s: %d %s", name, r.status, r.body)
		}
	}
	if seen := g.asked(); len(seen) > 0 {
		t.Errorf("the backend was asked %d times: %.300q", len(seen), seen)
	}
	// The upload has not noticed any of it.
	complete := withUpload("/one-bucket/k", mine)["CompleteMultipartUpload"]
	ea.must(t, &complete)
	if r := ea.do(t, &request{method: "GET", path: "/one-bucket/k"}); string(r.body) != "x" {
		t.Errorf("the object is %q", r.body)
	}
}

// TestIDs_D14_everyNode: what one node gave out, every node of the fleet
// takes, also after the keyring was rotated.
func TestIDs_D14_everyNode(t *testing.T) {
	t.Parallel()
	first := newGateway(t, options{})
	rotated := *first
	var err error
	if rotated.keyring, err = first.keyring.Rotate(); err != nil {
		t.Fatal(err)
	}
	second, third := newGateway(t, options{beside: first}), newGateway(t, options{beside: &rotated})
	tn := first.tenant()
	on := func(g *gateway) *endpoint { return &endpoint{g.addr, tn.key.KeyID, tn.key.Secret} }
	on(first).must(t, &request{method: "PUT", path: "/every-node"})
	for i := range 3 {
		on(first).must(t, &request{method: "PUT", path: fmt.Sprint("/every-node/o", i), body: []byte("x")})
	}
	id := on(first).begin(t, "/every-node/k")
	part := withUpload("/every-node/k", id)["UploadPart"]
	part.body = []byte("x")
	on(second).must(t, &part)
	on(third).must(t, &request{method: "GET", path: "/every-node/k", query: query("uploadId", id)})
	token := textOf(t, on(first).must(t, &request{method: "GET", path: "/every-node", query: query("list-type", "2", "max-keys", "1")}).body, "NextContinuationToken")
	for _, g := range []*gateway{second, third} {
		r := on(g).must(t, &request{method: "GET", path: "/every-node", query: query("list-type", "2", "max-keys", "1", "continuation-token", token)})
		if key := textOf(t, r.body, "Key"); key != "o1" {
			t.Errorf("the second page begins with %s", key)
		}
	}
	complete := withUpload("/every-node/k", id)["CompleteMultipartUpload"]
	on(third).must(t, &complete)
}

// textOf is the text of the first element of a name.
func textOf(t testing.TB, doc []byte, element string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(doc), "<"+element+">")
	text, _, closed := strings.Cut(rest, "</"+element+">")
	if !ok || !closed {
		t.Fatalf("no %s in %s", element, doc)
	}
	return text
}

// TestIDs_D14_olderUploads: uploads of a version that gave out the backend's
// own ids go on under the ids of a listing, and under no other.
func TestIDs_D14_olderUploads(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/older-uploads"})
	backend := "/" + backendNameOf(t, tn, "older-uploads")
	for _, key := range []string{"goes-on", "aborted"} {
		raw := g.direct().begin(t, backend+"/"+key)
		for op, q := range withUpload("/older-uploads/"+key, raw) {
			if r := e.do(t, &q); r.code() != "NoSuchUpload" {
				t.Errorf("%s with the backend's id: %d %s", op, r.status, r.body)
			}
		}
	}
	listed := map[string]string{}
	out, err := tn.s3().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("older-uploads")})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range out.Uploads {
		listed[aws.ToString(u.Key)] = aws.ToString(u.UploadId)
	}
	part := withUpload("/older-uploads/goes-on", listed["goes-on"])["UploadPart"]
	part.body = []byte("x")
	e.must(t, &part)
	complete := withUpload("/older-uploads/goes-on", listed["goes-on"])["CompleteMultipartUpload"]
	e.must(t, &complete)
	abort := withUpload("/older-uploads/aborted", listed["aborted"])["AbortMultipartUpload"]
	e.must(t, &abort)
	if left := g.direct().must(t, &request{method: "GET", path: backend, query: query("uploads", "")}); bytes.Contains(left.body, []byte("<Upload>")) {
		t.Errorf("left over: %s", left.body)
	}
}

// oddKeys are those that an answer could bend: XML, URL and Go's encodings.
var oddKeys = []string{"plain", "dir/a b", "per%cent%41", "pl+us", "amp&<lt>\"quote'", "ünï/☃", "tab\there", "ctl\x01\x7f", "[bracket]", "tilde~*"}

// TestIDs_D14_uploads: a large multipart upload, its parts and uploads listed
// page by page, by a stock SDK; every id of every listing is good.
func TestIDs_D14_uploads(t *testing.T) { //nolint:tparallel // one bucket, step by step
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	c := tn.s3()
	ctx := t.Context()
	bucket := aws.String("sdk-uploads")
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	for _, key := range oddKeys {
		t.Run(key, func(t *testing.T) {
			encodings := []types.EncodingType{"", types.EncodingTypeUrl}
			if strings.ContainsRune(key, 1) {
				// The SDK's reader of XML takes no such character, not even as
				// the reference that S3 writes: see TestUploads_B10.
				encodings = encodings[1:]
			}
			var ids []string
			for range 3 {
				up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String(key)})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, aws.ToString(up.UploadId))
			}
			for _, encoding := range encodings {
				if got := listUploads(t, c, bucket, key, encoding); strings.Join(got, " ") != strings.Join(ids, " ") {
					t.Errorf("%q pages of uploads: %q, wanted %q", encoding, got, ids)
				}
			}
			all, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket, EncodingType: encodings[0]})
			if err != nil || len(all.Uploads) != 3 {
				t.Fatal(err, all)
			}
			for _, u := range all.Uploads { // whatever XML made of the key, the ids are for it
				if _, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: aws.String(key), UploadId: u.UploadId}); err != nil {
					t.Errorf("abort an upload of the list: %v", err)
				}
			}
			if left := listUploads(t, c, bucket, key, encodings[0]); len(left) != 0 {
				t.Errorf("not aborted: %q", left)
			}
		})
	}
	large(ctx, t, c, bucket)
}

// TestIDs_D14_wholeBucket pages through the uploads of a bucket, aborting them
// on the way, as tools that clean up do.
func TestIDs_D14_wholeBucket(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e, c := tn.raw(), tn.s3()
	e.must(t, &request{method: "PUT", path: "/whole-bucket"})
	bucket := aws.String("whole-bucket")
	begin := func() map[string]string {
		want := map[string]string{}
		for _, key := range oddKeys {
			for range 3 {
				want[e.begin(t, "/whole-bucket/"+key)] = key
			}
		}
		return want
	}
	for _, aborting := range []bool{false, true} {
		for _, size := range []int32{1, 2, 7, 1000} {
			want := begin()
			seen, last := 0, ""
			in := &s3.ListMultipartUploadsInput{Bucket: bucket, MaxUploads: aws.Int32(size), EncodingType: types.EncodingTypeUrl}
			for more := true; more; {
				page, err := c.ListMultipartUploads(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Uploads) > int(size) || len(page.Uploads) == 0 {
					t.Fatalf("a page of %d has %d", size, len(page.Uploads))
				}
				for _, u := range page.Uploads {
					key, err := url.QueryUnescape(aws.ToString(u.Key))
					if err != nil || want[aws.ToString(u.UploadId)] != key || key < last {
						t.Errorf("%v: %q behind %q: not there, or twice", err, key, last)
					}
					delete(want, aws.ToString(u.UploadId))
					seen, last = seen+1, key
					if aborting {
						e.must(t, &request{method: "DELETE", path: "/whole-bucket/" + key, query: query("uploadId", aws.ToString(u.UploadId))})
					}
				}
				marker, err := url.QueryUnescape(aws.ToString(page.NextKeyMarker))
				if err != nil {
					t.Fatal(err)
				}
				more = aws.ToBool(page.IsTruncated)
				in.KeyMarker, in.UploadIdMarker = aws.String(marker), page.NextUploadIdMarker
			}
			if len(want) > 0 {
				t.Errorf("aborting=%v, pages of %d: %d of %d are missing", aborting, size, len(want), seen)
			}
			if !aborting {
				for _, id := range allUploads(t, c, bucket) {
					e.must(t, &request{method: "DELETE", path: "/whole-bucket/" + id[1], query: query("uploadId", id[0])})
				}
			}
		}
	}
	if r := e.must(t, &request{method: "GET", path: "/whole-bucket", query: query("uploads", "", "max-uploads", "0")}); textOf(t, r.body, "IsTruncated") != "false" {
		t.Errorf("a page of nothing: %s", r.body)
	}
}

// allUploads are the ids and keys of a bucket's uploads.
func allUploads(t *testing.T, c *s3.Client, bucket *string) (all [][2]string) {
	t.Helper()
	page, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucket, EncodingType: types.EncodingTypeUrl})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Uploads {
		key, err := url.QueryUnescape(aws.ToString(u.Key))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, [2]string{aws.ToString(u.UploadId), key})
	}
	return all
}

func listUploads(t *testing.T, c *s3.Client, bucket *string, key string, encoding types.EncodingType) (ids []string) {
	t.Helper()
	in := &s3.ListMultipartUploadsInput{Bucket: bucket, Prefix: aws.String(key), MaxUploads: aws.Int32(1), EncodingType: encoding}
	for {
		page, err := c.ListMultipartUploads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			ids = append(ids, aws.ToString(u.UploadId))
		}
		if !aws.ToBool(page.IsTruncated) {
			return ids
		}
		if len(page.Uploads) > 1 || len(ids) > 10 {
			t.Fatalf("the pages do not end: %d uploads, %d in this", len(ids), len(page.Uploads))
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		if encoding == types.EncodingTypeUrl {
			marker, err := url.QueryUnescape(aws.ToString(page.NextKeyMarker))
			if err != nil {
				t.Fatal(err)
			}
			in.KeyMarker = aws.String(marker)
		}
	}
}

// large uploads 7 parts of 5 MiB and reads back what it wrote.
func large(ctx context.Context, t *testing.T, c *s3.Client, bucket *string) {
	t.Helper()
	key := aws.String("large")
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	var whole []byte
	var done types.CompletedMultipartUpload
	for i := range int32(7) {
		body := bytes.Repeat([]byte{'a' + byte(i)}, 5<<20)
		whole = append(whole, body...)
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(i + 1), Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		done.Parts = append(done.Parts, types.CompletedPart{PartNumber: aws.Int32(i + 1), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	}
	parts := 0
	for p := s3.NewListPartsPaginator(c, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId, MaxParts: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(page.UploadId) != aws.ToString(up.UploadId) {
			t.Errorf("the list of parts is of upload %s", aws.ToString(page.UploadId))
		}
		parts += len(page.Parts)
	}
	if parts != 7 {
		t.Errorf("%d parts", parts)
	}
	if _, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId, MultipartUpload: &done}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 0, len(whole))
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	buf := bytes.NewBuffer(got)
	if _, err := buf.ReadFrom(out.Body); err != nil || !bytes.Equal(buf.Bytes(), whole) {
		t.Errorf("%v: %d bytes came back", err, buf.Len())
	}
}

// TestIDs_D14_failClosed: an id of a form that MinIO does not have is not
// passed on, in any answer.
func TestIDs_D14_failClosed(t *testing.T) {
	t.Parallel()
	const odd = "b2RkLi4vLi4vaWQ" // base64 of odd.../../id
	answers := map[string]string{
		"POST": `<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>` + odd + `</UploadId></InitiateMultipartUploadResult>`,
		"GET":  `<ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>k</Key><UploadId>` + odd + `</UploadId></Upload></ListMultipartUploadsResult>`,
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			return // the bucket is made
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = fmt.Fprint(w, answers[r.Method])
	}))
	t.Cleanup(backend.Close)
	m := *testenv.MinIO(t)
	m.Endpoint = backend.URL
	g := newGateway(t, options{minio: &m, names: true})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/fail-closed"})
	for _, q := range []request{
		{method: "POST", path: "/fail-closed/k", query: query("uploads", "")},
		{method: "GET", path: "/fail-closed", query: query("uploads", "")},
	} {
		if r := e.do(t, &q); r.status != 500 || r.code() != "InternalError" || bytes.Contains(r.body, []byte(odd)) {
			t.Errorf("%s: %d %s", q.method, r.status, r.body)
		}
	}
	if strings.Contains(g.log.String(), odd) {
		t.Error("the id is in the log")
	}
}
