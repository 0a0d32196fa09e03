package bucketsync

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"math"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestHiddenSearch_groups looks at a bucket in answers of few keys each: it
// finds the same. An answer without what is listed is no answer.
func TestHiddenSearch_groups(t *testing.T) {
	t.Parallel()
	m := testenv.MinIO(t)
	b := &tenancy.Backend{Kind: tenancy.BackendMinIO, Endpoints: []string{m.Endpoint}, Region: "us-east-1", AccessKeyID: m.AccessKey, SecretKey: m.SecretKey}
	mc, err := b.Client()
	if err != nil {
		t.Fatal(err)
	}
	bucket := "groups-" + strings.ToLower(rand.Text())
	if err := mc.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := mc.EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	put := func(size int, keys ...string) {
		t.Helper()
		for _, key := range keys {
			if _, err := mc.PutObject(t.Context(), bucket, key, bytes.NewReader(make([]byte, size)), int64(size), minio.PutObjectOptions{}); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
	}
	var want []HiddenKey
	for i := range 20 {
		key := fmt.Sprintf("%b/é%d", i, i%3)
		put(i, key, key, key+"/x", key+"x/y")
		want = append(want, HiddenKey{key + "/x", key})
	}
	put(1, "was/x")
	put(1, "1", "1") // above all others whose first folder it is
	for i, h := range want {
		if strings.HasPrefix(h.Key, "1/") {
			want[i].By = "1"
			want = append(want, HiddenKey{h.By, "1"}, HiddenKey{h.By + "x/y", "1"})
		}
	}
	order := func(a, b HiddenKey) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(want, order)
	s := newHiddenSearch(t.Context(), b, mc)
	for _, together := range []int{1, 2, 3, 7, 20, 1000} {
		var got []HiddenKey
		for g, err := range hiderGroups(mc.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}), together) {
			if err != nil {
				t.Fatal(err)
			}
			some, err := s.below(t.Context(), bucket, g)
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
	if _, err := s.below(t.Context(), bucket, hiderGroup{"other*", []string{"1"}}); err == nil || !strings.Contains(err.Error(), `not whole, "1"`) {
		t.Errorf("a key that does not come: %v", err)
	}
	if got, err := s.below(t.Context(), bucket, hiderGroup{"was*", []string{"was"}}); err != nil || len(got) > 0 {
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
