package proxy_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// records are the lines so far.
func (g *gateway) records(t testing.TB) []*accesslog.Record {
	t.Helper()
	if err := g.lines.Flush(); err != nil {
		t.Fatal(err)
	}
	var all []*accesslog.Record
	for e, err := range accesslog.Read(g.logDir) {
		if err != nil {
			t.Fatal(err)
		}
		if e.IsRecord() {
			all = append(all, &e.Record)
		}
	}
	return all
}

// booked is what the files have in all, as whoever adds them up reads them:
// lines of proven requests, and sums of the others.
func (g *gateway) booked(t testing.TB) map[cellKey]usage.Delta {
	t.Helper()
	if err := g.lines.Flush(); err != nil {
		t.Fatal(err)
	}
	cells := map[cellKey]usage.Delta{}
	add := func(account, bucket, key tenancy.ID, c *usage.Delta) {
		k := cellKey{account, bucket, key, c.Class.String(), c.Hour}
		sum := cells[k]
		sum.Add(c)
		cells[k] = sum
	}
	for e, err := range accesslog.Read(g.logDir) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Sum != nil:
			add(e.Sum.AccountID, e.Sum.BucketID, e.Sum.AccessKeyID, &e.Sum.Delta)
		case e.IsRecord() && !e.Summed:
			for _, c := range e.Record.Cells() {
				add(e.Record.AccountID, e.Record.BucketID, e.Record.AccessKeyID, &c)
			}
		}
	}
	return cells
}

// line waits for the line of which so is true.
func (g *gateway) line(t testing.TB, what string, so func(*accesslog.Record) bool) *accesslog.Record {
	t.Helper()
	var found *accesslog.Record
	testenv.WaitFor(t, "the line of "+what, func() bool {
		for _, r := range g.records(t) {
			if so(r) {
				found = r
			}
		}
		return found != nil
	})
	return found
}

func (g *gateway) lineOf(t testing.TB, r *reply) *accesslog.Record {
	t.Helper()
	id := r.header.Get("X-Amz-Request-Id")
	return g.line(t, id, func(r *accesslog.Record) bool { return r.RequestID.String() == id })
}

// Every field of a line, against real requests.
func TestAccessLog_fields(t *testing.T) { //nolint:tparallel // one bucket, step by step
	t.Parallel()
	began := time.Now().Round(0) // as a line has it
	g := newGateway(t, options{tls: true})
	tn := g.tenant()
	e := tn.raw()
	created := e.do(t, &request{method: "PUT", path: "/logged"})
	bucket, err := tenancy.BucketByName(t.Context(), g.owner, tn.account.ID, "logged")
	if err != nil {
		t.Fatal(err)
	}
	hour := began.UTC().Truncate(time.Hour)
	line := func(op, method, auth, target, key string, status int, code string, class usage.Class, change func(*accesslog.Record)) *accesslog.Record {
		r := &accesslog.Record{
			Node: "node-1", Operation: op, Method: accesslog.Text(method), Protocol: accesslog.Text("HTTP/1.1"), Status: status, ErrorCode: code,
			AccountID: tn.account.ID, BucketID: bucket.ID, AccessKeyID: tn.key.ID, OwnerID: tn.account.ID, Owner: tn.account.Name, Bucket: accesslog.Text("logged"),
			Key: accesslog.Text(key), Requester: tn.account.CanonicalID, AccessKey: tn.key.KeyID, Auth: auth, Target: accesslog.Text(target),
			Host: accesslog.Text(g.addr), Referer: accesslog.Text("https://example.test/page?a=b"), UserAgent: accesslog.Text(`agent "1.0"`), ObjectSize: -1,
			Delta: usage.Delta{Class: class, Hour: hour, Requests: 1},
		}
		if auth == "anonymous" {
			r.AccessKeyID, r.Requester, r.AccessKey = tenancy.ID{}, "", ""
		}
		if change != nil {
			change(r)
		}
		return r
	}
	check := func(t *testing.T, got, want *accesslog.Record) {
		t.Helper()
		if len(got.RequestID) != 16 || len(got.HostID) < 16 || got.Time.Before(began) || got.Time.After(time.Now()) || got.Elapsed <= 0 || got.Backend > got.Elapsed || !got.Remote.IsLoopback() {
			t.Errorf("id %q, host id %q, time %v, elapsed %v, backend %v, from %v", got.RequestID, got.HostID, got.Time, got.Elapsed, got.Backend, got.Remote)
		}
		seen := *got
		seen.Time, seen.RequestID, seen.HostID, seen.Elapsed, seen.Backend, seen.Remote = want.Time, nil, "", 0, 0, want.Remote
		if seen.Hour.Equal(hour.Add(time.Hour)) {
			seen.Hour = hour // the clock has gone on
		}
		if diff := cmp.Diff(*want, seen, sameText, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	plain := func(r *accesslog.Record) { r.Referer, r.UserAgent = nil, g.lineOf(t, created).UserAgent }
	check(t, g.lineOf(t, created), line("CreateBucket", "PUT", "header", "/logged", "", 200, "", usage.ClassA, func(r *accesslog.Record) {
		r.BucketID = tenancy.ID{} // the ledger counts it beside the buckets: there was none
		plain(r)
	}))

	data := bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // 128 KiB
	counted := func(in, out, size int64) func(*accesslog.Record) {
		return func(r *accesslog.Record) {
			r.Ingress, r.DeclaredIngress, r.Egress, r.DeclaredEgress, r.ObjectSize = in, in, out, out, size
		}
	}
	up := e.do(t, &request{method: "POST", path: "/logged/multi", query: query("uploads", "")})
	id := uploadID.FindSubmatch(up.body)[1]
	escapedID := url.QueryEscape(string(id))
	forbidden := tn.newKey(tenancy.Key{Permissions: []string{"read"}})
	for _, c := range []struct {
		name   string
		req    request
		want   *accesslog.Record
		key    *tenancy.Key
		backed bool // the backend was asked
	}{
		{"PUT", request{method: "PUT", path: "/logged/dir/a b+ü", body: data},
			line("PutObject", "PUT", "header", "/logged/dir/a%20b%2B%C3%BC", "dir/a b+ü", 200, "", usage.ClassA, counted(128<<10, 0, 128<<10)), nil, true},
		{"GET", request{method: "GET", path: "/logged/dir/a b+ü"},
			line("GetObject", "GET", "header", "/logged/dir/a%20b%2B%C3%BC", "dir/a b+ü", 200, "", usage.ClassB, counted(0, 128<<10, 128<<10)), nil, true},
		{"range", request{method: "GET", path: "/logged/dir/a b+ü", header: headers("Range", "bytes=10-19")},
			line("GetObject", "GET", "header", "/logged/dir/a%20b%2B%C3%BC", "dir/a b+ü", 206, "", usage.ClassB, counted(0, 10, 128<<10)), nil, true},
		{"HEAD", request{method: "HEAD", path: "/logged/dir/a b+ü"},
			line("HeadObject", "HEAD", "header", "/logged/dir/a%20b%2B%C3%BC", "dir/a b+ü", 200, "", usage.ClassB, counted(0, 0, 128<<10)), nil, true},
		{"copy", request{method: "PUT", path: "/logged/copied", header: headers("x-amz-copy-source", "logged/dir/a%20b%2B%C3%BC")},
			line("CopyObject", "PUT", "header", "/logged/copied", "copied", 200, "", usage.ClassA, nil), nil, true},
		{"part", request{method: "PUT", path: "/logged/multi", query: query("partNumber", "1", "uploadId", string(id)), body: data},
			line("UploadPart", "PUT", "header", "/logged/multi?partNumber=1&uploadId="+escapedID, "multi", 200, "", usage.ClassA, counted(128<<10, 0, 128<<10)), nil, true},
		{"complete", request{method: "POST", path: "/logged/multi", query: query("uploadId", string(id)), body: []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"` + etagOf(data) + `"</ETag></Part></CompleteMultipartUpload>`)},
			line("CompleteMultipartUpload", "POST", "header", "/logged/multi?uploadId="+escapedID, "multi", 200, "", usage.ClassA, nil), nil, true},
		{"batch", request{method: "POST", path: "/logged", query: query("delete", ""), header: headers("Content-Md5", contentMD5([]byte(oneKey))), body: []byte(oneKey)},
			line("DeleteObjects", "POST", "header", "/logged?delete=", "", 200, "", usage.ClassFree, nil), nil, true},
		{"list", request{method: "GET", path: "/logged", query: query("list-type", "2", "prefix", "dir/")},
			line("ListObjectsV2", "GET", "header", "/logged?list-type=2&prefix=dir%2F", "", 200, "", usage.ClassA, nil), nil, true},
		{"presigned", request{method: "GET", path: "/logged/multi", presign: true, query: query("response-content-type", "a/b")},
			line("GetObject", "GET", "query", "", "multi", 200, "", usage.ClassB, counted(0, 128<<10, 128<<10)), nil, true},
		{"missing", request{method: "GET", path: "/logged/missing", query: query("versionId", "null")},
			line("GetObject", "GET", "header", "/logged/missing?versionId=null", "missing", 404, "", usage.ClassB, func(r *accesslog.Record) { r.VersionID = accesslog.Text("null") }), nil, true},
		{"no right", request{method: "PUT", path: "/logged/k", body: []byte("x")},
			line("PutObject", "PUT", "header", "/logged/k", "k", 403, "AccessDenied", usage.ClassUnbilled, func(r *accesslog.Record) {
				// Refused before the bucket was looked up.
				r.BucketID, r.AccessKeyID, r.AccessKey = tenancy.ID{}, forbidden.ID, forbidden.KeyID
			}), forbidden, false},
		{"wrong secret", request{method: "GET", path: "/logged/k"},
			line("GetObject", "GET", "header", "/logged/k", "k", 403, "SignatureDoesNotMatch", usage.ClassUnbilled, func(r *accesslog.Record) {
				r.BucketID, r.Owner, r.Requester, r.AccessKey = tenancy.ID{}, "", "", "" // counted as the key's, proven to be nobody's
			}), &tenancy.Key{KeyID: tn.key.KeyID, Secret: "wrong"}, false},
		{"anonymous", request{method: "GET", path: "/logged/dir/a b+ü", anonymous: true, host: tn.account.Name + ".tenants.example.test"},
			line("GetObject", "GET", "anonymous", "/logged/dir/a%20b%2B%C3%BC", "dir/a b+ü", 403, "AccessDenied", usage.ClassUnbilled, func(r *accesslog.Record) {
				r.Host = accesslog.Text(tn.account.Name + ".tenants.example.test")
			}), nil, true},
		{"no operation", request{method: "GET", path: "/logged", query: query("torrent", "")},
			line("-", "GET", "-", "/logged?torrent=", "", 501, "NotImplemented", usage.ClassUnbilled, func(r *accesslog.Record) {
				r.AccessKeyID, r.Requester, r.AccessKey = tenancy.ID{}, "", ""
				r.AccountID, r.BucketID, r.OwnerID, r.Owner = tenancy.ID{}, tenancy.ID{}, tenancy.ID{}, ""
			}), nil, false},
		{"no bucket of the account", request{method: "GET", path: "/nobodys/k"},
			line("GetObject", "GET", "header", "/nobodys/k", "k", 404, "NoSuchBucket", usage.ClassB, func(r *accesslog.Record) {
				r.BucketID, r.Bucket = tenancy.ID{}, accesslog.Text("nobodys")
			}), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			signer := *e
			if c.key != nil {
				signer.id, signer.secret = c.key.KeyID, c.key.Secret
			}
			q := c.req
			q.edit = func(r *http.Request) { // not signed
				r.Header.Set("Referer", "https://example.test/page?a=b")
				r.Header.Set("User-Agent", `agent "1.0"`)
			}
			r := signer.do(t, &q)
			got, want := g.lineOf(t, r), c.want
			if c.backed != (got.Backend > 0) {
				t.Errorf("the backend took %v", got.Backend)
			}
			if q.presign {
				if !strings.HasPrefix(got.Target.String(), "/logged/multi?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=") || !strings.HasSuffix(got.Target.String(), "&response-content-type=a%2Fb") {
					t.Errorf("target %s", got.Target)
				}
				want.Target = got.Target
			}
			if strings.HasPrefix(c.name, "missing") {
				want.ErrorCode = r.code()
			}
			// What the answer and the document have is the client's to know.
			if want.Egress == 0 && q.method != "HEAD" {
				want.Egress, want.DeclaredEgress = int64(len(r.body)), got.DeclaredEgress
			}
			if want.Ingress == 0 && len(q.body) > 0 && r.status < 300 {
				want.Ingress, want.DeclaredIngress = int64(len(q.body)), int64(len(q.body))
			}
			check(t, got, want)
		})
	}
	t.Run("signed chunks", func(t *testing.T) {
		c, err := minio.New(g.addr, &minio.Options{Creds: miniocreds.NewStaticV4(tn.key.KeyID, tn.key.Secret, ""), Region: "us-east-1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutObject(t.Context(), "logged", "chunked", bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		got := g.line(t, "a chunked upload", func(r *accesslog.Record) bool { return r.Key.String() == "chunked" })
		if got.Ingress != int64(len(data)) || got.ObjectSize != int64(len(data)) || got.Auth != "header" || got.Operation != "PutObject" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("form", func(t *testing.T) {
		got := g.lineOf(t, postForm(t, tn, "logged", map[string]string{"key": "form/${filename}"}, "logged", "the file"))
		if got.Operation != "PostObject" || got.Auth != "form" || got.Key.String() != "form/name.txt" || got.Ingress != 8 || got.ObjectSize != 8 || got.BucketID != bucket.ID || got.AccessKey != tn.key.KeyID {
			t.Errorf("%+v", got)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		got := g.lineOf(t, tn.doTLS(t, &request{method: "GET", path: "/logged/multi"}))
		if got.TLS != "TLS 1.3" || !strings.HasPrefix(got.Cipher, "TLS_") || got.Egress != int64(len(data)) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("version", func(t *testing.T) {
		e.do(t, &request{method: "PUT", path: "/logged", query: query("versioning", ""), body: []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)})
		r := e.do(t, &request{method: "PUT", path: "/logged/versioned", body: []byte("1")})
		if got := g.lineOf(t, r); got.VersionID.String() != r.header.Get("X-Amz-Version-Id") || len(got.VersionID) < 8 {
			t.Errorf("version %q, the answer says %q", got.VersionID, r.header.Get("X-Amz-Version-Id"))
		}
	})
}

var sameText = cmp.Comparer(func(a, b accesslog.Text) bool { return bytes.Equal(a, b) })

const oneKey = `<Delete><Object><Key>copied</Key></Object></Delete>`

// A download that its client leaves has what its socket took, as the ledger.
func TestAccessLog_abortedDownload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	const size = 32 << 20
	e.do(t, &request{method: "PUT", path: "/aborted"})
	if r := e.do(t, &request{method: "PUT", path: "/aborted/k", body: make([]byte, size)}); r.status != 200 {
		t.Fatal(r.status)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(e.build(t, &request{method: "GET", path: "/aborted/k"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := g.lineOf(t, &reply{header: resp.Header})
	if got.Status != 499 || got.ErrorCode != "ClientDisconnected" || got.Egress < 1<<20 || got.Egress >= size || got.DeclaredEgress != size || got.ObjectSize != size {
		t.Errorf("%+v", got)
	}
	if u := usageBy(t, g, tn, ledger.ByClass)["B"]; u.Egress != got.Egress || u.Requests != 1 {
		t.Errorf("the ledger has %+v, the line %d bytes", u, got.Egress)
	}
}

// cellKey is a row of usage_hourly.
type cellKey struct {
	account, bucket, key tenancy.ID
	class                string
	hour                 time.Time
}

// After a mixed run, each row of the ledger is the sum of the lines.
func TestAccessLog_ledger(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	a, b := g.tenant(), g.tenant()
	mixedRun(t, g, a, b)
	// A request is counted before it has its line.
	testenv.WaitFor(t, "every line", func() bool { return len(g.records(t)) >= mixedRequests })
	if err := g.meter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines, ledger := map[cellKey]usage.Delta{}, map[cellKey]usage.Delta{}
	for _, r := range g.records(t) {
		for _, c := range r.Cells() {
			k := cellKey{r.AccountID, r.BucketID, r.AccessKeyID, c.Class.String(), c.Hour}
			sum := lines[k]
			sum.Add(&c)
			lines[k] = sum
		}
	}
	for e, err := range accesslog.Read(g.logDir) {
		if err != nil {
			t.Fatal(err)
		}
		if r := &e.Record; e.IsRecord() && e.Summed != (r.Requester == "") {
			t.Errorf("of %q, %d %s, the line is in %s", r.Requester, r.Status, r.ErrorCode, filepath.Base(e.File))
		}
	}
	rows, err := g.owner.Query(t.Context(), `SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes FROM usage_hourly`)
	if err != nil {
		t.Fatal(err)
	}
	var k cellKey
	var c usage.Delta
	if _, err := pgx.ForEachRow(rows, []any{&k.account, &k.bucket, &k.key, &k.class, &k.hour, &c.Requests, &c.Ingress, &c.Egress, &c.DeclaredIngress, &c.DeclaredEgress}, func() error {
		k.hour = k.hour.UTC()
		ledger[k] = c
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(ledger) < 8 {
		t.Fatalf("the run was not mixed: %d cells", len(ledger))
	}
	if diff := cmp.Diff(ledger, lines, cmp.AllowUnexported(cellKey{})) + cmp.Diff(ledger, g.booked(t), cmp.AllowUnexported(cellKey{})); diff != "" {
		t.Errorf("(-ledger +lines)\n%s", diff)
	}
}

// mixedRequests is how many lines a mixedRun makes.
const mixedRequests = 2*22 + 1 + 12

// mixedRun makes requests of every kind, good and bad, and returns the secrets
// that were sent or that signed something.
func mixedRun(t *testing.T, g *gateway, a, b *tenant) (secrets []string) {
	t.Helper()
	signatures := regexp.MustCompile(`(?:Signature=|X-Amz-Signature=|x-amz-signature"\r\n\r\n)([0-9a-f]{64})`)
	send := func(tn *tenant, q request) *reply {
		t.Helper()
		r := tn.raw().build(t, &q)
		for _, m := range signatures.FindAllStringSubmatch(r.Header.Get("Authorization")+r.URL.RawQuery, -1) {
			secrets = append(secrets, m[1])
		}
		resp, err := rawClient.Do(r)
		if err != nil {
			t.Fatal(q.method, q.path, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(q.method, q.path, err)
		}
		return &reply{resp.StatusCode, resp.Header, body}
	}
	secrets = append(secrets, a.key.Secret, b.key.Secret)
	host := a.account.Name + ".tenants.example.test"
	big := bytes.Repeat([]byte("x"), 3<<20)
	for _, tn := range []*tenant{a, b} {
		for _, q := range []request{
			{method: "PUT", path: "/mixed"},
			{method: "PUT", path: "/mixed/k", body: big},
			{method: "GET", path: "/mixed/k"},
			{method: "GET", path: "/mixed/k", header: headers("Range", "bytes=5-9")},
			{method: "GET", path: "/mixed/k", presign: true},
			{method: "PUT", path: "/mixed/p", presign: true, body: []byte("presigned")},
			{method: "HEAD", path: "/mixed/k"},
			{method: "GET", path: "/mixed/none"},
			{method: "GET", path: "/mixed", query: query("list-type", "2")},
			{method: "GET", path: "/"},
			{method: "POST", path: "/mixed", query: query("delete", ""), body: []byte(oneKey), header: headers("Content-Md5", contentMD5([]byte(oneKey)))},
			{method: "PUT", path: "/mixed/k", body: []byte("x"), payload: strings.Repeat("0", 64)},
			{method: "PUT", path: "/mixed/k", body: []byte("x"), header: headers("x-amz-acl", "public-read")},
			{method: "GET", path: "/mixed/k", anonymous: true},
			{method: "GET", path: "/mixed/k", anonymous: true, host: host},
			{method: "GET", path: "/mixed/k", host: host},
			{method: "GET", path: "/mixed/k", region: "eu-north-1"},
			{method: "GET", path: "/mixed/k", at: time.Now().Add(-time.Hour)},
			{method: "DELETE", path: "/mixed/k"},
			{method: "DELETE", path: "/mixed"},
		} {
			send(tn, q)
		}
		postForm(t, tn, "mixed", map[string]string{"key": "form"}, "mixed", "file")
		postForm(t, tn, "mixed", map[string]string{"key": "form"}, "other", "file")
	}
	unknown := &endpoint{g.addr, "nobody", "nobodys-secret"}
	unknown.do(t, &request{method: "GET", path: "/mixed/k"})
	// What is hardly HTTP, and secrets in every place where one could stand.
	hidden := "deadbeef" + strings.Repeat("01", 28)
	secrets = append(secrets, hidden)
	for _, head := range []string{
		"NONSENSE\r\n\r\n",
		"GET http://user:" + hidden + "@host/mixed/k HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k?X-Amz-Signature=" + hidden + "&a=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k?X%2DAmz%2dsignature=" + hidden + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k?a=b;X-Amz-Signature=" + hidden + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k?x=%zz&x-amz-security-token=" + hidden + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k?Signature=" + hidden + "&AWSAccessKeyId=" + hidden + "&Expires=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k#?X-Amz-Signature=" + hidden + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /mixed/k HTTP/1.1\r\nHost: localhost\r\nX-Amz-Security-Token: " + hidden + "\r\nCookie: " + hidden + "\r\nAuthorization: Bearer " + hidden + "\r\n\r\n",
		"GET /mixed/k HTTP/1.1\r\nHost: localhost\r\nReferer: https://s3.example.test/mixed/k?X-Amz-Credential=" + hidden + "&X-Amz-Signature=" + hidden + "\r\n\r\n",
		"GET /mixed/k HTTP/1.1\r\nHost: localhost\r\nReferer: https://user:" + hidden + "@s3.example.test/\r\n\r\n",
		"PUT /mixed/k?x-amz-server-side-encryption-customer-key=" + hidden + " HTTP/1.1\r\nHost: localhost\r\nx-amz-server-side-encryption-customer-key: " + hidden + "\r\nContent-Length: 0\r\n\r\n",
	} {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, strings.Replace(head, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	return secrets
}

// No secret, no signature and no credential of a request is in any file.
func TestAccessLog_A17_secrets(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	a, b := g.tenant(), g.tenant()
	secrets := mixedRun(t, g, a, b)
	if len(secrets) < 30 {
		t.Fatalf("%d secrets are not all", len(secrets))
	}
	testenv.WaitFor(t, "every line", func() bool { return len(g.records(t)) >= mixedRequests })
	files, err := os.ReadDir(g.logDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(g.logDir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s has %q: %s", f.Name(), s, around(text, s))
			}
		}
		for _, word := range []string{"X-Amz-Credential", "aws4_request", g.backend.AccessKeyID, g.backend.SecretKey} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s has %q: %s", f.Name(), word, around(text, word))
			}
		}
	}
}

func around(text []byte, s string) string {
	i := bytes.Index(text, []byte(s))
	return string(text[max(0, i-200):min(len(text), i+100)])
}

// Every operation of the table has S3's name in the log.
func TestAccessLog_operations(t *testing.T) {
	t.Parallel()
	for _, op := range s3op.Operations {
		if name := accesslog.RESTOperation(op.Name, op.Method); !strings.HasPrefix(name, "REST.") {
			t.Errorf("%s is %q", op.Name, name)
		}
	}
	for op, want := range map[[2]string]string{
		{"GetObject", "GET"}: "REST.GET.OBJECT", {"CopyObject", "PUT"}: "REST.COPY.OBJECT", {"DeleteObjects", "POST"}: "REST.POST.MULTI_OBJECT_DELETE",
		{"UploadPart", "PUT"}: "REST.PUT.PART", {"GetBucketLogging", "GET"}: "REST.GET.LOGGING_STATUS", {"-", "GET"}: "-",
	} {
		if got := accesslog.RESTOperation(op[0], op[1]); got != want {
			t.Errorf("%v: %s, want %s", op, got, want)
		}
	}
}

func etagOf(b []byte) string { return fmt.Sprintf("%x", md5.Sum(b)) }
