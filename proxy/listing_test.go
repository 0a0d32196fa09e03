package proxy_test

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/tenancy"
)

// page is any of the three listings.
type page struct {
	IsTruncated           bool
	NextMarker            string
	NextContinuationToken string
	ContinuationToken     string
	NextKeyMarker         string
	NextVersionIDMarker   string `xml:"NextVersionIdMarker"`
	Contents              []entry
	Version               []entry
	DeleteMarker          []entry
	CommonPrefixes        []struct{ Prefix string }
}

type entry struct {
	Key       string
	VersionID string `xml:"VersionId"`
}

// listing walks one listing to its end, as a client that knows S3 does.
type listing struct {
	name  string
	query url.Values
	next  func(q url.Values, p *page, plain func(string) string)
}

func listings(maxKeys string, more ...string) []listing {
	var all []listing
	for _, encoding := range []string{"", "url"} {
		for _, delimiter := range []string{"", "/", "_"} {
			with := func(pairs ...string) url.Values {
				q := query(append(append(pairs, "max-keys", maxKeys), more...)...)
				if encoding != "" {
					q.Set("encoding-type", encoding)
				}
				if delimiter != "" {
					q.Set("delimiter", delimiter)
				}
				return q
			}
			name := fmt.Sprintf("delimiter=%q encoding=%q max-keys=%s", delimiter, encoding, maxKeys)
			all = append(all,
				listing{"v1 " + name, with(), func(q url.Values, p *page, plain func(string) string) { q.Set("marker", plain(p.NextMarker)) }},
				listing{"v2 " + name, with("list-type", "2"), func(q url.Values, p *page, _ func(string) string) {
					q.Set("continuation-token", p.NextContinuationToken)
				}},
				listing{"versions " + name, with("versions", ""), func(q url.Values, p *page, plain func(string) string) {
					q.Set("key-marker", plain(p.NextKeyMarker))
					q.Set("version-id-marker", p.NextVersionIDMarker)
				}},
			)
		}
	}
	return all
}

// walk returns every entry of a listing, in order: key, key@version, prefix*.
func (l *listing) walk(t *testing.T, e *endpoint, bucket string) []string {
	t.Helper()
	plain := func(s string) string { return s }
	if l.query.Get("encoding-type") == "url" {
		plain = func(s string) string {
			d, err := url.QueryUnescape(s)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	q := url.Values{}
	for k, v := range l.query {
		q[k] = v
	}
	var out []string
	for pages := 0; ; pages++ {
		r := e.do(t, &request{method: "GET", path: "/" + bucket, query: q})
		if r.status != 200 {
			t.Fatalf("%s, page %d: %d %s", l.name, pages, r.status, r.body)
		}
		if bytes.Contains(r.body, []byte("minio_cache")) {
			t.Fatalf("%s: an order to the backend's cache is in the answer: %.300s", l.name, r.body)
		}
		var p page
		if err := xml.Unmarshal(r.body, &p); err != nil {
			t.Fatal(err)
		}
		if p.ContinuationToken != q.Get("continuation-token") {
			t.Fatalf("%s: the token %q comes back as %q", l.name, q.Get("continuation-token"), p.ContinuationToken)
		}
		for _, c := range p.Contents {
			out = append(out, plain(c.Key))
		}
		for _, c := range append(p.Version, p.DeleteMarker...) {
			out = append(out, plain(c.Key)+"@"+c.VersionID)
		}
		for _, c := range p.CommonPrefixes {
			out = append(out, plain(c.Prefix)+"*")
		}
		if !p.IsTruncated {
			slices.Sort(out)
			if l.query.Get("delimiter") == "_" {
				// MinIO itself repeats a common prefix on the next page unless
				// the delimiter is a slash.
				out = slices.Compact(out)
			}
			return out
		}
		if pages > 2000 {
			t.Fatalf("%s: does not end", l.name)
		}
		l.next(q, &p, plain)
	}
}

// fill puts objects into a backend bucket, without the gateway in the way.
func fill(t *testing.T, e *endpoint, bucket string, keys []string) {
	t.Helper()
	work := make(chan string)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for key := range work {
				if r := e.do(t, &request{method: "PUT", path: "/" + bucket + "/" + key, body: []byte("x")}); r.status != 200 {
					t.Errorf("put %q: %d %s", key, r.status, r.body)
				}
			}
		})
	}
	for _, k := range keys {
		work <- k
	}
	close(work)
	all.Wait()
}

// TestListing_E9_everyKeyOnce pages over more than two full pages, and over
// small ones, with every listing, delimiter and encoding.
func TestListing_E9_everyKeyOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/many-keys"})
	var keys []string
	odd := []string{"a b", "per%cent", "pl+us", "amp&<lt>", "ünï", "[bracket]", "]x[", "x_y_z", "tail/", "deep/er/k", "tilde~*", "quo\"te'"}
	for i := range 2500 {
		keys = append(keys, fmt.Sprintf("d%02d/%04d %s", i%50, i, odd[i%len(odd)]))
	}
	for i := range 150 {
		keys = append(keys, fmt.Sprintf("root_%03d_%s", i, odd[i%len(odd)]))
	}
	fill(t, g.direct(), backendNameOf(t, tn, "many-keys"), keys)
	for _, l := range append(listings("1000"), listings("997")...) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			if diff := symmetric(wantedOf(keys, &l), l.walk(t, e, "many-keys")); diff != "" {
				t.Error(diff)
			}
		})
	}
	// Small pages end between and inside every kind of name.
	for _, l := range append(listings("1", "prefix", "d00/"), listings("7", "prefix", "root_0")...) {
		t.Run("prefix "+l.name, func(t *testing.T) {
			t.Parallel()
			if diff := symmetric(wantedOf(keys, &l), l.walk(t, e, "many-keys")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// wantedOf is what S3 says that a listing has.
func wantedOf(keys []string, l *listing) []string {
	prefix, delimiter := l.query.Get("prefix"), l.query.Get("delimiter")
	set := map[string]struct{}{}
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		if l.query.Has("versions") {
			k += "@null"
		}
		if delimiter != "" {
			if i := strings.Index(rest, delimiter); i >= 0 {
				k = prefix + rest[:i+len(delimiter)] + "*"
			}
		}
		set[k] = struct{}{}
	}
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// symmetric says what is missing, too much or there twice.
func symmetric(want, got []string) string {
	count := map[string]int{}
	for _, k := range want {
		count[k]++
	}
	for _, k := range got {
		count[k]--
	}
	var out []string
	for k, n := range count {
		switch {
		case n > 0:
			out = append(out, "missing "+k)
		case n < 0:
			out = append(out, "too much "+k)
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d differ: %.500s", len(out), len(want), strings.Join(out, ", "))
}

// TestListing_E9_versions pages inside the versions of one key: delete markers,
// and the version from before there were any.
func TestListing_E9_versions(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/many-versions"})
	var want []string
	note := func(key string, r *reply) {
		id := r.header.Get("X-Amz-Version-Id")
		if id == "" {
			id = "null"
		}
		want = append(want, key+"@"+id)
	}
	keys := []string{"a", "b b", "b+b", "c/d"}
	for _, k := range keys {
		note(k, e.must(t, &request{method: "PUT", path: "/many-versions/" + k, body: []byte("x")}))
	}
	e.must(t, &request{method: "PUT", path: "/many-versions", query: query("versioning", ""), body: []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)})
	for range 4 {
		for _, k := range keys {
			note(k, e.must(t, &request{method: "PUT", path: "/many-versions/" + k, body: []byte("x")}))
			note(k, e.must(t, &request{method: "DELETE", path: "/many-versions/" + k}))
		}
	}
	slices.Sort(want)
	for _, size := range []string{"1", "2", "3", "5", "1000"} {
		for _, l := range listings(size) {
			if !l.query.Has("versions") || l.query.Get("delimiter") != "" {
				continue
			}
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				if diff := symmetric(want, l.walk(t, e, "many-versions")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestListing_E9_tokens: a continuation token is good for its bucket, and for
// nothing that somebody made of it. The backend is not asked.
func TestListing_E9_tokens(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	a, b := g.tenant(), g.tenant()
	token := func(e *endpoint, bucket string) string {
		return textOf(t, e.must(t, &request{method: "GET", path: bucket, query: query("list-type", "2", "max-keys", "1")}).body, "NextContinuationToken")
	}
	for _, tn := range []*tenant{a, b} {
		for _, bucket := range []string{"/token-one", "/token-two"} {
			tn.raw().must(t, &request{method: "PUT", path: bucket})
			for i := range 2 {
				tn.raw().must(t, &request{method: "PUT", path: fmt.Sprint(bucket, "/k", i), body: []byte("x")})
			}
		}
	}
	e := a.raw()
	mine := token(e, "/token-one")
	other, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	one, err := tenancy.BucketByName(t.Context(), g.owner, a.account.ID, "token-one")
	if err != nil {
		t.Fatal(err)
	}
	place := opaque.Place{Backend: one.BackendID, Bucket: one.ID}
	raw := textOf(t, g.direct().must(t, &request{method: "GET", path: "/" + one.BackendName, query: query("list-type", "2", "max-keys", "1")}).body, "NextContinuationToken")
	foreign, err := opaque.MAC(other.MAC).Seal(opaque.ContinuationToken, place, raw)
	if err != nil {
		t.Fatal(err)
	}
	upload, err := opaque.MAC(g.keyring.MAC).Seal(opaque.UploadID, place, raw)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"another bucket's":  token(e, "/token-two"),
		"another account's": token(b.raw(), "/token-one"),
		"the backend's own": raw,
		"the seen attack":   base64.StdEncoding.EncodeToString([]byte("a]x[minio_cache:v2")),
		"a cache id":        base64.StdEncoding.EncodeToString([]byte("k0[minio_cache:v2,id:x,p:0,s:0]")),
		"a key":             base64.StdEncoding.EncodeToString([]byte("k0")),
		"another keyring's": foreign, "an upload id": upload, "empty": "", "a word": "token", "two": mine + mine, "a line end": mine + "\r\n", "padding": mine + "==",
	}
	for n := range mine {
		flipped := []byte(mine)
		flipped[n] ^= 1
		bad[fmt.Sprint("flipped at ", n)] = string(flipped)
		bad[fmt.Sprint("cut at ", n)] = mine[:n]
	}
	g.asked()
	for name, text := range bad {
		r := e.do(t, &request{method: "GET", path: "/token-one", query: query("list-type", "2", "continuation-token", text)})
		if r.status != 400 || r.code() != "InvalidArgument" || textOf(t, r.body, "Message") != "The continuation token provided is incorrect" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if seen := g.asked(); len(seen) > 0 {
		t.Errorf("the backend was asked: %.300q", seen)
	}
	if r := e.must(t, &request{method: "GET", path: "/token-one", query: query("list-type", "2", "continuation-token", mine)}); textOf(t, r.body, "Key") != "k1" {
		t.Errorf("%s", r.body)
	}
}

// TestListing_E9_controlCharacters: a key that XML has no characters for comes
// back as a marker all the same, also where nobody asked for encoded keys.
func TestListing_E9_controlCharacters(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/control-keys"})
	keys := []string{"a", "b\x01", "b\x02&<", "c\x03c", "d"} // MinIO itself writes U+FFFD for others
	fill(t, g.direct(), backendNameOf(t, tn, "control-keys"), keys)
	for _, l := range []struct {
		query        url.Values
		marker, next string
	}{
		{query("max-keys", "1", "delimiter", "/"), "marker", "NextMarker"},
		{query("max-keys", "1", "versions", ""), "key-marker", "NextKeyMarker"},
	} {
		var got []string
		for range keys {
			r := e.do(t, &request{method: "GET", path: "/control-keys", query: l.query})
			if r.status != 200 {
				t.Fatalf("%v: %d %s", l.query, r.status, r.body)
			}
			got = append(got, elementOf(r.body, "Key"))
			l.query.Set(l.marker, elementOf(r.body, l.next))
		}
		if !slices.Equal(got, keys) {
			t.Errorf("%s: %q", l.next, got)
		}
	}
}

// elementOf is the text of the first element of that name, as HTML's readers
// take it: they know all characters.
func elementOf(doc []byte, name string) string {
	_, rest, _ := strings.Cut(string(doc), "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return html.UnescapeString(text)
}
