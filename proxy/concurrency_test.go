package proxy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestConcurrency_slowClients: an account that was given no limits has as many
// requests at once as the node lets one have, whatever they wait with: answers
// that nobody reads, bodies that do not come. One more is put off, and said in the
// log; another account is served at once. So is the account itself, where it is
// strangers who are slow.
func TestConcurrency_slowClients(t *testing.T) {
	t.Parallel()
	const most = 6
	g := newGateway(t, options{limit: limits.Config{Concurrent: most}})
	const large = 24 << 20 // more than the sockets hold
	slow, other := g.tenant(), g.tenant()
	for _, tn := range []*tenant{slow, other} {
		tn.put(t, "k", 1000)
	}
	slow.raw().must(t, &request{method: "PUT", path: "/broken/large", body: make([]byte, large)})
	slow.raw().must(t, &request{method: "PUT", path: "/broken", query: query("policy", ""), body: []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::broken/*"]}]}`)})
	host := slow.account.Name + ".tenants.example.test"
	small := &request{method: "GET", path: "/broken/k"}
	stranger := &request{method: "GET", path: "/broken/k", anonymous: true, host: host}
	refused := func() float64 { return g.metric(t, "primecloud_limits_refused_total", "reason=concurrency") }

	for _, c := range []struct {
		name string
		q    request
		half bool // of its body is sent
		most int
	}{
		{"downloads", request{method: "GET", path: "/broken/large"}, false, most},
		{"uploads", request{method: "PUT", path: "/broken/up", body: make([]byte, 1<<20)}, true, most},
		{"presigned uploads", request{method: "PUT", path: "/broken/up", body: make([]byte, 1<<20), presign: true}, true, most},
		{"documents", request{method: "POST", path: "/broken", query: query("delete", ""), body: []byte("<Delete>" + strings.Repeat("<Object><Key>x</Key></Object>", 100) + "</Delete>")}, true, most},
		{"forms", formRequest(t, "broken", signForm(t, slow.key.KeyID, slow.key.Secret, map[string]string{"key": "form"}, "broken"), strings.Repeat("f", 1<<20)), true, most},
		{"strangers' downloads", request{method: "GET", path: "/broken/large", anonymous: true, host: host}, false, most / 2},
	} {
		var held []net.Conn
		for range c.most {
			held = append(held, hold(t, g, slow, c.q, c.half))
		}
		again, counted := small, refused()
		if c.q.host == host {
			again = stranger
		}
		testenv.WaitFor(t, "all of them to be at once", func() bool {
			r := slow.raw().do(t, again)
			if r.status == http.StatusOK {
				return false
			}
			if r.status != 503 || r.code() != "SlowDown" || r.header.Get("Retry-After") == "" {
				t.Fatalf("%s: one more: %d %s, Retry-After %q", c.name, r.status, r.body, r.header.Get("Retry-After"))
			}
			return true
		})
		if refused() <= counted {
			t.Errorf("%s: no metric says that one was refused", c.name)
		}
		if c.q.host == host {
			if r := slow.raw().do(t, small); r.status != 200 {
				t.Errorf("%s: with a key of the account: %d %s", c.name, r.status, r.body)
			}
		}
		if r := other.raw().do(t, small); r.status != 200 {
			t.Errorf("%s: another account: %d %s", c.name, r.status, r.body)
		}
		for _, nc := range held {
			_ = nc.Close()
		}
		testenv.WaitFor(t, c.name+" to be over", func() bool {
			r := slow.raw().do(t, again)
			return r.status == 200 && g.limiter.Active() == 0
		})
	}
	if log := g.log.String(); !strings.Contains(log, "as many requests at once as may be") || !strings.Contains(log, slow.account.ID.String()) {
		t.Error("the log does not say whose requests were too many")
	}
	// What an account was given is more than the default.
	slow.limit(t, tenancy.Limits{Concurrent: 2 * most})
	for range most {
		defer hold(t, g, slow, request{method: "GET", path: "/broken/large"}, false).Close()
	}
	if r := slow.raw().do(t, small); r.status != 200 {
		t.Errorf("beyond the default, within the account's own: %d %s", r.status, r.body)
	}
}

// hold sends a request, or half of its body, and does nothing more. It returns when
// the gateway is at it.
func hold(t *testing.T, g *gateway, tn *tenant, q request, half bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	wire := wireOf(t, tn.raw().build(t, &q))
	if half {
		wire = wire[:len(wire)-len(q.body)/2]
	}
	active := g.limiter.Active()
	if _, err := io.Copy(c, bytes.NewReader([]byte(wire))); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the request to be admitted", func() bool { return g.limiter.Active() > active })
	return c
}
