package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"
	"testing"
	"testing/iotest"
	"time"
	"unsafe"
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
	c := &Conn{nc: &wire{r: r}, endpoint: &Endpoint{pool: p, all: map[*Conn]struct{}{}}, buf: make([]byte, 64)}
	var resp Response
	if err := resp.readHead(c, noBody); err != nil {
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

// A Response that is reset is a fresh one but for its buffers, and they are
// empty: what is added to the struct cannot be forgotten.
func TestResponse_Reset(t *testing.T) {
	t.Parallel()
	var r Response
	used := reflect.ValueOf(&r).Elem()
	fill(t, used)
	r.Clear()
	fresh := reflect.ValueOf(&Response{}).Elem()
	for i := range used.NumField() {
		name, f := used.Type().Field(i).Name, used.Field(i)
		switch {
		case name == "head" || name == "fields":
			if f.Len() != 0 || f.Cap() == 0 {
				t.Errorf("%s: %d of %d are used", name, f.Len(), f.Cap())
			}
		case !f.Equal(fresh.Field(i)):
			t.Errorf("%s is kept", name)
		}
	}
}

// fill sets every field, however deep, to something.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // unexported ones too
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Interface:
		v.Set(reflect.ValueOf(bytes.NewReader(nil)))
	default:
		t.Fatalf("fill a %s", v.Type())
	}
	if v.IsZero() {
		t.Fatalf("a %s is still empty", v.Type())
	}
}
