package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// asked is all that comes back for these bytes until the gateway ends the connection, or
// a second passes.
func asked(t *testing.T, addr, raw string) (answer string, ended bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error(), false
	}
	defer c.Close()
	if err := errors.Join(c.SetDeadline(time.Now().Add(2*time.Second)), second(io.WriteString(c, raw))); err != nil {
		return err.Error(), false
	}
	b, err := io.ReadAll(c)
	return string(b), err == nil
}

func second[T any](_ T, err error) error { return err }

// What balancers ask is answered with the status alone, whatever host they name, and
// nothing else is.
func TestHealth_asked(t *testing.T) {
	t.Parallel()
	var status atomic.Value
	status.Store(health.Ready)
	g := newGateway(t, options{health: func() health.Status { return status.Load().(health.Status) }})
	const line = "GET /.primecloud/readyz HTTP/1.1\r\n"
	var asking sync.WaitGroup
	for name, c := range map[string]struct {
		raw  string
		page bool
	}{
		"HTTP/1.0 without a host, as HAProxy":      {"GET /.primecloud/readyz HTTP/1.0\r\n\r\n", true},
		"a HEAD":                                   {"HEAD /.primecloud/readyz HTTP/1.1\r\nHost: x\r\n\r\n", true},
		"an address":                               {line + "Host: 127.0.0.1:9000\r\n\r\n", true},
		"a name that nobody knows":                 {line + "Host: gateway-1.internal\r\n\r\n", true},
		"a shared host":                            {line + "Host: s3.example.test\r\n\r\n", true},
		"an account's host":                        {line + "Host: acme.tenants.example.test\r\n\r\n", true},
		"a host that is none":                      {line + "Host: a b/c\r\n\r\n", false},
		"a bucket's host":                          {line + "Host: photos.s3.example.test\r\n\r\n", false},
		"the host of an account's bucket":          {line + "Host: photos.acme.tenants.example.test\r\n\r\n", false},
		"a bucket's host in capitals, with a port": {line + "Host: Photos.S3.Example.TEST:80\r\n\r\n", false},
		"a query":                                  {"GET /.primecloud/readyz?x HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"more of a path":                           {"GET /.primecloud/readyz/ HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"another spelling":                         {"GET /%2eprimecloud/readyz HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"two slashes":                              {"GET //.primecloud/readyz HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"a PUT":                                    {"PUT /.primecloud/readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", false},
		"a POST":                                   {"POST /.primecloud/readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", false},
		"a DELETE":                                 {"DELETE /.primecloud/readyz HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"a body, and in it another request":        {line + "Host: x\r\nContent-Length: 50\r\n\r\nGET /.primecloud/readyz HTTP/1.1\r\nHost: xyz\r\n\r\n.", true},
		"chunks, and in them another request":      {line + "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n32\r\nGET /.primecloud/readyz HTTP/1.1\r\nHost: xyz\r\n\r\n.\r\n0\r\n\r\n", true},
		"another request behind it":                {line + "Host: x\r\n\r\n" + line + "Host: x\r\n\r\n", true},
		"a client that waits for leave to send a body": {line + "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", false},
	} {
		asking.Go(func() {
			answer, ended := asked(t, g.addr, c.raw)
			head := strings.Contains(c.raw, "HEAD ")
			page := strings.HasPrefix(answer, "HTTP/1.1 200 ") && strings.Contains(answer, "Connection: close\r\n") &&
				(strings.HasSuffix(answer, "\r\n\r\n{\"status\":\"ready\"}\n") || head && strings.HasSuffix(answer, "\r\n\r\n"))
			if page != c.page || page && (!ended || strings.Count(answer, "HTTP/1.1 ") != 1) || !page && strings.Contains(answer, "ready\"}") {
				t.Errorf("%s: ended: %v, %q", name, ended, answer)
			}
		})
	}
	asking.Wait()
	for _, s := range []health.Status{health.NotReady, health.Draining} {
		status.Store(s)
		answer, _ := asked(t, g.addr, line+"Host: x\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.HasSuffix(answer, "\r\n\r\n{\"status\":\""+string(s)+"\"}\n") {
			t.Errorf("%s: %q", s, answer)
		}
	}
}

// However often it is asked, nothing is counted, logged or billed: no stranger makes
// figures with it, and no customer pays for it.
func TestHealth_uncounted(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	for range 50 {
		for _, host := range []string{"x", tn.account.Name + ".tenants.example.test"} {
			if answer, _ := asked(t, g.addr, "GET /.primecloud/readyz HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
				t.Fatal(answer)
			}
		}
	}
	if n := g.metric(t, "primecloud_proxy_requests_total") + g.metric(t, "primecloud_proxy_sent_bytes_total"); n != 0 {
		t.Errorf("%v requests and bytes are counted", n)
	}
	if n := g.metric(t, "primecloud_metering_cells"); n != 0 {
		t.Errorf("%v cells", n)
	}
	_ = filepath.WalkDir(g.logDir, func(path string, d os.DirEntry, _ error) error {
		if b, err := os.ReadFile(path); err == nil && !d.IsDir() && strings.Contains(string(b), "readyz") {
			t.Errorf("a line of the access log: %s", b)
		}
		return nil
	})
}

// A customer's object of that name, in a bucket that the host names, is his.
func TestHealth_customersKey(t *testing.T) {
	t.Parallel()
	tn := newGateway(t, options{}).tenant()
	c := tn.s3(func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String("http://s3.example.test"), false
		o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, tn.g.addr)
		}}}
	})
	name, key := aws.String("photos"), aws.String(".primecloud/readyz")
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: key, Body: strings.NewReader("the customer's")}); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if b := testenv.Must(io.ReadAll(out.Body))(t); string(b) != "the customer's" {
		t.Errorf("%q", b)
	}
}

// From Drain on each answer is whole, and the last one of its connection, of whatever
// kind it is; the port still takes connections.
func TestServer_Drain(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	c := tn.s3()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 3<<20)
	kept := testenv.Must(net.Dial("tcp", g.addr))(t)
	defer kept.Close()
	r := bufio.NewReader(kept)
	send := func(q *request) *http.Response {
		t.Helper()
		req := tn.raw().build(t, q)
		if err := req.Write(kept); err != nil {
			t.Fatal(err)
		}
		resp := testenv.Must(http.ReadResponse(r, req))(t)
		got := testenv.Must(io.ReadAll(resp.Body))(t)
		if resp.StatusCode == 200 && q.method == http.MethodGet && q.path == "/bucket/k" && string(got) != body {
			t.Errorf("%d bytes", len(got))
		}
		return resp
	}
	if resp := send(&request{method: "PUT", path: "/bucket/k", body: []byte(body)}); resp.StatusCode != 200 || resp.Close {
		t.Fatalf("before: %d, the last one: %v", resp.StatusCode, resp.Close)
	}
	g.server.Drain()
	if resp := send(&request{method: "GET", path: "/bucket/k"}); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("on a kept connection: %d, the last one: %v", resp.StatusCode, resp.Close)
	}
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes more, %v", n, err)
	}
	for name, q := range map[string]*request{
		"an upload": {method: "PUT", path: "/bucket/k", body: []byte(body)}, "a download": {method: "GET", path: "/bucket/k"}, "a list": {method: "GET", path: "/bucket"},
		"a HEAD": {method: "HEAD", path: "/bucket/k"}, "an error": {method: "GET", path: "/bucket/nothing"}, "a refusal": {method: "GET", path: "/bucket/k", anonymous: true},
	} {
		kept = testenv.Must(net.Dial("tcp", g.addr))(t)
		r = bufio.NewReader(kept)
		if resp := send(q); resp.StatusCode/100 == 5 || !resp.Close {
			t.Errorf("%s on a new connection: %d, the last one: %v", name, resp.StatusCode, resp.Close)
		}
		_ = kept.Close()
	}
}

// Endpoints are up or down in the report and in the metric, each once, and are gone with
// their backend.
func TestServer_Backends(t *testing.T) {
	t.Parallel()
	own := testenv.OwnMinIO(t, t.TempDir())
	g := newGateway(t, options{minio: own})
	ids := []tenancy.ID{g.backend.ID}
	g.server.KeepBackends(t.Context(), ids)
	host := strings.TrimPrefix(own.Endpoint, "http://")
	up := func() float64 {
		return g.metric(t, "primecloud_upstream_backend_endpoint_up", "backend=minio", "endpoint="+host)
	}
	states := g.server.Backends()
	if len(states) != 1 || states[0].Backend != "minio" || states[0].Endpoint != host || !states[0].Up || states[0].Error != "" || up() != 1 {
		t.Errorf("%+v, metric %v", states, up())
	}
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the endpoint to be down", func() bool { return up() == 0 })
	if states = g.server.Backends(); states[0].Up || states[0].Error != "connection refused" || states[0].FailedAt == nil {
		t.Errorf("%+v", states)
	}
	g.server.KeepBackends(t.Context(), nil)
	if states := g.server.Backends(); len(states) != 0 {
		t.Errorf("a backend that is gone: %+v", states)
	}
}
