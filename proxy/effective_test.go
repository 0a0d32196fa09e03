package proxy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
)

// TestHoisted_everyReader: for each header that may be hoisted, what is done
// with it in the query, in the spelling of SDKs and in others, is what is done
// with it as a line (S3-RULES.md B25).
func TestHoisted_everyReader(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	sum := sha256.Sum256([]byte("abc"))
	right := base64.StdEncoding.EncodeToString(sum[:])
	owner := b.tn.account.CanonicalID
	doc := "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	docSum := sha256.Sum256([]byte(doc))
	deleteSum := sha256.Sum256([]byte(deleted))
	type c struct {
		method                    uint8
		target, name, value, body string
		want                      int
	}
	cases := []c{
		{mPUT, "boundary/dir/k", "x-amz-expected-bucket-owner", owner, "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-expected-bucket-owner", "somebody", "abc", 403},
		{mGET, "boundary/dir/k", "x-amz-expected-bucket-owner", "somebody", "", 403},
		{mGET, "boundary", "x-amz-expected-bucket-owner", "somebody", "", 403},
		{mPUT, "boundary?tagging", "x-amz-expected-bucket-owner", "somebody", doc, 403},
		{mPUT, "boundary?tagging", "x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(docSum[:]), doc, 200},
		{mPUT, "boundary?tagging", "x-amz-checksum-sha256", right, doc, 400},
		{mPOST, "boundary?delete", "x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(deleteSum[:]), deleted, 200},
		{mPOST, "boundary?delete", "x-amz-checksum-sha256", right, deleted, 400},
		{mPOST, "boundary?delete", "x-amz-checksum-crc32", "AAAAAA==", deleted, 400},
		{mPUT, "boundary/dir/k", "x-amz-checksum-sha256", right, "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-acl", "public-read", "abc", 501},
		{mPUT, "boundary/dir/k", "x-amz-acl", "private", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-server-side-encryption", "aws:kms", "abc", 501},
		{mPUT, "boundary/dir/k", "x-amz-server-side-encryption", "AES256", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-storage-class", "STANDARD", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-tagging", "a=b", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-meta-one", "two  words", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-meta-" + strings.Repeat("long", 20), "v", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-object-lock-mode", "GOVERNANCE", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-object-lock-legal-hold", "ON", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z", "abc", 200},
		{mPOST, "boundary/dir/k?uploads", "x-amz-checksum-algorithm", "SHA256", "", 200},
		{mPOST, "boundary/dir/k?uploads", "x-amz-checksum-type", "COMPOSITE", "", 200},
		{mPUT, "boundary/dir/k", "x-amz-checksum-crc32", "NSRBwg==", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-checksum-crc32c", "NktLnQ==", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-checksum-crc64nvme", "BeXKuz/B+us=", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "abc", 200},
		{mPUT, "boundary/dir/k", "x-amz-sdk-checksum-algorithm", "CRC32", "abc", 200},
		{mGET, "boundary/dir/k", "x-amz-checksum-mode", "ENABLED", "", 200},
		{mGET, "boundary/dir/k", "x-amz-api-version", "2006-03-01", "", 200},
		{mGET, "boundary/dir/k", "x-amz-request-id", "1", "", 200},
		{mGET, "boundary/dir/k", "x-amz-id-2", "1", "", 200},
		{mGET, "boundary/dir/k", "x-amz-user-agent", "sdk", "", 200},
		{mGET, "boundary/dir/k", "x-amz-te", "append-md5", "", 200},
		{mGET, "boundary/dir/k", "x-amz-request-payer", "requester", "", 200},
		{mGET, "boundary", "x-amz-optional-object-attributes", "RestoreStatus", "", 200},
		{mGET, "boundary/dir/k?attributes", "x-amz-object-attributes", "ETag", "", 200},
		{mGET, "boundary/dir/k?attributes", "x-amz-max-parts", "5000", "", 200},
		{mGET, "boundary/dir/k?attributes", "x-amz-max-parts", "+5", "", 400},
		{mGET, "boundary/dir/k?attributes", "x-amz-part-number-marker", "2", "", 200},
		{mPUT, "boundary/dir/k", "x-amz-source-expected-bucket-owner", "somebody", "abc", 200}, // no copy: nothing to expect of
	}
	named := map[string]bool{}
	for _, c := range cases {
		named[c.name] = true
		target, separator := c.target, "?"
		if strings.Contains(target, "?") {
			separator = "&"
		}
		send := func(way uint8, target, lines string) (int, map[string]string) {
			s := newSent(way, c.method, target, lines, []byte(c.body))
			status, record := b.exchange(t, s.method, b.wire(t, s))
			arrived := b.rec.take(t)
			if err := b.check(s, status, record, arrived); err != nil {
				t.Error(err)
			}
			if len(arrived) == 0 {
				return status, nil
			}
			h := maps.Clone(arrived[0].header)
			for _, own := range []string{"authorization", "x-amz-date"} {
				delete(h, own)
			}
			return status, h
		}
		status, asLine := send(byHeaderUnsigned, target, c.name+": "+c.value)
		if status != c.want {
			t.Errorf("%s: %s as a line: %d, wanted %d", c.name, c.value, status, c.want)
		}
		for _, spelled := range []string{c.name, http.CanonicalHeaderKey(c.name), strings.ToUpper(c.name)} {
			status, hoisted := send(byHeaderUnsigned, target+separator+spelled+"="+escaped(c.value), "")
			if status != c.want || !maps.Equal(hoisted, asLine) {
				t.Errorf("%s=%s: %d, wanted %d; %v arrived, wanted %v", spelled, c.value, status, c.want, hoisted, asLine)
			}
			if status, h := send(byHeaderUnsigned, target+separator+spelled+"="+escaped(c.value), c.name+": "+c.value); status != 400 || h != nil {
				t.Errorf("%s=%s beside the header: %d, %v arrived", spelled, c.value, status, h)
			}
		}
	}
	// Every header of the table that may be hoisted was.
	s3op.Headers(func(name string, h s3op.Header) {
		if h.Hoistable && !named[name] {
			t.Errorf("%s may be hoisted and was not tried", name)
		}
	})
}

// TestHeaders_once: a header that S3 acts on and that comes twice, with one
// value or with two, is refused wherever the table has it; metadata and lists
// are joined.
func TestHeaders_once(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	joined := []string{"x-amz-object-attributes", "x-amz-optional-object-attributes", "x-amz-user-agent", "x-amz-te"}
	s3op.Headers(func(name string, h s3op.Header) {
		if !strings.HasPrefix(name, "x-amz-") || slices.Contains(ownHeaders, name) || slices.Contains(joined, name) {
			return
		}
		c := newSent(byHeaderUnsigned, mPUT, "boundary/dir/k", name+": 1\n"+name+": 2", []byte("abc"))
		status, _ := b.exchange(t, c.method, b.wire(t, c))
		if arrived := b.rec.take(t); status != 400 && h.Treatment != s3op.Decline || len(arrived) != 0 {
			t.Errorf("%s twice: %d, %d arrived", name, status, len(arrived))
		}
	})
}

// spaces are what Unicode says is white space, beyond ASCII.
var spaces = []string{"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}

// TestMetadata_unicodeSpaces: MinIO folds them when it computes a signature and
// keeps them when it stores; what is put is what is given back, wherever they
// stand, and no backend's opinion of our signature reaches a client.
func TestMetadata_unicodeSpaces(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/spaces"})
	// Signed as AWS says, spaces folded: aws-sdk-go-v2 trims those of Unicode too.
	do := func(q *request) *reply {
		q.anonymous, q.edit = true, func(r *http.Request) { e.signASCII(r) }
		return e.do(t, q)
	}
	h := http.Header{}
	want := map[string]string{}
	n := 0
	put := func() {
		t.Helper()
		if len(h) == 0 {
			return
		}
		if r := do(&request{method: "PUT", path: "/spaces/k", header: h, body: []byte("x")}); r.status != 200 {
			t.Fatalf("%q: %d %s", h, r.status, r.body)
		}
		got := do(&request{method: "HEAD", path: "/spaces/k"})
		for name, value := range want {
			// What is not ASCII comes back as an encoded word (RFC 2047), as in S3.
			if v, err := new(mime.WordDecoder).DecodeHeader(got.header.Get(name)); v != value || err != nil {
				t.Errorf("put %q, got %q", value, got.header.Get(name))
			}
		}
		h, want = http.Header{}, map[string]string{}
	}
	for _, s := range append(spaces, "\u200b", "\ufeff", "é") { // and some that look like it
		for _, value := range []string{s, s + "a", "a" + s + "b", "a" + s + s + "b", "a" + s + " " + s + "b", "a" + s} {
			name := "X-Amz-Meta-" + string(rune('A'+n/26)) + string(rune('a'+n%26))
			n++
			h[name], want[name] = []string{value}, value
		}
		put()
	}
	// A copy's source, a tag and what is stored beside metadata.
	for _, s := range spaces {
		key := "/spaces/a" + s + "b"
		if r := do(&request{method: "PUT", path: key, body: []byte("x"), header: headers("Content-Disposition", "a"+s+"b", "Content-Language", "a"+s+"b")}); r.status != 200 {
			t.Errorf("%q: %d %s", key, r.status, r.body)
		}
		if r := do(&request{method: "PUT", path: "/spaces/copy", header: headers("x-amz-copy-source", "spaces/a"+s+"b")}); r.status != 200 {
			t.Errorf("copy of %q: %d %s", key, r.status, r.body)
		}
		if r := do(&request{method: "GET", path: key, header: headers("If-None-Match", "\"a"+s+"b\"", "Range", "bytes=0-0"+s)}); r.status >= 500 {
			t.Errorf("%q: %d %s", key, r.status, r.body)
		}
	}
}

// signASCII signs r by itself, with the body left out.
func (e *endpoint) signASCII(r *http.Request) {
	now := time.Now().UTC()
	payload := []byte("UNSIGNED-PAYLOAD")
	r.Header.Set("X-Amz-Date", string(sigv4.AppendTime(nil, now)))
	r.Header.Set("X-Amz-Content-Sha256", string(payload))
	var target sigv4.Target
	_ = target.Parse([]byte(r.URL.RequestURI()))
	signed := []sigv4.Header{{Name: []byte("host"), Value: []byte(r.URL.Host)}}
	for name, values := range r.Header {
		signed = append(signed, sigv4.Header{Name: []byte(strings.ToLower(name)), Value: []byte(values[0])})
	}
	q := &sigv4.Request{Method: []byte(r.Method), Target: &target, Headers: signed}
	key := sigv4.NewSigningKey(e.secret, now.Format("20060102"), "us-east-1")
	r.Header.Set("Authorization", string(sigv4.AppendAuthorization(nil, q, e.id, key, payload, now)))
}

// TestTarget_overrides: a control byte in a response-* parameter is the
// client's mistake, and no endpoint's.
func TestTarget_overrides(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	op := s3op.ByName("GetObject")
	for _, p := range op.Params {
		if !strings.HasPrefix(p, "response-") {
			continue
		}
		for c := range 0x80 {
			value := escaped("a" + string(rune(c)) + "b")
			s := newSent(byHeader, mGET, "boundary/dir/k?"+p+"="+value, "", nil)
			status, _ := b.exchange(t, s.method, b.wire(t, s))
			control := c < ' ' && c != '\t' || c == 0x7f
			if arrived := b.rec.take(t); control != (status == 400 && len(arrived) == 0) || !control && status != 200 {
				t.Errorf("%s=%s: %d, %d arrived", p, value, status, len(arrived))
			}
		}
	}
}
