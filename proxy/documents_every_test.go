package proxy_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// TestDocuments_everyAnswer: whatever error the backend answers to whatever
// operation, and where an answer is held whole also what is none, it is taken from
// the budget first. Other answers are rewritten as they come: TestDocuments_slowDown.
func TestDocuments_everyAnswer(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	g := newGateway(t, options{
		minio:  &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"},
		limits: proxy.Limits{Documents: 20 << 10}, names: true,
	})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/" + isolated})
	begun := e.must(t, &request{method: "POST", path: "/" + isolated + "/dir/up", query: query("uploads", "")})
	_, rest, _ := strings.Cut(string(begun.body), "<UploadId>")
	upload, _, _ := strings.Cut(rest, "<")
	whole := map[string]bool{"GetBucketPolicy": true, "DeleteObjects": true, "PutBucketLogging": true}
	notRead := map[string]bool{"PutBucketLogging 404 Not Found": true, "CreateBucket 409 Conflict": true} // they are told enough
	padding := "<!-- " + strings.Repeat("c", 60<<10) + " -->"
	made := 0
	for _, status := range []string{"200 OK", "400 Bad Request", "403 Forbidden", "404 Not Found", "409 Conflict", "412 Precondition Failed", "500 Internal Server Error", "503 Service Unavailable"} {
		rec.answers(func(q *recorded) string {
			doc := "<Error><Code>Something</Code>" + padding + "</Error>"
			return fmt.Sprintf("HTTP/1.1 %s\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s", status, len(doc), doc)
		})
		for _, o := range s3op.Operations {
			if o.Action != s3op.Forward && o.Name != "PutBucketLogging" || o.Name == "DeleteBucket" || o.Method == "HEAD" {
				continue // DeleteBucket would end the test; it reads what the others do
			}
			if status == "200 OK" && !whole[o.Name] {
				continue
			}
			held := !notRead[o.Name+" "+status]
			q := attempts(&victim{upload: upload}, o)[0]
			if o.Body == s3op.Form {
				q = formRequest(t, isolated, signForm(t, e.id, e.secret, map[string]string{"key": "dir/form"}, isolated), "f")
			}
			if o.Name == "CreateBucket" {
				made++
				q.path = fmt.Sprintf("/made-%d", made)
			}
			list := []request{q}
			if o.Anonymous {
				q.anonymous, q.host = true, tn.account.Name+".tenants.example.test"
				list = append(list, q)
			}
			for _, q := range list {
				r := e.do(t, &q)
				if busy := r.status == 503 && r.code() == "SlowDown" && r.header.Get("Retry-After") != ""; busy != held {
					t.Errorf("%s after %s (without a key: %v): %d %.200s", o.Name, status, q.anonymous, r.status, r.body)
				}
			}
		}
	}
}

// TestDocuments_unread: a client that does not read what it has asked for keeps it
// for as long as the slowest reader may, and then neither memory nor its place. The
// clock of the test is the gateway's bound for a head, many windows long, and a node
// whose window is long: there the same client is waited for.
func TestDocuments_unread(t *testing.T) {
	t.Parallel()
	const window, head = 300 * time.Millisecond, 25 * time.Second
	rec := newRecorder(t)
	o := options{
		minio:  &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"},
		limits: proxy.Limits{Window: window, HeadTimeout: head}, names: true,
	}
	g := newGateway(t, o)
	o.beside, o.limits = g, proxy.Limits{Window: time.Hour}
	patient := newGateway(t, o)
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/documents"})
	holds := func(g *gateway) bool { return g.metric(t, "primecloud_proxy_buffered_bytes") >= largeListing }
	// listings are the bytes of those that have ended: other lines may come late.
	listings := func() (sent []int64) {
		for _, r := range g.records(t) {
			if r.Operation == "ListObjectsV2" {
				sent = append(sent, r.Egress)
			}
		}
		return sent
	}
	// ask asks for the listing as a client that will not read it.
	ask := func(g *gateway, anonymous bool) net.Conn {
		t.Helper()
		q := request{method: "GET", path: "/documents", query: query("list-type", "2", "prefix", "large"), anonymous: anonymous, host: tn.account.Name + ".tenants.example.test"}
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := c.Write([]byte(wireOf(t, e.build(t, &q)))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, anonymous := range []bool{false, true} {
		before := len(listings())
		waitedFor := ask(patient, anonymous)
		testenv.WaitFor(t, "the listing to be held", func() bool { return holds(patient) })
		silent, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := silent.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _, _ = silent.Read(make([]byte, 1)); close(ended) }()
		c := ask(g, anonymous)
		defer c.Close() // not before the end: it is the gateway that ends it
		testenv.WaitFor(t, "the client to be cut, and nothing to be held", func() bool {
			select {
			case <-ended:
				t.Fatalf("a client that reads nothing has outlived a head that does not come; the window is %v, a head has %v", window, head)
			default:
			}
			return len(listings()) > before && g.metric(t, "primecloud_proxy_buffered_bytes") == 0
		})
		if sent := listings()[before]; sent >= largeListing {
			t.Errorf("it was cut when it had %d bytes", sent)
		}
		if !holds(patient) {
			t.Error("where the window is an hour, it was cut too")
		}
		_ = silent.Close()
		_ = waitedFor.Close()
		testenv.WaitFor(t, "the place of a client that has left", func() bool { return patient.metric(t, "primecloud_proxy_buffered_bytes") == 0 })
	}
}
