package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// devStack is everything that `primecloud dev` runs beside the gateway.
type devStack struct {
	c    *cli
	dir  string
	stop []func() error

	url     func(role string) string // of the database
	keyring *secret.Keyring
	backend tenancy.Backend
	cfg     Config
	demo    map[string]demoAccount
}

// demoAccount is kept in a file, since a secret is shown only when it is made.
type demoAccount struct{ Account, KeyID, Secret string }

// dev runs the whole product on this machine, on loopback, from nothing.
func (c *cli) dev(ctx context.Context, args []string) error {
	f := c.flags("dev", "[flags]")
	d := &devStack{c: c, cfg: defaultConfig(), demo: map[string]demoAccount{}}
	f.StringVar(&d.dir, "data", devDir, "where everything is kept")
	f.StringVar(&d.cfg.S3Addr, "s3-addr", "127.0.0.1:9000", "S3; port 0 picks a free one")
	f.StringVar(&d.cfg.TLSAddr, "tls-addr", "127.0.0.1:9443", "S3 with TLS; empty: none")
	f.StringVar(&d.cfg.AdminAddr, "admin-addr", "127.0.0.1:9090", "metrics, health and pprof")
	f.StringVar(&d.cfg.TLSCert, "tls-cert", "", "certificate chain; one is made by default")
	f.StringVar(&d.cfg.TLSKey, "tls-key", "", "its private key")
	onlyTools := f.Bool("only-tools", false, "build and find what is needed, and stop")
	f.StringVar(&d.cfg.LogLevel, "log-level", "warn", "debug, info, warn or error")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	if *onlyTools {
		return devstack.EnsureServers(ctx, c.err)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	// A stale file would name servers that are gone.
	if err := os.Remove(d.envFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := d.run(ctx)
	for i := len(d.stop) - 1; i >= 0; i-- {
		err = errors.Join(err, d.stop[i]())
	}
	_ = os.Remove(d.envFile())
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (d *devStack) envFile() string { return filepath.Join(d.dir, "dev.env") }

func (d *devStack) say(format string, args ...any) { fmt.Fprintf(d.c.err, format+"\n", args...) }

func (d *devStack) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.startDatabase, d.startBackend, d.setUp} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return serve(ctx, d.cfg, d.c.err, func(a addresses) {
		if err := d.ready(a); err != nil {
			d.say("primecloud: %v", err)
		}
	})
}

func (d *devStack) startDatabase(ctx context.Context) error {
	login := func(role string) string { return `ALTER ROLE ` + role + ` LOGIN` }
	if given := d.c.getenv("DATABASE_URL"); given != "" {
		d.say("using the database of DATABASE_URL")
		d.url = func(role string) string { return withUser(given, role) }
	} else {
		d.say("starting PostgreSQL")
		p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: filepath.Join(d.dir, "postgres"), Durable: true, Progress: d.c.err})
		if err != nil {
			return err
		}
		d.stop = append(d.stop, p.Stop)
		if err := execOn(ctx, p.URL("", "postgres"), func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `CREATE DATABASE primecloud`)
			if err != nil && strings.Contains(err.Error(), "already exists") {
				return nil
			}
			return err
		}); err != nil {
			return err
		}
		d.url, login = func(role string) string { return p.URL(role, "primecloud") }, p.LoginSQL
	}
	if err := pg.Migrate(ctx, d.url("")); err != nil {
		return err
	}
	return execOn(ctx, d.url(""), func(conn *pgx.Conn) error {
		for _, role := range []string{pg.RoleOwner, pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
			if _, err := conn.Exec(ctx, login(role)); err != nil {
				return err
			}
		}
		return nil
	})
}

func execOn(ctx context.Context, url string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(f(conn), conn.Close(ctx))
}

// withUser gives a URL another role; an empty one leaves it as it is.
func withUser(url, role string) string {
	if role == "" {
		return url
	}
	scheme, rest, _ := strings.Cut(url, "://")
	if i := strings.LastIndex(strings.SplitN(rest, "/", 2)[0], "@"); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + "://" + role + "@" + rest
}

func (d *devStack) startBackend(ctx context.Context) error {
	d.backend = tenancy.Backend{Name: "dev", Region: "us-east-1", Default: true}
	if given := d.c.getenv("BACKEND_ENDPOINT"); given != "" {
		d.say("using the backend of BACKEND_ENDPOINT")
		d.backend.Endpoints = []string{given}
		d.backend.AccessKeyID, d.backend.SecretKey = d.c.getenv("BACKEND_ACCESS_KEY"), d.c.getenv("BACKEND_SECRET_KEY")
		return nil
	}
	d.say("starting MinIO")
	m, err := devstack.StartMinIO(ctx, devstack.MinIOConfig{Dir: filepath.Join(d.dir, "minio"), Progress: d.c.err})
	if err != nil {
		return err
	}
	d.stop = append(d.stop, m.Stop)
	d.backend.Endpoints, d.backend.AccessKeyID, d.backend.SecretKey = []string{m.Endpoint}, m.AccessKey, m.SecretKey
	return nil
}

// setUp makes keyring, backend, certificates and the two demo accounts, or
// finds those of an earlier start.
func (d *devStack) setUp(ctx context.Context) error {
	if err := d.loadKeyring(); err != nil {
		return err
	}
	pool, err := pg.Open(ctx, d.url(""))
	if err != nil {
		return err
	}
	defer pool.Close()
	store := &tenancy.Store{Keyring: d.keyring}
	if err := d.setBackend(ctx, store, pool); err != nil {
		return err
	}
	if err := d.loadDemo(ctx, store, pool); err != nil {
		return err
	}
	if d.cfg.TLSAddr != "" && d.cfg.TLSCert == "" {
		certs := filepath.Join(d.dir, "certs")
		if _, err := devstack.EnsureCertificate(certs, "tls.crt", "tls.key", "localhost", "*.localhost", "*.tenants.localhost", "127.0.0.1", "::1"); err != nil {
			return err
		}
		d.cfg.TLSCert, d.cfg.TLSKey = filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key")
	}
	text, err := d.keyring.Marshal()
	if err != nil {
		return err
	}
	d.cfg.Keyring, d.cfg.DatabaseURL, d.cfg.WorkerDatabaseURL = string(text), d.url(pg.RoleGateway), d.url(pg.RoleWorker)
	d.cfg.JournalDir = filepath.Join(d.dir, "journal")
	d.cfg.AccessLogDir = filepath.Join(d.dir, "access-log")
	d.cfg.Node, d.cfg.DrainTimeout = "dev", duration{5 * time.Second}
	d.cfg.Hosts, d.cfg.TenantDomain = []string{"localhost", "s3.localhost"}, "tenants.localhost"
	return nil
}

func (d *devStack) loadKeyring() error {
	file := filepath.Join(d.dir, "keyring")
	b, err := os.ReadFile(file)
	if err == nil {
		d.keyring, err = secret.Parse(b)
		return err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if d.keyring, err = secret.Generate(); err != nil {
		return err
	}
	return writeKeyring(file, d.keyring, os.O_EXCL)
}

// setBackend adds the backend, or gives it this start's port and credential.
func (d *devStack) setBackend(ctx context.Context, store *tenancy.Store, pool *pgxpool.Pool) error {
	err := store.RotateBackend(ctx, pool, d.backend.Name, d.backend.AccessKeyID, d.backend.SecretKey, d.backend.Endpoints)
	if errors.Is(err, tenancy.ErrBackendUnknown) {
		_, err = store.AddBackend(ctx, pool, d.backend)
	}
	return err
}

func (d *devStack) loadDemo(ctx context.Context, store *tenancy.Store, pool *pgxpool.Pool) error {
	file := filepath.Join(d.dir, "demo.json")
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &d.demo); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	for tenant, name := range map[string]string{"A": "alpha", "B": "beta"} {
		if one, ok := d.demo[tenant]; ok {
			if k, err := store.Key(ctx, pool, one.KeyID); err == nil && k.RevokedAt == nil {
				continue
			}
		}
		a, err := store.CreateAccount(ctx, pool, name, "Demo "+name, tenancy.Active)
		if errors.Is(err, tenancy.ErrAccountExists) {
			a, err = store.AccountByName(ctx, pool, name)
		}
		if err != nil {
			return err
		}
		k, err := store.CreateKey(ctx, pool, tenancy.Key{AccountID: a.ID, Description: "demo"})
		if err != nil {
			return err
		}
		d.demo[tenant] = demoAccount{name, k.KeyID, k.Secret}
	}
	b, err := json.Marshal(d.demo)
	if err != nil {
		return err
	}
	return writeFile(file, b)
}

// ready writes dev.env, last and atomically, and tells people what to try.
func (d *devStack) ready(a addresses) error {
	a.S3, a.TLS = reachable(a.S3), reachable(a.TLS)
	var b strings.Builder
	put := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
		}
	}
	put("S3_ENDPOINT", "http://"+a.S3)
	for _, tenant := range []string{"A", "B"} {
		put("TENANT_"+tenant+"_ACCOUNT", d.demo[tenant].Account)
		put("TENANT_"+tenant+"_ACCESS_KEY", d.demo[tenant].KeyID)
		put("TENANT_"+tenant+"_SECRET_KEY", d.demo[tenant].Secret)
	}
	if a.TLS != "" {
		put("S3_TLS_ENDPOINT", "https://"+a.TLS)
		put("S3_CA_FILE", d.caFile())
	}
	put("ADMIN_ADDR", a.Admin)
	put("DATABASE_URL", d.url(""))
	put("BACKEND_ENDPOINT", d.backend.Endpoints[0])
	put("BACKEND_ACCESS_KEY", d.backend.AccessKeyID)
	put("BACKEND_SECRET_KEY", d.backend.SecretKey)
	if err := writeFile(d.envFile(), []byte(b.String())); err != nil {
		return err
	}
	d.welcome(a)
	return nil
}

func (d *devStack) caFile() string {
	file, err := filepath.Abs(filepath.Join(d.dir, "certs", "ca.crt"))
	if err != nil || !strings.HasPrefix(d.cfg.TLSCert, d.dir) {
		return ""
	}
	return file
}

// reachable names loopback where the listener is on every address.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (d *devStack) welcome(a addresses) {
	one := d.demo["A"]
	fmt.Fprintf(d.c.out, `
PrimeCloud is running. Ctrl-C stops all of it; the data stays in %[1]s.

  S3 endpoint      http://%[2]s
  with TLS         https://%[3]s   (CA: %[4]s)
  admin            http://%[5]s/readyz  /metrics

  account %[6]s    %[7]s  %[8]s
  account %[9]s     %[10]s  %[11]s

Try, in another terminal:

  export AWS_ACCESS_KEY_ID=%[7]s AWS_SECRET_ACCESS_KEY=%[8]s AWS_DEFAULT_REGION=us-east-1
  aws --endpoint-url http://%[2]s s3 mb s3://backups
  aws --endpoint-url http://%[2]s s3 cp README.md s3://backups/
  aws --endpoint-url http://%[2]s s3 ls s3://backups
  bin/primecloud usage show --by bucket
  bin/primecloud key list %[6]s

`, d.dir, a.S3, a.TLS, d.caFile(), a.Admin, one.Account, one.KeyID, one.Secret,
		d.demo["B"].Account, d.demo["B"].KeyID, d.demo["B"].Secret)
}
