package node

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
)

// startGateway starts what serves S3.
func (n *node) startGateway(ctx context.Context) error {
	cfg := &n.cfg
	pool, err := n.openPool(ctx, "database.url", cfg.Database.URL, pg.RoleGateway)
	if err != nil {
		return err
	}
	if err := n.watchRole(ctx, "database.url", pool, pg.RoleGateway); err != nil {
		return err
	}
	if _, err := n.joinKeyring(ctx, RoleGateway, pool); err != nil {
		return err
	}
	if err := n.fitConnections(); err != nil {
		return err
	}
	directory, err := tenancy.NewDirectory(tenancy.DirectoryConfig{
		Pool: pool, Keyring: n.keyring.Keyring, Logger: n.log, Metrics: n.registry, MaxStale: cfg.Database.MaxStale, MaxBuckets: cfg.S3.MaxBuckets,
	})
	if err != nil {
		return err
	}
	if err := n.services.Push(Closer("directory's caches", func() error { directory.Close(); return nil })); err != nil {
		return err
	}
	listening := Background("directory", directory.Run)
	listening.Ready = directory.Ready()
	listening.Checks = []health.Check{{Name: "database", Look: func() health.Result { return databaseThere(directory, time.Now()) }}}
	if err := n.services.Push(listening); err != nil {
		return err
	}
	meter, err := metering.New(metering.Config{
		Pool: pool, Dir: cfg.Journal.Dir, Node: cfg.Node,
		FlushInterval: cfg.Journal.FlushInterval, SyncInterval: cfg.Journal.SyncInterval, Logger: n.log, Metrics: n.registry, Clock: n.clock,
	})
	if err != nil {
		return err
	}
	counting := Background("metering", meter.Run)
	counting.Checks = journalChecks(meter)
	if err := n.services.Push(counting); err != nil {
		return err
	}
	gateway := proxy.Config{
		Directory: directory, Meter: meter, MAC: n.keyring.MAC, Logger: n.log, Metrics: n.registry, Region: cfg.S3.Region, Node: cfg.Node,
		Hosts: cfg.S3.Hosts, TenantDomain: cfg.S3.TenantDomain, TrustedProxies: cfg.S3.TrustedProxies, PublicScheme: cfg.S3.PublicScheme, AnyNames: cfg.S3.AnyNames, Covers: n.covers,
		Limits: proxy.Limits{Unverified: int64(cfg.S3.UnverifiedMiB) << 20, Documents: int64(cfg.S3.DocumentsMiB) << 20},
		Health: func() health.Status { return n.services.Health().Status },
	}
	if cfg.AccessLog.Dir != "" {
		if gateway.AccessLog, err = n.startAccessLog(directory, meter.Epoch()); err != nil {
			return err
		}
	}
	// It stops before metering does: other nodes may use what it gives back before
	// this one's figures are final.
	limiter, err := limits.New(limits.Config{
		Pool: pool, Epoch: meter.Epoch(), Stored: storage.StoredBytes, Logger: n.log, Metrics: n.registry,
		Concurrent: cfg.concurrent(),
	})
	if err != nil {
		return err
	}
	gateway.Limiter = limiter
	if err := n.services.Push(Background("limits", func(ctx context.Context) error { limiter.Run(ctx); return nil })); err != nil {
		return err
	}
	bounds := listen.Config{
		MaxConnections: cfg.S3.MaxConnections, PerAddress: cfg.S3.ConnectionsPerAddress, TrustedProxies: cfg.S3.TrustedProxies,
		Logger: n.log, Metrics: n.registry,
	}
	if bounds.PerAddress == 0 {
		bounds.PerAddress = -1 // 0 is the default there
	}
	return n.startListeners(pool, gateway, bounds)
}

// startAccessLog starts the access log and its delivery.
func (n *node) startAccessLog(directory *tenancy.Directory, epoch tenancy.ID) (*accesslog.Log, error) {
	cfg := &n.cfg
	accessLog, err := accesslog.Open(accesslog.Config{
		Dir: cfg.AccessLog.Dir, Node: cfg.Node, Epoch: epoch, RotateSize: int64(cfg.AccessLog.RotateMiB) << 20,
		KeepAge: cfg.AccessLog.Keep, KeepSize: int64(cfg.AccessLog.KeepMiB) << 20, MaxSize: int64(cfg.AccessLog.MaxMiB) << 20,
		UnprovenSize: int64(cfg.AccessLog.UnprovenMiB) << 20, UnprovenRate: int64(cfg.AccessLog.UnprovenKiB) << 10, BucketRate: int64(cfg.AccessLog.UnprovenBucketKiB) << 10,
		Logger: n.log, Metrics: n.registry,
	})
	if err != nil {
		return nil, err
	}
	delivery := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: accessLog, Directory: directory, MAC: n.keyring.MAC, Region: cfg.S3.Region, Interval: cfg.AccessLog.Delivery})
	for _, service := range []Service{
		// Stopped when the log is complete. What does not get through is delivered when the node starts again.
		{Name: "last delivery of access logs", Stop: func(ctx context.Context) error {
			ctx, done := context.WithTimeout(ctx, 10*time.Second)
			defer done()
			if err := delivery.Deliver(ctx); err != nil {
				n.log.Warn("access logs not delivered; they are when this node starts again", "error", err)
			}
			return nil
		}},
		Background("access log", accessLog.Run),
		Background("delivery of access logs", delivery.Run),
	} {
		if err := n.services.Push(service); err != nil {
			return nil, err
		}
	}
	return accessLog, nil
}

// startListeners starts the data path itself. It stops before all that it uses.
func (n *node) startListeners(pool *pgxpool.Pool, cfg proxy.Config, bounds listen.Config) error {
	gateway, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	if err := n.services.Push(watchBackends(pool, gateway)); err != nil {
		return err
	}
	n.gateway.Store(gateway)
	s3 := listen.NewReceiver("http/1.1") // fasthttp speaks nothing else
	server := listen.New(bounds)
	serve, err := n.listen(server, s3)
	if err != nil {
		return err
	}
	serve = append(serve, func() error { return gateway.Serve(s3) })
	n.apply = append(n.apply, func(cfg Config) {
		gateway.SetTrustedProxies(cfg.S3.TrustedProxies)
		server.SetTrustedProxies(cfg.S3.TrustedProxies)
	})
	var running sync.WaitGroup
	return n.services.Push(Service{
		Name:   "gateway",
		Checks: []health.Check{{Name: "listeners", Look: func() health.Result { return whether(server.Accepting()) }}},
		Start: func(_ context.Context, failed func(error)) error {
			for _, f := range serve {
				running.Go(func() {
					if err := f(); err != nil {
						failed(err)
					}
				})
			}
			return nil
		},
		Stop: func(ctx context.Context) error {
			ctx, done := context.WithTimeout(ctx, n.cfg.DrainTimeout)
			defer done()
			closed := server.Shutdown()
			err := gateway.Shutdown(ctx)
			running.Wait()
			if err != nil && !errors.Is(err, proxy.ErrUnsettled) {
				n.log.Warn("requests were cut", "error", err) // as the operator's DrainTimeout has it
				err = nil
			}
			return errors.Join(closed, err)
		},
	})
}

// covers says whether the certificate is good for a name.
func (n *node) covers(name string) bool {
	pair := n.pair.Load()
	return pair != nil && pair.Covers(name)
}

// listen opens the gateway's listeners, all or none with an error, and returns a
// function for each that accepts its connections until server is shut down.
func (n *node) listen(server *listen.Server, s3 *listen.Receiver) (serve []func() error, err error) {
	var opened []net.Listener
	defer func() {
		if err != nil {
			for _, l := range opened {
				_ = l.Close()
			}
		}
	}()
	open := func(setting, addr string, bound *string) (net.Listener, error) {
		l, err := listenTCP(setting, addr)
		if err != nil {
			return nil, err
		}
		*bound = l.Addr().String()
		opened = append(opened, l)
		return l, nil
	}
	if n.cfg.S3.Addr != "" {
		l, err := open("s3.addr", n.cfg.S3.Addr, &n.addrs.S3)
		if err != nil {
			return nil, err
		}
		serve = append(serve, func() error { return server.Serve(l, s3) })
	}
	if n.cfg.TLS.Addr == "" {
		return serve, nil
	}
	pair, err := n.certificate()
	if err != nil {
		return nil, err
	}
	n.pair.Store(pair)
	l, err := open("tls.addr", n.cfg.TLS.Addr, &n.addrs.TLS)
	if err != nil {
		return nil, err
	}
	return append(serve, func() error { return server.ServeTLS(l, pair.Config(), listen.Routes{Default: s3}) }), nil
}
