package proxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// ownDomain makes a host of the account's own.
func (t *tenant) ownDomain(host, purpose string) string {
	t.g.t.Helper()
	bucket := map[string]any{"website": "isolated"}[purpose]
	t.g.Exec(`INSERT INTO domains (host, account_id, ownership, purpose, bucket) VALUES ($1, $2, 'verified', $3, $4)`, host, t.account.ID, purpose, bucket)
	return host
}

// addressing is a way to reach an account: its Host header, and where the bucket is.
type addressing struct {
	name, host string
	inHost     bool // the bucket is in front of the host
}

func addressings(tn *tenant) []addressing {
	own := tn.ownDomain("s3."+tn.account.Name+".customer.test", "s3")
	tenantHost := tn.account.Name + ".tenants.example.test"
	return []addressing{
		{"shared", "s3.example.test", false}, {"shared, bucket in front", "s3.example.test", true},
		{"tenant host", tenantHost, false}, {"tenant host, bucket in front", tenantHost, true},
		{"own domain", own, false}, {"own domain, bucket in front", own, true}, {"own domain with a port", own + ":8443", false},
	}
}

// to addresses a request that is in path style.
func (a addressing) to(q request, bucket string) request {
	q.host = a.host
	if a.inHost && (q.path == "/"+bucket || strings.HasPrefix(q.path, "/"+bucket+"/")) {
		q.host = bucket + "." + a.host
		q.path = "/" + strings.TrimPrefix(strings.TrimPrefix(q.path, "/"+bucket), "/")
	}
	return q
}

// onlyNames asserts that an answer names no host but the one that the client used.
func onlyNames(t *testing.T, g *gateway, what, host string, r *reply) {
	t.Helper()
	text := fmt.Sprint(r.header, " ", string(r.body))
	for _, other := range []string{"example.test", "customer.test", "localhost", "127.0.0.1", g.minio.Endpoint, strings.TrimPrefix(g.minio.Endpoint, "http://"), g.addr} {
		if left := strings.ReplaceAll(text, host, ""); strings.Contains(left, other) {
			t.Errorf("%s names %s: %s", what, other, text)
		}
	}
	for _, location := range []string{r.header.Get("Location"), between(r.body, "<Location>", "</Location>")} {
		if strings.Contains(location, "//") && !strings.HasPrefix(location, "http://"+host+"/") {
			t.Errorf("%s: %s is not on %s", what, location, host)
		}
	}
}

func between(body []byte, from, to string) string {
	_, rest, _ := bytes.Cut(body, []byte(from))
	text, _, _ := bytes.Cut(rest, []byte(to))
	return string(text)
}

// Every operation is answered on every host of an account as on the shared one, signed
// and presigned, and no answer names another host than the client's.
func TestAnyHost(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	want := map[string]string{} // what the first addressing was answered
	for i := range addressings(g.tenant()) {
		v := newVictim(t, g)
		a := addressings(v.tn)[i]
		for _, op := range s3op.Operations {
			for n, q := range attempts(v, op) {
				if op.Body == s3op.Form {
					continue // TestAnyHost_written
				}
				q = a.to(q, isolated)
				what := fmt.Sprintf("%s on %s, presigned %v", op.Name, a.name, q.presign)
				r := v.tn.raw().do(t, &q)
				onlyNames(t, g, what, q.host, r)
				got := fmt.Sprint(r.status, " ", r.code())
				if r.status == 421 || r.code() == "SignatureDoesNotMatch" || r.status >= 500 && r.status != 501 {
					t.Errorf("%s: %s", what, got)
				}
				key := fmt.Sprint(op.Name, n)
				if first, ok := want[key]; !ok {
					want[key] = got
				} else if got != first {
					t.Errorf("%s: %s, and on the shared host %s", what, got, first)
				}
			}
		}
	}
}

// What is written says where it is: a completed upload, a form's answer and a new
// bucket, on the host that the client used.
func TestAnyHost_written(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/" + isolated})
	for _, a := range addressings(tn) {
		base := "http://" + a.to(request{path: "/" + isolated}, isolated).host
		if !a.inHost {
			base += "/" + isolated
		}
		do := func(q request) *reply {
			t.Helper()
			q = a.to(q, isolated)
			r := e.must(t, &q)
			onlyNames(t, g, a.name, q.host, r)
			return r
		}
		upload := between(do(request{method: "POST", path: "/" + isolated + "/a/b", query: query("uploads", "")}).body, "<UploadId>", "</UploadId>")
		part := do(request{method: "PUT", path: "/" + isolated + "/a/b", query: query("uploadId", upload, "partNumber", "1"), body: []byte("part")})
		done := do(request{method: "POST", path: "/" + isolated + "/a/b", query: query("uploadId", upload),
			body: []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + part.header.Get("Etag") + `</ETag></Part></CompleteMultipartUpload>`)})
		if got := between(done.body, "<Location>", "</Location>"); got != base+"/a/b" {
			t.Errorf("%s: a completed upload is at %q, want %s/a/b", a.name, got, base)
		}
		for status, where := range map[string]func(*reply) []string{
			"201": func(r *reply) []string {
				return []string{r.header.Get("Location"), between(r.body, "<Location>", "</Location>")}
			},
			"204": func(r *reply) []string { return []string{r.header.Get("Location")} },
		} {
			form := signForm(t, tn.key.KeyID, tn.key.Secret, map[string]string{"key": "form", "success_action_status": status}, isolated)
			for _, got := range where(do(formRequest(t, isolated, form, "x"))) {
				if got != base+"/form" {
					t.Errorf("%s: a form, %s: %q, want %s/form", a.name, status, got, base)
				}
			}
		}
		e.must(t, &request{method: "DELETE", path: "/" + isolated + "/a/b"})
	}
}

// A name below an account's own domain is a bucket, where a certificate of this server
// is good for it, or none is asked for; a domain of its own is what it says itself.
func TestAnyHost_belowOwnDomain(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true, covers: func(name string) bool { return strings.HasSuffix(name, ".covered.test") }})
	tn, other := g.tenant(), g.tenant()
	tn.raw().must(t, &request{method: "PUT", path: "/photos"})
	tn.raw().must(t, &request{method: "PUT", path: "/photos/k", body: []byte("k")})
	for _, host := range []string{"covered.test", "plain.test"} {
		tn.ownDomain(host, "s3")
	}
	other.ownDomain("videos.covered.test", "s3")
	for _, c := range []struct {
		host, path string
		tls        bool
		status     int
	}{
		{"covered.test", "/photos/k", true, 200}, {"plain.test", "/photos/k", true, 200},
		{"photos.covered.test", "/k", true, 200}, {"photos.covered.test", "/k", false, 200}, {"PHOTOS.Covered.test", "/k", true, 200},
		{"photos.plain.test", "/k", false, 200}, {"photos.plain.test", "/k", true, 421},
		{"nothing.covered.test", "/k", true, 404},       // no such bucket
		{"videos.covered.test", "/photos/k", true, 403}, // the other account's domain
		{"a.photos.covered.test", "/k", true, 421},      // no certificate is good for two labels
		{"a.photos.plain.test", "/k", false, 421},
		{"no_bucket.covered.test", "/k", true, 421}, {"test", "/photos/k", false, 421},
	} {
		do := tn.raw().do
		if c.tls {
			do = tn.doTLS
		}
		r := do(t, &request{method: "GET", path: c.path, host: c.host})
		if r.status != c.status || r.status == 200 && string(r.body) != "k" {
			t.Errorf("%s%s, TLS %v: %d %s, want %d", c.host, c.path, c.tls, r.status, r.code(), c.status)
		}
	}
}

// A host that this server does not serve, or not as S3, gets 421 for every operation,
// from whoever asks, and the backend is not asked.
func TestAnyHost_misdirected(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	tn := g.tenant()
	tn.raw().must(t, &request{method: "PUT", path: "/" + isolated})
	claimed := "claimed.customer.test"
	g.Exec(`INSERT INTO domains (host, account_id) VALUES ($1, $2)`, claimed, tn.account.ID)
	removed := tn.ownDomain("removed.customer.test", "s3")
	g.Exec(`UPDATE domains SET removed_at = now() WHERE host = $1`, removed)
	lost := tn.ownDomain("lost.customer.test", "s3")
	g.Exec(`UPDATE domains SET ownership = 'lost' WHERE host = $1`, lost)
	const nobodys, otherwise = "This server does not serve the host of the request.", "This host is for a website or the portal, and S3 is not spoken on it."
	hosts := map[string]string{
		"evil.test": nobodys, "s3.example.test.evil.test": nobodys, "evils3.example.test": nobodys, "tenants.example.test": nobodys, "nobody.tenants.example.test": nobodys,
		claimed: nobodys, removed: nobodys, lost: nobodys, isolated + "." + claimed: nobodys,
		tn.ownDomain("www.customer.test", "website"): otherwise, tn.ownDomain("portal.customer.test", "portal"): otherwise, isolated + ".www.customer.test": otherwise,
	}
	g.asked()
	for host, message := range hosts {
		for _, op := range s3op.Operations {
			if op.Body == s3op.Form {
				continue
			}
			for _, q := range attempts(&victim{upload: "none"}, op) {
				for _, q.anonymous = range []bool{false, true} {
					q.host = host
					if r := tn.raw().do(t, &q); r.status != 421 || op.Method != "HEAD" && (r.code() != "MisdirectedRequest" || !bytes.Contains(r.body, []byte("<Message>"+message+"</Message>"))) {
						t.Errorf("%s on %s, anonymous %v: %d %s", op.Name, host, q.anonymous, r.status, r.body)
					}
				}
			}
		}
		q := formRequest(t, isolated, signForm(t, tn.key.KeyID, tn.key.Secret, map[string]string{"key": "form"}, isolated), "x")
		q.host = host
		if r := tn.raw().do(t, &q); r.status != 421 {
			t.Errorf("a form on %s: %d", host, r.status)
		}
	}
	if seen := g.asked(); len(seen) > 0 {
		t.Errorf("the backend was asked: %.300q", seen)
	}
}
