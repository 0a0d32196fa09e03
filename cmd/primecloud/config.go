package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/pelletier/go-toml/v2"
	"gopkg.in/yaml.v3"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/proxy"
)

// Config is what `primecloud serve` runs with. Each field can come from a
// TOML or YAML file, from PRIMECLOUD_<NAME> in the environment, or from a
// flag, later ones winning. A field whose env tag ends in _URL or is KEYRING
// is a secret, and can come from a file named by PRIMECLOUD_<NAME>_FILE.
type Config struct {
	Roles                 []string `env:"ROLES" toml:"roles" yaml:"roles" help:"what this node does: gateway, worker"`
	Node                  string   `env:"NODE" toml:"node" yaml:"node" help:"a label for this node; the host name"`
	DatabaseURL           string   `env:"DATABASE_URL" toml:"database_url" yaml:"database_url" help:"PostgreSQL, as the role primecloud_gateway" secret:"true"`
	WorkerDatabaseURL     string   `env:"WORKER_DATABASE_URL" toml:"worker_database_url" yaml:"worker_database_url" help:"the same, as the role primecloud_worker" secret:"true"`
	Keyring               string   `env:"KEYRING" toml:"keyring" yaml:"keyring" help:"the keyring's text, with private keys" secret:"true"`
	S3Addr                string   `env:"S3_ADDR" toml:"s3_addr" yaml:"s3_addr" help:"S3 without TLS; empty: none"`
	TLSAddr               string   `env:"TLS_ADDR" toml:"tls_addr" yaml:"tls_addr" help:"S3 with TLS; empty: none"`
	TLSCert               string   `env:"TLS_CERT" toml:"tls_cert" yaml:"tls_cert" help:"certificate chain, PEM file"`
	TLSKey                string   `env:"TLS_KEY" toml:"tls_key" yaml:"tls_key" help:"its private key, PEM file"`
	AdminAddr             string   `env:"ADMIN_ADDR" toml:"admin_addr" yaml:"admin_addr" help:"metrics, health and pprof; keep it off the network"`
	Region                string   `env:"REGION" toml:"region" yaml:"region" help:"the one region of this gateway"`
	Hosts                 []string `env:"HOSTS" toml:"hosts" yaml:"hosts" help:"shared S3 hosts: the account comes from the access key"`
	TenantDomain          string   `env:"TENANT_DOMAIN" toml:"tenant_domain" yaml:"tenant_domain" help:"<account>.<this domain> names the account"`
	TrustedProxies        []string `env:"TRUSTED_PROXIES" toml:"trusted_proxies" yaml:"trusted_proxies" help:"networks whose X-Forwarded-For and X-Forwarded-Proto are believed, and whose connections are not counted by address"`
	PublicScheme          string   `env:"PUBLIC_SCHEME" toml:"public_scheme" yaml:"public_scheme" help:"http or https, in addresses that clients are told; empty: what a trusted proxy says in X-Forwarded-Proto, or that of the connection"`
	LogFormat             string   `env:"LOG_FORMAT" toml:"log_format" yaml:"log_format" help:"text or json"`
	LogLevel              string   `env:"LOG_LEVEL" toml:"log_level" yaml:"log_level" help:"debug, info, warn or error"`
	DrainTimeout          duration `env:"DRAIN_TIMEOUT" toml:"drain_timeout" yaml:"drain_timeout" help:"how long requests in flight may take after SIGTERM"`
	MaxStale              duration `env:"MAX_STALE" toml:"max_stale" yaml:"max_stale" help:"how long cached keys work while PostgreSQL is away"`
	FlushInterval         duration `env:"FLUSH_INTERVAL" toml:"flush_interval" yaml:"flush_interval" help:"how often usage is written"`
	JournalDir            string   `env:"JOURNAL_DIR" toml:"journal_dir" yaml:"journal_dir" help:"folder of the usage journal, and of a worker's note of the newest seal, on a disk of this machine; one gateway at a time"`
	SyncInterval          duration `env:"SYNC_INTERVAL" toml:"sync_interval" yaml:"sync_interval" help:"how much usage a lost machine may lose"`
	MaxConnections        int      `env:"MAX_CONNECTIONS" toml:"max_connections" yaml:"max_connections" help:"client connections at once; lowered to what RLIMIT_NOFILE leaves"`
	ConnectionsPerAddress int      `env:"CONNECTIONS_PER_ADDRESS" toml:"connections_per_address" yaml:"connections_per_address" help:"of them, those of one client address (IPv6: of a /64); trusted proxies may have any number; 0: no bound"`
	ConcurrentPerAccount  int      `env:"CONCURRENT_PER_ACCOUNT" toml:"concurrent_per_account" yaml:"concurrent_per_account" help:"requests at once on this node of an account whose own limits do not say; 0: half of max_connections, as lowered"`
	MaxBuckets            int      `env:"MAX_BUCKETS" toml:"max_buckets" yaml:"max_buckets" help:"buckets of an account whose own limits do not say; the same on every gateway"`
	UnverifiedMiB         int      `env:"UNVERIFIED_MIB" toml:"unverified_mib" yaml:"unverified_mib" help:"memory for browser forms whose sender is not known yet, of all clients together; one address has an eighth at most"`
	AnyNames              bool     `env:"ANY_NAMES" toml:"any_names" yaml:"any_names" help:"let an object a be made beside an object a/b, of which MinIO lists one only; do not look before an object is made"`
	DocumentsMiB          int      `env:"DOCUMENTS_MIB" toml:"documents_mib" yaml:"documents_mib" help:"memory for documents of requests and of answers, of all clients together; one account has a half at most"`

	AccessLogDir               string   `env:"ACCESS_LOG_DIR" toml:"access_log_dir" yaml:"access_log_dir" help:"folder of the access log, one process at a time; empty: none, and accounts cannot have theirs delivered"`
	AccessLogRotateMiB         int      `env:"ACCESS_LOG_ROTATE_MIB" toml:"access_log_rotate_mib" yaml:"access_log_rotate_mib" help:"size of one file; each hour begins a new one too"`
	AccessLogKeep              duration `env:"ACCESS_LOG_KEEP" toml:"access_log_keep" yaml:"access_log_keep" help:"how long files are kept"`
	AccessLogKeepMiB           int      `env:"ACCESS_LOG_KEEP_MIB" toml:"access_log_keep_mib" yaml:"access_log_keep_mib" help:"size of all files, beyond which the oldest go when they are delivered"`
	AccessLogMaxMiB            int      `env:"ACCESS_LOG_MAX_MIB" toml:"access_log_max_mib" yaml:"access_log_max_mib" help:"size of all files, beyond which the oldest go in any case"`
	AccessLogUnprovenMiB       int      `env:"ACCESS_LOG_UNPROVEN_MIB" toml:"access_log_unproven_mib" yaml:"access_log_unproven_mib" help:"size of the files of requests that nobody proved, beyond which the oldest go in any case"`
	AccessLogUnprovenKiB       int      `env:"ACCESS_LOG_UNPROVEN_KIB" toml:"access_log_unproven_kib" yaml:"access_log_unproven_kib" help:"KiB of their lines per second, an eighth of it for one address"`
	AccessLogUnprovenBucketKiB int      `env:"ACCESS_LOG_UNPROVEN_BUCKET_KIB" toml:"access_log_unproven_bucket_kib" yaml:"access_log_unproven_bucket_kib" help:"the same about one bucket"`

	AccessLogDelivery duration `env:"ACCESS_LOG_DELIVERY" toml:"access_log_delivery" yaml:"access_log_delivery" help:"how often lines are delivered to the buckets that accounts have named"`
}

// duration is written as people write it, "5m", in files and variables too.
type duration struct{ time.Duration }

func (d *duration) UnmarshalText(b []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(b))
	return err
}

func (d duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil } //nolint:unparam // encoding.TextMarshaler

func defaultConfig() Config {
	return Config{
		Roles:                 slices.Clone(knownRoles),
		S3Addr:                ":9000",
		AdminAddr:             "127.0.0.1:9090",
		Region:                "us-east-1",
		LogFormat:             "text",
		LogLevel:              "info",
		DrainTimeout:          duration{5 * time.Minute},
		MaxStale:              duration{time.Minute},
		FlushInterval:         duration{2 * time.Second},
		JournalDir:            "/var/lib/primecloud/journal",
		AccessLogDir:          "/var/lib/primecloud/access-log",
		SyncInterval:          duration{time.Second},
		MaxConnections:        65536,
		ConnectionsPerAddress: 512,
		MaxBuckets:            1000,
		UnverifiedMiB:         32,
		DocumentsMiB:          256,

		AccessLogRotateMiB:         64,
		AccessLogKeep:              duration{7 * 24 * time.Hour},
		AccessLogKeepMiB:           8 << 10,
		AccessLogMaxMiB:            16 << 10,
		AccessLogUnprovenMiB:       1 << 10,
		AccessLogUnprovenKiB:       1 << 10,
		AccessLogUnprovenBucketKiB: 64,

		AccessLogDelivery: duration{5 * time.Minute},
	}
}

// minDocumentsMiB lets the largest request document in: its bytes in a buffer
// that has grown by doubling, twice as many for what is made of it, and the answer;
// one account has a half of all at most.
const minDocumentsMiB = 128

const envPrefix = "PRIMECLOUD_"

// notConfig are variables of that prefix that other parts read.
var notConfig = []string{"CONFIG", "OWNER_DATABASE_URL", "OWNER_DATABASE_URL_FILE", "TOOLS", "TEST_STRICT"}

// loadConfig reads file (may be ""), then the environment. It reports every
// problem at once.
func loadConfig(file string, environ []string) (Config, error) {
	cfg := defaultConfig()
	if file != "" {
		if err := cfg.readFile(file); err != nil {
			return cfg, err
		}
	}
	values, err := environment(environ)
	if err != nil {
		return cfg, err
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Prefix: envPrefix, Environment: values}); err != nil {
		return cfg, err
	}
	if cfg.Node == "" {
		cfg.Node, _ = os.Hostname()
	}
	return cfg, nil
}

func (cfg *Config) readFile(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	switch filepath.Ext(file) {
	case ".toml":
		err = toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(cfg)
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			err = errors.New("unknown keys:\n" + strict.String())
		}
	case ".yaml", ".yml":
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		err = d.Decode(cfg)
	default:
		err = errors.New("the name must end in .toml, .yaml or .yml")
	}
	if err != nil {
		return fmt.Errorf("configuration file %s: %w", file, err)
	}
	return nil
}

// environment picks the variables of ours, reads *_FILE secrets, and refuses
// unknown names: a misspelt setting must not be silently without effect.
func environment(environ []string) (map[string]string, error) {
	values := map[string]string{}
	var errs []error
	known, secrets := configNames()
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		short, ours := strings.CutPrefix(name, envPrefix)
		if !ours || slices.Contains(notConfig, short) {
			continue
		}
		base, isFile := strings.CutSuffix(short, "_FILE")
		switch {
		case slices.Contains(known, short):
			values[name] = value
		case isFile && slices.Contains(secrets, base):
			b, err := os.ReadFile(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				continue
			}
			values[envPrefix+base] = strings.TrimSpace(string(b))
		default:
			errs = append(errs, fmt.Errorf("%s is not a setting; `primecloud serve --help` lists them", name))
		}
	}
	return values, errors.Join(errs...)
}

func configNames() (all, secrets []string) {
	for f := range reflect.TypeFor[Config]().Fields() {
		all = append(all, f.Tag.Get("env"))
		if f.Tag.Get("secret") != "" {
			secrets = append(secrets, f.Tag.Get("env"))
		}
	}
	return all, secrets
}

// flags declares a flag for each field that is no secret: secrets on a command
// line show in the list of processes.
func (cfg *Config) flags(f *flags) {
	v := reflect.ValueOf(cfg).Elem()
	for field := range v.Type().Fields() {
		name := strings.ReplaceAll(field.Tag.Get("toml"), "_", "-")
		if field.Tag.Get("secret") != "" {
			continue
		}
		help := fmt.Sprintf("%s (%s%s)", field.Tag.Get("help"), envPrefix, field.Tag.Get("env"))
		switch p := v.FieldByIndex(field.Index).Addr().Interface().(type) {
		case *string:
			f.StringVar(p, name, *p, help)
		case *int:
			f.IntVar(p, name, *p, help)
		case *bool:
			f.BoolVar(p, name, *p, help)
		case *duration:
			f.DurationVar(&p.Duration, name, p.Duration, help)
		case *[]string:
			f.Func(name, help+", comma-separated", func(s string) error {
				*p = strings.Split(s, ",")
				return nil
			})
		}
	}
}

// knownRoles are those that exist today.
var knownRoles = []string{roleGateway, roleWorker}

// The roles: the S3 data path, and the background jobs.
const (
	roleGateway = "gateway"
	roleWorker  = "worker"
)

// concurrent is how many requests at once an account has on this node whose own
// limits do not say.
func (cfg *Config) concurrent() int64 {
	return int64(cmp.Or(cfg.ConcurrentPerAccount, (cfg.MaxConnections+1)/2))
}

func (cfg *Config) has(role string) bool { return slices.Contains(cfg.Roles, role) }

// validate reports every problem at once.
func (cfg *Config) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, r := range cfg.Roles {
		if !slices.Contains(knownRoles, r) {
			fail("roles: there is no role %q in this version; known are %s", r, strings.Join(knownRoles, ", "))
		}
	}
	if len(cfg.Roles) == 0 {
		fail("roles: at least one is needed; known are %s", strings.Join(knownRoles, ", "))
	}
	if cfg.has(roleWorker) && cfg.WorkerDatabaseURL == "" {
		fail("worker_database_url: set PRIMECLOUD_WORKER_DATABASE_URL or PRIMECLOUD_WORKER_DATABASE_URL_FILE (the role is primecloud_worker), or leave the role worker to other nodes: --roles gateway")
	}
	if cfg.has(roleGateway) && cfg.DatabaseURL == "" {
		fail("database_url: set PRIMECLOUD_DATABASE_URL or PRIMECLOUD_DATABASE_URL_FILE (the role is primecloud_gateway)")
	}
	if cfg.Keyring == "" {
		fail("keyring: set PRIMECLOUD_KEYRING_FILE; make one with `primecloud secret generate FILE`")
	} else if k, err := secret.Parse([]byte(cfg.Keyring)); err != nil {
		fail("keyring: %w", err)
	} else if !k.CanOpen() {
		fail("keyring: the roles gateway and worker need the one with private keys")
	}
	if cfg.has(roleGateway) && cfg.S3Addr == "" && cfg.TLSAddr == "" {
		fail("s3_addr, tls_addr: at least one listener is needed")
	}
	if cfg.TLSAddr != "" && (cfg.TLSCert == "" || cfg.TLSKey == "") {
		fail("tls_cert, tls_key: both are needed with tls_addr")
	}
	if err := proxy.CheckHosts(cfg.Hosts, cfg.TenantDomain); err != nil {
		errs = append(errs, err)
	}
	if !slices.Contains([]string{"", "http", "https"}, cfg.PublicScheme) {
		fail("public_scheme: %q is neither http nor https", cfg.PublicScheme)
	}
	if _, err := cfg.proxies(); err != nil {
		fail("trusted_proxies: %w", err)
	}
	if !slices.Contains([]string{"text", "json"}, cfg.LogFormat) {
		fail("log_format: %q is neither text nor json", cfg.LogFormat)
	}
	if _, err := cfg.level(); err != nil {
		fail("log_level: %w", err)
	}
	if cfg.DrainTimeout.Duration < 0 || cfg.MaxStale.Duration <= 0 || cfg.FlushInterval.Duration <= 0 || cfg.SyncInterval.Duration <= 0 || cfg.MaxConnections <= 0 || cfg.MaxBuckets <= 0 {
		fail("drain_timeout, max_stale, flush_interval, sync_interval, max_connections and max_buckets must be positive")
	}
	if cfg.ConnectionsPerAddress < 0 || cfg.ConcurrentPerAccount < 0 {
		fail("connections_per_address and concurrent_per_account may not be negative")
	}
	if cfg.UnverifiedMiB <= 0 || cfg.DocumentsMiB < minDocumentsMiB {
		fail("unverified_mib must be positive, and documents_mib %d at least: that is what one request may need", minDocumentsMiB)
	}
	if cfg.AccessLogUnprovenMiB <= 0 || cfg.AccessLogUnprovenKiB <= 0 || cfg.AccessLogUnprovenBucketKiB <= 0 {
		fail("access_log_unproven_mib, access_log_unproven_kib and access_log_unproven_bucket_kib must be positive")
	}
	if cfg.AccessLogRotateMiB <= 0 || cfg.AccessLogKeep.Duration <= 0 || cfg.AccessLogDelivery.Duration <= 0 {
		fail("access_log_rotate_mib, access_log_keep and access_log_delivery must be positive")
	}
	if cfg.AccessLogKeepMiB < cfg.AccessLogRotateMiB || cfg.AccessLogMaxMiB < cfg.AccessLogKeepMiB {
		fail("access_log_rotate_mib may not be above access_log_keep_mib, nor that above access_log_max_mib")
	}
	return errors.Join(errs...)
}

func (cfg *Config) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range cfg.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
