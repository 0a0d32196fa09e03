package proxy_test

import (
	"strings"
	"testing"
)

// A header that is no field value is left out; where it says which bytes these are,
// there is no answer, nor is there one that does not say how long it is.
func TestAnswers_unfitHeaders(t *testing.T) {
	t.Parallel()
	c := newComplaining(t, "")
	const length = "content-length: 3\r\n"
	for lines, want := range map[string]struct {
		status, head int
		gone         string
	}{
		length + "etag: \"e\"\r\ncache-control: a\x01b\r\n":                             {200, 200, "Cache-Control"},
		length + "etag: \"e\"\r\ncontent-type: a\x7f\r\n":                               {200, 200, "Content-Type"},
		length + "etag: \"e\"\r\nx-amz-meta-a: \x1b[31m\r\n":                            {200, 200, "X-Amz-Meta-A"},
		length + "etag: \"e\"\r\netag: \"e\"\r\ncontent-type: a\r\ncontent-type: b\r\n": {200, 200, ""},
		length + "etag: \"e\x01\"\r\n":                                                  {503, 503, ""},
		length + "etag: \"e\"\r\netag: \"f\"\r\n":                                       {503, 503, ""},
		length + "etag: \"e\"\r\ncontent-encoding: a\x02\r\n":                           {503, 503, ""},
		length + "etag: \"e\"\r\nx-amz-version-id: a\x02\r\n":                           {503, 503, ""},
		"etag: \"e\"\r\n": {503, 503, ""},
	} {
		c.toBackend(func(*recorded) string { return "HTTP/1.1 200 OK\r\nconnection: close\r\n" + lines + "\r\nabc" })
		for method, status := range map[string]int{"GET": want.status, "HEAD": want.head} {
			r := c.tn.raw().do(t, &request{method: method, path: "/complaints/k"})
			if r.status != status || want.gone != "" && len(r.header.Values(want.gone)) > 0 || len(r.header.Values("ETag")) > 1 || len(r.header.Values("Content-Type")) > 1 {
				t.Errorf("%s %q: %d %v", method, lines, r.status, r.header)
			}
		}
	}
	if text := c.g.log.String(); !strings.Contains(text, "backend=minio") || !strings.Contains(text, "header=Cache-Control refused=false") {
		t.Errorf("the operator is not told: %s", text)
	}
}
