// Package dev runs the whole product on one machine, on loopback, from nothing:
// PostgreSQL, MinIO, a node, and two accounts to try it with.
package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// Config says where things are kept and what is listened on.
type Config struct {
	Dir      string
	Node     node.Config         // its addresses, certificates and log level
	Getenv   func(string) string // DATABASE_URL and BACKEND_…: servers to use instead of starting some
	Out, Log io.Writer           // what people are told, and what happens meanwhile
}

// stack is everything that runs beside the node.
type stack struct {
	cfg     Config
	servers *node.Stack

	url     func(role string) string // of the database
	keyring *secret.Keyring
	backend tenancy.Backend
	demo    map[string]demoAccount
}

// demoAccount is kept in a file, since a secret is shown only when it is made.
type demoAccount struct{ Account, KeyID, Secret string }

// Run runs all of it until ctx ends. What it keeps stays in Dir, and the next start
// goes on with it. While it runs, the file dev.env in Dir says how to reach it.
func Run(ctx context.Context, cfg Config) error {
	d := &stack{cfg: cfg, servers: node.NewStack(ctx, slog.New(slog.NewTextHandler(cfg.Log, nil))), demo: map[string]demoAccount{}}
	// Before servers are started that nobody could reach.
	if err := cfg.Node.CheckOutside(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return err
	}
	// A stale file would name servers that are gone.
	if err := os.Remove(d.envFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := d.run(ctx)
	err = errors.Join(err, d.servers.Stop(context.WithoutCancel(ctx)))
	_ = os.Remove(d.envFile())
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (d *stack) envFile() string { return envFile(d.cfg.Dir) }

func (d *stack) say(format string, args ...any) { fmt.Fprintf(d.cfg.Log, format+"\n", args...) }

func (d *stack) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.startDatabase, d.startBackend, d.setUp} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.cfg.Node.Output = d.cfg.Log
	d.cfg.Node.OnReady = func(a node.Addresses) {
		if err := d.ready(a); err != nil {
			d.say("primecloud: %v", err)
		}
	}
	return node.Run(ctx, d.cfg.Node)
}

func (d *stack) startDatabase(ctx context.Context) error {
	login := func(role string) string { return `ALTER ROLE ` + role + ` LOGIN` }
	if given := d.cfg.Getenv("DATABASE_URL"); given != "" {
		d.say("using the database of DATABASE_URL")
		d.url = func(role string) string { return withUser(given, role) }
	} else {
		d.say("starting PostgreSQL")
		p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: filepath.Join(d.cfg.Dir, "postgres"), Durable: true, Progress: d.cfg.Log})
		if err != nil {
			return err
		}
		if err := d.servers.Push(node.Closer("PostgreSQL", p.Stop)); err != nil {
			return err
		}
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

func (d *stack) startBackend(ctx context.Context) error {
	d.backend = tenancy.Backend{Name: "dev", Region: "us-east-1", Default: true}
	if given := d.cfg.Getenv("BACKEND_ENDPOINT"); given != "" {
		d.say("using the backend of BACKEND_ENDPOINT")
		d.backend.Endpoints = []string{given}
		d.backend.AccessKeyID, d.backend.SecretKey = d.cfg.Getenv("BACKEND_ACCESS_KEY"), d.cfg.Getenv("BACKEND_SECRET_KEY")
		return nil
	}
	d.say("starting MinIO")
	m, err := devstack.StartMinIO(ctx, devstack.MinIOConfig{Dir: filepath.Join(d.cfg.Dir, "minio"), Progress: d.cfg.Log})
	if err != nil {
		return err
	}
	if err := d.servers.Push(node.Closer("MinIO", m.Stop)); err != nil {
		return err
	}
	d.backend.Endpoints, d.backend.AccessKeyID, d.backend.SecretKey = []string{m.Endpoint}, m.AccessKey, m.SecretKey
	return nil
}

// setUp makes keyring, backend, certificates and the two demo accounts, or
// finds those of an earlier start.
func (d *stack) setUp(ctx context.Context) error {
	if err := d.loadKeyring(); err != nil {
		return err
	}
	pool, err := pg.Open(ctx, d.url(""))
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := keyring.Check(ctx, pool, d.keyring); err != nil {
		return err
	}
	store := &tenancy.Store{Keyring: d.keyring}
	if err := d.setBackend(ctx, store, pool); err != nil {
		return err
	}
	if err := d.loadDemo(ctx, store, pool); err != nil {
		return err
	}
	if d.cfg.Node.TLS.Addr != "" && d.cfg.Node.TLS.Cert == "" {
		certs := filepath.Join(d.cfg.Dir, "certs")
		if _, err := devstack.EnsureCertificate(certs, "tls.crt", "tls.key", "localhost", "*.localhost", "*.tenants.localhost", "127.0.0.1", "::1"); err != nil {
			return err
		}
		d.cfg.Node.TLS.Cert, d.cfg.Node.TLS.Key = filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key")
	}
	text, err := d.keyring.Marshal()
	if err != nil {
		return err
	}
	d.cfg.Node.Keyring, d.cfg.Node.Database.URL, d.cfg.Node.Database.WorkerURL = string(text), d.url(pg.RoleGateway), d.url(pg.RoleWorker)
	d.cfg.Node.Journal.Dir = filepath.Join(d.cfg.Dir, "journal")
	d.cfg.Node.AccessLog.Dir = filepath.Join(d.cfg.Dir, "access-log")
	d.cfg.Node.Node, d.cfg.Node.DrainDelay, d.cfg.Node.DrainTimeout = "dev", 0, 5*time.Second // nobody balances
	d.cfg.Node.S3.Hosts, d.cfg.Node.S3.TenantDomain = []string{"localhost", "s3.localhost"}, "tenants.localhost"
	return nil
}

func (d *stack) loadKeyring() (err error) {
	file := keyringFile(d.cfg.Dir)
	if d.keyring, err = secret.ReadFile(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if d.keyring, err = secret.Generate(); err != nil {
		return err
	}
	return keyring.File(file).Create(d.keyring)
}

// setBackend adds the backend, or gives it this start's port and credential.
func (d *stack) setBackend(ctx context.Context, store *tenancy.Store, pool *pgxpool.Pool) error {
	err := store.RotateBackend(ctx, pool, d.backend.Name, d.backend.AccessKeyID, d.backend.SecretKey, d.backend.Endpoints)
	if errors.Is(err, tenancy.ErrBackendUnknown) {
		_, err = store.AddBackend(ctx, pool, d.backend)
	}
	return err
}

func (d *stack) loadDemo(ctx context.Context, store *tenancy.Store, pool *pgxpool.Pool) error {
	file := filepath.Join(d.cfg.Dir, "demo.json")
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &d.demo); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	for tenant, name := range map[string]string{"A": "alpha", "B": "beta"} {
		if one, ok := d.demo[tenant]; ok {
			if k, err := tenancy.KeyByID(ctx, pool, one.KeyID); err == nil && k.RevokedAt == nil {
				continue
			}
		}
		a, err := tenancy.CreateAccount(ctx, pool, name, "Demo "+name, tenancy.Active)
		if errors.Is(err, tenancy.ErrAccountExists) {
			a, err = tenancy.AccountByName(ctx, pool, name)
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
	return disk.WriteFile(file, b)
}

// ready writes dev.env, last and atomically, and tells people what to try.
func (d *stack) ready(a node.Addresses) error {
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
	if err := disk.WriteFile(d.envFile(), []byte(b.String())); err != nil {
		return err
	}
	d.welcome(a)
	return nil
}

func (d *stack) caFile() string {
	file, err := filepath.Abs(filepath.Join(d.cfg.Dir, "certs", "ca.crt"))
	if err != nil || !strings.HasPrefix(d.cfg.Node.TLS.Cert, d.cfg.Dir) {
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

func (d *stack) welcome(a node.Addresses) {
	one := d.demo["A"]
	fmt.Fprintf(d.cfg.Out, `
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

`, d.cfg.Dir, a.S3, a.TLS, d.caFile(), a.Admin, one.Account, one.KeyID, one.Secret,
		d.demo["B"].Account, d.demo["B"].KeyID, d.demo["B"].Secret)
}
