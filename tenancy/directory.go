package tenancy

import (
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

	Entries     int64         // of each table in memory; 100,000
	MaxStale    time.Duration // how long what is cached keeps working while PostgreSQL is away; 60 s
	NegativeTTL time.Duration // of "does not exist"; 5 s, and a creation is heard of at once
	LoadTimeout time.Duration // of one load; 5 s
	Heartbeat   time.Duration // of the notification a node sends itself; 500 ms
	Deafness    time.Duration // without a heartbeat it counts as disconnected; 2 s
	Imports     int           // look-ups of ids that were not issued here, at once; half of the pool, at most 16
	ImportQueue int           // how many more may wait for that; beyond, ErrUnavailable at once; 1000
}

func (c *DirectoryConfig) setDefaults() {
	setDefault(&c.Entries, 100_000)
	setDefault(&c.MaxStale, time.Minute)
	setDefault(&c.NegativeTTL, 5*time.Second)
	setDefault(&c.LoadTimeout, 5*time.Second)
	setDefault(&c.Heartbeat, 500*time.Millisecond)
	setDefault(&c.Deafness, 2*time.Second)
	if c.Pool != nil {
		// The other half is for ids that are known to be genuine, and buckets.
		setDefault(&c.Imports, int(max(1, min(16, c.Pool.Config().MaxConns/2))))
	}
	setDefault(&c.ImportQueue, 1000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Directory is the in-memory view of tenancy that the data path reads. It is
// filled from PostgreSQL on demand and invalidated by its notifications; after
// a broken connection everything is validated again. All values it returns are
// shared and immutable.
//
// A change made anywhere is seen here within a second while connected, and
// within MaxStale otherwise: cached values keep working that long, unknown
// ones are ErrUnavailable. What cannot exist, by its form or by the MAC in an
// issued key id, is refused from memory in any case.
type Directory struct {
	cfg   DirectoryConfig
	store *Store

	keys     *table[*Identity]
	accounts *table[*Account]
	names    *table[ID]
	domains  *table[ID]
	buckets  *table[*Bucket]
	backends *table[*Backend]
	closers  []func()

	imports chan struct{} // a slot for each look-up of a foreign id
	waiting atomic.Int64  // for a slot
	hearing atomic.Pointer[hearing]
	ready   chan struct{} // closed when the first connection listens

	hits, misses, refused, connects atomic.Uint64
}

// NewDirectory makes a directory; Run keeps it up to date, Close ends it.
func NewDirectory(cfg DirectoryConfig) (*Directory, error) {
	cfg.setDefaults()
	if cfg.Pool == nil || cfg.Keyring == nil || !cfg.Keyring.CanOpen() {
		return nil, errors.New("tenancy: a directory needs a pool and a keyring with private keys")
	}
	d := &Directory{
		cfg:     cfg,
		store:   &Store{Keyring: cfg.Keyring},
		imports: make(chan struct{}, cfg.Imports),
		ready:   make(chan struct{}),
	}
	d.hearing.Store(&hearing{})
	if err := d.makeTables(); err != nil {
		d.Close()
		return nil, err
	}
	if cfg.Metrics != nil {
		d.register(cfg.Metrics)
	}
	return d, nil
}

func (d *Directory) makeTables() (err error) {
	s, q, n := d.store, d.cfg.Pool, d.cfg.Entries
	if d.keys, err = newTable(d, n, ErrKeyUnknown, d.plausibleKey, d.loadIdentity); err != nil {
		return err
	}
	if d.accounts, err = newTable(d, n, ErrAccountUnknown, isID, func(ctx context.Context, key string) (*Account, error) {
		return s.Account(ctx, q, ID([]byte(key)))
	}); err != nil {
		return err
	}
	if d.names, err = newTable(d, n, ErrAccountUnknown, accountName.Match, func(ctx context.Context, key string) (ID, error) {
		return s.accountID(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.domains, err = newTable(d, n, ErrAccountUnknown, hostName.Match, func(ctx context.Context, key string) (ID, error) {
		return s.domainAccount(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.buckets, err = newTable(d, n, ErrBucketUnknown, plausibleBucket, func(ctx context.Context, key string) (*Bucket, error) {
		return s.Bucket(ctx, q, ID([]byte(key[:len(ID{})])), key[len(ID{}):])
	}); err != nil {
		return err
	}
	d.backends, err = newTable(d, 1000, ErrBackendUnknown, isID, func(ctx context.Context, key string) (*Backend, error) {
		return s.Backend(ctx, q, ID([]byte(key)))
	})
	return err
}

func isID(key []byte) bool { return len(key) == len(ID{}) && ID(key) != ID{} }

func plausibleBucket(key []byte) bool {
	return len(key) > len(ID{}) && bucketName.Match(key[len(ID{}):])
}

// plausibleKey refuses ids that nobody can have been given: invented ones of
// our own form, and those that no store would take.
func (d *Directory) plausibleKey(key []byte) bool {
	form, genuine := issued(d.cfg.Keyring, string(key))
	return form && genuine || !form && keyIDForm.Match(key)
}

// loadIdentity bounds how many look-ups of foreign ids run at once: they may
// all be invented.
func (d *Directory) loadIdentity(ctx context.Context, keyID string) (*Identity, error) {
	if form, _ := issued(d.cfg.Keyring, keyID); !form {
		defer d.waiting.Add(-1)
		if d.waiting.Add(1) > int64(d.cfg.Imports+d.cfg.ImportQueue) {
			return nil, errors.New("too many look-ups of foreign key ids")
		}
		select {
		case d.imports <- struct{}{}:
			defer func() { <-d.imports }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return d.store.identity(ctx, d.cfg.Pool, keyID)
}

// Close gives the memory back. Nothing is found in memory afterwards.
func (d *Directory) Close() {
	for _, c := range d.closers {
		c()
	}
}

// Identity returns the holder of an access key id. A revoked key is ErrKeyUnknown.
func (d *Directory) Identity(ctx context.Context, keyID []byte) (*Identity, error) {
	return d.keys.get(ctx, keyID)
}

// Account returns an account by id.
func (d *Directory) Account(ctx context.Context, id ID) (*Account, error) {
	return d.accounts.get(ctx, id[:])
}

// AccountByName returns the account of a tenant host's label.
func (d *Directory) AccountByName(ctx context.Context, name []byte) (*Account, error) {
	id, err := d.names.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.Account(ctx, id)
}

// AccountByDomain returns the account of a verified custom domain; host is in
// lower case, without a port.
func (d *Directory) AccountByDomain(ctx context.Context, host []byte) (*Account, error) {
	id, err := d.domains.get(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.Account(ctx, id)
}

// Bucket returns an account's bucket in state active.
func (d *Directory) Bucket(ctx context.Context, account ID, name []byte) (*Bucket, error) {
	var buf [len(ID{}) + 64]byte // stays on the stack: get keeps no key
	key := append(append(buf[:0], account[:]...), name...)
	return d.buckets.get(ctx, key)
}

// Backend returns a backend with its credential.
func (d *Directory) Backend(ctx context.Context, id ID) (*Backend, error) {
	return d.backends.get(ctx, id[:])
}

// ReserveBucket begins the life of a bucket: see Store.ReserveBucket.
func (d *Directory) ReserveBucket(ctx context.Context, account ID, name string, objectLock bool) (*Bucket, error) {
	b, err := d.store.ReserveBucket(ctx, d.cfg.Pool, account, name, objectLock)
	return b, d.outage(err)
}

// ActivateBucket makes a reserved bucket visible.
func (d *Directory) ActivateBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, d.store.moveBucket(ctx, d.cfg.Pool, b.ID, "creating", "active"))
}

// ReleaseBucket forgets a reserved bucket whose creation failed.
func (d *Directory) ReleaseBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, d.store.dropBucket(ctx, d.cfg.Pool, b.ID, "creating"))
}

// BeginDeleteBucket hides a bucket while it is deleted.
func (d *Directory) BeginDeleteBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, d.store.moveBucket(ctx, d.cfg.Pool, b.ID, "active", "deleting"))
}

// RestoreBucket makes a bucket visible again whose deletion failed.
func (d *Directory) RestoreBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, d.store.moveBucket(ctx, d.cfg.Pool, b.ID, "deleting", "active"))
}

// RemoveBucket ends a bucket's life.
func (d *Directory) RemoveBucket(ctx context.Context, b *Bucket) error {
	return d.changed(b, d.store.dropBucket(ctx, d.cfg.Pool, b.ID, "deleting"))
}

// changed invalidates at once here; other nodes hear of it.
func (d *Directory) changed(b *Bucket, err error) error {
	d.buckets.invalidate(string(b.AccountID[:]) + b.Name)
	return d.outage(err)
}

// ListBuckets is Store.ListBuckets, straight from PostgreSQL.
func (d *Directory) ListBuckets(ctx context.Context, account ID, prefix, after string, limit int) ([]*Bucket, error) {
	list, err := d.store.ListBuckets(ctx, d.cfg.Pool, account, prefix, after, limit)
	return list, d.outage(err)
}

// outage keeps tenancy's own errors and turns the rest, which are
// PostgreSQL's, into ErrUnavailable.
func (d *Directory) outage(err error) error {
	if err == nil {
		return nil
	}
	for _, own := range [...]error{ErrBucketExists, ErrBucketBusy, ErrBucketUnknown, ErrAccountUnknown, ErrNoBackend, ErrInvalidName} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
