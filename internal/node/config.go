package node

import (
	"cmp"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/primecloudpro/primecloud/internal/settings"
)

// Config is what a process runs with. Package settings says where each field can
// come from; docs/CONFIGURATION.md lists them.
type Config struct {
	Roles        []string      `default:"gateway,worker" help:"what this node does"`
	Node         string        `help:"a label for this node; its host name by default"`
	Keyring      string        `secret:"" hidden:"" help:"the keyring's text, with private keys" missing:", or make one with \x60primecloud secret generate FILE\x60"`
	DrainDelay   time.Duration `default:"5s" help:"how long, after SIGTERM, /readyz says that the node drains while it still takes connections: longer than balancers need to notice"`
	DrainTimeout time.Duration `default:"5m" help:"how long requests in flight may take after that"`

	S3        S3        `embed:"" prefix:"s3-" group:"[s3]"`
	TLS       TLS       `embed:"" prefix:"tls-" group:"[tls]"`
	Admin     Admin     `embed:"" prefix:"admin-" group:"[admin]"`
	Health    Health    `embed:"" prefix:"health-" group:"[health]"`
	Database  Database  `embed:"" prefix:"database-" group:"[database]"`
	Journal   Journal   `embed:"" prefix:"journal-" group:"[journal]"`
	AccessLog AccessLog `embed:"" prefix:"access-log-" group:"[access_log]"`
	Domains   Domains   `embed:"" prefix:"domains-" group:"[domains]"`
	Log       Log       `embed:"" prefix:"log-" group:"[log]"`

	// Output takes the log; nil: nobody does.
	Output io.Writer `kong:"-"`
	// Now is the machine's clock; nil: time.Now.
	Now func() time.Time `kong:"-"`
	// OnReady is called once everything serves.
	OnReady func(Addresses) `kong:"-"`
	// Reread reads the settings again; nil: they cannot be. Files are those that they come
	// from: it is called when one of them changes, and for each value of Hangup.
	Reread func() (Config, error) `kong:"-"`
	Files  []string               `kong:"-"`
	Hangup <-chan os.Signal       `kong:"-"`
}

// S3 are the settings of the data path.
type S3 struct {
	Addr                  string         `default:":9000" help:"S3 without TLS; empty: none"`
	Region                string         `default:"us-east-1" help:"the one region of this gateway"`
	Hosts                 []string       `help:"shared S3 hosts: the account comes from the access key"`
	TenantDomain          string         `help:"ACCOUNT.DOMAIN, of this domain, names the account"`
	TrustedProxies        []netip.Prefix `help:"networks whose X-Forwarded-For and X-Forwarded-Proto are believed, and whose connections are not counted by address"`
	PublicScheme          string         `help:"http or https, in addresses that clients are told; empty: what a trusted proxy says in X-Forwarded-Proto, or that of the connection"`
	AnyNames              bool           `help:"let an object a be made beside an object a/b, of which MinIO lists one only; do not look before an object is made"`
	MaxConnections        int            `default:"65536" help:"client connections at once; lowered to what RLIMIT_NOFILE leaves"`
	ConnectionsPerAddress int            `default:"512" help:"of them, those of one client address (IPv6: of a /64); trusted proxies may have any number; 0: no bound"`
	ConcurrentPerAccount  int            `default:"0" help:"requests at once on this node of an account whose own limits do not say; 0: half of max_connections, as lowered"`
	MaxBuckets            int            `default:"1000" help:"buckets of an account whose own limits do not say; the same on every gateway"`
	UnverifiedMiB         int            `name:"unverified-mib" default:"32" help:"memory for browser forms whose sender is not known yet, of all clients together; one address has an eighth at most"`
	DocumentsMiB          int            `name:"documents-mib" default:"256" help:"memory for documents of requests and of answers, of all clients together; one account has a half at most"`
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

// Health are the settings of the listener for balancers.
type Health struct {
	Addr string `help:"/livez, /readyz and /metrics, without what the operator's listener has besides: for balancers and Prometheus; empty: none"`
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

// Domains are the settings of customers' own domains.
type Domains struct {
	Target    string   `help:"host name that customers' CNAME records are to point at; empty: there are no such domains"`
	Addresses []string `help:"IP addresses that customers' address records may have, where no CNAME record can be; empty: those of target"`
	Resolver  string   `help:"address and port of the one name server that is asked, such as 10.0.0.53:53; empty: the name servers of each zone, from the root down"`
	Reserved  []string `help:"names that no customer may have, with all below them, beside target, hosts and tenant_domain"`
	Most      int      `default:"50" help:"domains of one account"`
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

func (cfg *Config) now() func() time.Time {
	if cfg.Now != nil {
		return cfg.Now
	}
	return time.Now
}
