package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A way is one in which an operation can be asked for.
type way struct {
	name string
	q    request
}

// waysOf are all of them, with a key's credential: a form is the only one of its
// operation.
func waysOf(t *testing.T, o *s3op.Operation, k *tenancy.Key) []way {
	t.Helper()
	if o.Body == s3op.Form {
		return []way{{"form", formRequest(t, isolated, signForm(t, k.KeyID, k.Secret, map[string]string{"key": "dir/form"}, isolated), "f")}}
	}
	list := attempts(&victim{upload: "made-up"}, o)
	return []way{{"header", list[0]}, {"query", list[1]}}
}

// furnished is a tenant with a bucket and objects, that everyone may read.
func furnished(t *testing.T, g *gateway) *tenant {
	t.Helper()
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/" + isolated})
	for _, key := range []string{"dir/k0", "dir/k1"} {
		e.must(t, &request{method: "PUT", path: "/" + isolated + "/" + key, body: []byte("x")})
	}
	e.must(t, &request{method: "PUT", path: "/" + isolated, query: query("policy", ""), body: []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + isolated + `/*"},` +
			`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + isolated + `"}]}`)})
	return tn
}

// TestRights_status: an account's status decides for every operation, however it
// is asked for, forms and readers without a key too.
func TestRights_status(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := furnished(t, g)
	host := tn.account.Name + ".tenants.example.test"
	// docs/decisions/0005, and nothing else that changes anything.
	mayStill := []string{"DeleteObject", "DeleteObjects"}
	for _, status := range []tenancy.Status{tenancy.Suspended, tenancy.Closed, tenancy.Pending, tenancy.Rejected, tenancy.ReadOnly} {
		if err := tenancy.SetStatus(t.Context(), g.owner, tn.account.ID, status); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the status "+string(status), func() bool {
			a, err := g.dir.Account(t.Context(), tn.account.ID)
			return err == nil && a.Status == status
		})
		for _, o := range s3op.Operations {
			list := waysOf(t, o, tn.key)
			if o.Anonymous {
				q := list[0].q
				q.anonymous, q.host = true, host
				list = append(list, way{"nobody", q})
			}
			reads := strings.HasPrefix(o.Name, "Get") || strings.HasPrefix(o.Name, "Head") || strings.HasPrefix(o.Name, "List")
			may := status == tenancy.ReadOnly && (reads || slices.Contains(mayStill, o.Name))
			for _, w := range list {
				if o.Name == "DeleteObjects" || o.Name == "DeleteObject" {
					w.q.path = strings.Replace(w.q.path, "k0", "gone", 1)
					w.q.body = []byte(strings.Replace(string(w.q.body), "k1", "gone", 1))
				}
				r := tn.raw().do(t, &w.q)
				if refused := r.status == http.StatusForbidden; refused == may || !may && o.Method != "HEAD" && r.code() != "AccessDenied" && r.code() != "AccountProblem" {
					t.Errorf("%s by %s of an account that is %s: %d %.300s", o.Name, w.name, status, r.status, r.body)
				}
			}
		}
	}
}

// TestRights_keys: what a key is limited to holds for every operation, however it
// is asked for. The table here says what each limit leaves, not the product's own.
func TestRights_keys(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := furnished(t, g)
	past := time.Now().Add(-time.Second)
	for _, c := range []struct {
		name string
		key  tenancy.Key
		may  []string // operations that the limit leaves
	}{
		{"other buckets", tenancy.Key{Buckets: []string{"elsewhere"}}, []string{"ListBuckets"}},
		{"another prefix", tenancy.Key{Prefix: "in/"}, []string{"ListBuckets", "HeadBucket", "GetBucketLocation", "DeleteObjects"}},
		{"another network", tenancy.Key{CIDRs: prefixes("10.0.0.0/8")}, nil},
		{"the past", tenancy.Key{ExpiresAt: &past}, nil},
	} {
		k := tn.newKey(c.key)
		e := &endpoint{g.addr, k.KeyID, k.Secret}
		for _, o := range s3op.Operations {
			for _, w := range waysOf(t, o, k) {
				r := e.do(t, &w.q)
				switch may := slices.Contains(c.may, o.Name); {
				case may != (r.status != http.StatusForbidden), !may && o.Method != "HEAD" && r.code() != "AccessDenied":
					t.Errorf("%s by %s with a key for %s: %d %.300s", o.Name, w.name, c.name, r.status, r.body)
				case o.Name == "DeleteObjects" && may && r.status == http.StatusOK && !strings.Contains(string(r.body), "<Error><Key>dir/k1</Key><Code>AccessDenied"):
					t.Errorf("DeleteObjects by %s with a key for %s: %s", w.name, c.name, r.body)
				}
			}
		}
		// Listings of what the prefix does not reach, also by a longer beginning.
		for _, selector := range []string{"", "list-type", "versions", "uploads"} {
			for _, prefix := range []string{"", "in", "dir/", "inx/"} {
				q := query("prefix", prefix)
				if selector != "" {
					q.Set(selector, map[string]string{"list-type": "2"}[selector])
				}
				if r := e.do(t, &request{method: "GET", path: "/" + isolated, query: q}); r.status != http.StatusForbidden {
					t.Errorf("a listing (%s) of %q with a key for %s: %d", selector, prefix, c.name, r.status)
				}
			}
		}
	}
	// Each right by itself: what it is for goes on, what needs another does not.
	rights := map[string]func(*s3op.Operation) bool{
		"read": func(o *s3op.Operation) bool {
			return strings.HasPrefix(o.Name, "Get") || o.Name == "HeadObject" || o.Name == "HeadBucket"
		},
		"list": func(o *s3op.Operation) bool {
			return strings.HasPrefix(o.Name, "List") || o.Name == "HeadBucket" || o.Name == "GetBucketLocation"
		},
		"write": func(o *s3op.Operation) bool {
			switch o.Name {
			case "PutObject", "PostObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "HeadBucket", "GetBucketLocation",
				"PutObjectTagging", "DeleteObjectTagging", "PutObjectRetention", "PutObjectLegalHold", "PutObjectAcl":
				return true
			}
			return false // copies read as well
		},
		"delete": func(o *s3op.Operation) bool {
			return o.Name == "DeleteObject" || o.Name == "DeleteObjects" || o.Name == "HeadBucket" || o.Name == "GetBucketLocation"
		},
		"manage": func(o *s3op.Operation) bool {
			return o.Name != "GetBucketLocation" && o.Level == s3op.Bucket && (strings.HasPrefix(o.Name, "PutBucket") || strings.HasPrefix(o.Name, "DeleteBucket") ||
				o.Name == "PutObjectLockConfiguration" || o.Name == "CreateBucket") || o.Name == "HeadBucket" || o.Name == "GetBucketLocation"
		},
	}
	for right, may := range rights {
		k := tn.newKey(tenancy.Key{Permissions: []string{right}})
		for _, o := range s3op.Operations {
			if right == "manage" && (o.Name == "DeleteBucket" || o.Name == "DeleteBucketPolicy") {
				continue // what the others need
			}
			for _, w := range waysOf(t, o, k) {
				r := (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &w.q)
				if may(o) == (r.status == http.StatusForbidden) {
					t.Errorf("%s by %s with the right to %s: %d %.300s", o.Name, w.name, right, r.status, r.body)
				}
			}
		}
	}
}

// TestRights_keyLimits: a key's own limits reach the nodes, hold its requests of
// every kind, and no other key's.
func TestRights_keyLimits(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := furnished(t, g)
	for _, c := range []struct {
		name   string
		limits tenancy.Limits
		code   string
		status int
		ways   []string // that are refused
	}{
		{"a request budget", hardCap(tenancy.Requests, 0), "QuotaExceeded", 403, []string{"GET", "PUT", "form", "list", "URL"}},
		{"an egress budget", hardCap(tenancy.Egress, 0), "QuotaExceeded", 403, []string{"GET", "form", "list", "URL"}}, // what has an answer with a body
		{"a rate", tenancy.Limits{RequestsPerSecond: 1}, "SlowDown", 503, []string{"GET", "PUT", "form", "list", "URL"}},
	} {
		k := tn.newKey(tenancy.Key{})
		e := &endpoint{g.addr, k.KeyID, k.Secret}
		requests := map[string]func() *request{
			"GET":  func() *request { return &request{method: "GET", path: "/" + isolated + "/dir/k0"} },
			"URL":  func() *request { return &request{method: "GET", path: "/" + isolated + "/dir/k0", presign: true} },
			"list": func() *request { return &request{method: "GET", path: "/" + isolated} },
			"PUT":  func() *request { return &request{method: "PUT", path: "/" + isolated + "/dir/new", body: []byte("x")} },
			"form": func() *request {
				q := formRequest(t, isolated, signForm(t, k.KeyID, k.Secret, map[string]string{"key": "dir/form"}, isolated), "f")
				return &q
			},
		}
		for name, q := range requests { // the key is known to the node, without limits
			if r := e.do(t, q()); r.status >= 300 {
				t.Fatal(name, r.status, string(r.body))
			}
		}
		if err := tenancy.SetKeyLimits(t.Context(), g.owner, k, &c.limits); err != nil {
			t.Fatal(err)
		}
		for name, q := range requests {
			if !slices.Contains(c.ways, name) {
				if r := e.do(t, q()); r.status >= 300 {
					t.Errorf("%s: %s: %d %s", c.name, name, r.status, r.body)
				}
				continue
			}
			testenv.WaitFor(t, c.name+" to hold "+name, func() bool {
				r := e.do(t, q())
				return r.status == c.status && r.code() == c.code
			})
		}
		if r := tn.raw().do(t, requests["GET"]()); r.status != 200 {
			t.Errorf("%s: another key of the account: %d %s", c.name, r.status, r.body)
		}
		if err := tenancy.SetKeyLimits(t.Context(), g.owner, k, &tenancy.Limits{}); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, c.name+" to be taken away", func() bool { return e.do(t, requests["GET"]()).status == 200 })
	}
}

// TestRights_publicBlocked: a bucket that is blocked is nobody's to read, whatever
// its policy says, and its owner's as before.
func TestRights_publicBlocked(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := furnished(t, g)
	host := tn.account.Name + ".tenants.example.test"
	reads := []request{
		{method: "GET", path: "/" + isolated + "/dir/k0"}, {method: "HEAD", path: "/" + isolated + "/dir/k0"},
		{method: "GET", path: "/" + isolated}, {method: "GET", path: "/" + isolated, query: query("list-type", "2")},
	}
	for _, blocked := range []bool{false, true, false} {
		if _, err := g.owner.Exec(t.Context(), `UPDATE buckets SET public_blocked = $2 WHERE account_id = $1`, tn.account.ID, blocked); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the block", func() bool {
			b, err := g.dir.Bucket(t.Context(), tn.account.ID, []byte(isolated))
			return err == nil && b.PublicBlocked == blocked
		})
		for _, q := range reads {
			for _, anonymous := range []bool{true, false} {
				q.anonymous, q.host = anonymous, host
				want := http.StatusOK
				if anonymous && blocked {
					want = http.StatusForbidden
				}
				if r := tn.raw().do(t, &q); r.status != want {
					t.Errorf("blocked=%v, without a key=%v: %s %s: %d %s", blocked, anonymous, q.method, q.path, r.status, r.body)
				}
			}
		}
	}
}

// TestRights_trustedProxies: behind a proxy that is trusted it is the client's
// address that a key's networks are held against and that the line has; what
// others claim makes no difference.
func TestRights_trustedProxies(t *testing.T) {
	t.Parallel()
	for trust, trusted := range map[string]bool{"127.0.0.1/32 10.9.0.0/16": true, "10.9.0.0/16": false, "": false} {
		g := newGateway(t, options{trust: prefixes(strings.Fields(trust)...)})
		tn := furnished(t, g)
		k := tn.newKey(tenancy.Key{CIDRs: prefixes("10.0.0.0/16")})
		form := formRequest(t, isolated, signForm(t, k.KeyID, k.Secret, map[string]string{"key": "dir/form"}, isolated), "f")
		for _, q := range []request{
			{method: "GET", path: "/" + isolated + "/dir/k0"},
			{method: "GET", path: "/" + isolated + "/dir/k0", presign: true},
			{method: "PUT", path: "/" + isolated + "/dir/new", body: []byte("x")},
			form,
		} {
			for _, c := range []struct {
				forwarded string
				remote    string
				may       bool
			}{
				{"10.0.0.7", "10.0.0.7", true},
				{"192.0.2.1", "192.0.2.1", false},
				{"10.0.0.7, 192.0.2.1", "192.0.2.1", false}, // the first is the client's own invention
				{"192.0.2.1, 10.0.0.7, 10.9.0.1", "10.0.0.7", true},
				{"", "127.0.0.1", false},
			} {
				q := q
				q.edit = func(r *http.Request) {
					if c.forwarded != "" {
						r.Header.Set("X-Forwarded-For", c.forwarded)
					}
				}
				may, remote := c.may, c.remote
				if !trusted {
					may, remote = false, "127.0.0.1"
				}
				r := (&endpoint{g.addr, k.KeyID, k.Secret}).do(t, &q)
				if (r.status < 300) != may || !may && r.code() != "AccessDenied" {
					t.Errorf("trusted %q, for %q: %s: %d %s", trust, c.forwarded, q.method, r.status, r.body)
				}
				if got := g.lineOf(t, r).Remote.String(); got != remote {
					t.Errorf("trusted %q, for %q: the line has %s, want %s", trust, c.forwarded, got, remote)
				}
			}
		}
	}
}

// TestRights_objectSize: the largest object is a bound on every way to send one,
// before its bytes are asked for.
func TestRights_objectSize(t *testing.T) {
	t.Parallel()
	const most = 100_000
	g := newGateway(t, options{limits: proxy.Limits{ObjectSize: most}})
	tn := furnished(t, g)
	e := tn.raw()
	begun := e.must(t, &request{method: "POST", path: "/" + isolated + "/dir/up", query: query("uploads", "")})
	_, rest, _ := strings.Cut(string(begun.body), "<UploadId>")
	upload, _, _ := strings.Cut(rest, "<")
	for name, build := range map[string]func(n int) request{
		"PutObject": func(n int) request {
			return request{method: "PUT", path: "/" + isolated + "/dir/large", body: make([]byte, n)}
		},
		"presigned": func(n int) request {
			return request{method: "PUT", path: "/" + isolated + "/dir/large", body: make([]byte, n), presign: true}
		},
		"UploadPart": func(n int) request {
			return request{method: "PUT", path: "/" + isolated + "/dir/up", query: query("partNumber", "1", "uploadId", upload), body: make([]byte, n)}
		},
		"PostObject": func(n int) request {
			return formRequest(t, isolated, signForm(t, e.id, e.secret, map[string]string{"key": "dir/large"}, isolated), strings.Repeat("f", n))
		},
	} {
		for _, c := range []struct {
			n    int
			fits bool
		}{{most, true}, {most + 1, false}, {10 * most, false}} {
			q := build(c.n)
			r := e.do(t, &q)
			if (r.status < 300) != c.fits || !c.fits && (r.status != 400 || r.code() != "EntityTooLarge") {
				t.Errorf("%s of %d bytes, %d are the most: %d %s", name, c.n, most, r.status, r.body)
			}
		}
	}
	for _, decoded := range []string{"100001", "5368709121"} {
		r := e.do(t, &request{method: "PUT", path: "/" + isolated + "/dir/chunked", payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", body: []byte("1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
			header: headers("x-amz-decoded-content-length", decoded, "x-amz-trailer", "x-amz-checksum-crc32")})
		if r.status != 400 || r.code() != "EntityTooLarge" {
			t.Errorf("chunks of %s bytes: %d %s", decoded, r.status, r.body)
		}
	}
	if r := e.do(t, &request{method: "HEAD", path: "/" + isolated + "/dir/chunked"}); r.status != 404 {
		t.Errorf("it is there: %d", r.status)
	}
}

// TestRights_expectedOwner: who says whose a bucket is to be, or the bucket that is
// copied from, and is wrong gets nothing done, whatever the operation and however it
// is asked for. MinIO knows neither header.
func TestRights_expectedOwner(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := furnished(t, g)
	e := tn.raw()
	const own, source = "X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"
	for _, o := range s3op.Operations {
		if o.Level == s3op.Service || o.Name == "CreateBucket" {
			continue // of no bucket yet
		}
		headers := []string{own}
		if o.CopySource {
			headers = append(headers, source)
		}
		for _, name := range headers {
			for _, w := range waysOf(t, o, tn.key) {
				w.q.header.Set(name, strings.Repeat("0", 64))
				if r := e.do(t, &w.q); r.status != http.StatusForbidden || o.Method != "HEAD" && r.code() != "AccessDenied" {
					t.Errorf("%s by %s with another %s: %d %.300s", o.Name, w.name, name, r.status, r.body)
				}
			}
		}
	}
	upload := e.begin(t, "/"+isolated+"/dir/copied")
	for name, q := range map[string]request{
		"CopyObject":     {method: "PUT", path: "/" + isolated + "/dir/copied"},
		"UploadPartCopy": {method: "PUT", path: "/" + isolated + "/dir/copied", query: query("partNumber", "1", "uploadId", upload)},
	} {
		q.header = headers("x-amz-copy-source", isolated+"/dir/k0", own, tn.account.CanonicalID, source, tn.account.CanonicalID)
		if r := e.do(t, &q); r.status != http.StatusOK {
			t.Errorf("%s with the right owners: %d %s", name, r.status, r.body)
		}
	}
}
