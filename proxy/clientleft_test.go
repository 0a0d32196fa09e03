package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
)

// endings are the ways in which a client's connection ends.
var endings = map[string]func(c *wireConn) error{
	"RST": func(c *wireConn) error {
		if err := c.raw.SetLinger(0); err != nil {
			return err
		}
		return c.raw.Close()
	},
	"FIN": func(c *wireConn) error { return c.raw.Close() },
}

// TestClientLeft_upload: a client that leaves in its body, in whichever way, is no
// fault of ours, and what it sent counts.
func TestClientLeft_upload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true})
	for _, way := range uploads() {
		for scheme, addr := range map[string]string{"plain": g.addr, "TLS": g.tlsAddr} {
			for ending, end := range endings {
				t.Run(way.name+" "+scheme+" "+ending, func(t *testing.T) {
					t.Parallel()
					c := newChanged(t, g)
					head, body, _ := strings.Cut(way.wire(c), "\r\n\r\n")
					half := len(body) / 2
					if way.name == "form" {
						half = len(body) - 1<<19
					}
					before := c.ingress()
					conn := c.open(addr)
					conn.say(head + "\r\n\r\n" + body[:half])
					c.begun(before)
					requests := c.requests()
					if err := end(conn); err != nil {
						t.Fatal(err)
					}
					line := g.line(t, way.name, func(r *accesslog.Record) bool { return r.AccessKey == c.key.KeyID && r.Status >= 400 })
					// Who has closed one half may still read: S3's own answer.
					status, code := 499, "ClientDisconnected"
					if ending == "FIN" {
						status, code = http.StatusBadRequest, "IncompleteBody"
					}
					if line.Status != status || line.ErrorCode != code || line.Ingress == 0 || way.done(c) {
						t.Errorf("the line says %d %q, %d bytes", line.Status, line.ErrorCode, line.Ingress)
					}
					if n := c.requests() - requests; (n == 1) != (way.name != "deletes") { // those are free
						t.Errorf("%d requests are billed", n)
					}
					if text := g.log.of(c.account.Name); strings.Contains(text, "level=ERROR") {
						t.Errorf("an error is logged: %s", text)
					}
				})
			}
		}
	}
}

// TestClientLeft_answer: a client that leaves before it has all of its answer is
// told apart from one that has it, and pays for what it took.
func TestClientLeft_answer(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	g := newGateway(t, options{tls: true})
	for scheme, addr := range map[string]string{"plain": g.addr, "TLS": g.tlsAddr} {
		for ending, end := range endings {
			t.Run(scheme+" "+ending, func(t *testing.T) {
				t.Parallel()
				c := newChanged(t, g)
				c.raw().must(t, &request{method: "PUT", path: "/" + changing + "/k", body: make([]byte, size), payload: "UNSIGNED-PAYLOAD"})
				before := c.requests()
				conn := c.open(addr)
				conn.say(c.plain(request{method: "GET", path: "/" + changing + "/k"}))
				resp, err := http.ReadResponse(conn.br, nil)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatal(resp, err)
				}
				if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
					t.Fatal(err)
				}
				if err := end(conn); err != nil {
					t.Fatal(err)
				}
				line := g.lineOf(t, &reply{header: resp.Header})
				if line.Status != 499 || line.ErrorCode != "ClientDisconnected" || line.Egress < 1<<20 || line.Egress >= size {
					t.Errorf("the line says %d %q, %d bytes", line.Status, line.ErrorCode, line.Egress)
				}
				if n := c.requests() - before; n != 1 {
					t.Errorf("%d requests are billed", n)
				}
				if text := g.log.of(c.account.Name); strings.Contains(text, "level=ERROR") {
					t.Errorf("an error is logged: %s", text)
				}
			})
		}
	}
}

// TestClientLeft_waiting: a client that leaves while the backend is waited for ends
// the backend's work within a moment: its connection is closed, and the request is
// settled, whatever it was.
func TestClientLeft_waiting(t *testing.T) {
	t.Parallel()
	for said, of := range map[string]func(name string) bool{
		"":                                func(string) bool { return true },
		"HTTP/1.1 102 Processing\r\n\r\n": func(string) bool { return true },
		"HTTP/1.1 200 OK\r\netag: x":      func(string) bool { return true },
		"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<?xml ": func(name string) bool {
			return name == "GetObject" || name == "ListObjectsV2" || name == "ListMultipartUploads" || name == "GetBucketPolicy" || name == "CopyObject" || name == "DeleteObjects"
		},
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n": func(name string) bool { return name == "CopyObject" || name == "GetObject" },
	} {
		t.Run(fmt.Sprintf("%q", said), func(t *testing.T) {
			t.Parallel()
			c := newComplaining(t, "")
			asked := c.asked(t)
			arrived, released := make(chan struct{}, 100), make(chan struct{})
			release := sync.OnceFunc(func() { close(released) })
			defer release() // also when the test has failed: the backend ends with it
			c.rec.answers(func(*recorded) string {
				arrived <- struct{}{}
				if said == "" {
					<-released
				}
				return said
			})
			open := c.g.metric(t, "primecloud_proxy_connections") // kept by those who have prepared this
			var conns []*wireConn
			for name, q := range asked {
				if !of(name) || name == "CreateBucket" || name == "DeleteBucket" { // these change what the others ask about
					continue
				}
				conn := (&changed{t: t, tenant: c.tn}).open(c.g.addr)
				conns = append(conns, conn)
				conn.say(wireOf(t, c.tn.raw().build(t, q)))
				<-arrived
			}
			for n, conn := range conns {
				if err := endings[[]string{"RST", "FIN"}[n%2]](conn); err != nil {
					t.Fatal(err)
				}
			}
			testenv.WaitFor(t, "every request to be settled as one whose client has left", func() bool {
				left := 0
				for _, r := range c.g.records(t) {
					if r.Status == 499 && r.ErrorCode == "ClientDisconnected" {
						left++
					}
				}
				return left == len(conns)
			})
			release()
			c.rec.take(t) // returns when every connection of the backend's is closed
			testenv.WaitFor(t, "their connections to be closed", func() bool { return c.g.metric(t, "primecloud_proxy_connections") <= open })
			if text := c.g.log.String(); strings.Contains(text, "level=ERROR") {
				t.Errorf("an error is logged: %s", text)
			}
		})
	}
}
