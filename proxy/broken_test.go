package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
)

// put stores size bytes under /broken/key, making the bucket when it is not there.
func (tn *tenant) put(t testing.TB, key string, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	tn.raw().do(t, &request{method: "PUT", path: "/broken"})
	if res := tn.raw().do(t, &request{method: "PUT", path: "/broken/" + key, body: data, payload: "UNSIGNED-PAYLOAD"}); res.status != http.StatusOK {
		t.Fatal(res.status, string(res.body))
	}
	return data
}

// download sends a signed GET on a connection of its own and returns it with
// the answer's head read.
func (e *endpoint) download(t testing.TB, path string) (net.Conn, *http.Response) {
	t.Helper()
	nc, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	r := e.build(t, &request{method: "GET", path: path})
	if err := r.Write(nc); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), r)
	if err != nil {
		t.Fatal(err)
	}
	return nc, resp
}

// S3-RULES.md C14: a client that leaves in the middle of a download ends the
// backend's work too, and pays for what its socket took.
func TestC14_clientGone(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	const size, received = 64 << 20, 8 << 20
	tn.put(t, "k", size)
	nc, resp := tn.raw().download(t, "/broken/k")
	if _, err := io.CopyN(io.Discard, resp.Body, received); err != nil {
		t.Fatal(err)
	}
	if err := nc.Close(); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the end of the request", func() bool { return usageBy(t, g, tn, ledger.ByClass)["B"].Requests == 1 })
	if egress := usageBy(t, g, tn, ledger.ByClass)["B"].Egress; egress < received || egress >= size {
		t.Errorf("%d bytes were counted, the client took %d and left", egress, received)
	}
	if line := g.log.of(tn.account.Name); !regexp.MustCompile(`operation=GetObject.* cause=`).MatchString(line) {
		t.Errorf("the log has no cause: %s", line)
	}
}

// S3-RULES.md C14: a client that leaves in the middle of an upload leaves no object.
func TestC14_uploaderGone(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	tn.put(t, "other", 1)
	before := usageBy(t, g, tn, ledger.ByClass)["A"]
	const size, sent = 64 << 20, 8 << 20
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	r := tn.raw().build(t, &request{method: "PUT", path: "/broken/half", payload: "UNSIGNED-PAYLOAD", body: make([]byte, size)})
	r.Body = io.NopCloser(io.LimitReader(r.Body, sent))
	_ = r.Write(nc) // complains that the body is short
	_ = nc.Close()
	testenv.WaitFor(t, "the end of the request", func() bool { return usageBy(t, g, tn, ledger.ByClass)["A"].Requests == before.Requests+1 })
	if in := usageBy(t, g, tn, ledger.ByClass)["A"].Ingress - before.Ingress; in > sent {
		t.Errorf("%d bytes were counted of %d", in, sent)
	}
	if res := tn.raw().do(t, &request{method: "GET", path: "/broken/half"}); res.status != http.StatusNotFound {
		t.Errorf("half an upload is there: %d", res.status)
	}
}

// S3-RULES.md C14 and C13: a backend that dies in the middle of a download
// must not look like the object's end; while it is away clients are told to
// come back, and afterwards all is well.
func TestC14_backendGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := testenv.OwnMinIO(t, dir)
	g := newGateway(t, options{minio: m})
	tn := g.tenant()
	const size = 64 << 20
	tn.put(t, "k", size)

	_, resp := tn.raw().download(t, "/broken/k")
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	uploading, uploaded := io.Pipe()
	put := make(chan string, 1)
	r := tn.raw().build(t, &request{method: "PUT", path: "/broken/half", payload: "UNSIGNED-PAYLOAD", body: make([]byte, size)})
	r.Body = uploading
	go func() {
		answer, err := rawClient.Do(r)
		if err != nil {
			put <- "connection ended"
			return
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		put <- (&reply{answer.StatusCode, answer.Header, body}).code()
	}()
	if _, err := uploaded.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	m.Kill()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("the download ended cleanly after %d bytes more", n)
	}
	_, _ = uploaded.Write(make([]byte, size-8<<20))
	_ = uploaded.Close()
	if code := <-put; code != "ServiceUnavailable" && code != "connection ended" {
		t.Errorf("the upload's answer is %q", code)
	}
	res := tn.raw().do(t, &request{method: "GET", path: "/broken/k"})
	if res.status != http.StatusServiceUnavailable || res.code() != "ServiceUnavailable" || strings.Contains(string(res.body), m.Endpoint[strings.LastIndexByte(m.Endpoint, ':'):]) { // the port alone
		t.Errorf("without a backend: %d %s", res.status, res.body)
	}
	again := testenv.OwnMinIO(t, dir)
	if err := g.store.RotateBackend(t.Context(), g.owner, g.backend.Name, again.AccessKey, again.SecretKey, []string{again.Endpoint}); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the backend's return", func() bool {
		return tn.raw().do(t, &request{method: "HEAD", path: "/broken/k"}).status == http.StatusOK
	})
	if res := tn.raw().do(t, &request{method: "GET", path: "/broken/half"}); res.status != http.StatusNotFound {
		t.Errorf("half an upload is there: %d", res.status)
	}
}

// One of a backend's two endpoints is dead: nobody notices.
func TestUpstream_oneEndpointDead(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	_ = l.Close()
	if err := g.store.RotateBackend(t.Context(), g.owner, g.backend.Name, g.minio.AccessKey, g.minio.SecretKey, []string{dead, g.minio.Endpoint}); err != nil {
		t.Fatal(err)
	}
	tn := g.tenant()
	tn.put(t, "k", 1000)
	for i := range 50 {
		for _, q := range []*request{{method: "GET", path: "/broken/k"}, {method: "PUT", path: "/broken/p", body: []byte("x")}} {
			if res := tn.raw().do(t, q); res.status != http.StatusOK {
				t.Fatalf("%d: %s answers %d %s", i, q.method, res.status, res.body)
			}
		}
	}
}

// Without PostgreSQL what is cached keeps working, and what is not known is 503,
// never 403 (ARCHITECTURE.md, invariant 5).
func TestDirectoryAway(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn, late := g.tenant(), g.tenant()
	data := tn.put(t, "k", 1000)
	get := func(tn *tenant) *reply { return tn.raw().do(t, &request{method: "GET", path: "/broken/k"}) }
	// What is still to be heard of the bucket's creation would drop it again.
	made := float64(time.Now().Unix() + 1)
	testenv.WaitFor(t, "all that was done to be heard of", func() bool { return g.metric(t, "primecloud_tenancy_directory_heard_timestamp_seconds") > made })
	testenv.WaitFor(t, "the cache to be warm", func() bool {
		before := g.metric(t, "primecloud_tenancy_directory_misses_total")
		return get(tn).status == http.StatusOK && g.metric(t, "primecloud_tenancy_directory_misses_total") == before
	})
	back := g.db.TakeAway(t)
	if res := get(late); res.status != http.StatusServiceUnavailable {
		t.Errorf("a key that is not cached: %d %s", res.status, res.body)
	}
	if res := get(tn); res.status != http.StatusOK || !bytes.Equal(res.body, data) {
		t.Errorf("a cached key: %d %s", res.status, res.code())
	}
	back()
	testenv.WaitFor(t, "PostgreSQL's return", func() bool { return get(late).code() == "NoSuchBucket" })
}

// A plain download goes from socket to socket in the kernel, and no transfer
// holds an object in memory. Not parallel: memory is measured for the process.
func TestTransfer_kernelPathAndMemory(t *testing.T) { //nolint:paralleltest // measures the whole process
	g := newGateway(t, options{})
	tn := g.tenant()
	const size = 256 << 20
	tn.raw().do(t, &request{method: "PUT", path: "/broken"})

	allocated := func(what string, run func()) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s of %d MiB allocated %d KiB", what, size>>20, n>>10)
		}
	}
	allocated("PUT", func() {
		r := tn.raw().build(t, &request{method: "PUT", path: "/broken/k", payload: "UNSIGNED-PAYLOAD"})
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, size)), size
		resp, err := rawClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode)
		}
	})
	allocated("GET", func() {
		_, resp := tn.raw().download(t, "/broken/k")
		if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
			t.Fatal(n, err)
		}
	})
	testenv.WaitFor(t, "what the kernel moved", func() bool {
		n := g.metric(t, "primecloud_proxy_spliced_bytes_total")
		return n >= size*15/16 && n <= size
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
