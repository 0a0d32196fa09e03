package proxy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// listedUpload is one of a list, by its key and the id that was given for it.
type listedUpload struct{ key, id string }

// walkUploads returns a bucket's uploads as its pages have them. Every page must
// be full, but for the last.
func walkUploads(t *testing.T, e *endpoint, bucket string, size int, encoding string) (all []listedUpload) {
	t.Helper()
	plain := func(s string) string { return s }
	q := query("uploads", "", "max-uploads", strconv.Itoa(size))
	if encoding != "" {
		q.Set("encoding-type", encoding)
		plain = func(s string) string {
			d, err := url.QueryUnescape(s)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	for pages := 0; pages < 100; pages++ {
		r := e.do(t, &request{method: "GET", path: "/" + bucket, query: q})
		if r.status != 200 {
			t.Fatalf("pages of %d, encoding %q, %v: %d %s", size, encoding, q, r.status, r.body)
		}
		if got := plain(elementOf(r.body, "KeyMarker")); got != q.Get("key-marker") {
			t.Errorf("the marker %q comes back as %q", q.Get("key-marker"), got)
		}
		page := uploadsOf(r.body)
		for _, u := range page {
			all = append(all, listedUpload{plain(u.key), u.id})
		}
		if elementOf(r.body, "IsTruncated") != "true" {
			return all
		}
		if len(page) != size {
			t.Fatalf("a page of %d has %d", size, len(page))
		}
		q.Set("key-marker", plain(elementOf(r.body, "NextKeyMarker")))
		q.Set("upload-id-marker", elementOf(r.body, "NextUploadIdMarker"))
	}
	t.Fatalf("pages of %d do not end", size)
	return nil
}

// uploadsOf are the uploads of a page, with characters that XML has not.
func uploadsOf(doc []byte) (all []listedUpload) {
	for _, part := range strings.Split(string(doc), "<Upload>")[1:] {
		all = append(all, listedUpload{elementOf([]byte(part), "Key"), elementOf([]byte(part), "UploadId")})
	}
	return all
}

// TestUploads_B10_controlCharacters: keys that XML has no characters for are
// listed as they are, page by page, whether they are encoded or not. What was
// seen: U+FFFD in a marker, and NoSuchUpload for the page behind it.
func TestUploads_B10_controlCharacters(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/control-uploads"})
	var want []listedUpload
	for _, key := range []string{"a", "b\x01", "b\x02&<\x1f", "b\ufffe", "c"} {
		for range 2 {
			want = append(want, listedUpload{key, e.begin(t, "/control-uploads/"+key)})
		}
	}
	inOrder := func(list []listedUpload) []listedUpload {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b listedUpload) int { return strings.Compare(a.key+a.id, b.key+b.id) })
		return list
	}
	for _, encoding := range []string{"", "url"} {
		for _, size := range []int{1, 2, 3, 1000} {
			got := walkUploads(t, e, "control-uploads", size, encoding)
			if !slices.IsSortedFunc(got, func(a, b listedUpload) int { return strings.Compare(a.key, b.key) }) {
				t.Errorf("pages of %d, encoding %q, are in no order: %q", size, encoding, got)
			}
			if !slices.Equal(inOrder(got), inOrder(want)) {
				t.Errorf("pages of %d, encoding %q:\n got %q\nwant %q", size, encoding, inOrder(got), inOrder(want))
			}
		}
	}
	// With a prefix the backend makes the pages.
	r := e.must(t, &request{method: "GET", path: "/control-uploads", query: query("uploads", "", "prefix", "b\x01", "delimiter", "\x03", "max-uploads", "1")})
	for name, text := range map[string]string{"Prefix": "b\x01", "Delimiter": "\x03", "Key": "b\x01", "NextKeyMarker": "b\x01", "IsTruncated": "true"} {
		if got := elementOf(r.body, name); got != text {
			t.Errorf("%s is %q, wanted %q", name, got, text)
		}
	}
	second := e.must(t, &request{method: "GET", path: "/control-uploads", query: query("uploads", "", "prefix", "b\x01", "key-marker", "b\x01", "upload-id-marker", elementOf(r.body, "NextUploadIdMarker"))})
	if got := append(uploadsOf(r.body), uploadsOf(second.body)...); !slices.Equal(inOrder(got), inOrder(want[2:4])) {
		t.Errorf("with a prefix: %q, wanted %q", got, want[2:4])
	}
	for _, u := range walkUploads(t, e, "control-uploads", 2, "") {
		e.must(t, &request{method: "DELETE", path: "/control-uploads/" + u.key, query: query("uploadId", u.id)})
	}
	if left := walkUploads(t, e, "control-uploads", 2, ""); len(left) > 0 {
		t.Errorf("not aborted: %q", left)
	}
}

const (
	manyUploads = 200_000
	manyStep    = 70_001 // coprime: every upload once, in no order
)

// manyKey is the key of upload i, with a length near the longest.
func manyKey(i int) string { return fmt.Sprintf("%08d-", i) + longTail }

var longTail = strings.Repeat("k", 940)

// manyBackend lists many uploads, in no order, as MinIO does without a prefix.
// watch is called now and then while the list is on its way.
func manyBackend(t *testing.T, watch func()) *devstack.MinIO {
	t.Helper()
	rest := "</Key><UploadId>" + rawUploadID + "</UploadId><Initiator><ID></ID><DisplayName></DisplayName></Initiator><Owner><ID></ID><DisplayName></DisplayName></Owner>" +
		"<StorageClass></StorageClass><Initiated>2026-11-29T21:47:09.159Z</Initiated></Upload>"
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !r.URL.Query().Has("uploads") {
			return // the bucket is made, the backend lives
		}
		w.Header().Set("Content-Type", "application/xml")
		bw := bufio.NewWriterSize(w, 64<<10)
		_, _ = bw.WriteString(`<ListMultipartUploadsResult><EncodingType>url</EncodingType><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>`)
		for n := range manyUploads {
			if _, err := bw.WriteString("<Upload><Key>" + manyKey(n*manyStep%manyUploads) + rest); err != nil {
				t.Error(n, "uploads:", err)
				return
			}
			if n%(manyUploads/20) == manyUploads/20-1 {
				watch()
			}
		}
		_, _ = bw.WriteString("</ListMultipartUploadsResult>")
		_ = bw.Flush()
	}))
	t.Cleanup(backend.Close)
	return &devstack.MinIO{Endpoint: backend.URL, AccessKey: "backend", SecretKey: "backend-secret"}
}

// TestUploads_B11_manyUploads: a page of a list of 250 MB takes the memory of a
// page. What was seen: the list was held whole, some times over, and one of
// more than 16 MiB could not be had at all.
//
//nolint:paralleltest // what is measured is the process's memory
func TestUploads_B11_manyUploads(t *testing.T) {
	const bound = 32 << 20
	var before, most uint64
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	g := newGateway(t, options{minio: manyBackend(t, func() { most = max(most, live()) })})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/many-uploads"})
	for _, c := range []struct{ after, size int }{{-1, 1}, {manyUploads / 2, 1000}} {
		q := query("uploads", "", "max-uploads", strconv.Itoa(c.size))
		if c.after >= 0 {
			q.Set("key-marker", manyKey(c.after))
		}
		before, most = live(), 0
		r := e.do(t, &request{method: "GET", path: "/many-uploads", query: q})
		if r.status != 200 {
			t.Fatalf("%d behind %d: %d %s", c.size, c.after, r.status, r.body)
		}
		page := uploadsOf(r.body)
		if len(page) != c.size {
			t.Fatalf("%d behind %d: %d uploads", c.size, c.after, len(page))
		}
		for i, u := range page {
			if u.key != manyKey(c.after+1+i) {
				t.Fatalf("%d behind %d: upload %d is %.20s", c.size, c.after, i, u.key)
			}
		}
		next := manyKey(c.after + c.size)
		if got := elementOf(r.body, "NextKeyMarker"); got != next || elementOf(r.body, "IsTruncated") != "true" {
			t.Errorf("%d behind %d: the next page is behind %.20q, wanted %.20q", c.size, c.after, got, next)
		}
		grown := int64(most) - int64(before)
		t.Logf("%d behind %d: %d KiB more than before", c.size, c.after, grown>>10)
		if grown > bound {
			t.Errorf("%d behind %d: %d MiB were held", c.size, c.after, grown>>20)
		}
	}
}

// walkPages returns what a walk over pages saw: key@id, and prefix* for a common prefix.
func walkPages(t *testing.T, e *endpoint, bucket string, size int, pairs ...string) (all []string) {
	t.Helper()
	q := query(append([]string{"uploads", "", "max-uploads", strconv.Itoa(size)}, pairs...)...)
	plain := func(s string) string { return s }
	if q.Get("encoding-type") != "" {
		plain = func(s string) string { d, _ := url.QueryUnescape(s); return d }
	}
	for pages := 0; pages < 100; pages++ {
		r := e.do(t, &request{method: "GET", path: "/" + bucket, query: q})
		if r.status != 200 {
			t.Fatalf("%v: %d %s", q, r.status, r.body)
		}
		for name, want := range map[string]string{"Bucket": bucket, "Prefix": q.Get("prefix"), "Delimiter": q.Get("delimiter"), "KeyMarker": q.Get("key-marker"),
			"UploadIdMarker": q.Get("upload-id-marker"), "MaxUploads": strconv.Itoa(size), "EncodingType": q.Get("encoding-type")} {
			head, _, _ := strings.Cut(string(r.body), "<Upload>")
			head, _, _ = strings.Cut(head, "<CommonPrefixes>")
			got := elementOf([]byte(head), name)
			if plain(got) != want {
				t.Errorf("%v: %s is %q, wanted %q", q, name, got, want)
			}
		}
		entries := 0
		for _, u := range uploadsOf(r.body) {
			all, entries = append(all, plain(u.key)+"@"+u.id), entries+1
		}
		for _, part := range strings.Split(string(r.body), "<CommonPrefixes>")[1:] {
			all, entries = append(all, plain(elementOf([]byte(part), "Prefix"))+"*"), entries+1
		}
		if elementOf(r.body, "IsTruncated") != "true" {
			if entries > size {
				t.Errorf("%v: %d entries", q, entries)
			}
			return all
		}
		if entries != size {
			t.Fatalf("%v: a page of %d has %d", q, size, entries)
		}
		q.Set("key-marker", plain(elementOf(r.body, "NextKeyMarker")))
		q.Set("upload-id-marker", elementOf(r.body, "NextUploadIdMarker"))
	}
	t.Fatalf("%v: does not end", q)
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestUploads_pages: prefix, delimiter, markers, max-uploads and encoding-type do
// what S3's page on ListMultipartUploads says, also for a key that is limited to
// the prefix. What was seen with MinIO: a prefix found the uploads of the key of
// exactly that name, and no delimiter did anything.
func TestUploads_pages(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/listed"})
	e.must(t, &request{method: "PUT", path: "/listed-not"})
	e.begin(t, "/listed-not/mp/a")
	ids := map[string][]string{}
	// Not in the order of their keys, and some twice, with another between.
	for _, key := range []string{"other", "mp/b", "mp/a", "mp2", "mp/sub/c", "mp/a", "mp", "mp/sub/d", "mp/ü %/e", "mp/a", "a/b"} {
		ids[key] = append(ids[key], e.begin(t, "/listed/"+key))
	}
	of := func(keys ...string) (want []string) {
		for _, key := range keys {
			if strings.HasSuffix(key, "*") {
				want = append(want, key)
			}
			for _, id := range ids[key] {
				want = append(want, key+"@"+id)
			}
		}
		return want
	}
	everything := of("a/b", "mp", "mp/a", "mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e", "mp2", "other")
	key := tn.newKey(tenancy.Key{Prefix: "mp/"})
	limited := &endpoint{g.addr, key.KeyID, key.Secret}
	for _, c := range []struct {
		name  string
		pairs []string
		want  []string
		who   *endpoint
	}{
		{"all", nil, everything, e},
		{"prefix of a folder", []string{"prefix", "mp/"}, of("mp/a", "mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e"), e},
		{"prefix of a folder, by a key that is limited to it", []string{"prefix", "mp/"}, of("mp/a", "mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e"), limited},
		{"prefix inside, by a key that is limited", []string{"prefix", "mp/sub/"}, of("mp/sub/c", "mp/sub/d"), limited},
		{"prefix that is a key", []string{"prefix", "mp/a"}, of("mp/a"), e},
		{"prefix that is a key and the beginning of others", []string{"prefix", "mp"}, of("mp", "mp/a", "mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e", "mp2"), e},
		{"prefix that is cut inside a name", []string{"prefix", "mp/s"}, of("mp/sub/c", "mp/sub/d"), e},
		{"prefix of nothing", []string{"prefix", "mp/zzz"}, nil, e},
		{"prefix that no key has", []string{"prefix", "mp//"}, nil, e},
		{"delimiter", []string{"delimiter", "/"}, of("a/*", "mp", "mp/*", "mp2", "other"), e},
		{"prefix and delimiter", []string{"prefix", "mp/", "delimiter", "/"}, of("mp/a", "mp/b", "mp/sub/*", "mp/ü %/*"), e},
		{"delimiter of letters", []string{"delimiter", "ub/"}, of("a/b", "mp", "mp/a", "mp/b", "mp/sub/*", "mp/ü %/e", "mp2", "other"), e},
		{"key marker", []string{"key-marker", "mp/a"}, of("mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e", "mp2", "other"), e},
		{"key marker that is no key", []string{"key-marker", "mp/aa", "prefix", "mp/"}, of("mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e"), e},
		{"key marker behind the prefix", []string{"key-marker", "zz", "prefix", "mp/"}, nil, e},
		{"both markers", []string{"key-marker", "mp/a", "upload-id-marker", ids["mp/a"][1]}, append([]string{"mp/a@" + ids["mp/a"][2]}, of("mp/b", "mp/sub/c", "mp/sub/d", "mp/ü %/e", "mp2", "other")...), e},
		{"an id without its key counts for nothing", []string{"upload-id-marker", ids["mp/a"][1]}, everything, e},
	} {
		for _, size := range []int{1, 2, 3, 5, 1000} {
			for _, encoding := range []string{"", "url"} {
				pairs := slices.Clone(c.pairs)
				if encoding != "" {
					pairs = append(pairs, "encoding-type", encoding)
				}
				got := walkPages(t, c.who, "listed", size, pairs...)
				want := slices.Clone(c.want)
				if size == 1000 {
					// A page has its uploads first, and then its prefixes.
					slices.SortStableFunc(want, func(a, b string) int {
						return btoi(strings.HasSuffix(a, "*")) - btoi(strings.HasSuffix(b, "*"))
					})
				} else if size > 1 {
					slices.Sort(got)
					slices.Sort(want)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, pages of %d, encoding %q:\n got %q\nwant %q", c.name, size, encoding, got, want)
				}
			}
		}
	}
	if r := limited.do(t, &request{method: "GET", path: "/listed", query: query("uploads", "")}); r.status != 403 {
		t.Errorf("a limited key looks outside of its prefix: %d", r.status)
	}
	for value, want := range map[string]string{"0": "", "5000": "1000", "1001": "1000"} {
		r := e.must(t, &request{method: "GET", path: "/listed", query: query("uploads", "", "max-uploads", value)})
		if want == "" && (len(uploadsOf(r.body)) > 0 || elementOf(r.body, "IsTruncated") != "false") || want != "" && elementOf(r.body, "MaxUploads") != want {
			t.Errorf("max-uploads=%s: %s", value, r.body)
		}
	}
	// An upload that is aborted while its list is walked keeps its place.
	first := e.must(t, &request{method: "GET", path: "/listed", query: query("uploads", "", "prefix", "mp/a", "max-uploads", "2")})
	last := elementOf(first.body, "NextUploadIdMarker")
	e.must(t, &request{method: "DELETE", path: "/listed/mp/a", query: query("uploadId", last)})
	if got := walkPages(t, e, "listed", 1000, "prefix", "mp/a", "key-marker", "mp/a", "upload-id-marker", last); !slices.Equal(got, of("mp/a")[2:]) {
		t.Errorf("behind an upload that was aborted: %q", got)
	}
}

// TestUploads_afterRestart: MinIO's memory of uploads does not outlive it; those of
// a key are on its disks, and are listed once.
func TestUploads_afterRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := testenv.OwnMinIO(t, dir)
	g := newGateway(t, options{minio: m})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/restarted"})
	old := []string{"dir/k@" + e.begin(t, "/restarted/dir/k"), "dir/k@" + e.begin(t, "/restarted/dir/k")}
	before := walkPages(t, e, "restarted", 1000, "prefix", "dir/k")
	if !slices.Equal(before, old) {
		t.Errorf("before: %q, wanted %q", before, old)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	back := testenv.OwnMinIO(t, dir)
	if err := g.store.RotateBackend(t.Context(), g.owner, g.backend.Name, back.AccessKey, back.SecretKey, []string{back.Endpoint}); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the backend's return", func() bool {
		return e.do(t, &request{method: "GET", path: "/restarted", query: query("uploads", "")}).status == 200
	})
	list := append(old, "dir/k@"+e.begin(t, "/restarted/dir/k"))
	for _, size := range []int{1, 2, 1000} {
		if got := walkPages(t, e, "restarted", size, "prefix", "dir/k"); !slices.Equal(got, list) {
			t.Errorf("pages of %d: %q, wanted %q", size, got, list)
		}
	}
	if got := walkPages(t, e, "restarted", 1, "prefix", "dir/k", "delimiter", "k"); !slices.Equal(got, list) {
		t.Errorf("with a delimiter: %q", got)
	}
}
