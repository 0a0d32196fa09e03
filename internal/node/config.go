package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/proxy"
)

// Config is what a process runs with. Package settings says where each field can
// come from; docs/CONFIGURATION.md lists them.
type Config struct {
	Roles        []string      `default:"gateway,worker" help:"what this node does"`
	Node         string        `help:"a label for this node; its host name by default"`
	Keyring      string        `secret:"" hidden:"" help:"the keyring's text, with private keys"`
	DrainTimeout time.Duration `default:"5m" help:"how long requests in flight may take after SIGTERM"`

	S3        S3        `embed:"" prefix:"s3-" group:"[s3]"`
	TLS       TLS       `embed:"" prefix:"tls-" group:"[tls]"`
	Admin     Admin     `embed:"" prefix:"admin-" group:"[admin]"`
	Database  Database  `embed:"" prefix:"database-" group:"[database]"`
	Journal   Journal   `embed:"" prefix:"journal-" group:"[journal]"`
	AccessLog AccessLog `embed:"" prefix:"access-log-" group:"[access_log]"`
	Log       Log       `embed:"" prefix:"log-" group:"[log]"`

	// Output takes the log; nil: nobody does.
	Output io.Writer `kong:"-"`
	// Now is the machine's clock; nil: time.Now.
	Now func() time.Time `kong:"-"`
	// OnReady is called once everything serves.
	OnReady func(Addresses) `kong:"-"`
	// Reread reads the settings again; nil: they cannot be.
	Reread func() (Config, error) `kong:"-"`
}

// S3 are the settings of the data path.
type S3 struct {
	Addr                  string   `default:":9000" help:"S3 without TLS; empty: none"`
	Region                string   `default:"us-east-1" help:"the one region of this gateway"`
	Hosts                 []string `help:"shared S3 hosts: the account comes from the access key"`
	TenantDomain          string   `help:"ACCOUNT.DOMAIN, of this domain, names the account"`
	TrustedProxies        []string `help:"networks whose X-Forwarded-For and X-Forwarded-Proto are believed, and whose connections are not counted by address"`
	PublicScheme          string   `help:"http or https, in addresses that clients are told; empty: what a trusted proxy says in X-Forwarded-Proto, or that of the connection"`
	AnyNames              bool     `help:"let an object a be made beside an object a/b, of which MinIO lists one only; do not look before an object is made"`
	MaxConnections        int      `default:"65536" help:"client connections at once; lowered to what RLIMIT_NOFILE leaves"`
	ConnectionsPerAddress int      `default:"512" help:"of them, those of one client address (IPv6: of a /64); trusted proxies may have any number; 0: no bound"`
	ConcurrentPerAccount  int      `default:"0" help:"requests at once on this node of an account whose own limits do not say; 0: half of max_connections, as lowered"`
	MaxBuckets            int      `default:"1000" help:"buckets of an account whose own limits do not say; the same on every gateway"`
	UnverifiedMiB         int      `name:"unverified-mib" default:"32" help:"memory for browser forms whose sender is not known yet, of all clients together; one address has an eighth at most"`
	DocumentsMiB          int      `name:"documents-mib" default:"256" help:"memory for documents of requests and of answers, of all clients together; one account has a half at most"`
}

// TLS are the settings of S3's listener with TLS.
type TLS struct {
	Addr string `help:"S3 with TLS; empty: none"`
	Cert string `help:"certificate chain, PEM file"`
	Key  string `help:"its private key, PEM file"`
}

// Admin are the settings of the operator's listener.
type Admin struct {
	Addr string `default:"127.0.0.1:9090" help:"metrics, health and pprof; keep it off the network"`
}

// Database are PostgreSQL's addresses: one for each role that a process logs in as.
type Database struct {
	URL       string        `name:"url" secret:"" hidden:"" help:"PostgreSQL, as the role primecloud_gateway"`
	WorkerURL string        `name:"worker-url" secret:"" hidden:"" variable:"WORKER_DATABASE_URL" help:"the same, as the role primecloud_worker"`
	OwnerURL  string        `name:"owner-url" secret:"" hidden:"" variable:"OWNER_DATABASE_URL" help:"the same, as the role primecloud_owner: for the operator's commands, not for serve"`
	MaxStale  time.Duration `default:"1m" help:"how long cached keys work while PostgreSQL is away"`
}

// Journal are the settings of the usage journal.
type Journal struct {
	Dir           string        `default:"/var/lib/primecloud/journal" help:"folder of the usage journal, and of a worker's note of the newest seal, on a disk of this machine; one gateway at a time"`
	SyncInterval  time.Duration `default:"1s" help:"how much usage a lost machine may lose"`
	FlushInterval time.Duration `default:"2s" help:"how often usage is written to PostgreSQL"`
}

// AccessLog are the settings of the access log.
type AccessLog struct {
	Dir               string        `default:"/var/lib/primecloud/access-log" help:"folder of the access log, one process at a time; empty: none, and accounts cannot have theirs delivered"`
	RotateMiB         int           `name:"rotate-mib" default:"64" help:"size of one file; each hour begins a new one too"`
	Keep              time.Duration `default:"168h" help:"how long files are kept"`
	KeepMiB           int           `name:"keep-mib" default:"8192" help:"size of all files, beyond which the oldest go when they are delivered"`
	MaxMiB            int           `name:"max-mib" default:"16384" help:"size of all files, beyond which the oldest go in any case"`
	UnprovenMiB       int           `name:"unproven-mib" default:"1024" help:"size of the files of requests that nobody proved, beyond which the oldest go in any case"`
	UnprovenKiB       int           `name:"unproven-kib" default:"1024" help:"KiB of their lines per second, an eighth of it for one address"`
	UnprovenBucketKiB int           `name:"unproven-bucket-kib" default:"64" help:"the same about one bucket"`
	Delivery          time.Duration `default:"5m" help:"how often lines are delivered to the buckets that accounts have named"`
}

// Log are the settings of the operator's log.
type Log struct {
	Format string `default:"text" help:"text or json"`
	Level  string `default:"info" help:"debug, info, warn or error"`
}

// DefaultConfig has the default of every setting.
func DefaultConfig() Config {
	var cfg Config
	if err := settings.Load(&cfg, "", nil); err != nil {
		panic(err) // a tag of Config is wrong
	}
	return cfg
}

// minDocumentsMiB lets the largest request document in: its bytes in a buffer
// that has grown by doubling, twice as many for what is made of it, and the answer;
// one account has a half of all at most.
const minDocumentsMiB = 128

// knownRoles are those that exist today.
var knownRoles = []string{RoleGateway, RoleWorker}

// The roles: the S3 data path, and the background jobs.
const (
	RoleGateway = "gateway"
	RoleWorker  = "worker"
)

// concurrent is how many requests at once an account has on this node whose own
// limits do not say.
func (cfg *Config) concurrent() int64 {
	return int64(cmp.Or(cfg.S3.ConcurrentPerAccount, (cfg.S3.MaxConnections+1)/2))
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
	if cfg.has(RoleWorker) && cfg.Database.WorkerURL == "" {
		fail("database.worker_url: set PRIMECLOUD_WORKER_DATABASE_URL or PRIMECLOUD_WORKER_DATABASE_URL_FILE (the role is primecloud_worker), or leave the role worker to other nodes: --roles gateway")
	}
	if cfg.has(RoleGateway) && cfg.Database.URL == "" {
		fail("database.url: set PRIMECLOUD_DATABASE_URL or PRIMECLOUD_DATABASE_URL_FILE (the role is primecloud_gateway)")
	}
	if cfg.Keyring == "" {
		fail("keyring: set PRIMECLOUD_KEYRING_FILE; make one with `primecloud secret generate FILE`")
	} else if k, err := secret.Parse([]byte(cfg.Keyring)); err != nil {
		fail("keyring: %w", err)
	} else if !k.CanOpen() {
		fail("keyring: the roles gateway and worker need the one with private keys")
	}
	if cfg.has(RoleGateway) && cfg.S3.Addr == "" && cfg.TLS.Addr == "" {
		fail("s3.addr, tls.addr: at least one listener is needed")
	}
	if cfg.TLS.Addr != "" && (cfg.TLS.Cert == "" || cfg.TLS.Key == "") {
		fail("tls.cert, tls.key: both are needed with tls.addr")
	}
	if err := proxy.CheckHosts(cfg.S3.Hosts, cfg.S3.TenantDomain); err != nil {
		errs = append(errs, err)
	}
	if !slices.Contains([]string{"", "http", "https"}, cfg.S3.PublicScheme) {
		fail("s3.public_scheme: %q is neither http nor https", cfg.S3.PublicScheme)
	}
	if _, err := cfg.proxies(); err != nil {
		fail("s3.trusted_proxies: %w", err)
	}
	if !slices.Contains([]string{"text", "json"}, cfg.Log.Format) {
		fail("log.format: %q is neither text nor json", cfg.Log.Format)
	}
	if _, err := cfg.level(); err != nil {
		fail("log.level: %w", err)
	}
	if cfg.DrainTimeout < 0 || cfg.Database.MaxStale <= 0 || cfg.Journal.FlushInterval <= 0 || cfg.Journal.SyncInterval <= 0 || cfg.S3.MaxConnections <= 0 || cfg.S3.MaxBuckets <= 0 {
		fail("drain_timeout, database.max_stale, journal.flush_interval, journal.sync_interval, s3.max_connections and s3.max_buckets must be positive")
	}
	if cfg.S3.ConnectionsPerAddress < 0 || cfg.S3.ConcurrentPerAccount < 0 {
		fail("s3.connections_per_address and s3.concurrent_per_account may not be negative")
	}
	if cfg.S3.UnverifiedMiB <= 0 || cfg.S3.DocumentsMiB < minDocumentsMiB {
		fail("s3.unverified_mib must be positive, and s3.documents_mib %d at least: that is what one request may need", minDocumentsMiB)
	}
	if cfg.AccessLog.UnprovenMiB <= 0 || cfg.AccessLog.UnprovenKiB <= 0 || cfg.AccessLog.UnprovenBucketKiB <= 0 {
		fail("access_log.unproven_mib, access_log.unproven_kib and access_log.unproven_bucket_kib must be positive")
	}
	if cfg.AccessLog.RotateMiB <= 0 || cfg.AccessLog.Keep <= 0 || cfg.AccessLog.Delivery <= 0 {
		fail("access_log.rotate_mib, access_log.keep and access_log.delivery must be positive")
	}
	if cfg.AccessLog.KeepMiB < cfg.AccessLog.RotateMiB || cfg.AccessLog.MaxMiB < cfg.AccessLog.KeepMiB {
		fail("access_log.rotate_mib may not be above access_log.keep_mib, nor that above access_log.max_mib")
	}
	return settings.Invalid(errors.Join(errs...))
}

func (cfg *Config) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range cfg.S3.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (cfg *Config) level() (slog.Level, error) {
	var l slog.Level
	err := l.UnmarshalText([]byte(cfg.Log.Level))
	return l, err
}

func (cfg *Config) now() func() time.Time {
	if cfg.Now != nil {
		return cfg.Now
	}
	return time.Now
}
