package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/oplog"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

func (c *cli) serve(ctx context.Context, args []string) error {
	f := c.flags("serve", "[flags]")
	// The file is read first, so that flags win: look for it before the rest.
	file := c.getenv("PRIMECLOUD_CONFIG")
	for i, a := range args {
		if (a == "--config" || a == "-config") && i+1 < len(args) {
			file = args[i+1]
		}
	}
	cfg, err := loadConfig(file, c.environ)
	if err != nil {
		return err
	}
	f.String("config", file, "a TOML or YAML file (PRIMECLOUD_CONFIG)")
	cfg.flags(f)
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	return serve(ctx, cfg, c.err, nil)
}

func (cfg *Config) level() (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(cfg.LogLevel))
	return l, err
}

func (cfg *Config) logger(w io.Writer, metrics prometheus.Registerer) *slog.Logger {
	level, _ := cfg.level()
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if cfg.LogFormat == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(oplog.New(h, oplog.Config{Metrics: metrics}))
}

// addresses are where a node listens, known once it does.
type addresses struct{ S3, TLS, Admin string }

// node is a running process's parts, in the order in which they were built;
// they stop in reverse.
type node struct {
	cfg        Config
	log        *slog.Logger
	clock      *pg.Clock
	registry   *prometheus.Registry
	directory  *tenancy.Directory
	meter      *metering.Meter
	accessLog  *accesslog.Log // nil: none
	delivery   *accesslog.Delivery
	limiter    *limits.Limiter
	gateway    *proxy.Server
	jobs       *jobs.Runner
	sealer     *metering.Sealer // with jobs
	workerPool *pgxpool.Pool
	workerLost atomic.Bool // the worker's last question to the database had no answer
	admin      *http.Server
	listeners  []listener
	addrs      addresses
	draining   chan struct{}

	serveAdmin func() error
}

// serve runs a node until ctx ends, then drains it: no new connections,
// requests in flight finish within DrainTimeout, usage is flushed, the pool is
// closed. ready is called once everything listens.
func serve(ctx context.Context, cfg Config, logs io.Writer, ready func(addresses)) (err error) {
	return serveAt(ctx, cfg, time.Now, logs, ready)
}

// serveAt is serve on a machine with the clock now.
func serveAt(ctx context.Context, cfg Config, now func() time.Time, logs io.Writer, ready func(addresses)) (err error) {
	if err := cfg.validate(); err != nil {
		return err
	}
	n := &node{cfg: cfg, registry: prometheus.NewRegistry(), draining: make(chan struct{})}
	n.log = cfg.logger(logs, n.registry)
	n.clock = pg.NewClock(now, n.log, n.registry)
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	keyring, err := secret.Parse([]byte(cfg.Keyring))
	if err != nil {
		return err
	}
	if !keyring.Binding() {
		n.log.Warn(unboundKeyring)
	}
	if cfg.has(roleGateway) {
		pool, err := openPool(ctx, cfg.DatabaseURL)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := n.clock.Compare(ctx, pool); err != nil {
			return err
		}
		if err := n.fitConnections(); err != nil {
			return err
		}
		if err := n.makeGateway(pool, keyring); err != nil {
			return err
		}
	}
	if cfg.has(roleWorker) {
		pool, err := openPool(ctx, cfg.WorkerDatabaseURL)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := n.clock.Compare(ctx, pool); err != nil {
			return err
		}
		n.workerPool = pool
		periodic, err := n.periodic(pool, keyring)
		if err != nil {
			return err
		}
		if n.jobs, err = jobs.New(jobs.Config{Pool: pool, Periodic: periodic, Logger: n.log, Metrics: n.registry, Now: n.clock.Now, Right: n.clock.Right}); err != nil {
			return err
		}
	}
	return n.run(ctx, ready)
}

// openPool opens the database and refuses an old schema.
func openPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pool, err := pg.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := pg.CheckVersion(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// makeGateway builds what serves S3; pool is for the role primecloud_gateway.
func (n *node) makeGateway(pool *pgxpool.Pool, keyring *secret.Keyring) (err error) {
	cfg := &n.cfg
	if n.directory, err = tenancy.NewDirectory(tenancy.DirectoryConfig{
		Pool: pool, Keyring: keyring, Logger: n.log, Metrics: n.registry, MaxStale: cfg.MaxStale.Duration, MaxBuckets: cfg.MaxBuckets,
	}); err != nil {
		return err
	}
	if n.meter, err = metering.New(metering.Config{
		Pool: pool, Dir: cfg.JournalDir, Node: cfg.Node,
		FlushInterval: cfg.FlushInterval.Duration, SyncInterval: cfg.SyncInterval.Duration, Logger: n.log, Metrics: n.registry, Clock: n.clock,
	}); err != nil {
		return err
	}
	if n.limiter, err = limits.New(limits.Config{
		Pool: pool, Epoch: n.meter.Epoch(), Stored: metering.StoredBytes, Logger: n.log, Metrics: n.registry,
		Concurrent: cfg.concurrent(),
	}); err != nil {
		return err
	}
	if err := n.openAccessLog(keyring.MAC); err != nil {
		return err
	}
	proxies, err := cfg.proxies()
	if err != nil {
		return err
	}
	gateway := proxy.Config{
		Directory: n.directory, Meter: n.meter, MAC: keyring.MAC, Limiter: n.limiter, Logger: n.log, Metrics: n.registry, Region: cfg.Region, Node: cfg.Node,
		Hosts: cfg.Hosts, TenantDomain: cfg.TenantDomain, TrustedProxies: proxies, PublicScheme: cfg.PublicScheme, AnyNames: cfg.AnyNames,
		Limits: proxy.Limits{Connections: cfg.MaxConnections, PerAddress: cfg.ConnectionsPerAddress,
			Unverified: int64(cfg.UnverifiedMiB) << 20, Documents: int64(cfg.DocumentsMiB) << 20},
	}
	if cfg.ConnectionsPerAddress == 0 {
		gateway.Limits.PerAddress = -1 // 0 is the default there
	}
	if n.accessLog != nil {
		gateway.AccessLog = n.accessLog
	}
	n.gateway, err = proxy.New(gateway)
	return err
}

// periodic is the background work of the fleet; pool is for the role
// primecloud_worker. Every node with that role knows all of it.
func (n *node) periodic(pool *pgxpool.Pool, keyring *secret.Keyring) ([]jobs.Periodic, error) {
	inventory, err := metering.NewInventory(metering.InventoryConfig{Pool: pool, Store: &tenancy.Store{Keyring: keyring}, Now: n.clock.Now, Logger: n.log, Metrics: n.registry})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(n.cfg.JournalDir, 0o700); err != nil {
		return nil, fmt.Errorf("journal_dir: a worker notes there which seals it knows: %w", err)
	}
	n.sealer = metering.NewSealer(metering.SealerConfig{Pool: pool, Keys: keyring, Dir: n.cfg.JournalDir, Logger: n.log, Metrics: n.registry})
	return []jobs.Periodic{
		sampleStorage(inventory),
		{Kind: "usage_seal", Every: time.Minute, Timeout: 10 * time.Minute, Work: n.sealer.Seal},
	}, nil
}

func (n *node) run(ctx context.Context, ready func(addresses)) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	var running sync.WaitGroup
	failed := make(chan error, 8)
	launch := func(name string, f func() error) {
		running.Go(func() {
			if err := f(); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	if err := n.listen(); err != nil {
		return err
	}
	limited, stopLimiter := context.WithCancel(background)
	defer stopLimiter()
	var limiting sync.WaitGroup
	if n.gateway != nil {
		launch("directory", func() error { return n.directory.Run(background) })
		launch("metering", func() error { return n.meter.Run(background) })
		limiting.Go(func() { n.limiter.Run(limited) })
	}
	if n.accessLog != nil {
		launch("access log", func() error { return n.accessLog.Run(background) })
		launch("access log delivery", func() error { return n.delivery.Run(background) })
	}
	if n.jobs != nil {
		launch("jobs", func() error { return n.jobs.Run(ctx) }) // no new ones while the gateway drains
		launch("seals", func() error { n.sealer.Watch(ctx); return nil })
		launch("clock", func() error { n.watchClock(ctx); return nil })
	}
	for _, l := range n.listeners {
		launch("gateway", func() error { return n.gateway.Serve(l.Listener, l.tls) })
	}
	if n.admin != nil {
		launch("admin", func() error { return ignoreClosed(n.serveAdmin()) })
	}
	if n.gateway != nil {
		select {
		case <-n.directory.Ready():
		case <-ctx.Done():
		case err := <-failed:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the database does not answer LISTEN")
		}
	}
	n.log.Info("serving", "s3", n.addrs.S3, "tls", n.addrs.TLS, "admin", n.addrs.Admin, "node", n.cfg.Node)
	if ready != nil && ctx.Err() == nil {
		ready(n.addrs)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.log.Info("draining", "timeout", n.cfg.DrainTimeout.Duration)
	close(n.draining)
	draining, done := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.DrainTimeout.Duration)
	defer done()
	if n.gateway != nil {
		if serr := n.gateway.Shutdown(draining); serr != nil {
			n.log.Warn("requests were cut", "error", serr)
		}
	}
	stopLimiter() // other nodes may use what is given back, before this one's figures are final
	limiting.Wait()
	stopBackground() // the meter flushes a last time
	if n.admin != nil {
		_ = n.admin.Close()
	}
	running.Wait()
	n.deliverLast(ctx)
	n.log.Info("stopped")
	return err
}

// watchClock compares a worker's clock as a gateway's flushes do, and notices
// that the worker has no database.
func (n *node) watchClock(ctx context.Context) {
	t := time.NewTicker(n.cfg.FlushInterval.Duration)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			ctx, done := context.WithTimeout(ctx, 10*time.Second)
			n.workerLost.Store(n.clock.Compare(ctx, n.workerPool) != nil) // why, the jobs say
			done()
		}
	}
}

func (n *node) openAccessLog(mac metering.MAC) (err error) {
	cfg := &n.cfg
	if cfg.AccessLogDir == "" {
		return nil
	}
	if n.accessLog, err = accesslog.Open(accesslog.Config{
		Dir: cfg.AccessLogDir, Node: cfg.Node, Epoch: n.meter.Epoch(), RotateSize: int64(cfg.AccessLogRotateMiB) << 20,
		KeepAge: cfg.AccessLogKeep.Duration, KeepSize: int64(cfg.AccessLogKeepMiB) << 20, MaxSize: int64(cfg.AccessLogMaxMiB) << 20,
		UnprovenSize: int64(cfg.AccessLogUnprovenMiB) << 20, UnprovenRate: int64(cfg.AccessLogUnprovenKiB) << 10, BucketRate: int64(cfg.AccessLogUnprovenBucketKiB) << 10,
		Logger: n.log, Metrics: n.registry,
	}); err != nil {
		return err
	}
	n.delivery = accesslog.NewDelivery(accesslog.DeliveryConfig{Log: n.accessLog, Directory: n.directory, MAC: mac, Region: cfg.Region, Interval: cfg.AccessLogDelivery.Duration})
	return nil
}

// deliverLast delivers what the node has logged until its end. What does not
// get through is delivered when it starts again.
func (n *node) deliverLast(ctx context.Context) {
	if n.delivery == nil {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	if err := n.delivery.Deliver(ctx); err != nil {
		n.log.Warn("access logs not delivered; they are when this node starts again", "error", err)
	}
}

// listener is one of the gateway's; tls is nil for HTTP.
type listener struct {
	net.Listener
	tls *tls.Config
}

func (n *node) listen() error {
	open := func(addr string, config *tls.Config, bound *string) error {
		if addr == "" {
			return nil
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		*bound = l.Addr().String()
		n.listeners = append(n.listeners, listener{l, config})
		return nil
	}
	if n.gateway == nil {
		return n.listenAdmin()
	}
	if err := open(n.cfg.S3Addr, nil, &n.addrs.S3); err != nil {
		return err
	}
	if n.cfg.TLSAddr != "" {
		cert, err := tls.LoadX509KeyPair(n.cfg.TLSCert, n.cfg.TLSKey)
		if err != nil {
			return err
		}
		// S3 is HTTP/1.1 here: fasthttp speaks nothing else.
		config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		if err := open(n.cfg.TLSAddr, config, &n.addrs.TLS); err != nil {
			return err
		}
	}
	return n.listenAdmin()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
