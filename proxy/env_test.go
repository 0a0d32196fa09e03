package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/oplog"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// gateway is a gateway of a test's own: its database, its directory and meter,
// in front of the process's MinIO.
type gateway struct {
	*tenancytest.Installation
	t        testing.TB
	addr     string
	tlsAddr  string
	caFile   string
	db       *testenv.DB
	owner    *pgxpool.Pool
	store    *tenancy.Store
	dir      *tenancy.Directory
	meter    *metering.Meter
	lines    *accesslog.Log
	logDir   string
	deliver  *accesslog.Delivery
	limiter  *limits.Limiter
	keyring  *secret.Keyring
	listener *listen.Server
	s3Conns  *listen.Receiver
	server   *proxy.Server
	minio    *devstack.MinIO
	backend  *tenancy.Backend
	log      *logBuffer
	metrics  *prometheus.Registry
}

type options struct {
	minio  *devstack.MinIO // default: the shared plain one
	limits proxy.Limits
	listen listen.Config // bounds on connections
	tls    bool
	quiet  bool            // no log for people: making its lines allocates
	beside *gateway        // another node of its fleet: the same database
	record proxy.AccessLog // in place of the gateway's own access log
	// unlogged: there is no access log.
	unlogged bool
	limit    limits.Config // Now and Sleep of the limiter
	kind     tenancy.BackendKind
	// health is what the gateway says of itself; default: that it is ready.
	health func() health.Status
	trust  []netip.Prefix         // TrustedProxies
	lines  accesslog.Config       // sizes and rates
	now    func() time.Time       // default: time.Now
	names  bool                   // AnyNames
	covers func(name string) bool // Covers
}

// logBuffer keeps the whole log of a gateway, to be searched for secrets.
type logBuffer struct{ testenv.Buffer }

// of returns the lines about an account.
func (l *logBuffer) of(account string) string {
	var lines []string
	for _, line := range strings.Split(l.String(), "\n") {
		if strings.Contains(line, "account="+account) || strings.Contains(line, "level=ERROR") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func newGateway(t testing.TB, o options) *gateway {
	t.Helper()
	g := &gateway{t: t, minio: o.minio, log: &logBuffer{}, metrics: prometheus.NewRegistry()}
	if g.minio == nil {
		g.minio = testenv.MinIO(t)
	}
	var err error
	if b := o.beside; b != nil {
		g.Installation, g.db, g.keyring, g.owner, g.store, g.backend = b.Installation, b.db, b.keyring, b.owner, b.store, b.backend
	} else {
		g.Installation = tenancytest.New(t)
		g.db, g.keyring, g.owner, g.store = g.DB, g.Keyring, g.Owner, g.Store
		g.backend = g.addBackend("minio", g.minio, o.kind)
	}

	ctx, cancel := context.WithCancel(context.Background())
	pool := g.db.Pool(t, pg.RoleGateway)
	logger := slog.New(oplog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}), oplog.Config{Metrics: g.metrics}))
	if g.dir, err = tenancy.NewDirectory(tenancy.DirectoryConfig{Pool: pool, Keyring: g.keyring, Logger: logger, Metrics: g.metrics}); err != nil {
		t.Fatal(err)
	}
	if g.meter, err = metering.New(metering.Config{Pool: pool, Dir: t.TempDir(), Node: t.Name()}); err != nil {
		t.Fatal(err)
	}
	o.limit.Pool, o.limit.Epoch, o.limit.Logger, o.limit.Metrics = pool, g.meter.Epoch(), logger, g.metrics
	if g.limiter, err = limits.New(o.limit); err != nil {
		t.Fatal(err)
	}
	g.logDir = t.TempDir()
	o.lines.Dir, o.lines.Node, o.lines.Epoch, o.lines.Metrics, o.lines.Logger = g.logDir, "node-1", g.meter.Epoch(), g.metrics, logger
	if g.lines, err = accesslog.Open(o.lines); err != nil {
		t.Fatal(err)
	}
	g.deliver = accesslog.NewDelivery(accesslog.DeliveryConfig{Log: g.lines, Directory: g.dir, MAC: g.keyring.MAC, Region: "us-east-1"})
	if o.quiet {
		logger = nil
	}
	if o.record == nil {
		o.record = g.lines
	}
	config := proxy.Config{
		Directory: g.dir, Meter: g.meter, MAC: g.keyring.MAC, Limiter: g.limiter, AccessLog: o.record, Node: "node-1", Logger: logger, Metrics: g.metrics, Limits: o.limits,
		Hosts: []string{"localhost", "s3.example.test"}, TenantDomain: "tenants.example.test", TrustedProxies: o.trust, AnyNames: o.names, Covers: o.covers,
	}
	if config.Health = o.health; o.health == nil {
		config.Health = func() health.Status { return health.Ready }
	}
	if o.unlogged {
		config.AccessLog = nil
	}
	if o.now != nil {
		proxy.SetNow(&config, o.now)
	}
	if g.server, err = proxy.New(config); err != nil {
		t.Fatal(err)
	}
	o.listen.TrustedProxies, o.listen.Logger, o.listen.Metrics = o.trust, logger, g.metrics
	g.listener, g.s3Conns = listen.New(o.listen), listen.NewReceiver("http/1.1")
	var running sync.WaitGroup
	running.Go(func() { _ = g.dir.Run(ctx) })
	running.Go(func() { _ = g.meter.Run(ctx) })
	running.Go(func() { _ = g.lines.Run(ctx) })
	running.Go(func() { g.limiter.Run(ctx) })
	running.Go(func() { _ = g.server.Serve(g.s3Conns) })
	l, addr := listenTCP(t)
	running.Go(func() { _ = g.listener.Serve(l, g.s3Conns) })
	g.addr = addr
	if o.tls {
		dir := t.TempDir()
		if g.caFile, err = devstack.EnsureCertificate(dir, "tls.crt", "tls.key", "localhost", "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		pair, err := listen.LoadPair(dir+"/tls.crt", dir+"/tls.key", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, addr := listenTCP(t)
		running.Go(func() { _ = g.listener.ServeTLS(l, pair.Config(), listen.Routes{Default: g.s3Conns}) })
		g.tlsAddr = addr
	}
	t.Cleanup(func() {
		stop, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		_ = g.listener.Shutdown()
		_ = g.server.Shutdown(stop)
		// Whatever the test has sent, and however it has ended.
		testenv.WaitFor(t, "what requests held of the budgets to be given back", func() bool {
			return g.metric(t, "primecloud_proxy_buffered_bytes") == 0
		})
		cancel()
		running.Wait()
	})
	<-g.dir.Ready()
	return g
}

func listenTCP(t testing.TB) (l net.Listener, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().String()
}

func (g *gateway) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	return testenv.Counted(t, g.metrics, name, labels...)
}

func (g *gateway) addBackend(name string, m *devstack.MinIO, kind tenancy.BackendKind) *tenancy.Backend {
	g.t.Helper()
	return g.Backend(name, m, tenancy.Backend{Kind: kind})
}

// tenant is an account with one key that may do everything.
type tenant struct {
	g       *gateway
	account *tenancy.Account
	key     *tenancy.Key
}

var tenants struct {
	sync.Mutex
	n int
}

func (g *gateway) tenant() *tenant {
	g.t.Helper()
	tenants.Lock()
	tenants.n++
	name := fmt.Sprintf("tenant-%d", tenants.n)
	tenants.Unlock()
	t := &tenant{g: g, account: g.Account(name)}
	t.key = t.newKey(tenancy.Key{})
	return t
}

func (t *tenant) newKey(k tenancy.Key) *tenancy.Key {
	t.g.t.Helper()
	return t.g.Key(t.account, k)
}

// s3 is an aws-sdk-go-v2 client with the tenant's key.
func (t *tenant) s3(opts ...func(*s3.Options)) *s3.Client { return t.g.s3(t.key, opts...) }

func (g *gateway) s3(k *tenancy.Key, opts ...func(*s3.Options)) *s3.Client {
	return awsClient("http://"+g.addr, k.KeyID, k.Secret, opts...)
}

func awsClient(endpoint, id, secretKey string, opts ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secretKey, ""),
		Retryer:     aws.NopRetryer{},
	}, opts...)
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
