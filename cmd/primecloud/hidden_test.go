package main

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/secure-io/sio-go"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/bucketsync"
	"github.com/primecloudpro/primecloud/tenancy"
)

// direct writes to MinIO past the gateway, which refuses names that hide others.
type direct struct {
	*testing.T
	c      *s3.Client
	bucket string
}

func (d *direct) put(size int, keys ...string) {
	d.Helper()
	for _, key := range keys {
		if _, err := d.c.PutObject(d.Context(), &s3.PutObjectInput{Bucket: &d.bucket, Key: &key, Body: bytes.NewReader(make([]byte, size))}); err != nil {
			d.Fatalf("%q: %v", key, err)
		}
	}
}

func (d *direct) delete(keys ...string) {
	d.Helper()
	for _, key := range keys {
		if _, err := d.c.DeleteObject(d.Context(), &s3.DeleteObjectInput{Bucket: &d.bucket, Key: &key}); err != nil {
			d.Fatalf("%q: %v", key, err)
		}
	}
}

func (d *direct) listed() (keys []string) {
	d.Helper()
	list, err := d.c.ListObjectsV2(d.Context(), &s3.ListObjectsV2Input{Bucket: &d.bucket})
	if err != nil {
		d.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

func (d *direct) version() {
	d.Helper()
	if _, err := d.c.PutBucketVersioning(d.Context(), &s3.PutBucketVersioningInput{Bucket: &d.bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		d.Fatal(err)
	}
}

// TestSyncHidden has objects below others in every way in which they come to be.
func TestSyncHidden(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	m := testenv.MinIO(t)
	c := client(strings.TrimPrefix(m.Endpoint, "http://"), tenancy.Key{KeyID: m.AccessKey, Secret: m.SecretKey})
	cases := map[string]struct {
		make   func(*direct)
		hidden []bucketsync.HiddenKey
		bytes  int64
		heads  int64 // those with a size
	}{
		"first-above": {func(d *direct) { d.put(10, "top", "top/d0") }, []bucketsync.HiddenKey{{Key: "top/d0", By: "top"}}, 10, 1},
		"first-below": {func(d *direct) { d.put(10, "top/d0", "top") }, []bucketsync.HiddenKey{{Key: "top/d0", By: "top"}}, 10, 1},
		"deep":        {func(d *direct) { d.put(7, "a", "a/b/c/d") }, []bucketsync.HiddenKey{{Key: "a/b/c/d", By: "a"}}, 7, 1},
		"of-hidden":   {func(d *direct) { d.put(7, "x/a", "x/a/b", "x/a/b/c") }, []bucketsync.HiddenKey{{Key: "x/a/b", By: "x/a"}, {Key: "x/a/b/c", By: "x/a"}}, 14, 2},
		"large":       {func(d *direct) { d.put(300<<10, "big", "big/more", "other") }, []bucketsync.HiddenKey{{Key: "big/more", By: "big"}}, 300 << 10, 1},
		"slash":       {func(d *direct) { d.put(3, "s/", "s/x", "deep/s/", "deep/s/y/") }, nil, 0, 0},
		"slash-below": {func(d *direct) { d.put(3, "s", "s/x/") }, []bucketsync.HiddenKey{{Key: "s/x/", By: "s"}}, 3, 1},
		"normal":      {func(d *direct) { d.put(3, "a", "ab", "a.b/c", "b/c/d", "b/c/e", "b/cc/d", "ü/x") }, nil, 0, 0},
		"gone": {func(d *direct) {
			d.version()
			d.put(9, "gone")
			d.delete("gone")
			d.put(9, "gone/x", "gone/y")
			d.put(4, "gone/x")
			d.delete("gone/y")
		}, []bucketsync.HiddenKey{{Key: "gone/x", By: "gone"}, {Key: "gone/y", By: "gone"}}, 4, 1},
		"odd": {func(d *direct) {
			for _, key := range []string{"a[b]", "st*r", "q?", "new\nline", "ünï cödé", "a+b%20&c=d"} {
				d.put(1, key, key+"/x", key+"/*/[", key+"2/not")
			}
		}, []bucketsync.HiddenKey{
			{Key: "a+b%20&c=d/*/[", By: "a+b%20&c=d"}, {Key: "a+b%20&c=d/x", By: "a+b%20&c=d"}, {Key: "a[b]/*/[", By: "a[b]"}, {Key: "a[b]/x", By: "a[b]"}, {Key: "new\nline/*/[", By: "new\nline"},
			{Key: "new\nline/x", By: "new\nline"}, {Key: "q?/*/[", By: "q?"}, {Key: "q?/x", By: "q?"}, {Key: "st*r/*/[", By: "st*r"}, {Key: "st*r/x", By: "st*r"},
			{Key: "ünï cödé/*/[", By: "ünï cödé"}, {Key: "ünï cödé/x", By: "ünï cödé"},
		}, 12, 12},
	}
	buckets := map[string]*direct{}
	for name, k := range cases {
		b := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", name, "--json"))
		buckets[name] = &direct{t, c, b.BackendName}
		k.make(buckets[name])
	}
	sync := func() map[string]bucketsync.Row {
		rows := map[string]bucketsync.Row{}
		for _, r := range decode[[]bucketsync.Row](t, in.must("bucket", "sync", "--names-only", "--hidden", "--json")) {
			if r.Account == "acme" {
				rows[r.Bucket] = r
			}
		}
		return rows
	}
	rows := sync()
	for name, k := range cases {
		row, found := rows[name]
		if !found || len(k.hidden) == 0 {
			if found != (len(k.hidden) > 0) {
				t.Errorf("%s: %+v", name, row)
			}
			continue
		}
		want := &bucketsync.HiddenObjects{Keys: int64(len(k.hidden)), Bytes: k.bytes, Measured: k.heads, Examples: k.hidden[:min(len(k.hidden), bucketsync.MaxExamples)]}
		if diff := cmp.Diff(want, row.Hidden); diff != "" || row.Finding != bucketsync.Hidden || !strings.Contains(row.ToDo, fmt.Sprintf("%q, hidden by %q", k.hidden[0].Key, k.hidden[0].By)) {
			t.Errorf("%s: %+v %s", name, row, diff)
		}
	}
	if text := in.must("bucket", "sync", "--names-only", "--hidden"); !strings.Contains(text, "+307200") {
		t.Errorf("the table lacks the size: %s", text)
	}
	// It costs a reading of all metadata: only who asks for it gets it.
	if text := in.must("bucket", "sync", "--names-only", "--json"); strings.Contains(text, "hidden") {
		t.Errorf("without --hidden: %s", text)
	}

	// What the finding says to do helps.
	above := buckets["first-above"]
	if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &above.bucket, Key: aws.String("top-d0"), CopySource: aws.String(above.bucket + "/top/d0")}); err != nil {
		t.Fatal(err)
	}
	above.delete("top/d0")
	if keys := above.listed(); !slices.Equal(keys, []string{"top", "top-d0"}) {
		t.Errorf("after the move: %q", keys)
	}
	if r, found := sync()["first-above"]; found {
		t.Errorf("after the move: %+v", r)
	}
	below := buckets["first-below"]
	below.delete("top")
	if r, found := sync()["first-below"]; found || !slices.Equal(below.listed(), []string{"top/d0"}) {
		t.Errorf("after the deletion of what hides: %+v, %q", r, below.listed())
	}
}

// TestSyncHidden_unknown has backends that do not tell.
func TestSyncHidden_unknown(t *testing.T) {
	t.Parallel()
	in := install(t)
	m := testenv.MinIO(t)
	id, secret := serviceAccount(t, m, "s3:*")
	for name, kind := range map[string]string{"narrow": "minio", "other": "s3"} {
		in.env = append(slices.DeleteFunc(in.env, func(kv string) bool { return strings.HasPrefix(kv, "BACKEND_") }), "BACKEND_ACCESS_KEY="+id, "BACKEND_SECRET_KEY="+secret)
		in.must("backend", "add", name, "--endpoints", m.Endpoint, "--kind", kind, "--default")
		in.must("account", "create", name)
		in.must("bucket", "create", name, name)
	}
	for name, want := range map[string]string{"narrow": "it lacks the right admin:InspectData", "other": "only MinIO tells"} {
		rows := decode[[]bucketsync.Row](t, in.must("bucket", "sync", "--names-only", "--hidden", "--backend", name, "--json"))
		i := slices.IndexFunc(rows, func(r bucketsync.Row) bool { return r.Bucket == name })
		if i < 0 || rows[i].Finding != bucketsync.Unknown || !strings.Contains(rows[i].ToDo, want) || rows[i].Hidden != nil {
			t.Errorf("%s: %+v", name, rows)
		}
	}
}

// serviceAccount makes a key of MinIO's root with a part of its rights. The
// request is encrypted as MinIO's clients do it: salt, number of the method, nonce, sealed text.
func serviceAccount(t *testing.T, m *devstack.MinIO, action string) (id, secret string) {
	t.Helper()
	id, secret = rand.Text()[:20], rand.Text()
	plain, err := json.Marshal(map[string]any{"accessKey": id, "secretKey": secret, "policy": map[string]any{
		"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": []string{action}, "Resource": []string{"arn:aws:s3:::*"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	salt := make([]byte, 32)
	_, _ = rand.Read(salt)
	key, err := pbkdf2.Key(sha256.New, m.SecretKey, salt, 8192, 32)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := sio.AES_256_GCM.Stream(key)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, stream.NonceSize())
	_, _ = rand.Read(nonce)
	body := bytes.NewBuffer(slices.Concat(salt, []byte{2}, nonce))
	w := stream.EncryptWriter(body, nonce, nil)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body.Bytes())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, m.Endpoint+"/minio/admin/v3/add-service-account", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	resp, err := http.DefaultClient.Do(signer.SignV4(*req, m.AccessKey, m.SecretKey, "", "us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("add-service-account: %s %q", resp.Status, said)
	}
	return id, secret
}
