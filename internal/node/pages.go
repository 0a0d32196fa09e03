package node

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/listen"
)

// startAdmin opens the operator's listener. It is kept apart from the S3 ones: nothing
// of it is for tenants. It is the first to start and the last to stop, so that
// somebody can see both.
func (n *node) startAdmin() error {
	r := n.pages()
	r.HandlerFunc(http.MethodGet, "/healthz", health.Live) // as it was called before /livez
	r.HandlerFunc(http.MethodGet, "/debug/pprof/*name", profile)
	return n.startPages("admin", "admin.addr", n.cfg.Admin.Addr, &n.addrs.Admin, 0, &http.Server{Handler: r, ReadHeaderTimeout: headTimeout})
}

// startHealth opens the listener for balancers and for who collects metrics. It may be on
// the network: what it holds for those who ask is bounded.
func (n *node) startHealth() error {
	return n.startPages("health", "health.addr", n.cfg.Health.Addr, &n.addrs.Health, healthConnections, &http.Server{
		Handler: n.pages(), ReadHeaderTimeout: headTimeout, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	})
}

// pages are those that both listeners have.
func (n *node) pages() *httprouter.Router {
	r := httprouter.New()
	metrics := promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	r.Handler(http.MethodGet, "/metrics", metrics)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.HandlerFunc(method, "/livez", health.Live)
		r.HandlerFunc(method, "/readyz", health.Handler(n.health))
	}
	return r
}

// health is the report of this node, with the backends that it sends requests to.
func (n *node) health() health.Report {
	r := n.services.Health()
	if gateway := n.gateway.Load(); gateway != nil {
		r.Backends = gateway.Backends()
	}
	return r
}

// headTimeout is how long the head of a request to an operator's page may take.
const headTimeout = 10 * time.Second

// healthConnections is how many the listener for balancers has at once: more wait.
const healthConnections = 64

// startPages serves srv on the address of a setting, unless that is empty, to so many
// connections at once; 0: any number.
func (n *node) startPages(name, setting, addr string, bound *string, connections int, srv *http.Server) error {
	if addr == "" {
		return nil
	}
	l, err := listenTCP(setting, addr)
	if err != nil {
		return err
	}
	*bound = l.Addr().String()
	acceptErrors := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "primecloud_" + name + "_accept_errors_total", Help: "Times that no connection could be accepted here.",
	})
	n.registry.MustRegister(acceptErrors)
	l = listen.Retry(l, n.log, acceptErrors.Inc)
	if connections > 0 {
		l = netutil.LimitListener(l, connections)
	}
	return n.services.Push(Background(name, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}))
}

func profile(w http.ResponseWriter, r *http.Request) {
	switch httprouter.ParamsFromContext(r.Context()).ByName("name") {
	case "/cmdline":
		pprof.Cmdline(w, r)
	case "/profile":
		pprof.Profile(w, r)
	case "/symbol":
		pprof.Symbol(w, r)
	case "/trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}
