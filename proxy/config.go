package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Directory answers who owns what, from memory when it can.
//
// All methods may be called by several goroutines at once. The values they
// return are shared and must not be changed; a changed row is another value.
// Names and ids are read during the call only: the caller may reuse the bytes.
//
// The look-ups (Identity to Backend) are asked about every request. One that is
// in memory allocates nothing, waits for neither PostgreSQL nor another look-up,
// and does not look at ctx. Otherwise they wait for PostgreSQL until ctx ends or
// the implementation's own timeout.
//
// Errors are those of package tenancy and may be wrapped. Each method names
// what it returns for an answer of PostgreSQL's. Beyond that every method returns
// tenancy.ErrUnavailable when the answer is not known now, also when ctx ended
// first: it never means "does not exist". tenancy.ErrCrowded comes with it when
// too many callers wait already. After an error the value is nil.
type Directory interface {
	// Identity returns the holder of an access key id, or tenancy.ErrKeyUnknown
	// for one that was never issued or is revoked. One that has expired is
	// returned: the caller compares ExpiresAt.
	Identity(ctx context.Context, keyID []byte) (*tenancy.Identity, error)
	// Account, AccountByName and AccountByDomain return an account whatever its
	// status, or tenancy.ErrAccountUnknown. name is the label in a tenant host;
	// host is a customer's own domain in lower case without a port, unknown until it
	// is verified, and tenancy.ErrDomainNotS3 when it is for something else.
	Account(ctx context.Context, id tenancy.ID) (*tenancy.Account, error)
	AccountByName(ctx context.Context, name []byte) (*tenancy.Account, error)
	AccountByDomain(ctx context.Context, host []byte) (*tenancy.Account, error)
	// Bucket and BucketForAnyone return an account's bucket, or
	// tenancy.ErrBucketUnknown, also for a name that no bucket can have and for
	// a bucket that is being created. One that is being deleted is returned with
	// Deleting set. Bucket is for callers who have proven to hold a key of the
	// account; all others use BucketForAnyone, whose loads share a small part of
	// the connections to PostgreSQL.
	Bucket(ctx context.Context, account tenancy.ID, name []byte) (*tenancy.Bucket, error)
	BucketForAnyone(ctx context.Context, account tenancy.ID, name []byte) (*tenancy.Bucket, error)
	// Backend returns a backend with its credential, or
	// tenancy.ErrBackendUnknown. One whose row somebody without the keyring has
	// changed is tenancy.ErrBackendChanged, beside tenancy.ErrUnavailable.
	Backend(ctx context.Context, id tenancy.ID) (*tenancy.Backend, error)

	// The methods below ask PostgreSQL on every call. What they change is seen
	// by this node's look-ups when they return, by other nodes' soon after.

	// A bucket's life: Reserve, then Activate, or Release when the backend did
	// not create it; BeginDelete, then Remove, or Restore when the backend did
	// not delete it. The ownership record comes first and goes last, so that
	// two accounts never meet in one backend bucket (S3-RULES.md D10).

	// ReserveBucket returns tenancy.ErrInvalidName, ErrAccountUnknown,
	// ErrBucketExists, ErrBucketBusy (being created or deleted), ErrNoBackend or
	// ErrTooManyBuckets.
	ReserveBucket(ctx context.Context, account tenancy.ID, name string, objectLock bool) (*tenancy.Bucket, error)
	// The other steps return tenancy.ErrBucketBusy when the bucket is not in the
	// state that the step begins with, which includes that it is gone.
	ActivateBucket(ctx context.Context, b *tenancy.Bucket) error
	ReleaseBucket(ctx context.Context, b *tenancy.Bucket) error
	BeginDeleteBucket(ctx context.Context, b *tenancy.Bucket) error
	RestoreBucket(ctx context.Context, b *tenancy.Bucket) error
	RemoveBucket(ctx context.Context, b *tenancy.Bucket) error
	// ListBuckets returns up to limit of the account's buckets in the order of
	// their names: those that begin with prefix and come after after, of those
	// named in only unless it is nil. None is no error.
	ListBuckets(ctx context.Context, account tenancy.ID, only []string, prefix, after string, limit int) ([]*tenancy.Bucket, error)

	// SetLogging sets where the bucket's access log lines are delivered, nil
	// being nowhere. It returns tenancy.ErrBucketUnknown for a bucket that is gone.
	SetLogging(ctx context.Context, b *tenancy.Bucket, l *tenancy.BucketLogging) error
	// LogTarget reports whether lines about a bucket of the same account are
	// delivered to b.
	LogTarget(ctx context.Context, b *tenancy.Bucket) (bool, error)

	// Rules for unfinished uploads, in versions of which the backend's document
	// names one (docs/decisions/0032).
	AddUploadRules(ctx context.Context, b *tenancy.Bucket, version tenancy.ID, rules []tenancy.UploadRule) error
	UploadRules(ctx context.Context, b *tenancy.Bucket, version tenancy.ID) ([]tenancy.UploadRule, error)
	ForgetUploadRules(ctx context.Context, b *tenancy.Bucket, named tenancy.ID) error
}

// Meter is the ledger as the data path sees it: Begin binds the tally of one
// request to its cell; the tally then counts while bytes move.
type Meter interface {
	Begin(t *metering.Tally, k usage.Key)
}

// AccessLog takes one record of each request when it is over. It must neither
// wait nor keep the record or anything in it.
type AccessLog interface {
	Add(r *accesslog.Record)
}

// Limiter is what requests are held to beside their rights: Admit binds the
// grant of one request, which then answers for its bytes; settling or ending it
// gives back what was not used. Its errors are *limits.RefusalError. ctx bounds
// what it waits for a lease; with one in memory it waits for nothing.
type Limiter interface {
	Admit(ctx context.Context, g *limits.Grant, r limits.Request) error
}

// Config is what a Server needs. Only Directory, Meter and MAC are required.
type Config struct {
	Directory Directory
	Meter     Meter
	// MAC makes the backend's ids ours (docs/decisions/0017): the keyring's, the
	// same on every node and after a rotation, or uploads end with the node.
	MAC       opaque.MAC
	Limiter   Limiter               // nil: nothing is limited
	AccessLog AccessLog             // nil: none
	Logger    *slog.Logger          // nil: discard
	Metrics   prometheus.Registerer // nil: none

	// Node is this gateway's label in the access log.
	Node string
	// Region is the one region of this gateway. Default: us-east-1, which
	// every client assumes when it is told nothing.
	Region string
	// Hosts are the shared S3 hosts, where the account comes from the access
	// key: path style on the host itself, a bucket in front of it for
	// virtual-host style. IP addresses count as shared hosts.
	Hosts []string
	// TenantDomain serves <account>.<domain> and <bucket>.<account>.<domain>.
	TenantDomain string
	// Covers says whether a certificate of this server is good for a name: of names
	// below customers' own domains, only those are served over TLS. nil: none is.
	Covers func(name string) bool
	// TrustedProxies may name the client in X-Forwarded-For. Default: nobody.
	TrustedProxies []netip.Prefix
	// PublicScheme and the request's own Host make the Location that
	// CompleteMultipartUpload and a form return. Default: what a trusted proxy says
	// in X-Forwarded-Proto, or that of the connection.
	PublicScheme string

	// Health is what readyPath answers, without asking anybody: any client can ask it.
	// nil: the path is a name like others.
	Health func() health.Status

	// AnyNames lets an object "a" be made beside an object "a/b" in MinIO, which
	// lists only one of them (docs/decisions/0026).
	AnyNames bool

	Limits Limits

	now func() time.Time
}

// Limits bound what one client may hold. Zero fields take the default named.
type Limits struct {
	Head         int           // bytes of a request's head; 16 KiB (AWS: 8 KiB of headers, long presigned URLs on top)
	HeadTimeout  time.Duration // a head must be complete within it; 20 s
	Idle         time.Duration // a connection may wait between requests; 60 s
	MinRate      int64         // bytes per second that a body must move in any Window; 1 KiB/s (S3-RULES.md C12)
	Window       time.Duration // of waiting for the client; 30 s
	Recheck      time.Duration // between two looks at whether a transfer may go on; 5 s
	ObjectSize   int64         // bytes of one PUT or part; 5 GiB
	Unverified   int64         // bytes that forms may hold on this node before they are verified; 32 MiB
	Documents    int64         // bytes that documents may hold on this node, those of requests and those of answers; 256 MiB
	ContinueWait time.Duration // after which a form's client that waits for 100 Continue gets it; 5 s
	AnswerWait   time.Duration // for the backend's response; 5 min (a large Complete takes long)
	DocumentWait time.Duration // for PostgreSQL on a cache miss; 5 s
}

func (l *Limits) setDefaults() {
	setDefault(&l.Head, 16<<10)
	setDefault(&l.HeadTimeout, 20*time.Second)
	setDefault(&l.Idle, time.Minute)
	setDefault(&l.MinRate, 1<<10)
	setDefault(&l.Window, 30*time.Second)
	setDefault(&l.Recheck, 5*time.Second)
	setDefault(&l.ObjectSize, 5<<30)
	setDefault(&l.Unverified, 32<<20)
	setDefault(&l.Documents, 256<<20)
	setDefault(&l.ContinueWait, 5*time.Second)
	setDefault(&l.AnswerWait, 5*time.Minute)
	setDefault(&l.DocumentWait, 5*time.Second)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	var errs []error
	if c.Directory == nil {
		// Without a directory nothing could be verified (S3-RULES.md A16).
		errs = append(errs, errors.New("proxy: Directory is required"))
	}
	if c.Meter == nil {
		errs = append(errs, errors.New("proxy: Meter is required"))
	}
	if c.MAC == nil {
		// Without it the backend would decode what clients made up.
		errs = append(errs, errors.New("proxy: MAC is required"))
	}
	return errors.Join(append(errs, CheckHosts(c.Hosts, c.TenantDomain))...)
}
