package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What a backend breaks off: the line of an answer that had begun says why beside
// its 200, and that of an upload which it ended with a 5xx has a part for the
// bytes that came and one for a request that is not billed.
func TestAccessLog_brokenOff(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if r.URL.Path != "/minio/health/live" {
			w.Header().Set("Content-Length", "1048576")
			_, _ = w.Write(make([]byte, size/2)) // and the connection ends
		}
	}))
	t.Cleanup(backend.Close)
	g := newGateway(t, options{minio: &devstack.MinIO{Endpoint: backend.URL, AccessKey: "backend", SecretKey: "backend-secret"}, names: true})
	tn := g.tenant()
	b, err := tenancy.ReserveBucket(t.Context(), g.owner, tn.account.ID, "data", false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.dir.ActivateBucket(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	resp, err := rawClient.Do(tn.raw().build(t, &request{method: "GET", path: "/data/k"}))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil || n > size/2 {
		t.Errorf("%d bytes, %v", n, err)
	}
	down := g.lineOf(t, &reply{header: resp.Header})
	if down.Status != 200 || down.ErrorCode != "InternalError" || down.Egress < n || down.Egress >= size || down.DeclaredEgress != size || len(down.Parts) != 0 {
		t.Errorf("the download's line: %+v", down)
	}
	up := tn.raw().do(t, &request{method: "PUT", path: "/data/k", body: bytes.Repeat([]byte("x"), size)})
	line := g.lineOf(t, up)
	if up.status < 500 || line.Status != up.status || line.Ingress != size || line.Requests != 1 || line.Class != usage.ClassUnbilled || len(line.Parts) != 2 {
		t.Fatalf("%d, the upload's line: %+v", up.status, line)
	}
	if a, u := line.Parts[0], line.Parts[1]; a.Class != usage.ClassA || a.Ingress != size || a.Requests != 0 || u.Class != usage.ClassUnbilled || u.Ingress != 0 || u.Requests != 1 {
		t.Errorf("its parts: %+v", line.Parts)
	}
	u := usageBy(t, g, tn, ledger.ByClass)
	if u["A"].Ingress != size || u["A"].Requests != 0 || u["B"].Egress != down.Egress || u["B"].Requests != 1 {
		t.Errorf("the ledger has %+v", u)
	}
}

// Where no folder is named there is no log: requests are served, and nobody is
// told that lines would be delivered.
func TestAccessLog_none(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{unlogged: true})
	e := g.tenant().raw()
	if r := e.do(t, &request{method: "PUT", path: "/data"}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	on := "<BucketLoggingStatus><LoggingEnabled><TargetBucket>data</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>"
	if r := e.do(t, &request{method: "PUT", path: "/data", query: query("logging", ""), body: []byte(on)}); r.status != 501 || r.code() != "NotImplemented" {
		t.Errorf("logging put on: %d %s", r.status, r.body)
	}
	for _, q := range []request{
		{method: "GET", path: "/data", query: query("logging", "")},
		{method: "PUT", path: "/data", query: query("logging", ""), body: []byte("<BucketLoggingStatus/>")},
		{method: "PUT", path: "/data/k", body: []byte("x")}, {method: "GET", path: "/data/k", header: headers("Referer", "https://example.test/")},
		{method: "GET", path: "/data", query: query("list-type", "2")}, {method: "DELETE", path: "/data/k"},
	} {
		if r := e.do(t, &q); r.status >= 300 {
			t.Errorf("%s %s: %d %s", q.method, q.path, r.status, r.body)
		}
	}
	if lines := g.records(t); len(lines) != 0 {
		t.Errorf("%d lines", len(lines))
	}
}
