package proxy_test

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// setting are the headers that set something on an object, with values, of which
// some are no values of S3's.
var setting = map[string][]string{
	"cache-control":       {"max-age=3600, public", "  no-store ", "é"},
	"content-disposition": {`attachment; filename="a b.txt"`, "inline"},
	"content-encoding":    {"gzip", "gzip, br", "aws-chunked,gzip", "aws-chunked", "GZIP"},
	"content-language":    {"de, en-US", "x"},
	"content-type":        {"text/plain; charset=utf-8", "A/B", "no type at all", "application/octet-stream"},
	"expires":             {"Thu, 01 Dec 2033 16:00:00 GMT", "Mon, 01 Dec 2033 16:00:00 GMT", "Thursday, 01-Dec-33 16:00:00 GMT", "Thu Dec  1 16:00:00 2033", "Thu, 01 Dec 2033 16:00:00 +0000", "0", "2033-12-01T16:00:00Z", "tomorrow"},
	"x-amz-meta-*":        {"value", "a  b", "=?UTF-8?Q?=C3=A9?=", "é"},
	"x-amz-storage-class": {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "GLACIER", "standard", "reduced_redundancy", "x"},
	"x-amz-tagging": {"a=b", "a=b&c=d", "a=", "a", "=b", "a=b&a=c", "a=b&", "&a=b", "&", "a=b&&c=d", "a%20b=c+d", "a%2Bb=c%3Dd", "a=b=c", "a=%zz", "%C3%A9=%C3%BC", "é=ü", "a=b;c=d", "a=%26",
		strings.Repeat("k", 128) + "=" + strings.Repeat("v", 256), strings.Repeat("k", 129) + "=v", "k=" + strings.Repeat("v", 257), query10(10), query10(11), "aws:a=b", "a=%00", "a=%0A"},
	"x-amz-server-side-encryption":        {"AES256", "aes256", "x"},
	"x-amz-object-lock-mode":              {"GOVERNANCE", "COMPLIANCE", "governance", "Compliance", "x"},
	"x-amz-object-lock-retain-until-date": {},
	"x-amz-object-lock-legal-hold":        {"ON", "OFF", "on", "Off", "x"},
}

func query10(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf("k%d=v%d", i, i))
	}
	return strings.Join(tags, "&")
}

// untilDates are for x-amz-object-lock-retain-until-date, which comes with a mode.
func untilDates() []string {
	at := time.Now().UTC().Add(24 * time.Hour).Truncate(time.Second)
	return []string{at.Format(time.RFC3339), at.Add(120 * time.Millisecond).Format("2006-01-02T15:04:05.000Z"), at.Add(123456789).Format(time.RFC3339Nano),
		at.In(time.FixedZone("", 3600)).Format(time.RFC3339), at.Format("20060102T150405Z"), at.Format("2006-01-02"), at.Format(http.TimeFormat), "x", at.AddDate(8000, 0, 0).Format("2006-01-02T15:04:05Z")}
}

// notSetting are the headers of the page that set nothing on the object: they say
// what is sent, under which condition, or by whom, and other tests hold them.
var notSetting = []string{"content-length", "content-md5", "if-match", "if-none-match", "x-amz-acl", "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner",
	"x-amz-checksum-", "x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-server-side-encryption-customer-"}

// keptObject is what is told of an object, by the names of the headers that set it.
func keptObject(t *testing.T, e *endpoint, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	head := e.do(t, &request{method: "HEAD", path: path})
	get := e.do(t, &request{method: "GET", path: path})
	if head.status != 200 || get.status != 200 {
		t.Fatalf("%s: HEAD %d, GET %d", path, head.status, get.status)
	}
	for name := range setting {
		header := strings.Replace(name, "*", "name", 1)
		values := head.header.Values(header)
		if other := get.header.Values(header); !slices.Equal(values, other) {
			t.Errorf("%s: HEAD tells %s %q, GET %q", path, header, values, other)
		}
		if len(values) > 0 {
			out[name] = strings.Join(values, ",")
		}
	}
	delete(out, "x-amz-tagging")
	if tags := e.do(t, &request{method: "GET", path: path, query: query("tagging", "")}); tags.status == 200 {
		if doc := parseNode(t, tags.body); len(doc.Children) > 0 && len(doc.Children[0].Children) > 0 {
			out["x-amz-tagging"] = doc.Children[0].said("")
		}
	}
	return out
}

// wanted is how the value of a header is told, with the reason where it is not as
// it was sent.
func wanted(name, value string) string {
	switch name {
	case "content-encoding": // aws-chunked is the framing's (sigv4-streaming.html)
		var own []string
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); token != "aws-chunked" {
				own = append(own, token)
			}
		}
		return strings.Join(own, ",")
	case "x-amz-storage-class": // S3 tells it of others than STANDARD (API_HeadObject)
		if value == "STANDARD" {
			return ""
		}
	case "x-amz-tagging": // told as a document
		var b strings.Builder
		pairs, err := url.ParseQuery(value)
		if err != nil {
			return "<no-query/>"
		}
		b.WriteString("<TagSet>")
		for key, values := range pairs {
			for _, v := range values {
				b.WriteString("<Tag><Key>" + xmlText(key) + "</Key><Value>" + xmlText(v) + "</Value></Tag>")
			}
		}
		b.WriteString("</TagSet>")
		return b.String()
	}
	return strings.TrimSpace(value) // RFC 9110 section 5.5
}

func xmlText(s string) string {
	var b strings.Builder
	(&node{Text: s}).write(&b)
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "<>"), "</>")
}

// sameSetting compares what is told with what was sent.
func sameSetting(t *testing.T, name, sent, told string) bool {
	t.Helper()
	want := wanted(name, sent)
	switch name {
	case "x-amz-tagging":
		if doc := parseNode(t, []byte(want)); len(doc.Children) > 0 || doc.XMLName.Local != "TagSet" {
			want = doc.said("")
		} else {
			want = ""
		}
	case "x-amz-object-lock-retain-until-date":
		a, err := time.Parse(time.RFC3339, sent)
		b, err2 := time.Parse(time.RFC3339, told)
		return err == nil && err2 == nil && a.Truncate(time.Millisecond).Equal(b) // S3 tells no finer
	case "x-amz-meta-*": // what is not ASCII is told as RFC 2047 has it (UsingMetadata.html)
		if strings.ContainsFunc(sent, func(r rune) bool { return r > 0x7e }) {
			told, _ = new(mime.WordDecoder).DecodeHeader(told)
		}
	case "content-encoding":
		told = strings.ReplaceAll(told, ", ", ",")
	}
	return want == told
}

// TestKept_headers: each header that sets something on an object, with each of its
// values, in every way in which an object gets it. What is accepted is told.
func TestKept_headers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/kept", header: headers("x-amz-bucket-object-lock-enabled", "true")})
	e.must(t, &request{method: "PUT", path: "/kept/source", body: []byte("x"), header: headers("x-amz-meta-of", "source", "x-amz-tagging", "of=source", "cache-control", "source")})
	with := func(h http.Header, pairs ...string) http.Header {
		h = h.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	ways := map[string]func(t *testing.T, path string, h http.Header) *reply{
		"PutObject": func(t *testing.T, path string, h http.Header) *reply {
			t.Helper()
			return e.do(t, &request{method: "PUT", path: path, body: []byte("x"), header: h})
		},
		"CopyObject": func(t *testing.T, path string, h http.Header) *reply {
			t.Helper()
			return e.do(t, &request{method: "PUT", path: path, header: with(h, "x-amz-copy-source", "kept/source", "x-amz-metadata-directive", "REPLACE", "x-amz-tagging-directive", "REPLACE")})
		},
		"CreateMultipartUpload": func(t *testing.T, path string, h http.Header) *reply {
			t.Helper()
			r := e.do(t, &request{method: "POST", path: path, query: query("uploads", ""), header: h})
			if r.status != 200 {
				return r
			}
			id := textOf(t, r.body, "UploadId")
			part := e.must(t, &request{method: "PUT", path: path, query: query("uploadId", id, "partNumber", "1"), body: []byte("x")})
			return e.must(t, &request{method: "POST", path: path, query: query("uploadId", id), body: []byte(
				"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part.header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>")})
		},
		"PostObject": func(t *testing.T, path string, h http.Header) *reply {
			t.Helper()
			fields := map[string]string{"key": strings.TrimPrefix(path, "/kept/")}
			for name, values := range h {
				if name == "X-Amz-Tagging" { // a document in a form, and refused when it is none
					if _, err := url.ParseQuery(values[0]); err != nil {
						return &reply{status: 400}
					}
					fields["tagging"] = "<Tagging>" + wanted("x-amz-tagging", values[0]) + "</Tagging>"
					continue
				}
				fields[name] = values[0]
			}
			return postForm(t, tn, "kept", fields, "kept", "x")
		},
	}
	values := maps.Clone(setting)
	values["x-amz-object-lock-retain-until-date"] = untilDates()
	for way, send := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			if way != "PostObject" {
				names, _ := taken(t, way)
				for _, name := range names {
					if setting[name] == nil && !slices.ContainsFunc(notSetting, func(p string) bool {
						return name == p || strings.HasSuffix(p, "-") && strings.HasPrefix(name, p) || p == "x-amz-copy-source" && strings.HasPrefix(name, p)
					}) {
						t.Errorf("%s is taken, and nobody looks whether it is kept", name)
					}
				}
			}
			kept := map[string]int{}
			n := 0
			for _, name := range slices.Sorted(maps.Keys(values)) {
				for _, value := range values[name] {
					h := http.Header{http.CanonicalHeaderKey(strings.Replace(name, "*", "name", 1)): {value}}
					switch name {
					case "x-amz-object-lock-mode":
						h = with(h, "x-amz-object-lock-retain-until-date", untilDates()[0])
					case "x-amz-object-lock-retain-until-date":
						h = with(h, "x-amz-object-lock-mode", "GOVERNANCE")
					}
					n++
					path := fmt.Sprintf("/kept/%s-%d", way, n)
					r := send(t, path, h)
					if r.status >= 300 {
						if r.status != 501 && (r.status < 400 || r.status > 409) {
							t.Errorf("%s: %.200q is answered %d %s", name, value, r.status, r.body)
						}
						continue
					}
					told := keptObject(t, e, path)
					for each := range h {
						each = strings.Replace(strings.ToLower(each), "-meta-name", "-meta-*", 1)
						if !sameSetting(t, each, h.Get(strings.Replace(each, "*", "name", 1)), told[each]) {
							t.Errorf("%s: %.200q is accepted and told as %.300q", each, h.Get(strings.Replace(each, "*", "name", 1)), told[each])
						}
						kept[each]++
						delete(told, each)
					}
					if delete(told, "content-type"); len(told) > 0 { // S3's own where none is given
						t.Errorf("%s: %.200q is told with %q beside", name, value, told)
					}
				}
			}
			for name := range setting {
				if kept[name] == 0 {
					t.Errorf("%s was never kept", name)
				}
			}
		})
	}
}
