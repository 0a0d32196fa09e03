package proxy_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
)

// TestDocuments_budget: clients that do not read their listings hold what
// one account's documents may hold and no more; the next large one is put off, and
// everything that holds nothing goes on, and all of other accounts'. When they have
// gone nothing is held.
func TestDocuments_budget(t *testing.T) {
	t.Parallel()
	const ofAccount, most = 40 << 20, 80 << 20
	rec := newRecorder(t)
	g := newGateway(t, options{
		names:  true,
		minio:  &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"},
		limits: proxy.Limits{Documents: most},
	})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/documents"}); r.status != 200 {
		t.Fatal(r.status)
	}
	held := func() float64 {
		now := g.metric(t, "primecloud_proxy_buffered_bytes")
		if now > ofAccount || now < 0 {
			t.Fatalf("%v bytes are held of %d", now, ofAccount)
		}
		return now
	}
	large := &request{method: "GET", path: "/documents", query: query("list-type", "2", "prefix", "large")}
	var readers []net.Conn
	for n := 1; n <= 2; n++ {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		readers = append(readers, c)
		var wire bytes.Buffer
		if err := e.build(t, large).Write(&wire); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(wire.Bytes()); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the listing to be held", func() bool { return held() >= float64(n*largeListing) })
	}
	for range 3 {
		r := e.do(t, large)
		if r.status != 503 || r.code() != "SlowDown" || r.header.Get("Retry-After") == "" {
			t.Fatalf("a third listing: %d %.300s, Retry-After %q", r.status, r.body, r.header.Get("Retry-After"))
		}
	}
	for _, q := range []*request{
		{method: "GET", path: "/documents", query: query("list-type", "2")},
		{method: "PUT", path: "/documents/k", body: []byte("x")},
		{method: "GET", path: "/documents/k"},
		{method: "GET", path: "/"},
		{method: "POST", path: "/documents", query: query("delete", ""), body: []byte("<Delete><Object><Key>k</Key></Object></Delete>")},
	} {
		if r := e.do(t, q); r.status != 200 {
			t.Errorf("%s %s %v meanwhile: %d %s", q.method, q.path, q.query, r.status, r.body)
		}
	}
	another := g.tenant().raw()
	if r := another.do(t, &request{method: "PUT", path: "/documents"}); r.status != 200 {
		t.Fatal(r.status)
	}
	if r := another.do(t, large); r.status != 200 || len(r.body) < largeListing/2 {
		t.Errorf("another account's: %d, %d bytes", r.status, len(r.body))
	}
	for i, c := range readers {
		if i%2 == 0 {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset
		}
		_ = c.Close()
	}
	testenv.WaitFor(t, "all of it to be given back", func() bool { return held() == 0 })
	if r := e.do(t, large); r.status != 200 || len(r.body) < largeListing/2 {
		t.Errorf("afterwards: %d, %d bytes", r.status, len(r.body))
	}
}

// What is taken for documents, of each kind: with too little, each is put off
// with SlowDown, and the client may send the same again.
func TestDocuments_slowDown(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{Documents: 20 << 10}})
	tn := g.tenant()
	e := tn.raw()
	for i := range 200 {
		if r := e.do(t, &request{method: "PUT", path: fmt.Sprintf("/a-bucket-of-slow-down-%d", i)}); r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
	}
	const bucket = "/slow-down"
	e.do(t, &request{method: "PUT", path: bucket})
	key := func(i int) string { return strings.Repeat(strings.Repeat("k", 200)+"/", 4) + fmt.Sprint(i) }
	var keys strings.Builder
	for i := range 30 {
		if r := e.do(t, &request{method: "PUT", path: bucket + "/" + key(i)}); r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
		if r := e.do(t, &request{method: "POST", path: bucket + "/" + key(i), query: query("uploads", "")}); r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
		fmt.Fprintf(&keys, "<Object><Key>%s</Key></Object>", key(i))
	}
	comment := "<!-- " + strings.Repeat("c", 30<<10) + " -->"
	for _, c := range []struct {
		name string
		q    request
		busy bool
	}{
		{"a listing", request{method: "GET", path: bucket}, true},
		{"a page of it", request{method: "GET", path: bucket, query: query("max-keys", "2")}, false},
		{"buckets", request{method: "GET", path: "/"}, true},
		{"a page of them", request{method: "GET", path: "/", query: query("max-buckets", "2")}, false},
		{"versions", request{method: "GET", path: bucket, query: query("versions", "")}, true},
		{"uploads", request{method: "GET", path: bucket, query: query("uploads", "")}, true},
		{"a page of them", request{method: "GET", path: bucket, query: query("uploads", "", "max-uploads", "2")}, false},
		{"a document that is sent", request{method: "PUT", path: bucket, query: query("versioning", ""),
			body: []byte("<VersioningConfiguration>" + comment + "<Status>Enabled</Status></VersioningConfiguration>")}, true},
		{"a small one", request{method: "PUT", path: bucket, query: query("versioning", ""),
			body: []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")}, false},
		{"keys to be deleted", request{method: "POST", path: bucket, query: query("delete", ""), body: []byte("<Delete>" + keys.String() + "</Delete>")}, true},
	} {
		r := e.do(t, &c.q)
		if c.busy != (r.status == 503) || c.busy && (r.code() != "SlowDown" || r.header.Get("Retry-After") == "") || !c.busy && r.status != http.StatusOK {
			t.Errorf("%s: %d %.300s", c.name, r.status, r.body)
		}
	}
	// The window that a form's file is looked at in is one, too.
	if r := postForm(t, tn, "slow-down", map[string]string{"key": "k"}, "slow-down", strings.Repeat("x", 100<<10)); r.status != 503 || r.code() != "SlowDown" {
		t.Errorf("a form: %d %s", r.status, r.body)
	}
	if r := e.do(t, &request{method: "HEAD", path: bucket + "/" + key(0)}); r.status != 200 {
		t.Errorf("keys were deleted by a request that was put off: %d", r.status)
	}
}
