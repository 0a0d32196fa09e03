package proxy_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// admissions are requests whose way to admit is measured, by name.
func admissions(t testing.TB) map[string]*proxy.Admission {
	t.Helper()
	g := newGateway(t, options{quiet: true, limit: limits.Config{Concurrent: 1 << 10}})
	tn := g.tenant()
	if res := tn.raw().do(t, &request{method: "PUT", path: "/photos"}); res.status != http.StatusOK {
		t.Fatal(res.status, string(res.body))
	}
	accepted, _ := testenv.TCPPair(t)
	// Everything that can limit a request does, account and key.
	l := tenancy.Limits{RequestsPerSecond: 1 << 40, UploadRate: 1 << 40, DownloadRate: 1 << 40, Concurrent: 1 << 20}
	limited, key := g.tenant(), l
	if res := limited.raw().do(t, &request{method: "PUT", path: "/photos"}); res.status != http.StatusOK {
		t.Fatal(res.status, string(res.body))
	}
	if err := limits.AddCard(t.Context(), g.owner, limits.Card{ValidFrom: time.Now().Truncate(time.Hour), Rates: limits.Rates{Currency: "BRL", EgressGB: 1e7, ThousandB: 1e6}}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []tenancy.Budget{tenancy.Storage, tenancy.Egress, tenancy.Requests, tenancy.Spend} {
		l.Caps[b] = &tenancy.Cap{Amount: 1 << 60}
		if b != tenancy.Storage {
			key.Caps[b] = &tenancy.Cap{Amount: 1 << 60}
		}
	}
	if err := tenancy.SetKeyLimits(t.Context(), g.owner, limited.key, &key); err != nil {
		t.Fatal(err)
	}
	limited.limit(t, l)
	out := map[string]*proxy.Admission{}
	for name, q := range map[string]*request{
		"GetObject":            {method: "GET", path: "/photos/2026/a b.jpg"},
		"GetObject by address": {method: "GET", path: "/photos/k", host: "127.0.0.1:9000"},
		"GetObject presigned":  {method: "GET", path: "/photos/k", presign: true},
		"virtual host":         {method: "GET", path: "/k", host: "photos.s3.example.test"},
		"tenant host":          {method: "GET", path: "/photos/k", host: tn.account.Name + ".tenants.example.test"},
		"PutObject":            {method: "PUT", path: "/photos/k", body: []byte("hello"), header: http.Header{"Content-Type": {"text/plain"}, "X-Amz-Meta-A": {"b"}}},
		"ListObjectsV2":        {method: "GET", path: "/photos", query: url.Values{"list-type": {"2"}, "prefix": {"2026/"}, "max-keys": {"10"}}},
		"GetObject limited":    {method: "GET", path: "/photos/k"},
		"PutObject limited":    {method: "PUT", path: "/photos/k", body: []byte("hello")},
	} {
		if q.host == "" {
			q.host = "s3.example.test"
		}
		var wire bytes.Buffer
		from := tn
		if strings.HasSuffix(name, "limited") {
			from = limited
		}
		r := from.raw().build(t, q)
		if err := r.Write(&wire); err != nil {
			t.Fatal(err)
		}
		a, err := g.server.NewAdmission(accepted, func(req *fasthttp.Request) error {
			return req.Read(bufio.NewReader(&wire))
		})
		if err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, name+" to be admitted", func() bool { return a.Run() == nil })
		out[name] = a
	}
	return out
}

// BenchmarkAdmission is what the gateway's own thinking costs a request: parse,
// resolve, verify, authorize and admit, with everything cached.
func BenchmarkAdmission(b *testing.B) {
	for name, a := range admissions(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := a.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
