package proxy

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/tenancy"
)

// readyPath is where a balancer asks for the health of this node on S3's own port. No
// bucket's name begins with a dot.
const readyPath = "/.primecloud/readyz"

// answerHealth answers a balancer that asks for readyPath, and reports whether it did.
// The host is not asked for, since balancers name what they like or, in HTTP/1.0,
// nothing; but where it names a bucket the path is a key of a customer's. It is no
// request of S3: it has no exchange, and so no line, figure or bill. The answer ends the
// connection, so that whatever the head says of a body is no next request.
func (s *Server) answerHealth(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if s.cfg.Health == nil || string(h.RequestURI()) != readyPath || !h.IsGet() && !h.IsHead() {
		return false
	}
	c := ctx.Conn().(*clientconn.Conn)
	if c.Pending() != nil || s.namesBucket(h.Host()) {
		return false
	}
	status := s.cfg.Health()
	ctx.Response.Header.Set("Content-Type", "application/json")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(status.Code())
	ctx.SetBodyString(`{"status":"` + string(status) + `"}` + "\n")
	ctx.SetConnectionClose()
	return true
}

// namesBucket reports whether a Host header puts a bucket before the path.
func (s *Server) namesBucket(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	name, ok := hostName(raw)
	if !ok {
		return false
	}
	var x host
	x.name = appendLower(nil, name)
	return s.hosts.match(&x) == nil && x.bucket != nil
}

// Backends returns the state of every backend's endpoints, by their names.
func (s *Server) Backends() []health.Endpoint {
	var all []health.Endpoint
	s.backends.each(func(b *backend) {
		for _, e := range b.pool.States() {
			one := health.Endpoint{Backend: b.of.Name, Endpoint: e.Endpoint, Up: e.Up, Error: e.Failure}
			if at := e.FailedAt.UTC(); !e.FailedAt.IsZero() {
				one.FailedAt = &at
			}
			all = append(all, one)
		}
	})
	slices.SortFunc(all, func(a, b health.Endpoint) int {
		if n := strings.Compare(a.Backend, b.Backend); n != 0 {
			return n
		}
		return strings.Compare(a.Endpoint, b.Endpoint)
	})
	return all
}

// KeepBackends makes the gateway watch these backends, before a request is for one, and
// no others.
func (s *Server) KeepBackends(ctx context.Context, ids []tenancy.ID) {
	for _, id := range ids {
		_, _ = s.backends.get(ctx, id) // the directory logs why one cannot be had
	}
	s.backends.each(func(b *backend) {
		if !slices.Contains(ids, b.of.ID) {
			s.backends.forget(b)
		}
	})
}

var endpointUp = prometheus.NewDesc("primecloud_upstream_backend_endpoint_up",
	"1: the endpoint of the backend has answered since it failed last. Alert on 0 for more than a minute.", []string{"backend", "endpoint"}, nil)

// Describe implements prometheus.Collector: backends come and go, and with them
// their series.
func (bs *backends) Describe(to chan<- *prometheus.Desc) { to <- endpointUp }

// Collect implements prometheus.Collector.
func (bs *backends) Collect(to chan<- prometheus.Metric) {
	for _, e := range bs.srv.Backends() {
		up := 0.0
		if e.Up {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(endpointUp, prometheus.GaugeValue, up, e.Backend, e.Endpoint)
	}
}
