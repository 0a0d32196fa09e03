package proxy_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
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
