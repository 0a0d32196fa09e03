package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// listenAdmin opens the operator's listener. It is kept apart from the S3 ones: nothing of it is for tenants.
func (n *node) listenAdmin() error {
	if n.cfg.AdminAddr == "" {
		return nil
	}
	l, err := net.Listen("tcp", n.cfg.AdminAddr)
	if err != nil {
		return err
	}
	n.addrs.Admin = l.Addr().String()
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "primecloud_admin_accept_errors_total", Help: "Times that no connection could be accepted here.",
	})
	n.registry.MustRegister(failed)
	l = socket.NewListener(l, n.log, failed.Inc)
	r := httprouter.New()
	r.Handler(http.MethodGet, "/metrics", promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{}))
	r.HandlerFunc(http.MethodGet, "/healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, "ok", nil) })
	r.HandlerFunc(http.MethodGet, "/readyz", n.readyz)
	r.HandlerFunc(http.MethodGet, "/debug/pprof/*name", profile)
	n.admin = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	n.serveAdmin = func() error { return n.admin.Serve(l) }
	return nil
}

// readyz says what is missing. A node that drains is not ready, so that a
// load balancer takes it out before its listeners close.
func (n *node) readyz(w http.ResponseWriter, _ *http.Request) {
	missing := []string{}
	select {
	case <-n.draining:
		missing = append(missing, "this node is draining")
	default:
	}
	if n.directory != nil && !n.directory.Connected() {
		missing = append(missing, "the database: changes are not being heard")
	}
	if n.workerLost.Load() {
		missing = append(missing, "the database: it does not answer the worker")
	}
	if !n.clock.Right() {
		missing = append(missing, fmt.Sprintf("the time: this machine's clock is %s ahead of the database's", n.clock.Offset()))
	}
	if len(missing) > 0 {
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
