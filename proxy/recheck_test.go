package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A change under a request that has begun, and what its caller is then told.
type change struct {
	name string
	code string // "": nothing, it goes on
	// make makes the change; the gateway has heard of it when seen is true.
	make func(c *changed) error
	seen func(c *changed) bool
}

// changed is whose it is: an account of its own for each case.
type changed struct {
	*tenant
	t      testing.TB
	bucket *tenancy.Bucket
}

func (c *changed) sql(text string, arguments ...any) error {
	_, err := c.g.owner.Exec(c.t.Context(), text, arguments...)
	return err
}

func (c *changed) identity() (*tenancy.Identity, error) {
	return c.g.dir.Identity(c.t.Context(), []byte(c.key.KeyID))
}

func (c *changed) scopeKey(change func(*tenancy.Key)) error {
	return c.g.store.ScopeKey(c.t.Context(), c.g.owner, c.key.KeyID, change)
}

// sees is about a key that is there, and has changed.
func sees(so func(*tenancy.Identity) bool) func(*changed) bool {
	return func(c *changed) bool {
		id, err := c.identity()
		return err == nil && so(id)
	}
}

func (c *changed) bucketNow() (*tenancy.Bucket, error) {
	return c.g.dir.Bucket(c.t.Context(), c.account.ID, []byte(c.bucket.Name))
}

func status(s tenancy.Status) (func(*changed) error, func(*changed) bool) {
	return func(c *changed) error { return tenancy.SetStatus(c.t.Context(), c.g.owner, c.account.ID, s) },
		func(c *changed) bool {
			a, err := c.g.dir.Account(c.t.Context(), c.account.ID)
			return err == nil && a.Status == s
		}
}

// keyChanges are about the key, otherChanges about what anybody needs.
func keyChanges() []change {
	return []change{
		{"key revoked", "InvalidAccessKeyId", func(c *changed) error { return tenancy.RevokeKey(c.t.Context(), c.g.owner, c.key.KeyID) },
			func(c *changed) bool { _, err := c.identity(); return errors.Is(err, tenancy.ErrKeyUnknown) }},
		{"key expired", "AccessDenied", func(c *changed) error {
			now := time.Now()
			return c.g.store.ExpireKey(c.t.Context(), c.g.owner, c.key.KeyID, &now)
		}, sees(func(id *tenancy.Identity) bool { return !id.ExpiresAt.IsZero() && id.ExpiresAt.Before(time.Now()) })},
		{"right taken", "AccessDenied", func(c *changed) error { return c.scopeKey(func(k *tenancy.Key) { k.Permissions = []string{"list"} }) },
			sees(func(id *tenancy.Identity) bool { return id.Permission == tenancy.List })},
		{"another network", "AccessDenied", func(c *changed) error { return c.scopeKey(func(k *tenancy.Key) { k.CIDRs = prefixes("192.0.2.0/24") }) },
			sees(func(id *tenancy.Identity) bool { return len(id.CIDRs) > 0 })},
		{"other buckets", "AccessDenied", func(c *changed) error { return c.scopeKey(func(k *tenancy.Key) { k.Buckets = []string{"another"} }) },
			sees(func(id *tenancy.Identity) bool { return len(id.Buckets) > 0 })},
		{"another prefix", "AccessDenied", func(c *changed) error { return c.scopeKey(func(k *tenancy.Key) { k.Prefix = "another/" }) },
			sees(func(id *tenancy.Identity) bool { return id.Prefix != "" })},
		{"another key under its id", "InvalidAccessKeyId", func(c *changed) error {
			if err := c.sql(`DELETE FROM access_keys WHERE key_id = $1`, c.key.KeyID); err != nil {
				return err
			}
			_, err := c.g.store.CreateKey(c.t.Context(), c.g.owner, tenancy.Key{AccountID: c.account.ID, KeyID: c.key.KeyID, Secret: c.key.Secret})
			return err
		}, func(c *changed) bool { id, err := c.identity(); return err == nil && id.ID != c.key.ID }},
		{"more rights", "", func(c *changed) error {
			return c.scopeKey(func(k *tenancy.Key) {
				k.Permissions = []string{"read", "write", "delete", "list", "manage", "bypass-governance"}
			})
		},
			sees(func(id *tenancy.Identity) bool { return id.Permission&tenancy.BypassGovernance != 0 })},
	}
}

func otherChanges() []change {
	suspend, suspended := status(tenancy.Suspended)
	lock, locked := status(tenancy.ReadOnly)
	forget := func(c *changed) error { return tenancy.ForgetBucket(c.t.Context(), c.g.owner, c.bucket.ID) }
	return []change{
		{"account suspended", "AccountProblem", suspend, suspended},
		{"account read-only", "AccessDenied", lock, locked},
		{"bucket removed", "NoSuchBucket", forget, func(c *changed) bool { _, err := c.bucketNow(); return errors.Is(err, tenancy.ErrBucketUnknown) }},
		{"another bucket under its name", "NoSuchBucket", func(c *changed) error {
			if err := forget(c); err != nil {
				return err
			}
			_, err := tenancy.ImportBucket(c.t.Context(), c.g.owner, c.account.ID, c.bucket.Name, c.g.backend.ID, c.bucket.BackendName, false)
			return err
		}, func(c *changed) bool { b, err := c.bucketNow(); return err == nil && b.ID != c.bucket.ID }},
	}
}

const changing = "changing"

func newChanged(t testing.TB, g *gateway) *changed {
	t.Helper()
	c := &changed{tenant: g.tenant(), t: t}
	c.raw().must(t, &request{method: "PUT", path: "/" + changing})
	var err error
	if c.bucket, err = g.dir.Bucket(t.Context(), c.account.ID, []byte(changing)); err != nil {
		t.Fatal(err)
	}
	return c
}

// happen makes the change and waits until the gateway has heard of it.
func (c *changed) happen(ch *change) {
	c.t.Helper()
	if err := ch.make(c); err != nil {
		c.t.Fatal(err)
	}
	testenv.WaitFor(c.t, "the gateway to hear of it: "+ch.name, func() bool { return ch.seen(c) })
}

// stored is what the backend has, whatever the gateway says.
func (c *changed) stored(q *request) *reply {
	c.t.Helper()
	q.path = "/" + c.bucket.BackendName + q.path
	return c.g.direct().do(c.t, q)
}

// upload is a way to send a body that counts when its last byte has come.
type upload struct {
	name string
	wire func(c *changed) string
	// done reports whether it counted.
	done func(c *changed) bool
}

const uploadSize = 6 * chunkSize

func (c *changed) framed(how string) string {
	q := request{method: "PUT", path: "/" + changing + "/k", body: bytes.Repeat([]byte("0123456789"), uploadSize/10), header: http.Header{}}
	plain := q.body
	e := c.raw()
	frame(&q, e, strings.TrimSuffix(how, ", chunked"))
	if strings.HasSuffix(how, ", chunked") {
		q.body = nil // nothing says how long it is
	}
	r := e.build(c.t, &q)
	if len(q.body) == 0 {
		r.ContentLength = -1
	}
	if strings.HasPrefix(how, "signed") {
		_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		r.Body = io.NopCloser(strings.NewReader(signChunks(plain, e.secret, r.Header.Get("X-Amz-Date"), seed)))
	}
	return wireOf(c.t.(*testing.T), r)
}

func (c *changed) plain(q request) string { return wireOf(c.t.(*testing.T), c.raw().build(c.t, &q)) }

func hasObject(c *changed) bool {
	return c.stored(&request{method: "GET", path: "/k"}).status == http.StatusOK
}

func uploads() []upload {
	data := bytes.Repeat([]byte("d"), uploadSize)
	put := request{method: "PUT", path: "/" + changing + "/k", body: data}
	unsigned, presigned := put, put
	unsigned.payload = "UNSIGNED-PAYLOAD"
	presigned.presign = true
	long := func(root, inner string) []byte { // white space, so that there is a half of it
		return []byte("<" + root + ">" + strings.Repeat(" ", 10_000) + inner + "</" + root + ">")
	}
	return []upload{
		{"hash", func(c *changed) string { return c.plain(put) }, hasObject},
		{"unsigned", func(c *changed) string { return c.plain(unsigned) }, hasObject},
		{"presigned", func(c *changed) string { return c.plain(presigned) }, hasObject},
		{"signed chunks", func(c *changed) string { return c.framed("signed") }, hasObject},
		{"signed chunks, chunked", func(c *changed) string { return c.framed("signed, chunked") }, hasObject},
		{"trailer", func(c *changed) string { return c.framed("trailer") }, hasObject},
		{"part", func(c *changed) string {
			id := c.raw().begin(c.t, "/"+changing+"/k")
			return c.plain(request{method: "PUT", path: "/" + changing + "/k", query: query("uploadId", id, "partNumber", "1"), body: data})
		}, func(c *changed) bool {
			list := c.stored(&request{method: "GET", query: query("uploads", "", "prefix", "k")})
			m := uploadID.FindSubmatch(list.body)
			if m == nil {
				c.t.Fatalf("no upload: %s", list.body)
			}
			return bytes.Contains(c.stored(&request{method: "GET", path: "/k", query: query("uploadId", string(m[1]))}).body, []byte("<Part>"))
		}},
		{"form", func(c *changed) string {
			q := formRequest(c.t.(*testing.T), changing, signForm(c.t.(*testing.T), c.key.KeyID, c.key.Secret, map[string]string{"key": "k"}, changing), strings.Repeat("f", 5<<19))
			return c.plain(q)
		}, hasObject},
		{"document of the backend", func(c *changed) string {
			return c.plain(request{method: "PUT", path: "/" + changing, query: query("versioning", ""), body: long("VersioningConfiguration", "<Status>Enabled</Status>")})
		}, func(c *changed) bool {
			return bytes.Contains(c.stored(&request{method: "GET", query: query("versioning", "")}).body, []byte("Enabled"))
		}},
		{"document of the gateway", func(c *changed) string {
			return c.plain(request{method: "PUT", path: "/" + changing, query: query("logging", ""),
				body: long("BucketLoggingStatus", "<LoggingEnabled><TargetBucket>"+changing+"</TargetBucket><TargetPrefix>l/</TargetPrefix></LoggingEnabled>")})
		}, func(c *changed) bool {
			var n int
			if err := c.g.owner.QueryRow(c.t.Context(), `SELECT count(*) FROM bucket_logging WHERE bucket_id = $1`, c.bucket.ID).Scan(&n); err != nil {
				c.t.Fatal(err)
			}
			return n > 0
		}},
		{"deletes", func(c *changed) string {
			c.raw().must(c.t, &request{method: "PUT", path: "/" + changing + "/k", body: []byte("x")})
			return c.plain(request{method: "POST", path: "/" + changing, query: query("delete", ""), body: long("Delete", "<Object><Key>k</Key></Object>")})
		}, func(c *changed) bool { return !hasObject(c) }},
		{"new bucket", func(c *changed) string {
			return c.plain(request{method: "PUT", path: "/" + changing + "-new", body: long("CreateBucketConfiguration", "")})
		}, func(c *changed) bool {
			_, err := tenancy.BucketByName(c.t.Context(), c.g.owner, c.account.ID, changing+"-new")
			return err == nil
		}},
	}
}

// begun waits until the ledger has bytes of the key's request: it was
// authorised, and its body is being read.
func (c *changed) begun(before int64) {
	c.t.Helper()
	testenv.WaitFor(c.t, "the body to be read", func() bool { return c.ingress() > before })
}

func (c *changed) ingress() int64 {
	return usageBy(c.t, c.g, c.tenant, ledger.ByKey)[c.key.ID.String()].Ingress
}

// exempt are the pairs in which the change takes nothing from the caller.
func exempt(ch *change, way string) bool {
	switch way {
	case "new bucket":
		return ch.code == "NoSuchBucket"
	case "deletes": // docs/decisions/0005
		return ch.name == "account read-only"
	}
	return false
}

// tried are all pairs of which something new could be learned: every change on
// the ways that are authorised differently, and on every way one change of key,
// account and bucket each, and one that is none.
func tried(ch *change, way string) bool {
	switch ch.name {
	case "key revoked", "account suspended", "account read-only", "bucket removed", "more rights":
		return true
	}
	return way == "unsigned" || way == "form" || way == "deletes"
}

// TestRecheck_upload: a change that the gateway has heard of before the last
// byte of a body has come leaves nothing behind it, however the body is sent.
func TestRecheck_upload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{Recheck: 24 * time.Hour}}) // the last byte alone
	for _, way := range uploads() {
		for _, ch := range append(keyChanges(), otherChanges()...) {
			if !tried(&ch, way.name) {
				continue
			}
			t.Run(way.name+"/"+ch.name, func(t *testing.T) {
				t.Parallel()
				c := newChanged(t, g)
				wire := way.wire(c)
				conn := c.open(g.addr)
				head, body, _ := strings.Cut(wire, "\r\n\r\n")
				half := len(body) / 2
				if way.name == "form" {
					half = len(body) - 1<<19 // it is read a mebibyte ahead
				}
				before := c.ingress()
				conn.say(head + "\r\n\r\n" + body[:half])
				c.begun(before)
				c.happen(&ch)
				conn.say(body[half:])
				r := conn.answer(http.MethodPut)
				want := ch.code
				if way.name == "deletes" && ch.name == "another prefix" { // each key is answered for itself
					if r.code() != want || way.done(c) {
						t.Errorf("%d %s", r.status, r.body)
					}
					return
				}
				if exempt(&ch, way.name) {
					want = ""
				}
				if r.code() != want || (want == "") != (r.status < 300) || want != "" && want != "NoSuchBucket" && r.status != http.StatusForbidden {
					t.Errorf("%d %s, want %q", r.status, r.body, want)
				}
				if way.done(c) != (want == "") {
					t.Errorf("it counted: %v, and the answer was to be %q", want != "", want)
				}
				line := g.lineOf(t, r)
				if line.ErrorCode != want || line.Ingress == 0 {
					t.Errorf("the line says %q, %d bytes", line.ErrorCode, line.Ingress)
				}
			})
		}
	}
}

// TestRecheck_uploadGoesOn: a body is cut while it comes, not at its end alone.
func TestRecheck_uploadGoesOn(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{Recheck: time.Nanosecond}})
	for _, way := range uploads() {
		ch := keyChanges()[0]
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := newChanged(t, g)
			head, body, _ := strings.Cut(way.wire(c), "\r\n\r\n")
			conn := c.open(g.addr)
			half := len(body) / 2
			if way.name == "form" {
				half = len(body) - 1<<19
			}
			before := c.ingress()
			conn.say(head + "\r\n\r\n" + body[:half])
			c.begun(before)
			c.happen(&ch)
			conn.say(body[half : len(body)-1]) // the last byte never comes
			if r := conn.answer(http.MethodPut); r.code() != ch.code {
				t.Errorf("%d %s", r.status, r.body)
			}
			if way.done(c) {
				t.Error("it counted")
			}
		})
	}
}

// TestRecheck_outage: what is not known just now cuts nothing, and a change that
// is heard of later does.
func TestRecheck_outage(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{Recheck: time.Nanosecond}})
	up, down := newChanged(t, g), newChanged(t, g)
	const size = 24 << 20
	down.raw().must(t, &request{method: "PUT", path: "/" + changing + "/k", body: make([]byte, size), payload: "UNSIGNED-PAYLOAD"})
	get := down.open(g.addr)
	get.say(down.plain(request{method: "GET", path: "/" + changing + "/k"}))
	resp, err := http.ReadResponse(get.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	put := up.open(g.addr)
	head, body, _ := strings.Cut(up.framed("signed"), "\r\n\r\n")
	put.say(head + "\r\n\r\n" + body[:len(body)/2])
	up.begun(0)

	g.knowNothing(t, up, down)
	put.say(body[len(body)/2:])
	if r := put.answer(http.MethodPut); r.status != http.StatusOK || !hasObject(up) {
		t.Errorf("an upload: %d %s", r.status, r.body)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size-1<<20 || err != nil {
		t.Errorf("a download: %d bytes, %v", n, err)
	}
}

// knowNothing takes PostgreSQL away: nothing of the tenants can be loaded any
// more, and what was is forgotten.
func (g *gateway) knowNothing(t testing.TB, of ...*changed) {
	t.Helper()
	g.db.TakeAway(t)
	g.dir.Close()
	for _, c := range of {
		testenv.WaitFor(t, "the gateway to know nothing", func() bool {
			_, err := c.identity()
			return errors.Is(err, tenancy.ErrUnavailable)
		})
	}
}

// TestRecheck_outageExpired: that a key has expired is known without PostgreSQL.
func TestRecheck_outageExpired(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	g := newGateway(t, options{now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	c := newChanged(t, g)
	end := time.Now().Add(time.Hour)
	if err := g.store.ExpireKey(t.Context(), g.owner, c.key.KeyID, &end); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the gateway to hear of the key's end", func() bool {
		id, err := c.identity()
		return err == nil && !id.ExpiresAt.IsZero()
	})
	put := c.open(g.addr)
	head, body, _ := strings.Cut(c.framed("signed"), "\r\n\r\n")
	put.say(head + "\r\n\r\n" + body[:len(body)/2])
	c.begun(0)
	g.knowNothing(t, c)
	ahead.Store(int64(2 * time.Hour))
	put.say(body[len(body)/2:])
	if r := put.answer(http.MethodPut); r.code() != "AccessDenied" || hasObject(c) {
		t.Errorf("an upload: %d %s", r.status, r.body)
	}
}

func (c *changed) requests() (n int64) {
	for class, u := range usageBy(c.t, c.g, c.tenant, ledger.ByClass) {
		if class != "unbilled" && class != "free" {
			n += u.Requests
		}
	}
	return n
}

// TestRecheck_download: an object's bytes end when the right to them does, on
// every way out of the gateway, and the log says why.
func TestRecheck_download(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	g := newGateway(t, options{tls: true, limits: proxy.Limits{Recheck: time.Nanosecond}})
	blocked := change{"bucket blocked", "AccessDenied", func(c *changed) error {
		return c.sql(`UPDATE buckets SET public_blocked = true WHERE id = $1`, c.bucket.ID)
	},
		func(c *changed) bool { b, err := c.bucketNow(); return err == nil && b.PublicBlocked }}
	data := make([]byte, size)
	for _, way := range []string{"spliced", "TLS", "anonymous", "presigned"} {
		changes := append(keyChanges(), otherChanges()...)
		if way == "anonymous" {
			changes = append(otherChanges(), blocked)
		}
		for _, ch := range changes {
			t.Run(way+"/"+ch.name, func(t *testing.T) {
				t.Parallel()
				c := newChanged(t, g)
				c.raw().must(t, &request{method: "PUT", path: "/" + changing + "/k", body: data, payload: "UNSIGNED-PAYLOAD"})
				q := request{method: "GET", path: "/" + changing + "/k", presign: way == "presigned"}
				conn := c.open(g.addr)
				switch way {
				case "TLS":
					conn = c.open(g.tlsAddr)
				case "anonymous":
					c.raw().must(t, &request{method: "PUT", path: "/" + changing, query: query("policy", ""), body: []byte(
						`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + changing + `/*"]}]}`)})
					q.anonymous, q.host = true, c.account.Name+".tenants.example.test"
				}
				conn.say(c.plain(q))
				resp, err := http.ReadResponse(conn.br, nil)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatal(resp, err)
				}
				if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
					t.Fatal(err)
				}
				c.happen(&ch)
				n, err := io.Copy(io.Discard, resp.Body)
				want := ch.code
				if ch.name == "account read-only" {
					want = "" // it may read
				}
				if (err == nil) != (want == "") {
					t.Errorf("%d bytes and %v, want %q", n, err, want)
				}
				line := g.lineOf(t, &reply{header: resp.Header})
				if line.ErrorCode != want || line.Status != 200 || line.Egress < 1<<20 || (line.Egress == size) != (want == "") {
					t.Errorf("the line says %d %q, %d bytes", line.Status, line.ErrorCode, line.Egress)
				}
				if u := usageBy(t, g, c.tenant, ledger.ByClass)["B"]; u.Egress != line.Egress || u.Requests != 1 {
					t.Errorf("the ledger has %+v", u)
				}
			})
		}
	}
}

// wireConn is a client's connection, with little room for what is not read.
type wireConn struct {
	net.Conn
	t   testing.TB
	br  *bufio.Reader
	raw *net.TCPConn
}

func (c *changed) open(addr string) *wireConn {
	c.t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = nc.Close() })
	raw := nc.(*net.TCPConn)
	if err := errors.Join(raw.SetReadBuffer(64<<10), nc.SetDeadline(time.Now().Add(time.Minute))); err != nil {
		c.t.Fatal(err)
	}
	if addr == c.g.tlsAddr {
		nc = tls.Client(nc, &tls.Config{RootCAs: c.g.transport().TLSClientConfig.RootCAs, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	}
	return &wireConn{nc, c.t, bufio.NewReader(nc), raw}
}

// say sends text; that the other side does not want it any more, its answer says.
func (c *wireConn) say(text string) { _, _ = io.WriteString(c.Conn, text) }

func (c *wireConn) answer(method string) *reply {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &reply{resp.StatusCode, resp.Header, body}
}
