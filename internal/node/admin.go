package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/primecloudpro/primecloud/internal/listen"
)

// startAdmin opens the operator's listener. It is kept apart from the S3 ones: nothing
// of it is for tenants. It is the first to start and the last to stop, so that
// somebody can see both.
func (n *node) startAdmin() error {
	if n.cfg.Admin.Addr == "" {
		return nil
	}
	l, err := listenTCP("admin.addr", n.cfg.Admin.Addr)
	if err != nil {
		return err
	}
	n.addrs.Admin = l.Addr().String()
	acceptErrors := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "primecloud_admin_accept_errors_total", Help: "Times that no connection could be accepted here.",
	})
	n.registry.MustRegister(acceptErrors)
	l = listen.Retry(l, n.log, acceptErrors.Inc)
	r := httprouter.New()
	r.Handler(http.MethodGet, "/metrics", promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{}))
	r.HandlerFunc(http.MethodGet, "/healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, "ok", nil) })
	r.HandlerFunc(http.MethodGet, "/readyz", n.readyz)
	r.HandlerFunc(http.MethodGet, "/debug/pprof/*name", profile)
	srv := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	return n.services.Push(Background("admin", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}))
}

// readyz says what is missing. A node that drains is not ready, so that a
// load balancer takes it out before its listeners close.
func (n *node) readyz(w http.ResponseWriter, _ *http.Request) {
	if missing := n.services.Missing(); len(missing) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, "not ready", missing)
		return
	}
	writeJSON(w, http.StatusOK, "ready", nil)
}

func writeJSON(w http.ResponseWriter, status int, state string, missing []string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Status  string   `json:"status"`
		Missing []string `json:"missing,omitempty"`
	}{state, missing})
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
