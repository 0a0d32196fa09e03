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
	Imports     int           // look-ups of ids that were not issued here, at once; 16
}

func (c *DirectoryConfig) setDefaults() {
	setDefault(&c.Entries, 100_000)
	setDefault(&c.MaxStale, time.Minute)
	setDefault(&c.NegativeTTL, 5*time.Second)
	setDefault(&c.LoadTimeout, 5*time.Second)
	setDefault(&c.Heartbeat, 500*time.Millisecond)
	setDefault(&c.Deafness, 2*time.Second)
	setDefault(&c.Imports, 16)
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
// ones are ErrUnavailable.
type Directory struct {
	cfg   DirectoryConfig
	store *Store

	keys     *table[*Identity]
	accounts *table[*Account]
	names    *table[*Account]
	domains  *table[*Account]
	buckets  *table[*Bucket]
	backends *table[*Backend]

	imports chan struct{}
	epoch   atomic.Uint64 // moved on at every reconnection
	heard   atomic.Int64  // Unix nanoseconds of the last heartbeat
	state   atomic.Int32
	ready   chan struct{} // closed when the first connection listens

	hits, misses atomic.Uint64
}

const (
	stateConnected int32 = iota
	stateCoasting        // disconnected, within MaxStale
	stateStale
)

// NewDirectory makes a directory; Run keeps it up to date.
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
	d.state.Store(stateStale)
	if err := d.makeTables(); err != nil {
		return nil, err
	}
	if cfg.Metrics != nil {
		d.register(cfg.Metrics)
	}
	return d, nil
}

func (d *Directory) makeTables() (err error) {
	s, q, n := d.store, d.cfg.Pool, d.cfg.Entries
	if d.keys, err = newTable(d, n, ErrKeyUnknown, d.loadIdentity); err != nil {
		return err
	}
	if d.accounts, err = newTable(d, n, ErrAccountUnknown, func(ctx context.Context, key string) (*Account, error) {
		return s.Account(ctx, q, ID([]byte(key)))
	}); err != nil {
		return err
	}
	if d.names, err = newTable(d, n, ErrAccountUnknown, func(ctx context.Context, key string) (*Account, error) {
		return s.AccountByName(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.domains, err = newTable(d, n, ErrAccountUnknown, func(ctx context.Context, key string) (*Account, error) {
		return s.AccountByDomain(ctx, q, key)
	}); err != nil {
		return err
	}
	if d.buckets, err = newTable(d, n, ErrBucketUnknown, func(ctx context.Context, key string) (*Bucket, error) {
		return s.Bucket(ctx, q, ID([]byte(key[:len(ID{})])), key[len(ID{}):])
	}); err != nil {
		return err
	}
	d.backends, err = newTable(d, 1000, ErrBackendUnknown, func(ctx context.Context, key string) (*Backend, error) {
		return s.Backend(ctx, q, ID([]byte(key)))
	})
	return err
}

// loadIdentity refuses invented ids of our own form from memory, and bounds
// how many look-ups of foreign ones run at once.
func (d *Directory) loadIdentity(ctx context.Context, keyID string) (*Identity, error) {
	form, genuine := issued(d.cfg.Keyring, keyID)
	if form && !genuine {
		return nil, ErrKeyUnknown
	}
	if !form {
		select {
		case d.imports <- struct{}{}:
			defer func() { <-d.imports }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return d.store.identity(ctx, d.cfg.Pool, keyID)
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
	return d.names.get(ctx, name)
}

// AccountByDomain returns the account of a verified custom domain.
func (d *Directory) AccountByDomain(ctx context.Context, host []byte) (*Account, error) {
	return d.domains.get(ctx, host)
}

// Bucket returns an account's bucket in state active.
func (d *Directory) Bucket(ctx context.Context, account ID, name []byte) (*Bucket, error) {
	var buf [len(ID{}) + 64]byte
	key := append(append(buf[:0], account[:]...), name...)
	return d.buckets.get(ctx, key)
}

// Backend returns a backend with its credential.
func (d *Directory) Backend(ctx context.Context, id ID) (*Backend, error) {
	return d.backends.get(ctx, id[:])
}

// Connected reports whether changes are being heard.
func (d *Directory) Connected() bool { return d.state.Load() == stateConnected }

// Ready is closed once the directory has begun to listen.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// fresh reports whether cached values may be used without asking again.
func (d *Directory) fresh() bool { return d.state.Load() != stateStale }

// lastHeard is the later of a load and the last heartbeat: until then the
// loaded value was known to be true.
func (d *Directory) lastHeard(loaded time.Time) time.Time {
	if heard := time.Unix(0, d.heard.Load()); heard.After(loaded) {
		return heard
	}
	return loaded
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
	for _, own := range [...]error{ErrBucketExists, ErrBucketBusy, ErrBucketUnknown, ErrNoBackend, ErrInvalidName} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (d *Directory) register(r prometheus.Registerer) {
	r.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "primecloud_tenancy_directory_hits_total", Help: "Look-ups answered from memory.",
		}, func() float64 { return float64(d.hits.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "primecloud_tenancy_directory_misses_total", Help: "Look-ups that went to PostgreSQL.",
		}, func() float64 { return float64(d.misses.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_tenancy_directory_connected", Help: "1 while changes in PostgreSQL are heard.",
		}, func() float64 {
			if d.Connected() {
				return 1
			}
			return 0
		}),
	)
}
