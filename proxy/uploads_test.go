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
