package upstream

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead: of whatever bytes a head is made, it is refused, or it is the one
// request that net/http reads, with that field and nothing behind it.
func FuzzHead(f *testing.F) {
	f.Add("PUT", "/b/k?a=b&c=", "x-amz-meta-a", "v w\t\xc3\xa9", int64(3))
	f.Add("GET", "/%0D%0A", "a: 1\r\ncontent-length: 1200\r\n\r\nx", "v", int64(-1))
	f.Add("GET", "/ HTTP/1.1\r\n", "host", "\r\n\r\n", int64(1))
	f.Fuzz(func(t *testing.T, method, target, name, value string, length int64) {
		var head Head
		err := head.write(&Request{Head: func(h *Head, _ *Endpoint) {
			h.Start(method, []byte(target))
			h.Field([]byte(name), []byte(value))
			if length >= 0 {
				h.Length(length)
			}
		}}, &Endpoint{raw: []byte("backend:9000")})
		if err != nil {
			if !errors.Is(err, ErrHead) {
				t.Error(err)
			}
			return
		}
		br := bufio.NewReader(strings.NewReader(string(head.buf)))
		r, err := http.ReadRequest(br)
		if err != nil {
			t.Fatalf("%q: %v", head.buf, err)
		}
		// A body would stand here.
		if rest, _ := io.ReadAll(br); len(rest) > 0 {
			t.Errorf("%q stands behind the head %q", rest, head.buf)
		}
		lines := 1
		if length >= 0 {
			lines++
		}
		if r.Method != method || r.RequestURI != target || r.Host != "backend:9000" || len(r.Header) != lines ||
			r.Header.Get(name) != strings.Trim(value, " \t") || len(r.TransferEncoding) > 0 || length >= 0 && r.ContentLength != length {
			t.Errorf("%q is read as %s %s %v", head.buf, r.Method, r.RequestURI, r.Header)
		}
	})
}
