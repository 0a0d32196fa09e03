package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy/flatnames"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A name is an object or a folder of others, with MinIO: see look.go.

// creators are the ways to make an object, by operation.
var creators = map[string]func(t *testing.T, tn *tenant, bucket, key string) *reply{
	"PutObject": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return tn.raw().do(t, &request{method: "PUT", path: "/" + bucket + "/" + key, body: []byte("x")})
	},
	"PutObject of nothing": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return tn.raw().do(t, &request{method: "PUT", path: "/" + bucket + "/" + key})
	},
	"PutObject of many pieces": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return tn.raw().do(t, &request{method: "PUT", path: "/" + bucket + "/" + key, body: make([]byte, 9<<20), payload: "UNSIGNED-PAYLOAD"})
	},
	"CopyObject": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return tn.raw().do(t, &request{method: "PUT", path: "/" + bucket + "/" + key, header: headers("x-amz-copy-source", bucket+"/source")})
	},
	"CreateMultipartUpload": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return tn.raw().do(t, &request{method: "POST", path: "/" + bucket + "/" + key, query: query("uploads", "")})
	},
	"PostObject": func(t *testing.T, tn *tenant, bucket, key string) *reply {
		return postForm(t, tn, bucket, map[string]string{"key": key}, bucket, "x")
	},
}

// beginUpload begins an upload of one part and returns what completes it.
func beginUpload(t *testing.T, tn *tenant, bucket, key string) func() *reply {
	t.Helper()
	e, path := tn.raw(), "/"+bucket+"/"+key
	r := creators["CreateMultipartUpload"](t, tn, bucket, key)
	_, rest, _ := strings.Cut(string(r.body), "<UploadId>")
	id, _, _ := strings.Cut(rest, "</UploadId>")
	part := e.do(t, &request{method: "PUT", path: path, query: query("uploadId", id, "partNumber", "1"), body: []byte("part")})
	if r.status != http.StatusOK || part.status != http.StatusOK {
		t.Fatalf("%d %s, %d %s", r.status, r.body, part.status, part.body)
	}
	doc := `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + part.header.Get("Etag") + `</ETag></Part></CompleteMultipartUpload>`
	return func() *reply {
		return e.do(t, &request{method: "POST", path: path, query: query("uploadId", id), body: []byte(doc)})
	}
}

// nameTenant has a bucket "names" with an object "source".
func nameTenant(t *testing.T, g *gateway) *tenant {
	t.Helper()
	tn := g.tenant()
	for _, path := range []string{"/names", "/names/source"} {
		if r := tn.raw().do(t, &request{method: "PUT", path: path}); r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
	}
	return tn
}

func (tn *tenant) mustPut(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if r := creators["PutObject"](t, tn, "names", key); r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", key, r.status, r.body)
		}
	}
}

// listed are the keys that a listing has.
func (tn *tenant) listed(t *testing.T, prefix string) (keys []string) {
	t.Helper()
	r := tn.raw().do(t, &request{method: "GET", path: "/names", query: query("list-type", "2", "prefix", prefix)})
	for _, piece := range strings.Split(string(r.body), "<Key>")[1:] {
		key, _, _ := strings.Cut(piece, "</Key>")
		keys = append(keys, key)
	}
	return keys
}

// direct asks the backend itself, which gives an object that no listing has.
func (tn *tenant) direct(t *testing.T, method, key string) *reply {
	t.Helper()
	b, err := tn.g.dir.Bucket(t.Context(), tn.account.ID, []byte("names"))
	if err != nil {
		t.Fatal(err)
	}
	m := tn.g.minio
	e := &endpoint{strings.TrimPrefix(m.Endpoint, "http://"), m.AccessKey, m.SecretKey}
	return e.do(t, &request{method: method, path: "/" + b.BackendName + "/" + key})
}

func (tn *tenant) stored(t *testing.T, key string) bool {
	t.Helper()
	return tn.direct(t, "HEAD", key).status == http.StatusOK
}

func (tn *tenant) putDirect(t *testing.T, key string) {
	t.Helper()
	if r := tn.direct(t, "PUT", key); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
}

// TestNames_everyOperation: whatever makes an object makes none that a listing
// would not have, and none that would take others out of it.
func TestNames_everyOperation(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	covered := map[string]bool{"CompleteMultipartUpload": true} // below
	refused := func(name string, r *reply, key, first string) {
		t.Helper()
		if r.status != http.StatusBadRequest || r.code() != "InvalidArgument" || !strings.Contains(string(r.body), `"`+first+`"`) ||
			!strings.Contains(string(r.body), "<ArgumentValue>"+key+"</ArgumentValue>") {
			t.Errorf("%s of %s: %d %s", name, key, r.status, r.body)
		}
		if tn.stored(t, key) {
			t.Errorf("%s: %s was stored", name, key)
		}
	}
	for name, create := range creators {
		covered[strings.Fields(name)[0]] = true
		at := strings.ReplaceAll(name, " ", "-")
		tn.mustPut(t, at+"/top", at+"/folder/x/y", at+"/empty/")
		for _, key := range []string{"top/d0", "top/a/b/c", "top/folder/"} {
			refused(name, create(t, tn, "names", at+"/"+key), at+"/"+key, at+"/top")
		}
		for _, key := range []string{"folder", "folder/x"} {
			refused(name, create(t, tn, "names", at+"/"+key), at+"/"+key, at+"/folder/x/y")
		}
		// The object itself, one beside it, and the empty objects that stand for folders.
		for _, key := range []string{"top", "topper", "to", "top/", "empty", "folder/", "folder/z", "folder/x/"} {
			if name == "CreateMultipartUpload" && strings.HasSuffix(key, "/") {
				continue // MinIO has no such uploads
			}
			if r := create(t, tn, "names", at+"/"+key); r.status >= 300 {
				t.Errorf("%s of %s: %d %s", name, key, r.status, r.body)
			}
		}
	}
	for _, o := range s3op.Operations {
		if o.Creates != covered[o.Name] {
			t.Errorf("%s creates: %v; tried here: %v", o.Name, o.Creates, covered[o.Name])
		}
	}
	above, below := beginUpload(t, tn, "names", "mp/a"), beginUpload(t, tn, "names", "mp/b/c")
	again := beginUpload(t, tn, "names", "mp/c")
	tn.mustPut(t, "mp/a/x", "mp/b", "mp/c")
	refused("CompleteMultipartUpload", above(), "mp/a", "mp/a/x")
	refused("CompleteMultipartUpload", below(), "mp/b/c", "mp/b")
	if r := again(); r.status != http.StatusOK {
		t.Errorf("over an object: %d %s", r.status, r.body)
	}
}

// TestNames_freed: who has the answer of one request may send another that
// contradicts it.
func TestNames_freed(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	var clients sync.WaitGroup
	for c := range 8 { // busy enough for a goroutine to wait for its turn
		clients.Go(func() {
			for i := range 50 {
				at := fmt.Sprintf("%d-%d", c, i)
				if r := creators["PutObject"](t, tn, "names", at+"/x"); r.status != http.StatusOK {
					t.Errorf("%d %s", r.status, r.body)
				}
				if r := creators["PutObject"](t, tn, "names", at); r.status != http.StatusBadRequest {
					t.Errorf("an object above another: %d %s", r.status, r.body)
				}
				if r := creators["PutObject"](t, tn, "names", at+"/y"); r.status != http.StatusOK {
					t.Errorf("after a refused one: %d %s", r.status, r.body)
				}
			}
		})
	}
	clients.Wait()
}

// TestNames_versions: what has been deleted in a bucket with versions is still
// there, and MinIO lists nothing below it.
func TestNames_versions(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	e := tn.raw()
	versioning := func(status string) {
		t.Helper()
		doc := "<VersioningConfiguration><Status>" + status + "</Status></VersioningConfiguration>"
		if r := e.do(t, &request{method: "PUT", path: "/names", query: query("versioning", ""), body: []byte(doc)}); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	remove := func(path string, q url.Values) {
		t.Helper()
		if r := e.do(t, &request{method: "DELETE", path: path, query: q}); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	for _, status := range []string{"Enabled", "Suspended"} {
		versioning(status)
		gone, below := status+"/gone", status+"/below"
		tn.mustPut(t, gone, below+"/x")
		remove("/names/"+gone, nil)
		remove("/names/"+below+"/x", nil)
		for _, key := range []string{gone + "/x", below} {
			if r := creators["PutObject"](t, tn, "names", key); r.status != http.StatusBadRequest || tn.stored(t, key) {
				t.Errorf("%s, %s: %d %s", status, key, r.status, r.body)
			}
		}
		// What was never there leaves nothing behind when it is deleted.
		tn.mustPut(t, status+"/f/x")
		remove("/names/"+status+"/f", nil)
		doc := []byte("<Delete><Object><Key>" + status + "/f</Key></Object></Delete>")
		if r := e.do(t, &request{method: "POST", path: "/names", query: query("delete", ""), body: doc, header: headers("Content-MD5", contentMD5(doc))}); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if got := tn.listed(t, status+"/f"); !slices.Equal(got, []string{status + "/f/x"}) {
			t.Errorf("%s: after the delete of a folder's name: %q", status, got)
		}
		// With its last version it is a name like any other.
		for _, key := range []string{gone, below + "/x"} {
			list := e.do(t, &request{method: "GET", path: "/names", query: query("versions", "", "prefix", key)})
			for _, piece := range strings.Split(string(list.body), "<VersionId>")[1:] {
				id, _, _ := strings.Cut(piece, "</VersionId>")
				remove("/names/"+key, query("versionId", id))
			}
		}
		tn.mustPut(t, gone+"/x", below)
	}
}

// TestNames_atOnce: of two that contradict each other one is refused, however
// close they are, and afterwards a listing has what was answered with 200.
func TestNames_atOnce(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	for i := range 40 {
		keys := []string{fmt.Sprintf("%d/a", i), fmt.Sprintf("%d/a/b", i), fmt.Sprintf("%d/a/b/c", i)}
		replies := make([]*reply, len(keys))
		var all sync.WaitGroup
		for k, key := range keys {
			all.Go(func() { replies[k] = creators["PutObject"](t, tn, "names", key) })
		}
		all.Wait()
		var kept []string
		for k, r := range replies {
			switch {
			case r.status == http.StatusOK:
				kept = append(kept, keys[k])
			case r.status == http.StatusConflict && r.code() == "OperationAborted", r.status == http.StatusBadRequest:
			default:
				t.Errorf("%s: %d %s", keys[k], r.status, r.body)
			}
		}
		if got := tn.listed(t, fmt.Sprintf("%d/", i)); len(kept) > 1 || !slices.Equal(got, kept) {
			t.Errorf("answered with 200: %q; listed: %q", kept, got)
		}
	}
}

// TestNames_soon: who has had the answer may go on with the next at once.
func TestNames_soon(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	e := tn.raw()
	for range 50 {
		tn.mustPut(t, "a")
		if r := creators["PutObject"](t, tn, "names", "a/b"); r.status != http.StatusBadRequest {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r := e.do(t, &request{method: "DELETE", path: "/names/a"}); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
		tn.mustPut(t, "a/b")
		if r := creators["PutObject"](t, tn, "names", "a"); r.status != http.StatusBadRequest {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r := e.do(t, &request{method: "DELETE", path: "/names/a/b"}); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
		complete := beginUpload(t, tn, "names", "a")
		if r := complete(); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r := e.do(t, &request{method: "DELETE", path: "/names/a"}); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
}

// waitingLog keeps a request from being over, though its client has the answer.
type waitingLog struct {
	wait chan struct{}
}

func (l *waitingLog) Add(r *accesslog.Record) {
	if key := string(r.Key); r.Status < 300 && (key == "a" || key == "b/c" && r.Operation == "CompleteMultipartUpload") {
		<-l.wait
	}
}

// TestNames_answered: the names are free again when the client has its answer.
func TestNames_answered(t *testing.T) {
	t.Parallel()
	log := &waitingLog{make(chan struct{})}
	tn := nameTenant(t, newGateway(t, options{record: log}))
	complete := beginUpload(t, tn, "names", "b/c")
	for _, c := range []struct {
		first  func() *reply
		second string
	}{
		{func() *reply { return creators["PutObject"](t, tn, "names", "a") }, "a/x"},
		{func() *reply { return creators["CopyObject"](t, tn, "names", "a") }, "a/x"},
		{func() *reply { return creators["PostObject"](t, tn, "names", "a") }, "a/x"},
		{complete, "b"},
	} {
		if r := c.first(); r.status >= 300 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		// On a connection of its own: the other one is not over.
		q := request{method: "PUT", path: "/names/" + c.second}
		r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(tn.raw().build(t, &q))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("%d %s", r.StatusCode, text)
		}
		log.wait <- struct{}{}
	}
}

// TestNames_told: a key that may not list is told no name that it has not sent.
func TestNames_told(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := nameTenant(t, g)
	tn.mustPut(t, "box/secret")
	writer := &tenant{g: g, account: tn.account, key: tn.newKey(tenancy.Key{Permissions: []string{"write"}})}
	r := creators["PutObject"](t, writer, "names", "box")
	if r.status != http.StatusBadRequest || strings.Contains(string(r.body), "secret") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestNames_off: an operator may switch the look off, and a backend that is no
// MinIO is not looked at.
func TestNames_off(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"AnyNames": {names: true}, "another kind of backend": {kind: tenancy.BackendS3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, o)
			nameTenant(t, g).mustPut(t, "a", "a/b", "c/d", "c")
			if n := g.metric(t, "primecloud_proxy_name_looks_total"); n != 0 {
				t.Errorf("%v looks", n)
			}
		})
	}
}

// watchedMinIO is MinIO behind a proxy that sees every request, and may answer it.
func watchedMinIO(t *testing.T, m *devstack.MinIO, see func(w http.ResponseWriter, r *http.Request) bool) *devstack.MinIO {
	t.Helper()
	to, err := url.Parse(m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !see(w, r) {
			pass.ServeHTTP(w, r)
		}
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	watched := *m
	watched.Endpoint = "http://" + l.Addr().String()
	return &watched
}

// TestNames_unanswered: what could not be looked up is not stored, and the client
// is told to come again.
func TestNames_unanswered(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	isLook := func(r *http.Request) bool { return r.Method == "HEAD" || r.URL.Query().Has("versions") }
	for _, how := range []string{"503", "302", "403", "cut", "not XML", "an error in a 200"} {
		for _, key := range []string{"a", "b/a"} {
			m := testenv.MinIO(t)
			g := newGateway(t, options{minio: watchedMinIO(t, m, func(w http.ResponseWriter, r *http.Request) bool {
				if !broken.Load() || !isLook(r) {
					return false
				}
				switch how {
				case "503":
					w.WriteHeader(http.StatusServiceUnavailable)
				case "302":
					w.Header().Set("Location", "http://elsewhere.test/")
					w.WriteHeader(http.StatusFound)
				case "403":
					w.WriteHeader(http.StatusForbidden)
				case "not XML":
					if r.Method == "HEAD" {
						return false
					}
					_, _ = w.Write([]byte("<html>"))
				case "an error in a 200":
					if r.Method == "HEAD" {
						return false
					}
					_, _ = w.Write([]byte("<Error><Code>SlowDown</Code></Error>"))
				case "cut":
					panic(http.ErrAbortHandler)
				}
				return true
			})})
			tn := nameTenant(t, g)
			broken.Store(true)
			r := creators["PutObject"](t, tn, "names", key)
			broken.Store(false)
			if r.status != http.StatusServiceUnavailable || tn.stored(t, key) {
				t.Errorf("%s, %s: %d %s", how, key, r.status, r.body)
			}
			tn.mustPut(t, key)
		}
	}
}

// TestNames_remembered: folders and objects that are known are not asked about.
func TestNames_remembered(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := newGateway(t, options{minio: watchedMinIO(t, testenv.MinIO(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == "HEAD" || r.URL.Query().Has("versions") {
			asked.Add(1)
		}
		return false
	})})
	tn := nameTenant(t, g)
	count := func(keys ...string) int64 {
		before := asked.Load()
		tn.mustPut(t, keys...)
		return asked.Load() - before
	}
	if n := count("a/b/c/1"); n != 4 {
		t.Errorf("%d questions for three folders and a key", n)
	}
	if n := count("a/b/c/2", "a/b/c/3"); n != 2 {
		t.Errorf("%d questions for two keys of a folder that is known", n)
	}
	if n := count("a/b/c/1", "a/b/c/2", "a/b/c/3"); n != 0 {
		t.Errorf("%d questions for keys that are known", n)
	}
}

// TestNames_longUpload: what was found when a long upload began, or for a request
// before it, is looked up again before it ends.
func TestNames_longUpload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, during time.Duration }{
		"asked":      {0, flatnames.Memory + time.Second},
		"remembered": {flatnames.Memory - 2*time.Second, flatnames.Memory + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var later atomic.Int64
			g := newGateway(t, options{now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
			tn := nameTenant(t, g)
			if c.before > 0 {
				tn.mustPut(t, "top")
				if r := tn.raw().do(t, &request{method: "DELETE", path: "/names/top"}); r.status != http.StatusNoContent {
					t.Fatalf("%d %s", r.status, r.body)
				}
			}
			later.Store(int64(c.before))
			looks := g.metric(t, "primecloud_proxy_name_looks_total")
			q := request{method: "PUT", path: "/names/top", body: make([]byte, 1000), payload: "UNSIGNED-PAYLOAD"}
			conn, err := net.Dial("tcp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			wire := wireOf(t, tn.raw().build(t, &q))
			if _, err := io.WriteString(conn, wire[:len(wire)-10]); err != nil {
				t.Fatal(err)
			}
			testenv.WaitFor(t, "the first look", func() bool { return g.metric(t, "primecloud_proxy_name_looks_total") > looks })
			tn.putDirect(t, "top/elsewhere") // as another node does
			later.Store(int64(c.during))
			if _, err := io.WriteString(conn, wire[len(wire)-10:]); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
			if r.StatusCode != http.StatusBadRequest || tn.stored(t, "top") {
				t.Errorf("%d, stored: %v", r.StatusCode, tn.stored(t, "top"))
			}
		})
	}
}

// TestNames_quota: a copy that was never asked for, because the look failed, keeps
// nothing of a quota.
func TestNames_quota(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	g := newGateway(t, options{minio: watchedMinIO(t, testenv.MinIO(t), func(w http.ResponseWriter, r *http.Request) bool {
		if broken.Load() && r.URL.Query().Has("versions") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})})
	tn := nameTenant(t, g)
	const size = 1000
	if r := tn.raw().do(t, &request{method: "PUT", path: "/names/source", body: make([]byte, size)}); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	tn.limit(t, hardCap(tenancy.Storage, size))
	broken.Store(true)
	if r := creators["CopyObject"](t, tn, "names", "copy"); r.status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", r.status, r.body)
	}
	broken.Store(false)
	testenv.WaitFor(t, "the quota to be there again", func() bool { return creators["CopyObject"](t, tn, "names", "copy").status == http.StatusOK })
}

// TestNames_early: an upload that cannot be kept is refused before it has come whole.
func TestNames_early(t *testing.T) {
	t.Parallel()
	tn := nameTenant(t, newGateway(t, options{}))
	tn.mustPut(t, "top")
	const size = 64 << 20
	q := request{method: "PUT", path: "/names/top/below", body: make([]byte, size), payload: "UNSIGNED-PAYLOAD"}
	c := tn.raw().build(t, &q)
	conn, err := net.Dial("tcp", tn.g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	head, _, _ := strings.Cut(wireOf(t, c), "\r\n\r\n")
	if _, err := conn.Write([]byte(head + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := conn.Write(piece); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	testenv.WaitFor(t, "the refusal", func() bool {
		_, _ = conn.Write(piece[:1024]) // a step, after which it is looked
		return tn.g.metric(t, "primecloud_proxy_name_looks_total") > 0 && strings.Contains(tn.g.log.String(), "InvalidArgument")
	})
	n, _ := conn.Read(answer)
	if !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 400")) {
		t.Errorf("%s", answer[:n])
	}
}
