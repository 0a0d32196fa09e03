// Package node runs one process of an installation: the services of its roles,
// started in order and stopped in reverse.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/oplog"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/reload"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Addresses are where a node listens, known once it does; "": not at all.
type Addresses struct{ S3, TLS, Admin, Health string }

// node is what the services of a process are built from.
type node struct {
	cfg      Config
	level    slog.LevelVar
	log      *slog.Logger
	clock    *pg.Clock
	registry *prometheus.Registry
	keyring  keys
	services *Stack
	reloader *reload.Reloader
	apply    []func(Config) // settings that were read again, to the parts that have them
	gateway  atomic.Pointer[proxy.Server]
	addrs    Addresses

	pair atomic.Pointer[listen.Pair] // of the TLS listener
}

// roles start the services of each role, in this order. What takes requests comes
// last, so that it stops first.
var roles = []struct {
	name  string
	start func(*node, context.Context) error
}{
	{RoleWorker, (*node).startWorker},
	{RoleGateway, (*node).startGateway},
}

// Run runs the roles of cfg until ctx ends or a service fails, and then stops: no new
// connections, requests in flight end within DrainTimeout, usage is written. It
// returns when nothing of it runs any more: with nil when ctx ended and everything
// stopped in order, else with every error there was.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	n := &node{cfg: cfg, registry: prometheus.NewRegistry()}
	n.log = n.logger()
	n.reloader = reload.New(reload.Config{Logger: n.log, Metrics: n.registry})
	n.watchSettings()
	if n.cfg.Node == "" {
		n.cfg.Node, _ = os.Hostname()
	}
	n.clock = pg.NewClock(cfg.now(), n.log, n.registry)
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.services = NewStack(ctx, n.log)
	err := n.start(ctx)
	if err == nil && ctx.Err() == nil {
		n.services.Serving()
		n.log.Info("serving", "s3", n.addrs.S3, "tls", n.addrs.TLS, "admin", n.addrs.Admin, "health", n.addrs.Health, "node", n.cfg.Node)
		if cfg.OnReady != nil {
			cfg.OnReady(n.addrs)
		}
		err = n.services.Wait()
		if err == nil {
			n.drain()
		}
	}
	// What must be written is written, whatever has ended ctx.
	err = errors.Join(err, n.services.Stop(context.WithoutCancel(ctx)))
	n.log.Info("stopped")
	return err
}

func (n *node) start(ctx context.Context) (err error) {
	n.keyring = keys{process: tenancy.NewID(), reread: n.cfg.Reread, text: n.cfg.Keyring}
	if n.keyring.Keyring, err = secret.Parse([]byte(n.cfg.Keyring)); err != nil {
		return err
	}
	if !n.keyring.Binding() {
		n.log.Warn(tenancy.UnboundKeyring)
	}
	if err := n.services.Push(Service{Name: "clock", Checks: []health.Check{{Name: "clock", Look: n.clockRight}}}); err != nil {
		return err
	}
	for _, listener := range []func() error{n.startAdmin, n.startHealth} {
		if err := listener(); err != nil {
			return err
		}
	}
	for _, role := range roles {
		if !n.cfg.has(role.name) {
			continue
		}
		if err := role.start(n, ctx); err != nil {
			return err
		}
	}
	if n.cfg.Reread != nil {
		n.reloader.Add(reload.Source{Name: "keyring", Files: func() []string { return n.cfg.Files }, Load: n.keyring.Reload})
	}
	return n.startReloading()
}

// drain gives balancers the time to notice, while everything still works.
func (n *node) drain() {
	n.services.Draining()
	n.log.Info("draining", "delay", n.cfg.DrainDelay, "timeout", n.cfg.DrainTimeout)
	if gateway := n.gateway.Load(); gateway != nil {
		gateway.Drain()
		<-time.After(n.cfg.DrainDelay) // as long as it is: a second signal ends the process
	}
}

// openPool opens the database of a setting, which is meant to be for role.
func (n *node) openPool(ctx context.Context, setting, url, role string) (*pgxpool.Pool, error) {
	pool, err := pg.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if err := n.services.Push(Closer(setting, func() error { pool.Close(); return nil })); err != nil {
		return nil, err
	}
	if err := pg.CheckVersion(ctx, pool); err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	switch user, much, err := pg.OwnsAll(ctx, pool); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", setting, err)
	case much:
		n.log.Warn("a process that serves has all rights in the database; use a user with the role's own", "setting", setting, "user", user, "role", role)
	}
	return pool, n.clock.Compare(ctx, pool)
}

// withUnit writes durations as the text format does: JSON's number of nanoseconds does
// not say what it is.
func withUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

func (n *node) logger() *slog.Logger {
	w := n.cfg.Output
	if w == nil {
		w = io.Discard
	}
	level, _ := n.cfg.level()
	n.level.Set(level)
	o := &slog.HandlerOptions{Level: &n.level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if n.cfg.Log.Format == "json" {
		o.ReplaceAttr = withUnit
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(oplog.New(h, oplog.Config{Metrics: n.registry}))
}
