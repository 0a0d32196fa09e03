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

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/primecloudpro/primecloud/internal/oplog"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Addresses are where a node listens, known once it does; "": not at all.
type Addresses struct{ S3, TLS, Admin string }

// node is what the services of a process are built from.
type node struct {
	cfg      Config
	log      *slog.Logger
	clock    *pg.Clock
	registry *prometheus.Registry
	keyring  keys
	services *Stack
	addrs    Addresses
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
	if cfg.Node == "" {
		cfg.Node, _ = os.Hostname()
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	n := &node{cfg: cfg, registry: prometheus.NewRegistry()}
	n.log = cfg.logger(n.registry)
	n.clock = pg.NewClock(cfg.now(), n.log, n.registry)
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.services = NewStack(ctx, n.log)
	err := n.start(ctx)
	if err == nil && ctx.Err() == nil {
		n.services.Serving()
		n.log.Info("serving", "s3", n.addrs.S3, "tls", n.addrs.TLS, "admin", n.addrs.Admin, "node", cfg.Node)
		if cfg.OnReady != nil {
			cfg.OnReady(n.addrs)
		}
		err = n.services.Wait()
		n.log.Info("draining", "timeout", cfg.DrainTimeout)
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
	if err := n.services.Push(Service{Name: "clock", Missing: func() []string {
		if n.clock.Right() {
			return nil
		}
		return []string{fmt.Sprintf("the time: this machine's clock is %s ahead of the database's", n.clock.Offset())}
	}}); err != nil {
		return err
	}
	if err := n.startAdmin(); err != nil {
		return err
	}
	for _, role := range roles {
		if !n.cfg.has(role.name) {
			continue
		}
		if err := role.start(n, ctx); err != nil {
			return err
		}
	}
	if n.cfg.Reread == nil {
		return nil
	}
	return n.services.Push(n.watchKeyring())
}

func (n *node) openPool(ctx context.Context, name, url string) (*pgxpool.Pool, error) {
	pool, err := pg.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := n.services.Push(Closer(name, func() error { pool.Close(); return nil })); err != nil {
		return nil, err
	}
	if err := pg.CheckVersion(ctx, pool); err != nil {
		return nil, err
	}
	return pool, n.clock.Compare(ctx, pool)
}

func (cfg *Config) logger(metrics prometheus.Registerer) *slog.Logger {
	w := cfg.Output
	if w == nil {
		w = io.Discard
	}
	level, _ := cfg.level()
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if cfg.Log.Format == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(oplog.New(h, oplog.Config{Metrics: metrics}))
}
