package proxy_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A caller is one who has no right to what he asks for.
type caller struct {
	name   string
	as     func(s *scene, q *request) *endpoint // changes the request, says who signs it
	public bool                                 // the bucket's policy lets everyone read and list
	cells  int64                                // of the ledger that may come to be under the tenant's name
	proven bool                                 // the signature is good, and the line the tenant's own
	status tenancy.Status                       // of the account; default: active
	forms  bool                                 // what he is shows in a form as well
}

// scene is a tenant with all kinds of budgets and a bucket with two objects.
type scene struct {
	g         *gateway
	tn, other *tenant
	host      string
	key       *tenancy.Key // from another network
}

func unsigned(host func(s *scene) string) func(*scene, *request) *endpoint {
	return func(s *scene, q *request) *endpoint {
		q.anonymous, q.host = true, host(s)
		return s.tn.raw()
	}
}

func theirHost(s *scene) string { return s.host }

// signedAs signs with what edit makes of the tenant's credential.
func signedAs(edit func(s *scene, q *request, e *endpoint)) func(*scene, *request) *endpoint {
	return func(s *scene, q *request) *endpoint {
		e := s.tn.raw()
		edit(s, q, e)
		return e
	}
}

var callers = []caller{
	{name: "nobody, at a private bucket", as: unsigned(theirHost), cells: 1},
	{name: "nobody, at a bucket that is not there", as: func(s *scene, q *request) *endpoint {
		q.path = strings.Replace(q.path, isolated, "not-there", 1)
		return unsigned(theirHost)(s, q)
	}},
	{name: "nobody, on a shared host", as: unsigned(func(*scene) string { return "s3.example.test" })},
	{name: "nobody, on no host of ours", as: unsigned(func(*scene) string { return "www.example.org" })},
	{name: "nobody, at a public bucket", as: unsigned(theirHost), public: true, cells: 3},
	{name: "a wrong signature", as: signedAs(func(_ *scene, _ *request, e *endpoint) { e.secret = "wrong" + e.secret[5:] }), cells: 1, forms: true},
	{name: "a wrong signature of a URL", as: signedAs(func(_ *scene, q *request, e *endpoint) { q.presign, e.secret = true, "wrong"+e.secret[5:] }), cells: 1},
	{name: "a URL that has expired", as: signedAs(func(_ *scene, q *request, _ *endpoint) { q.presign, q.at = true, time.Now().Add(-time.Hour) }), cells: 1},
	{name: "an old signature", as: signedAs(func(_ *scene, q *request, _ *endpoint) { q.at = time.Now().Add(-time.Hour) }), cells: 1},
	{name: "an unknown key", as: signedAs(func(_ *scene, _ *request, e *endpoint) { e.id = "AKIANOBODYHASTHISONE" }), forms: true},
	{name: "another account's key, on the host", as: func(s *scene, q *request) *endpoint {
		q.host = s.host
		return s.other.raw()
	}},
	{name: "a key of another network", as: signedAs(func(s *scene, _ *request, e *endpoint) { e.id, e.secret = s.key.KeyID, s.key.Secret }), cells: 1, proven: true, forms: true},
	{name: "a suspended account's key", as: signedAs(func(*scene, *request, *endpoint) {}), status: tenancy.Suspended, cells: 1, proven: true, forms: true},
}

// cost is all that requests may leave behind.
type cost struct {
	Billed  map[string][3]int64 // by class: requests, bytes in, bytes out
	Rows    map[string]int64    // of tables
	Objects map[string]int64    // sizes in the backend, by key and version
	Budgets map[string]int64    // used
	Alerts  int
	Series  int // of metrics

	cells, nobodys int64
	proven         int
}

// TestStranger_cost sends every operation as every kind of caller who may not do
// it, answered and left, and holds what it costs the tenant against nothing.
func TestStranger_cost(t *testing.T) { //nolint:tparallel // one after the other: what each leaves behind is measured
	t.Parallel()
	g := newGateway(t, options{limit: limits.Config{Concurrent: 64}})
	if err := limits.AddCard(t.Context(), g.owner, limits.Card{ValidFrom: time.Now().UTC().Truncate(time.Hour),
		Rates: limits.Rates{Currency: "BRL", EgressGB: 1e9, IngressGB: 1e9, ThousandA: 1e9, ThousandB: 1e9}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range callers {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, g, &c)
			before := s.cost(t)
			// Others' rows too: none may come with requests.
			sent, reads := int64(0), int64(0)
			for _, o := range s3op.Operations {
				for _, q := range s.requests(t, o, &c) {
					if o.Name == "CreateBucket" {
						q.path = "/made-by-a-stranger"
					}
					e := c.as(s, &q)
					wire := wireOf(t, e.build(t, &q))
					status := s.converse(t, wire, true)
					s.converse(t, wire, false)
					sent += 2
					allowed := c.public && o.Anonymous && status < 300
					if allowed {
						reads++
					} else if status < 400 || status >= 500 && status != 501 {
						t.Errorf("%s %s: %d", o.Name, q.query.Encode(), status)
					}
				}
			}
			testenv.WaitFor(t, "every request to be over", func() bool { return g.metric(t, "primecloud_proxy_connections") == 0 })
			after := s.cost(t)
			if c.public {
				after.readers(t, &before, reads)
			}
			if diff := cmp.Diff(before, after, cmp.FilterPath(func(p cmp.Path) bool {
				n := p.Last().String()
				return n == ".cells" || n == ".nobodys" || n == ".proven"
			}, cmp.Ignore())); diff != "" {
				t.Errorf("%d requests leave behind (-before +after):\n%s", sent, diff)
			}
			if n := after.cells - before.cells; n > 2*c.cells { // twice: the hour may turn
				t.Errorf("%d new cells of the tenant's, want %d at most", n, c.cells)
			}
			if n := after.nobodys - before.nobodys; n > 2 {
				t.Errorf("%d new cells of nobody's", n)
			}
			if n := after.proven - before.proven; (n > 0) != c.proven {
				t.Errorf("%d lines among those of the proven", n)
			}
			t.Logf("%d requests: %d cells, %d lines among the proven", sent, after.cells-before.cells, after.proven-before.proven)
		})
	}
}

// TestStranger_leavesFirst: who leaves before the backend has said whether he may
// ask is nobody's to pay either.
func TestStranger_leavesFirst(t *testing.T) {
	t.Parallel()
	var held atomic.Int64
	g := newGateway(t, options{minio: watchedMinIO(t, testenv.MinIO(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			return false
		}
		held.Add(1)
		<-r.Context().Done() // the gateway has given the request up
		return true
	})})
	stranger := &callers[0]
	s := newScene(t, g, stranger)
	before := s.cost(t)
	asked := int64(0)
	for _, o := range s3op.Operations {
		if !o.Anonymous || o.Body == s3op.Form {
			continue
		}
		for _, q := range s.requests(t, o, stranger) {
			e := stranger.as(s, &q)
			s.converse(t, wireOf(t, e.build(t, &q)), false)
			asked++
		}
	}
	testenv.WaitFor(t, "every request to be over", func() bool { return g.metric(t, "primecloud_proxy_connections") == 0 })
	if n := held.Load(); n < 4 || n > asked {
		t.Fatalf("%d of %d requests waited for the backend", n, asked)
	}
	after := s.cost(t)
	for what, changed := range map[string]bool{
		"billed": !maps.Equal(before.Billed, after.Billed), "budgets": !maps.Equal(before.Budgets, after.Budgets), "alerts": before.Alerts != after.Alerts,
	} {
		if changed {
			t.Errorf("%s: %v %v, before %v %v", what, after.Billed, after.Budgets, before.Billed, before.Budgets)
		}
	}
}

// readers takes out what the tenant pays for those whom he lets in.
func (after *cost) readers(t *testing.T, before *cost, reads int64) {
	t.Helper()
	n := int64(0)
	for _, class := range []string{"A", "B"} {
		n += after.Billed[class][0] - before.Billed[class][0]
	}
	if n < reads || n > 2*reads || reads < 4 {
		t.Errorf("%d requests are billed, %d were let in and answered, and as many left", n, reads)
	}
	if after.Billed["free"] != before.Billed["free"] {
		t.Errorf("deletes: %v", after.Billed["free"])
	}
	after.Billed = before.Billed
	for _, b := range []string{"egress", "requests", "spend"} {
		after.Budgets[b] = before.Budgets[b]
	}
}

func newScene(t *testing.T, g *gateway, c *caller) *scene {
	t.Helper()
	s := &scene{g: g, tn: g.tenant(), other: g.tenant()}
	s.host = s.tn.account.Name + ".tenants.example.test"
	s.key = s.tn.newKey(tenancy.Key{CIDRs: prefixes("10.0.0.0/8")})
	s.other.raw().must(t, &request{method: "PUT", path: "/" + isolated})
	for _, q := range []request{{path: ""}, {path: "/dir/k0", body: make([]byte, 1000)}, {path: "/dir/k1", body: make([]byte, 1000)}} {
		q.method, q.path = "PUT", "/"+isolated+q.path
		s.tn.raw().must(t, &q)
	}
	if c.public {
		s.tn.raw().must(t, &request{method: "PUT", path: "/" + isolated, query: query("policy", ""), body: []byte(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + isolated + `/*"},` +
				`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + isolated + `"}]}`)})
	}
	var l tenancy.Limits
	for b := range l.Caps {
		l.Caps[b] = &tenancy.Cap{Amount: 1 << 40}
	}
	l.Concurrent = 8
	s.tn.limit(t, l)
	// So that its leases and everybody's rows are there.
	s.tn.raw().must(t, &request{method: "PUT", path: "/" + isolated + "/dir/k2", body: []byte("x")})
	s.tn.raw().must(t, &request{method: "GET", path: "/" + isolated + "/dir/k2"})
	if c.status != "" {
		if err := tenancy.SetStatus(t.Context(), g.owner, s.tn.account.ID, c.status); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the account's status", func() bool {
			a, err := g.dir.Account(t.Context(), s.tn.account.ID)
			return err == nil && a.Status == c.status
		})
	}
	rawClient.CloseIdleConnections()
	testenv.WaitFor(t, "every request to be over", func() bool { return g.metric(t, "primecloud_proxy_connections") == 0 })
	return s
}

// requests are the operation as it should be, and as the gateway itself refuses it.
func (s *scene) requests(t *testing.T, o *s3op.Operation, c *caller) []request {
	t.Helper()
	if o.Body == s3op.Form {
		fields := map[string]string{"key": "dir/form"}
		if c.forms {
			q := request{}
			e := c.as(s, &q)
			fields = signForm(t, e.id, e.secret, fields, isolated)
		}
		q := formRequest(t, isolated, fields, strings.Repeat("f", 10_000))
		q.anonymous = true
		list := []request{q}
		if !c.forms { // under a policy that nobody has signed
			signed := formRequest(t, isolated, signForm(t, "AKIANOBODYHASTHISONE", "x", map[string]string{"key": "dir/form"}, isolated), "f")
			list = append(list, signed)
		}
		return list
	}
	q := attempts(&victim{upload: "made-up"}, o)[0]
	list := []request{q}
	if o.Selector == "list-type" {
		made := q
		made.query = maps.Clone(q.query)
		made.query.Set("continuation-token", "made-up")
		list = append(list, made)
	}
	if o.Level == s3op.Bucket && o.Selector == "" && o.Method == "GET" {
		made := q
		made.query = query("max-keys", "-1")
		list = append(list, made)
	}
	return list
}

// converse sends a request, and reads the answer or leaves at once.
func (s *scene) converse(t *testing.T, wire string, reads bool) (status int) {
	t.Helper()
	c, err := net.Dial("tcp", s.g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, strings.Replace(wire, "\r\n", "\r\nConnection: close\r\n", 1)); err != nil || !reads {
		return 0
	}
	answer, err := io.ReadAll(c)
	if _, scan := fmt.Sscanf(string(answer), "HTTP/1.1 %d", &status); scan != nil {
		t.Fatalf("%.200s: %q, %v", wire, answer, err)
	}
	return status
}

// cost is what there is now.
func (s *scene) cost(t *testing.T) cost {
	t.Helper()
	g, ctx := s.g, t.Context()
	n := cost{Billed: map[string][3]int64{}, Rows: map[string]int64{}, Objects: map[string]int64{}, Budgets: map[string]int64{}}
	if err := g.meter.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	g.limiter.Renew(ctx)
	for class, u := range usageBy(t, g, s.tn, ledger.ByClass) {
		if class != "unbilled" {
			n.Billed[class] = [3]int64{u.Requests, u.Ingress, u.Egress}
		}
	}
	count := func(to *int64, sql string, args ...any) {
		t.Helper()
		if err := g.owner.QueryRow(ctx, sql, args...).Scan(to); err != nil {
			t.Fatal(sql, err)
		}
	}
	count(&n.cells, `SELECT count(*) FROM usage_readings WHERE account_id = $1`, s.tn.account.ID)
	count(&n.nobodys, `SELECT count(*) FROM usage_readings WHERE account_id = '00000000-0000-0000-0000-000000000000'`)
	rows, err := g.owner.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'usage_readings'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 15 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		var rows int64
		count(&rows, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize())
		n.Rows[table] = rows
	}
	report, err := limits.Report(ctx, g.owner, storage.StoredBytes, s.tn.account.ID, tenancy.ID{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range report {
		n.Budgets[b.Name] = b.Used
	}
	events, err := limits.Events(ctx, g.owner, s.tn.account.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	n.Alerts = len(events)
	b, err := tenancy.BucketByName(ctx, g.owner, s.tn.account.ID, isolated)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := g.backend.Client()
	if err != nil {
		t.Fatal(err)
	}
	for o := range direct.ListObjectsIter(ctx, b.BackendName, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n.Objects[o.Key+" "+o.VersionID+" "+o.ETag] = o.Size
	}
	families, err := g.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		n.Series += len(f.GetMetric())
	}
	if err := g.lines.Flush(); err != nil {
		t.Fatal(err)
	}
	files, err := accesslog.Files(g.logDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasPrefix(filepath.Base(file), "access-") {
			continue
		}
		for e, err := range accesslog.Read(file) {
			if err != nil {
				t.Fatal(err)
			}
			if e.IsRecord() {
				n.proven++
			}
		}
	}
	return n
}
