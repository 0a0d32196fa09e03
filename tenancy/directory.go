package tenancy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/secret"
)

// DirectoryConfig configures a Directory. Pool and Keyring (with private keys)
// are required.
type DirectoryConfig struct {
	Pool    *pgxpool.Pool // as primecloud_gateway
	Keyring *secret.Keyring
	Logger  *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // nil: none

	Entries            int64         // of each kind in memory; 100,000
	MaxStale           time.Duration // how long what is cached keeps working while PostgreSQL is away; 60 s
	NegativeTTL        time.Duration // of "does not exist"; 5 s, and a notified creation ends it at once
	LoadTimeout        time.Duration // of one load; 5 s
	Heartbeat          time.Duration // between two notifications that a node sends itself; 500 ms
	HeartbeatTimeout   time.Duration // without a heartbeat for so long, the node counts as disconnected; 2 s
	MaxStrangerLookups int           // look-ups at once of names that anybody may have made up; a quarter of the pool, at most 8
	MaxHolderLookups   int           // look-ups and changes at once that keys' holders ask for; the same
	LookupQueue        int           // how many more of one sort may wait for that; beyond, ErrCrowded at once; 1000
	MaxBuckets         int           // that an account may make for which nothing else was set; 1000
}

func (c *DirectoryConfig) setDefaults() {
	c.Entries = cmp.Or(c.Entries, 100_000)
	c.MaxStale = cmp.Or(c.MaxStale, time.Minute)
	c.NegativeTTL = cmp.Or(c.NegativeTTL, 5*time.Second)
	c.LoadTimeout = cmp.Or(c.LoadTimeout, 5*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 500*time.Millisecond)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 2*time.Second)
	if c.Pool != nil {
		// The other half is for what was there a while ago or is known to be
		// genuine, and for other users of the pool.
		quarter := int(max(1, min(8, c.Pool.Config().MaxConns/4)))
		c.MaxStrangerLookups = cmp.Or(c.MaxStrangerLookups, quarter)
		c.MaxHolderLookups = cmp.Or(c.MaxHolderLookups, quarter)
	}
	c.LookupQueue = cmp.Or(c.LookupQueue, 1000)
	c.MaxBuckets = cmp.Or(c.MaxBuckets, 1000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Directory is the in-memory view of tenancy that the data path reads. It is
// filled from PostgreSQL on demand and invalidated by its notifications; after
// a broken connection everything is validated again. Its methods may be called
// by several goroutines at once; the values they return are shared and must not
// be changed. proxy.Directory is the contract of the methods that the gateway
// calls: what each returns, and what a look-up costs.
//
// A change made anywhere is seen here within a second while connected, and
// within MaxStale otherwise: cached values keep working that long, unknown
// ones are ErrUnavailable. What cannot exist, by its form or by the MAC in an
// issued key id, is refused from memory in any case.
type Directory struct {
	cfg   DirectoryConfig
	store *Store

	keys     *loadingCache[*Identity]
	accounts *loadingCache[*Account]
	names    *loadingCache[ID]
	domains  *loadingCache[domain]
	buckets  *loadingCache[*Bucket]
	backends *loadingCache[*Backend]
	closers  []func()

	strangers *lane
	holders   *lane
	ended     *endedKeys
	proven    *provenHosts
	sync      atomic.Pointer[syncState]
	ready     chan struct{} // closed when the first connection listens

	hits, misses, refused, crowded, connects atomic.Uint64
}

// NewDirectory makes a directory; Run keeps it up to date, Close ends it.
func NewDirectory(cfg DirectoryConfig) (*Directory, error) {
	cfg.setDefaults()
	if cfg.Pool == nil || cfg.Keyring == nil || !cfg.Keyring.CanOpen() {
		return nil, errors.New("tenancy: a directory needs a pool and a keyring with private keys")
	}
	d := &Directory{
		cfg:   cfg,
		store: &Store{Keyring: cfg.Keyring},
		ready: make(chan struct{}),
		ended: newEndedKeys(), proven: newProvenHosts(),
	}
	d.strangers = newLane("strangers", cfg.MaxStrangerLookups, strangerShares, cfg.LookupQueue, &d.crowded)
	d.holders = newLane("holders", cfg.MaxHolderLookups, accountShares, cfg.LookupQueue, &d.crowded)
	d.sync.Store(&syncState{})
	if err := d.makeCaches(); err != nil {
		d.Close()
		return nil, err
	}
	if cfg.Metrics != nil {
		d.register(cfg.Metrics)
	}
	return d, nil
}

func (d *Directory) makeCaches() (err error) {
	s, q, n := d.store, d.cfg.Pool, d.cfg.Entries
	if d.keys, err = newLoadingCache(d, n, ErrKeyUnknown, d.keyMayExist, d.turnOfKey, func(ctx context.Context, key string) (*Identity, error) {
		look := d.ended.now()
		i, err := s.identity(ctx, q, key)
		return d.genuine(look, i, err)
	}); err != nil {
		return err
	}
	if d.accounts, err = newLoadingCache(d, n, ErrAccountUnknown, isID, noTurn, func(ctx context.Context, key string) (*Account, error) {
		return AccountByID(ctx, q, ID([]byte(key)))
	}); err != nil {
		return err
	}
	if d.names, err = newLoadingCache(d, n, ErrAccountUnknown, accountName.Match, d.strangersIn(shareNames), func(ctx context.Context, key string) (ID, error) {
		return accountID(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.domains, err = newLoadingCache(d, n, ErrAccountUnknown, domainMayExist, d.strangersIn(shareDomains), func(ctx context.Context, key string) (domain, error) {
		return readDomain(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.buckets, err = newLoadingCache(d, n, ErrBucketUnknown, bucketMayExist, d.turnOfBucket, func(ctx context.Context, key string) (*Bucket, error) {
		return BucketByName(ctx, q, ID([]byte(key[:len(ID{})])), key[len(ID{}):])
	}); err != nil {
		return err
	}
	d.backends, err = newLoadingCache(d, 1000, ErrBackendUnknown, isID, noTurn, func(ctx context.Context, key string) (*Backend, error) {
		b, err := s.Backend(ctx, q, ID([]byte(key)))
		if errors.Is(err, ErrBackendChanged) {
			d.cfg.Logger.Error("a backend's row was changed by somebody without the keyring; nothing is sent there", "backend", ID([]byte(key)), "error", err)
		}
		return b, err
	})
	return err
}

// genuine refuses a key whose row was changed or put back by somebody without the
// keyring. To its holder it is unknown; the operator is told. look is from before
// the row was read.
func (d *Directory) genuine(look uint64, i *Identity, err error) (*Identity, error) {
	switch {
	case errors.Is(err, ErrKeyChanged):
		d.cfg.Logger.Error("an access key's row was changed by somebody without the keyring; the key is refused", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrKeyUnknown, err)
	case err == nil && d.ended.before(look, i.ID):
		d.cfg.Logger.Error("an access key that had ended was put back into the database, and the note of its end removed; the key is refused", "key", i.KeyID)
		return nil, ErrKeyUnknown
	}
	return i, err
}

// noTurn is for ids, which were read from PostgreSQL with a key, a bucket or a name
// that exists: their loads wait in no lane.
func noTurn([]byte, asker) turn { return turn{} }

func (d *Directory) strangersIn(share int) func([]byte, asker) turn {
	return func([]byte, asker) turn { return turn{d.strangers, share} }
}

// turnOfKey lets ids go ahead that were issued here: they have a MAC. Foreign
// ones may all be invented.
func (d *Directory) turnOfKey(key []byte, _ asker) turn {
	if form, _ := issued(d.cfg.Keyring, string(key)); form {
		return turn{}
	}
	return turn{d.strangers, shareKeys}
}

func (d *Directory) turnOfBucket(key []byte, by asker) turn {
	if by == holder {
		return d.ofAccount(ID(key[:len(ID{})]))
	}
	return turn{d.strangers, shareBuckets}
}

func isID(key []byte) bool { return len(key) == len(ID{}) && ID(key) != ID{} }

func bucketMayExist(key []byte) bool {
	return len(key) > len(ID{}) && CheckBucketName(key[len(ID{}):]) == nil
}

// domainMayExist refuses what no row of domains can hold, or no name server.
func domainMayExist(host []byte) bool {
	return len(host) <= 253 && hostName.Match(host)
}

// keyMayExist refuses ids that no key can have: those of our own form with a
// wrong MAC, and those that cannot be imported.
func (d *Directory) keyMayExist(key []byte) bool {
	form, genuine := issued(d.cfg.Keyring, string(key))
	return form && genuine || !form && keyIDForm.Match(key)
}

// Close gives the memory back. Nothing is found in memory afterwards.
func (d *Directory) Close() {
	for _, c := range d.closers {
		c()
	}
}

// Identity returns the holder of an access key id, or ErrKeyUnknown, also for a
// revoked key. An expired one is returned.
func (d *Directory) Identity(ctx context.Context, keyID []byte) (*Identity, error) {
	return d.keys.get(ctx, keyID, anyone)
}

// Account returns an account by id, whatever its status, or ErrAccountUnknown.
func (d *Directory) Account(ctx context.Context, id ID) (*Account, error) {
	return d.accounts.get(ctx, id[:], anyone)
}

// AccountByName returns the account of a tenant host's label, or ErrAccountUnknown.
func (d *Directory) AccountByName(ctx context.Context, name []byte) (*Account, error) {
	id, err := d.names.get(ctx, name, anyone)
	if err != nil {
		return nil, err
	}
	return d.Account(ctx, id)
}

// AccountByDomain returns the account of a verified custom domain, ErrAccountUnknown,
// or ErrDomainNotS3 for one that is for something else than S3; host is in lower
// case, without a port.
func (d *Directory) AccountByDomain(ctx context.Context, host []byte) (*Account, error) {
	found, err := d.domains.get(ctx, host, anyone)
	if err != nil {
		return nil, err
	}
	if !found.s3 {
		return nil, ErrDomainNotS3
	}
	return d.Account(ctx, found.account)
}

// Bucket returns an account's bucket, for a caller who has proven to hold one
// of its keys, or ErrBucketUnknown. One that is being deleted is returned with
// Deleting set.
func (d *Directory) Bucket(ctx context.Context, account ID, name []byte) (*Bucket, error) {
	return d.bucket(ctx, account, name, holder)
}

// BucketForAnyone is Bucket for a caller who has proven nothing: its loads are
// in the lane of strangers.
func (d *Directory) BucketForAnyone(ctx context.Context, account ID, name []byte) (*Bucket, error) {
	return d.bucket(ctx, account, name, anyone)
}

func (d *Directory) bucket(ctx context.Context, account ID, name []byte, by asker) (*Bucket, error) {
	var buf [len(ID{}) + 64]byte // stays on the stack: get keeps no key
	key := append(append(buf[:0], account[:]...), name...)
	return d.buckets.get(ctx, key, by)
}

// Backend returns a backend with its credential, ErrBackendUnknown, or
// ErrBackendChanged beside ErrUnavailable.
func (d *Directory) Backend(ctx context.Context, id ID) (*Backend, error) {
	return d.backends.get(ctx, id[:], anyone)
}

// ReserveBucket begins the life of a bucket: see the function ReserveBucket.
func (d *Directory) ReserveBucket(ctx context.Context, account ID, name string, objectLock bool) (*Bucket, error) {
	leave, err := d.ofAccount(account).enter(ctx)
	if err != nil {
		return nil, d.outage(err)
	}
	defer leave()
	b, err := ReserveBucket(ctx, d.cfg.Pool, account, name, objectLock, d.cfg.MaxBuckets)
	return b, d.outage(err)
}

// BeginDeleteBucket keeps others from writing to the bucket, from deleting it and
// from making one of its name meanwhile. Like the steps that follow it returns
// ErrBucketBusy for a bucket that is in another state, or gone.
func (d *Directory) BeginDeleteBucket(ctx context.Context, b *Bucket) error {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return d.outage(err)
	}
	defer leave()
	return d.changed(b, moveBucket(ctx, d.cfg.Pool, b.ID, "active", "deleting"))
}

// The steps that end a creation or a deletion do not wait in a lane.

// ActivateBucket makes a reserved bucket visible.
func (d *Directory) ActivateBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, moveBucket(ctx, d.cfg.Pool, b.ID, "creating", "active"))
}

// ReleaseBucket forgets a reserved bucket whose creation failed.
func (d *Directory) ReleaseBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, dropBucket(ctx, d.cfg.Pool, b.ID, "creating"))
}

// RestoreBucket ends a deletion that failed.
func (d *Directory) RestoreBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, moveBucket(ctx, d.cfg.Pool, b.ID, "deleting", "active"))
}

// RemoveBucket ends a bucket's life.
func (d *Directory) RemoveBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, dropBucket(ctx, d.cfg.Pool, b.ID, "deleting"))
}

// changed invalidates the bucket here at once; other nodes are notified.
func (d *Directory) changed(b *Bucket, err error) error {
	d.buckets.invalidate(string(b.AccountID[:]) + b.Name)
	return d.outage(err)
}

// ListBuckets is the function ListBuckets, straight from PostgreSQL.
func (d *Directory) ListBuckets(ctx context.Context, account ID, only []string, prefix, after string, limit int) ([]*Bucket, error) {
	leave, err := d.ofAccount(account).enter(ctx)
	if err != nil {
		return nil, d.outage(err)
	}
	defer leave()
	list, err := ListBuckets(ctx, d.cfg.Pool, account, only, prefix, after, limit)
	return list, d.outage(err)
}

// outage keeps tenancy's own errors and turns the rest, which are
// PostgreSQL's, into ErrUnavailable. ErrCrowded is both.
func (d *Directory) outage(err error) error {
	var own sentinelError
	switch {
	case err == nil, errors.As(err, &own) && !errors.Is(err, ErrCrowded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
