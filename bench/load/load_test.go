package load_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// do sends one request on a connection of its own.
func do(t *testing.T, target load.Target, r *load.Request, err error) (load.Answer, error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := load.Dial(target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.DoKeep(r)
}

func content(t *testing.T, n int) (*load.Content, []byte) {
	t.Helper()
	b := make([]byte, n)
	_, _ = rand.Read(b)
	c, err := load.NewContent(b)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

// TestSigner_minIO: a real MinIO takes every payload form, and stores what was sent.
func TestSigner_minIO(t *testing.T) {
	t.Parallel()
	m := testenv.MinIO(t)
	addr := strings.TrimPrefix(m.Endpoint, "http://")
	target, sign := load.Target{Addr: addr}, load.NewSigner(addr, m.AccessKey, m.SecretKey, "us-east-1")
	bucket := "/load-" + strings.ToLower(rand.Text()[:12])
	none, _ := content(t, 0)
	r, err := sign.Put(bucket, none, load.SignedHash)
	if _, err := do(t, target, r, err); err != nil {
		t.Fatal(err)
	}
	for _, payload := range []load.Payload{load.Unsigned, load.SignedHash, load.SignedChunks, load.UnsignedTrailer} {
		for _, n := range []int{1, 1000, 64 << 10, 3<<20 + 1} {
			c, data := content(t, n)
			r, err := sign.Put(bucket+"/k", c, payload)
			if a, err := do(t, target, r, err); err != nil || a.ETag == "" {
				t.Errorf("%s, %d bytes: %v, ETag %q", payload, n, err, a.ETag)
				continue
			}
			r, err = sign.Read("GET", bucket+"/k", 200, int64(n))
			if a, err := do(t, target, r, err); err != nil || string(a.Body) != string(data) {
				t.Errorf("%s: read back %d bytes of %d: %v", payload, len(a.Body), n, err)
			}
			if payload == load.UnsignedTrailer {
				r.Wire = []byte(strings.Replace(string(r.Wire), "Signature=", "Signature=0", 1))
				if a, err := do(t, target, r, nil); err == nil || a.Status != 400 && a.Status != 403 {
					t.Errorf("a wrong signature: status %d, %v", a.Status, err)
				}
			}
		}
	}
	other := load.NewSigner(addr, m.AccessKey, "another secret", "us-east-1")
	r, err = other.Read("GET", bucket+"?list-type=2&max-keys=7", 200, -1)
	if a, err := do(t, target, r, err); err == nil || a.Status != http.StatusForbidden {
		t.Errorf("another secret: status %d, %v", a.Status, err)
	}
	r, err = sign.Read("GET", bucket+"?list-type=2&max-keys=7", 200, -1)
	if a, err := do(t, target, r, err); err != nil || !strings.Contains(string(a.Body), "<Key>k</Key>") {
		t.Errorf("the list: %v", err)
	}
}

// TestConn reads what servers may send, over plain connections and TLS.
func TestConn(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 300_000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/chunked":
			for range 10 {
				_, _ = io.WriteString(w, big[:30_000])
				w.(http.Flusher).Flush()
			}
		case "/refused":
			http.Error(w, "no", http.StatusForbidden)
		default:
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(big))
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, target := range []load.Target{
		{Addr: plain.Listener.Addr().String()},
		{Addr: secure.Listener.Addr().String(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}},
	} {
		sign := load.NewSigner(target.Addr, "id", "secret", "us-east-1")
		c, err := load.Dial(target)
		if err != nil {
			t.Fatal(err)
		}
		upload, _ := content(t, 200_000)
		for range 3 { // one connection for all of them: what is left over would show
			for path, n := range map[string]int64{"/length": 300_000, "/chunked": 300_000} {
				r, err := sign.Read("GET", path, 200, n)
				if err != nil {
					t.Fatal(err)
				}
				if a, err := c.Do(r); err != nil || a.Bytes != n {
					t.Errorf("%s: %d bytes, %v", path, a.Bytes, err)
				}
				r.Expect = n + 1
				if _, err := c.Do(r); err == nil {
					t.Errorf("%s: a wrong length is no error", path)
				}
			}
			r, err := sign.Read("HEAD", "/length", 200, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Do(r); err != nil {
				t.Error("HEAD:", err)
			}
			if r, err = sign.Put("/length", upload, load.Unsigned); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Do(r); err != nil {
				t.Error("PUT:", err)
			}
			if r, err = sign.Read("GET", "/refused", 200, -1); err != nil {
				t.Fatal(err)
			}
			if a, err := c.Do(r); err == nil || a.Status != 403 || !strings.Contains(err.Error(), "no") {
				t.Errorf("refused: %d, %v", a.Status, err)
			}
		}
		_ = c.Close()
	}
}

func TestDial_loopbackOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1:80", "[2001:db8::1]:80"} {
		if c, err := load.Dial(load.Target{Addr: addr}); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v, %v", addr, c, err)
		}
	}
}

// stuck answers at once, but for one request that takes a while.
func stuck(t *testing.T, slow int, pause time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for n, r := 0, bufio.NewReader(c); ; n++ {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					if n == slow {
						<-time.After(pause)
					}
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func plan(t *testing.T, addr string) *load.Plan {
	t.Helper()
	r, err := load.NewSigner(addr, "id", "secret", "us-east-1").Read("GET", "/k", 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	return &load.Plan{Targets: []load.Target{{Addr: addr}}, Op: load.Replay([]*load.Request{r}), Connections: 1}
}

func nothing() error { return nil }

// TestPlan_openLoop: what was due while the server stood still waited, and
// counts as having waited, though it was sent later.
func TestPlan_openLoop(t *testing.T) {
	t.Parallel()
	p := plan(t, stuck(t, 10, 200*time.Millisecond))
	p.Rate, p.Duration = 200, 500*time.Millisecond
	o, err := p.Run(nothing, nothing)
	if err != nil || o.Errors > 0 {
		t.Fatal(err, o.FirstError)
	}
	if o.Requests < 50 || o.Requests > 101 {
		t.Errorf("%d requests were done, and 101 were due in half a second", o.Requests)
	}
	// 40 of 100 were due in those 200 ms; a closed loop would have seen one.
	if got := o.Latency.Quantile(0.75); got < 20*time.Millisecond {
		t.Errorf("a quarter of the requests waited, and the third quartile is %v", got)
	}
}

func TestPlan_closedLoop(t *testing.T) {
	t.Parallel()
	p := plan(t, stuck(t, -1, 0))
	p.Connections, p.Units, p.Duration = 4, 1000, time.Minute
	began, ended := false, false
	o, err := p.Run(func() error { began = true; return nil }, func() error { ended = began; return nil })
	if err != nil || o.Errors > 0 {
		t.Fatal(err, o.FirstError)
	}
	if o.Requests != 1000 || o.Bytes != 2000 || o.Latency.Count() != 1000 || !ended {
		t.Errorf("%d requests, %d bytes, %d latencies, ended %v", o.Requests, o.Bytes, o.Latency.Count(), ended)
	}
	failing := errors.New("no clock")
	if _, err := p.Run(func() error { return failing }, nothing); !errors.Is(err, failing) {
		t.Error(err)
	}
}

// TestPlan_errors: a server that hangs up is an error, not a slow answer.
func TestPlan_errors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	p := plan(t, l.Addr().String())
	p.Duration = time.Minute // it gives up long before
	o, err := p.Run(nothing, nothing)
	if err != nil || o.Errors == 0 || o.Requests != 0 || o.FirstError == "" {
		t.Errorf("%+v, %v", o, err)
	}
}
