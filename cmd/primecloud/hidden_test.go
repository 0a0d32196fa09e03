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
	"maps"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/secure-io/sio-go"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
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
		hidden []hiddenKey
		bytes  int64
		heads  int64 // those with a size
	}{
		"first-above": {func(d *direct) { d.put(10, "top", "top/d0") }, []hiddenKey{{"top/d0", "top"}}, 10, 1},
		"first-below": {func(d *direct) { d.put(10, "top/d0", "top") }, []hiddenKey{{"top/d0", "top"}}, 10, 1},
		"deep":        {func(d *direct) { d.put(7, "a", "a/b/c/d") }, []hiddenKey{{"a/b/c/d", "a"}}, 7, 1},
		"of-hidden":   {func(d *direct) { d.put(7, "x/a", "x/a/b", "x/a/b/c") }, []hiddenKey{{"x/a/b", "x/a"}, {"x/a/b/c", "x/a"}}, 14, 2},
		"large":       {func(d *direct) { d.put(300<<10, "big", "big/more", "other") }, []hiddenKey{{"big/more", "big"}}, 300 << 10, 1},
		"slash":       {func(d *direct) { d.put(3, "s/", "s/x", "deep/s/", "deep/s/y/") }, nil, 0, 0},
		"slash-below": {func(d *direct) { d.put(3, "s", "s/x/") }, []hiddenKey{{"s/x/", "s"}}, 3, 1},
		"normal":      {func(d *direct) { d.put(3, "a", "ab", "a.b/c", "b/c/d", "b/c/e", "b/cc/d", "ü/x") }, nil, 0, 0},
		"gone": {func(d *direct) {
			d.version()
			d.put(9, "gone")
			d.delete("gone")
			d.put(9, "gone/x", "gone/y")
			d.put(4, "gone/x")
			d.delete("gone/y")
		}, []hiddenKey{{"gone/x", "gone"}, {"gone/y", "gone"}}, 4, 1},
		"odd": {func(d *direct) {
			for _, key := range []string{"a[b]", "st*r", "q?", "new\nline", "ünï cödé", "a+b%20&c=d"} {
				d.put(1, key, key+"/x", key+"/*/[", key+"2/not")
			}
		}, []hiddenKey{
			{"a+b%20&c=d/*/[", "a+b%20&c=d"}, {"a+b%20&c=d/x", "a+b%20&c=d"}, {"a[b]/*/[", "a[b]"}, {"a[b]/x", "a[b]"}, {"new\nline/*/[", "new\nline"},
			{"new\nline/x", "new\nline"}, {"q?/*/[", "q?"}, {"q?/x", "q?"}, {"st*r/*/[", "st*r"}, {"st*r/x", "st*r"},
			{"ünï cödé/*/[", "ünï cödé"}, {"ünï cödé/x", "ünï cödé"},
		}, 12, 12},
	}
	buckets := map[string]*direct{}
	for name, k := range cases {
		b := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", name, "--json"))
		buckets[name] = &direct{t, c, b.BackendName}
		k.make(buckets[name])
	}
	sync := func() map[string]syncRow {
		rows := map[string]syncRow{}
		for _, r := range decode[[]syncRow](t, in.must("bucket", "sync", "--names-only", "--hidden", "--json")) {
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
		want := &hiddenObjects{int64(len(k.hidden)), k.bytes, k.heads, k.hidden[:min(len(k.hidden), hiddenExamples)]}
		if diff := cmp.Diff(want, row.Hidden); diff != "" || row.Finding != syncHidden || !strings.Contains(row.ToDo, fmt.Sprintf("%q, hidden by %q", k.hidden[0].Key, k.hidden[0].By)) {
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
		rows := decode[[]syncRow](t, in.must("bucket", "sync", "--names-only", "--hidden", "--backend", name, "--json"))
		i := slices.IndexFunc(rows, func(r syncRow) bool { return r.Bucket == name })
		if i < 0 || rows[i].Finding != syncUnknown || !strings.Contains(rows[i].ToDo, want) || rows[i].Hidden != nil {
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

// TestHiddenSearch_groups looks at a bucket in answers of few keys each: it
// finds the same. An answer without what is listed is no answer.
func TestHiddenSearch_groups(t *testing.T) {
	t.Parallel()
	m := testenv.MinIO(t)
	c := client(strings.TrimPrefix(m.Endpoint, "http://"), tenancy.Key{KeyID: m.AccessKey, Secret: m.SecretKey})
	d := &direct{t, c, "groups-" + strings.ToLower(rand.Text())}
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &d.bucket}); err != nil {
		t.Fatal(err)
	}
	d.version()
	var want []hiddenKey
	for i := range 20 {
		key := fmt.Sprintf("%b/é%d", i, i%3)
		d.put(i, key, key, key+"/x", key+"x/y")
		want = append(want, hiddenKey{key + "/x", key})
	}
	d.put(1, "was/x")
	d.put(1, "1", "1") // above all others whose first folder it is
	for i, h := range want {
		if strings.HasPrefix(h.Key, "1/") {
			want[i].By = "1"
			want = append(want, hiddenKey{h.By, "1"}, hiddenKey{h.By + "x/y", "1"})
		}
	}
	order := func(a, b hiddenKey) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(want, order)
	b := &tenancy.Backend{Kind: tenancy.BackendMinIO, Endpoints: []string{m.Endpoint}, Region: "us-east-1", AccessKeyID: m.AccessKey, SecretKey: m.SecretKey}
	mc, err := b.Client()
	if err != nil {
		t.Fatal(err)
	}
	s := newHiddenSearch(t.Context(), b, mc)
	for _, together := range []int{1, 2, 3, 7, 20, 1000} {
		var got []hiddenKey
		for g, err := range hiderGroups(mc.ListObjectsIter(t.Context(), d.bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}), together) {
			if err != nil {
				t.Fatal(err)
			}
			some, err := s.below(t.Context(), d.bucket, g)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, some...)
		}
		slices.SortFunc(got, order)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d together: %s", together, diff)
		}
	}
	if _, err := s.below(t.Context(), d.bucket, hiderGroup{"other*", []string{"1"}}); err == nil || !strings.Contains(err.Error(), `not whole, "1"`) {
		t.Errorf("a key that does not come: %v", err)
	}
	if got, err := s.below(t.Context(), d.bucket, hiderGroup{"was*", []string{"was"}}); err != nil || len(got) > 0 {
		t.Errorf("a key that was deleted since the listing: %v, %v", got, err)
	}
}

// TestHiderGroups parts random listings: each key that can hide is in one group,
// no group has more versions than are looked at together, unless it is one key,
// and its glob matches its own keys and no listed key besides.
func TestHiderGroups(t *testing.T) {
	t.Parallel()
	random := mathrand.New(mathrand.NewPCG(3, 4))
	letters := []string{"a", "b", "ü", "é", "/", "x", "*", "["}
	for range 300 {
		keys := map[string]int{}
		for range random.IntN(60) {
			var key strings.Builder
			for range 1 + random.IntN(6) {
				key.WriteString(letters[random.IntN(len(letters))])
			}
			if k := path.Clean("/" + key.String())[1:]; k != "" {
				keys[k] = 1 + random.IntN(4)
			}
		}
		all := slices.Sorted(maps.Keys(keys))
		// No listing has a key below another.
		sorted := slices.DeleteFunc(slices.Clone(all), func(k string) bool {
			return slices.ContainsFunc(all, func(above string) bool { return strings.HasPrefix(k, above+"/") })
		})
		var listing []minio.ObjectInfo
		for i, k := range sorted {
			for range keys[k] {
				listing = append(listing, minio.ObjectInfo{Key: k})
			}
			if i%3 == 0 { // what hides nothing
				listing = append(listing, minio.ObjectInfo{Key: k + "/"})
			}
		}
		together := []int{1, 2, 5, 17, math.MaxInt}[random.IntN(5)]
		var got []string
		for g, err := range hiderGroups(slices.Values(listing), together) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, g.keys...)
			if !utf8.ValidString(g.glob) {
				t.Errorf("half a character: %q", g.glob)
			}
			versions := 0
			for _, k := range g.keys {
				versions += keys[k]
			}
			if versions > together && len(g.keys) > 1 {
				t.Errorf("%d versions of %d keys, not %d", versions, len(g.keys), together)
			}
			for _, k := range sorted {
				if match := matches(t, g.glob, k); match != slices.Contains(g.keys, k) {
					t.Errorf("%q, group %q: matches %q: %v", g.glob, g.keys, k, match)
				}
			}
		}
		if !slices.Equal(got, sorted) {
			t.Errorf("%d together: %q of %q", together, got, sorted)
		}
	}
	failing := slices.Values([]minio.ObjectInfo{{Key: "a"}, {Err: io.ErrUnexpectedEOF}})
	for _, err := range hiderGroups(failing, 10) {
		if err == nil {
			t.Error("a listing's failure is lost")
		}
	}
}

// matches says whether a glob has the key, or a folder in which it is.
func matches(t *testing.T, glob, key string) bool {
	t.Helper()
	for {
		if ok, err := path.Match(glob, key); err != nil {
			t.Fatal(err)
		} else if ok {
			return true
		}
		i := strings.LastIndexByte(key, '/')
		if i < 0 {
			return false
		}
		key = key[:i]
	}
}
