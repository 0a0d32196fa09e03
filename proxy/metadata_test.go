package proxy_test

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestMetadata_C11: user metadata that is accepted is told by HEAD and GET as it
// was sent, whatever the length of its names and values; what is not accepted is
// refused with MetadataTooLarge, before anything is stored. In every way in
// which an object gets metadata.
func TestMetadata_C11(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/metadata"}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	e.do(t, &request{method: "PUT", path: "/metadata/source", body: []byte("x")})
	multipart := func(key string, h http.Header) *reply {
		r := e.do(t, &request{method: "POST", path: "/metadata/" + key, query: query("uploads", ""), header: h})
		if r.status != 200 {
			return r
		}
		_, id, _ := strings.Cut(string(r.body), "<UploadId>")
		id, _, _ = strings.Cut(id, "</UploadId>")
		part := e.do(t, &request{method: "PUT", path: "/metadata/" + key, query: query("uploadId", id, "partNumber", "1"), body: []byte("x")})
		return e.do(t, &request{method: "POST", path: "/metadata/" + key, query: query("uploadId", id), body: []byte(
			"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part.header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>")})
	}
	ways := map[string]func(key string, h http.Header) *reply{
		"PutObject": func(key string, h http.Header) *reply {
			return e.do(t, &request{method: "PUT", path: "/metadata/" + key, body: []byte("x"), header: h})
		},
		"PutObject by a presigned URL": func(key string, h http.Header) *reply { // its headers are moved into the query
			q := url.Values{}
			for name, values := range h {
				q[name] = values
			}
			return e.do(t, &request{method: "PUT", path: "/metadata/" + key, query: q, presign: true, body: []byte("x")})
		},
		"CopyObject": func(key string, h http.Header) *reply {
			h = h.Clone()
			h.Set("x-amz-copy-source", "metadata/source")
			h.Set("x-amz-metadata-directive", "REPLACE")
			return e.do(t, &request{method: "PUT", path: "/metadata/" + key, header: h})
		},
		"CreateMultipartUpload": multipart,
		"PostObject": func(key string, h http.Header) *reply {
			fields := map[string]string{"key": key}
			for name, values := range h {
				fields[name] = values[0]
			}
			return postForm(t, tn, "metadata", fields, "metadata", "x")
		},
	}
	var cases []http.Header
	// The backend counts the prefix too: 2,037 bytes of one name and value are the most.
	for _, n := range []int{1, 2, 52, 53, 84, 85, 86, 96, 97, 100, 255, 256, 1000, 2000, 2036, 2037, 2038, 2047, 2048, 2049, 3000} {
		cases = append(cases, metadata(strings.Repeat("n", n), "v"), metadata("n", strings.Repeat("v", n)))
		if n > 1 {
			cases = append(cases, metadata(strings.Repeat("n", n/2), strings.Repeat("v", n-n/2)))
		}
	}
	cases = append(cases, metadata("UPPER-and-Lower", "V v"), metadata("with_underscore", "a"), metadata("with.dot", "b"), metadata("9", "c"),
		metadata("~!#$%&'*+^`|", "d"), metadata("empty", ""), metadata("inner", "a  b"), metadata("utf-8", "São Paulo ☃"),
		metadata("commas", "a,b, c"), metadata("quoted", `"a\"b"`), metadata("encoded", "=?UTF-8?Q?=C3=A9?="), metadata("percent", "%41+%zz"),
		metadata("a", "1", "b", "2", "c", strings.Repeat("3", 1000)))
	many := http.Header{}
	for i := range 100 {
		many.Set(fmt.Sprint("x-amz-meta-n", i), "v")
	}
	cases = append(cases, many)
	for way, send := range ways {
		accepted := 0
		for i, h := range cases {
			key := fmt.Sprintf("%s-%d", strings.ReplaceAll(way, " ", "-"), i)
			sent := send(key, h)
			refused := sent.status == 400 && sent.code() == "MetadataTooLarge"
			if refused != (metadataBytes(h) > 2048) || !refused && sent.status >= 300 {
				t.Errorf("%s of %.60q, %d bytes: %d %s", way, h, metadataBytes(h), sent.status, sent.body)
			}
			for _, method := range []string{"HEAD", "GET"} {
				got := e.do(t, &request{method: method, path: "/metadata/" + key})
				if refused {
					if got.status != 404 {
						t.Errorf("%s of %.60q was refused, and %s says %d", way, h, method, got.status)
					}
					continue
				}
				for name, values := range h {
					told := got.header.Values(name)
					if strings.ContainsFunc(values[0], func(r rune) bool { return r > 0x7e }) && len(told) == 1 {
						// S3 tells what is not ASCII as RFC 2047 has it (UsingMetadata.html).
						told[0], _ = new(mime.WordDecoder).DecodeHeader(told[0])
					}
					if len(told) != 1 || told[0] != values[0] {
						t.Errorf("%s of %.60q: %s tells %.60q", way, h, method, told)
					}
				}
			}
			if !refused {
				accepted++
			}
		}
		if accepted < 50 {
			t.Errorf("%s: only %d were accepted", way, accepted)
		}
	}
}

func metadata(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set("x-amz-meta-"+pairs[i], pairs[i+1])
	}
	return h
}

// metadataBytes is how many bytes of metadata the backend counts, which is never
// less than what S3 does: prefixes too.
func metadataBytes(h http.Header) (n int) {
	for name, values := range h {
		n += len(name) + len(values[0])
	}
	return n
}

// S3's own bound, which a backend may not have: 2,048 bytes of names and values.
func TestMetadata_C11_bound(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	for _, n := range []int{2048, 2049} {
		for _, names := range []int{1, 3} {
			var lines []string
			left := n
			for i := range names - 1 {
				lines = append(lines, fmt.Sprintf("x-amz-meta-%d: v", i))
				left -= 2
			}
			lines = append(lines, "x-amz-meta-last: "+strings.Repeat("v", left-len("last")))
			hoisted := strings.ReplaceAll(strings.Join(lines, "&"), ": ", "=")
			for _, s := range []struct {
				way, method uint8
				target      string
				lines, body string
			}{
				{byHeader, mPUT, "boundary/dir/k", "", "abc"},
				{byHeader, mPUT, "boundary/dir/k", "x-amz-copy-source: boundary/k\nx-amz-metadata-directive: REPLACE\n", ""},
				{byHeader, mPOST, "boundary/dir/k?uploads", "", ""},
				{byForm, mPOST, "boundary", "key: dir/k\n", "abc"},
				{byQuery, mPUT, "boundary/dir/k?" + hoisted, "", "abc"},
				{byQuery, mPOST, "boundary/dir/k?uploads&" + hoisted, "", ""},
			} {
				if s.way != byQuery {
					s.lines += strings.Join(lines, "\n")
				}
				c := newSent(s.way, s.method, s.target, s.lines, []byte(s.body))
				status, record := b.exchange(t, c.method, b.wire(t, c))
				arrived := b.rec.take(t)
				if err := b.check(c, status, record, arrived); err != nil {
					t.Error(err)
				}
				if (len(arrived) == 1 && status < 300) != (n == 2048) || n > 2048 && status != 400 {
					t.Errorf("%s with %d bytes of metadata in %d names: %d, %d arrived", record.Operation, n, names, status, len(arrived))
				}
			}
		}
	}
}
