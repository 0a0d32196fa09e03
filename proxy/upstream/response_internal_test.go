package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv/pooled"
)

// wire is a connection that says what it was given.
type wire struct {
	net.Conn
	r io.Reader
}

func (w *wire) Read(p []byte) (int, error)       { return w.r.Read(p) }
func (w *wire) Close() error                     { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func readAnswer(r io.Reader, noBody bool) (status int, body []byte, err error) {
	p := &Pool{}
	p.cfg.setDefaults()
	c := &Conn{nc: &wire{r: r}, source: &source{}, endpoint: &Endpoint{pool: p, all: map[*Conn]struct{}{}}, buf: make([]byte, 64)}
	var resp Response
	if err := resp.readHead(c, noBody, time.Minute); err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(&resp)
	return resp.Status, body, err
}

// What is read here, net/http reads the same: two readers of one connection
// must agree on where an answer ends.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx: y\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest",
		"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, noBody bool) {
		status, body, err := readAnswer(bytes.NewReader(raw), noBody)
		again, same, aerr := readAnswer(iotest.OneByteReader(bytes.NewReader(raw)), noBody)
		if status != again || (err == nil) != (aerr == nil) || err == nil && !bytes.Equal(body, same) {
			t.Fatalf("byte by byte: %d %q %v, else %d %q %v", again, same, aerr, status, body, err)
		}
		if err != nil {
			return
		}
		req := &http.Request{Method: http.MethodGet}
		if noBody {
			req.Method = http.MethodHead
		}
		r := bufio.NewReader(bytes.NewReader(raw))
		for {
			resp, err := http.ReadResponse(r, req)
			if err != nil {
				return // net/http refuses more header names and values
			}
			if resp.StatusCode < 200 {
				continue
			}
			want, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && (resp.StatusCode != status || !bytes.Equal(want, body)) {
				t.Fatalf("%d %q, net/http reads %d %q", status, body, resp.StatusCode, want)
			}
			return
		}
	})
}

// A Response that is cleared is a fresh one but for its buffers, which are empty.
func TestResponse_Clear(t *testing.T) {
	t.Parallel()
	var used, fresh Response
	if n := pooled.Fill(t, &used, bytes.NewReader(nil)); n < 15 {
		t.Fatalf("only %d fields were filled", n)
	}
	used.Clear()
	pooled.Fresh(t, &used, &fresh)
}
