package upstream_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// answering is the address of a server that does this with each connection.
func answering(t *testing.T, do func(c net.Conn)) string {
	t.Helper()
	l := testenv.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				do(c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// saying answers each connection's first bytes.
func saying(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, text)
	}
}

// What is wrong with an endpoint is said by its class: no text that the other side has
// sent, and no error of a library's.
func TestPool_States(t *testing.T) {
	t.Parallel()
	closed := testenv.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	refused := closed.Addr().String()
	_ = closed.Close()
	stranger := testenv.MinIOTLS(t)
	for class, url := range map[string]string{
		"":                          "http://" + answering(t, saying("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")),
		"connection refused":        "http://" + refused,
		"name not found":            "http://nowhere.invalid:9000",
		"timed out":                 "http://" + answering(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"connection lost":           "http://" + answering(t, saying("")),
		"health check answered 5xx": "http://" + answering(t, saying("HTTP/1.1 503 hush\r\nContent-Length: 0\r\n\r\n")),
		"answer is not readable":    "http://" + answering(t, saying("hush hush\r\n\r\n")),
		"certificate not accepted":  stranger.Endpoint,
		"TLS handshake failed":      "https://" + answering(t, saying("hush, this is no TLS at all\r\n")),
	} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			p := testenv.Must(upstream.New(upstream.Config{Name: "b", Endpoints: []string{url, url}, DialTimeout: 500 * time.Millisecond, HealthInterval: 10 * time.Millisecond}))(t)
			t.Cleanup(p.Close)
			if class == "" {
				p.Blamed()
				s := p.States()
				if len(s) != 1 || !s[0].Up || !strings.Contains(s[0].Failure, "credential") || time.Since(s[0].FailedAt) > time.Minute {
					t.Errorf("%+v", s)
				}
				return
			}
			testenv.WaitFor(t, "the state; it is "+p.States()[0].Failure, func() bool {
				s := p.States()
				return len(s) == 1 && !s[0].Up && s[0].Failure == class && !s[0].FailedAt.IsZero() && strings.HasSuffix(url, s[0].Endpoint)
			})
		})
	}
}

// An endpoint that answers again is up, and its last failure stays known.
func TestPool_States_again(t *testing.T) {
	t.Parallel()
	own := testenv.OwnMinIO(t, t.TempDir())
	host := strings.TrimPrefix(own.Endpoint, "http://")
	p := testenv.Must(upstream.New(upstream.Config{Name: "b", Endpoints: []string{own.Endpoint}, HealthInterval: 10 * time.Millisecond}))(t)
	t.Cleanup(p.Close)
	own.Kill()
	testenv.WaitFor(t, "the endpoint to be down", func() bool { return !p.States()[0].Up })
	l := testenv.Must(net.Listen("tcp", host))(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(c)
			_ = c.Close()
		}
	}()
	testenv.WaitFor(t, "the endpoint to be up", func() bool {
		s := p.States()[0]
		return s.Up && s.Failure != "" && !s.FailedAt.IsZero()
	})
}
