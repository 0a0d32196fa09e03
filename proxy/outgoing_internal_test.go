package proxy

import (
	"errors"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What gets past every check and cannot be one request is our fault, and
// somebody is told: 500, a count to alert on, a cause for the log, no call.
func TestSend_unsendable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pool, err := upstream.New(upstream.Config{Endpoints: []string{"http://" + l.Addr().String()}, HealthInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Abort()
	registry := prometheus.NewRegistry()
	s, err := New(Config{Directory: struct{ Directory }{}, Meter: struct{ Meter }{}, MAC: func(string, []byte) []byte { return nil }, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(x *exchange){
		"header": func(x *exchange) { x.out.header([]byte("x-amz-meta-a: 1\r\nhost"), []byte("v")) },
		"value":  func(x *exchange) { x.out.header([]byte("x-amz-meta-a"), []byte("v\r\nhost: x")) },
		"length": func(x *exchange) { x.out.header([]byte("content-length"), []byte("1")) },
		"method": func(x *exchange) { x.out.method = "GET / HTTP/1.1\r\n" },
	} {
		before := unsendable(t, registry)
		x := s.newExchange(&fasthttp.RequestCtx{}, &clientconn.Conn{})
		x.op, x.backend = s3op.ByName("GetObject"), &backend{of: &tenancy.Backend{}, pool: pool}
		x.out.set("GET", "bucket", []byte("k"))
		spoil(x)
		var own *s3err.Error
		if err := x.send(nil); !errors.As(err, &own) || own.Status() != 500 || !errors.Is(own.Cause, upstream.ErrHead) {
			t.Errorf("%s: %v", name, err)
		}
		if x.respOpen || unsendable(t, registry) != before+1 || pool.Healthy() != 1 {
			t.Errorf("%s: it was not counted, or the backend was called", name)
		}
	}
}

func unsendable(t *testing.T, r *prometheus.Registry) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "primecloud_proxy_unsendable_requests_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no such count")
	return 0
}
