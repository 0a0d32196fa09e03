package upstream_test

import (
	"errors"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// What a head does not take, wherever it came from, is an error of this
// process's, and not a byte of it is sent.
func TestHead_refuses(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(h *upstream.Head){
		"a line end in a name":     func(h *upstream.Head) { h.Field([]byte("a: 1\r\ncontent-length"), nil) },
		"a line feed in a name":    func(h *upstream.Head) { h.Field([]byte("a\nb"), nil) },
		"a colon in a name":        func(h *upstream.Head) { h.Field([]byte("a:b"), nil) },
		"a space in a name":        func(h *upstream.Head) { h.Field([]byte("a "), nil) },
		"upper case in a name":     func(h *upstream.Head) { h.Field([]byte("Host"), nil) },
		"no ASCII in a name":       func(h *upstream.Head) { h.Field([]byte("\xc3\xa9"), nil) },
		"no name":                  func(h *upstream.Head) { h.Field(nil, []byte("v")) },
		"a line end in a value":    func(h *upstream.Head) { h.Field([]byte("a"), []byte("1\r\nb: 2")) },
		"a line feed in a value":   func(h *upstream.Head) { h.Field([]byte("a"), []byte("1\nb: 2")) },
		"a return in a value":      func(h *upstream.Head) { h.Field([]byte("a"), []byte("1\rb")) },
		"NUL in a value":           func(h *upstream.Head) { h.Field([]byte("a"), []byte{0}) },
		"DEL in a value":           func(h *upstream.Head) { h.Field([]byte("a"), []byte{0x7f}) },
		"a second host":            func(h *upstream.Head) { h.Field([]byte("host"), []byte("x")) },
		"a second length":          func(h *upstream.Head) { h.Field([]byte("content-length"), []byte("1")) },
		"a transfer coding":        func(h *upstream.Head) { h.Field([]byte("transfer-encoding"), []byte("chunked")) },
		"a word to intermediaries": func(h *upstream.Head) { h.Field([]byte("connection"), []byte("authorization")) },
		"an upgrade":               func(h *upstream.Head) { h.Field([]byte("upgrade"), []byte("h2c")) },
		"an expectation":           func(h *upstream.Head) { h.Field([]byte("expect"), []byte("100-continue")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, func(h *upstream.Head) { h.Start("GET", []byte("/")); write(h) })
			refused(t, func(h *upstream.Head) { h.Start("GET", []byte("/")); write(h); h.Field([]byte("a"), []byte("b")) })
		})
	}
	for _, method := range []string{"", "get", "GET ", "GET /x HTTP/1.1\r\n", "G\x00T", "G-T"} {
		refused(t, func(h *upstream.Head) { h.Start(method, []byte("/")) })
	}
	for _, target := range []string{
		"", "x", "http://x/", "*", "/ ", "/a b", "/a\r\nb", "/a\nb", "/\x00", "/\xc3\xa9", "/%", "/%2", "/%zz", "/a?b?c", "/a?b#c", "/a#b",
		"/a&b", "/a=b", "/a;b", "/a?b+c", "/a\tb", "/a\"b", "/a<b", "/a\\b", "/a:b",
	} {
		refused(t, func(h *upstream.Head) { h.Start("GET", []byte(target)) })
	}
}

// refused wants an ErrHead, and a backend that nobody calls.
func refused(t *testing.T, write func(h *upstream.Head)) {
	t.Helper()
	s := serve(t, func(p *peer, _ int) { p.say(ok) })
	p := pool(t, upstream.Config{Endpoints: []string{s.url}})
	var resp upstream.Response
	err := p.Do(t.Context(), &upstream.Request{Idempotent: true, Head: func(h *upstream.Head, _ *upstream.Endpoint) { write(h) }}, &resp)
	if !errors.Is(err, upstream.ErrHead) {
		t.Errorf("%v", err)
	}
	if p.Healthy() != 1 || s.conns.Load() > 0 {
		t.Error("the endpoint was called or is avoided, and it was not to blame")
	}
}
