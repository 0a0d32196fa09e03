package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Config says how stored bytes are measured. Zero values work, but
// for Pool and Store.
type Config struct {
	// Pool is of the role worker or owner: the ones that may write samples.
	Pool pg.Querier
	// Store opens the backends' credentials: its keyring has private keys.
	Store *tenancy.Store
	// Buckets is how many are listed at once. Default 4.
	Buckets int
	// Rate bounds the requests per second to the backends, all buckets
	// together; a request lists at most 1000 keys. Default 100.
	Rate int
	// SaveInterval is how often a listing's place is kept: what a killed
	// process lists twice. Default 5 s.
	SaveInterval time.Duration
	// Hold is how long a listing belongs to a process that says nothing more.
	// Default 1 m. It must be well above SaveInterval.
	Hold time.Duration
	// Stall is how long a backend may take for one page. Default 2 m.
	Stall time.Duration
	// MaxAge is how old the beginning of an interrupted listing may be; an older
	// one begins anew. Default 24 h.
	MaxAge  time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Sampler measures what buckets hold, by listing them (docs/decisions/0010).
// Several processes may do so at once: a bucket is listed by one of them.
type Sampler struct {
	cfg     Config
	limiter *rate.Limiter
	mac     MAC
	samples *prometheus.CounterVec
}

// Totals is what a bucket holds.
type Totals struct {
	CurrentBytes       int64 `json:"current_bytes"`
	NoncurrentBytes    int64 `json:"noncurrent_bytes"`
	IncompleteBytes    int64 `json:"incomplete_bytes"` // parts of unfinished multipart uploads
	Objects            int64 `json:"objects"`
	NoncurrentVersions int64 `json:"noncurrent_versions"`
	DeleteMarkers      int64 `json:"delete_markers"`
	Uploads            int64 `json:"uploads"` // unfinished
}

// Bytes is all of it.
func (s Totals) Bytes() int64 { return s.CurrentBytes + s.NoncurrentBytes + s.IncompleteBytes }

// Columns are the header over Cells.
const Columns = "CURRENT_BYTES NONCURRENT_BYTES INCOMPLETE_BYTES OBJECTS NONCURRENT_VERSIONS DELETE_MARKERS UPLOADS"

// Cells are the totals as part of a row of a table.
func (s Totals) Cells() (cells []string) {
	for _, n := range []int64{s.CurrentBytes, s.NoncurrentBytes, s.IncompleteBytes, s.Objects, s.NoncurrentVersions, s.DeleteMarkers, s.Uploads} {
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}

// Minus is what s holds more than t.
func (s Totals) Minus(t Totals) Totals {
	return Totals{
		s.CurrentBytes - t.CurrentBytes, s.NoncurrentBytes - t.NoncurrentBytes, s.IncompleteBytes - t.IncompleteBytes,
		s.Objects - t.Objects, s.NoncurrentVersions - t.NoncurrentVersions, s.DeleteMarkers - t.DeleteMarkers, s.Uploads - t.Uploads,
	}
}

// Sample is what a bucket held in an hour: each key as it was at some moment
// between StartedAt and MeasuredAt.
type Sample struct {
	Bucket  tenancy.ID `json:"-"`
	Account tenancy.ID `json:"-"`
	Hour    time.Time  `json:"hour"`
	Totals
	Source     string    `json:"source"`
	StartedAt  time.Time `json:"started_at"`
	MeasuredAt time.Time `json:"measured_at"`
}

// sourceListing marks samples that come from listing.
const sourceListing = "listing"

var (
	// ErrListed means that the bucket is being listed by another process.
	ErrListed = errors.New("metering: the bucket is being measured at this moment")
	// errBucketMissing means that the backend does not have the bucket.
	errBucketMissing = errors.New("metering: the backend has no such bucket")
)

// New returns a Sampler.
func New(cfg Config) (*Sampler, error) {
	if cfg.Pool == nil || cfg.Store == nil || cfg.Store.Keyring == nil || !cfg.Store.Keyring.CanOpen() {
		return nil, errors.New("metering: a sampler needs a pool and a keyring with private keys")
	}
	defaults := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	defaults(&cfg.SaveInterval, 5*time.Second)
	defaults(&cfg.Hold, time.Minute)
	defaults(&cfg.Stall, 2*time.Minute)
	defaults(&cfg.MaxAge, 24*time.Hour)
	if cfg.Buckets == 0 {
		cfg.Buckets = 4
	}
	if cfg.Rate == 0 {
		cfg.Rate = 100
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SaveInterval < 0 || cfg.Hold <= 0 || cfg.Stall <= 0 || cfg.MaxAge <= 0 || cfg.Buckets < 0 || cfg.Rate < 0 {
		return nil, errors.New("metering: a sampler's settings must be positive")
	}
	v := &Sampler{cfg: cfg, limiter: rate.NewLimiter(rate.Limit(cfg.Rate), cfg.Rate), mac: cfg.Store.Keyring.MAC, samples: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_metering_storage_samples_total", Help: "Buckets measured, by result: a failed one leaves a gap in its hour.",
	}, []string{"result"})}
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(v.samples); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Run counts what SampleDue did.
type Run struct {
	Measured int `json:"measured"`
	Failed   int `json:"failed"`  // each leaves a gap
	Skipped  int `json:"skipped"` // being measured by another process, just deleted, or cut off by the end of the run
}

// SampleDue measures every bucket that has no sample in the present hour; those
// that an earlier run has begun come last, so that a huge one holds up nobody.
// One that fails leaves a gap and does not stop the others; the next run of
// the hour tries it again. When ctx ends, what was read is kept.
func (v *Sampler) SampleDue(ctx context.Context) (Run, error) {
	var run Run
	var counting sync.Mutex
	var g errgroup.Group
	g.SetLimit(v.cfg.Buckets)
	backends := v.backends()
	begin := func(some []*tenancy.Bucket) {
		for _, b := range some {
			g.Go(func() error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				_, err := v.sample(ctx, backends, b)
				counting.Lock()
				defer counting.Unlock()
				run.count(ctx, err)
				return ctx.Err()
			})
		}
	}
	var begun []*tenancy.Bucket
	for after := (tenancy.ID{}); ctx.Err() == nil; {
		page, err := tenancy.AllBuckets(ctx, v.cfg.Pool, tenancy.ID{}, after, 1000)
		if err == nil && len(page) == 0 {
			break
		}
		var fresh, more []*tenancy.Bucket
		if err == nil {
			after = page[len(page)-1].ID
			fresh, more, err = withoutSample(ctx, v.cfg.Pool, page, hourOf(v.cfg.Now()))
		}
		if err != nil {
			return run, errors.Join(err, g.Wait())
		}
		begin(fresh)
		begun = append(begun, more...)
	}
	begin(begun)
	return run, g.Wait()
}

func (r *Run) count(ctx context.Context, err error) {
	switch {
	case err == nil:
		r.Measured++
	case errors.Is(err, ErrListed), errors.Is(err, tenancy.ErrBucketUnknown), ctx.Err() != nil:
		r.Skipped++
	default:
		r.Failed++
	}
}

// Sample measures a bucket now and keeps the result as its hour's sample. It
// returns ErrListed when another process is at it, and
// tenancy.ErrBucketUnknown when it was deleted meanwhile.
func (v *Sampler) Sample(ctx context.Context, b *tenancy.Bucket) (*Sample, error) {
	return v.sample(ctx, v.backends(), b)
}

func (v *Sampler) sample(ctx context.Context, backends *backends, b *tenancy.Bucket) (*Sample, error) {
	l, err := v.take(ctx, b)
	if err != nil {
		return nil, err
	}
	s, err := v.finish(ctx, backends, l)
	if err == nil {
		v.samples.WithLabelValues("measured").Inc()
		return s, nil
	}
	if errors.Is(err, ErrListed) {
		return nil, err
	}
	// What was read is kept; another may go on at once.
	after := context.WithoutCancel(ctx)
	if lerr := l.leave(after, ctx.Err() == nil); lerr != nil {
		return nil, errors.Join(err, lerr)
	}
	if ctx.Err() != nil {
		return nil, err // told to stop: nothing is wrong with the bucket
	}
	if owned, oerr := tenancy.BucketOwned(after, v.cfg.Pool, b.ID); oerr == nil && !owned && errors.Is(err, errBucketMissing) {
		return nil, fmt.Errorf("%s: %w", b.Name, tenancy.ErrBucketUnknown)
	}
	v.samples.WithLabelValues("failed").Inc()
	v.cfg.Logger.Error("a bucket could not be measured: its hour has a gap", "bucket", b.ID, "backend_bucket", b.BackendName, "error", err)
	return nil, errors.Join(err, writeGap(after, v.cfg.Pool, b, v.cfg.Now(), err))
}

// finish lists what is left and writes the sample.
func (v *Sampler) finish(ctx context.Context, backends *backends, l *listing) (*Sample, error) {
	clients, err := backends.clients(ctx, l.bucket.BackendID)
	if err != nil {
		return nil, err
	}
	if err := l.read(ctx, clients); err != nil {
		backends.failed(l.bucket.BackendID, err)
		return nil, err
	}
	return l.write(ctx)
}

// Measure lists a bucket now and keeps no sample.
func (v *Sampler) Measure(ctx context.Context, b *tenancy.Bucket) (Totals, error) {
	stored, _, err := v.MeasureWindows(ctx, b)
	return stored, err
}

// Window is the time [From, To); a zero To is no end.
type Window struct{ From, To time.Time }

func (w Window) has(at time.Time) bool {
	return !at.Before(w.From) && (w.To.IsZero() || at.Before(w.To))
}

// MeasureWindows is Measure, and returns for each window how many of the bytes were
// stored in it, by the backend's times: of objects, versions, and parts of
// unfinished uploads. created has the order of windows.
func (v *Sampler) MeasureWindows(ctx context.Context, b *tenancy.Bucket, windows ...Window) (stored Totals, created []int64, err error) {
	clients, err := v.backends().clients(ctx, b.BackendID)
	if err != nil {
		return Totals{}, nil, err
	}
	l := &listing{sampler: v, bucket: b, windows: windows, created: make([]int64, len(windows))}
	err = l.read(ctx, clients)
	return l.done, l.created, err
}

// backends holds the clients of the backends for the length of a run, and
// which of them do not answer: thousands of buckets must not wait for each.
type backends struct {
	sampler *Sampler
	mu      sync.Mutex
	known   map[tenancy.ID]*backendClients
}

type backendClients struct {
	list []*minio.Client // one for each endpoint
	away error
}

func (v *Sampler) backends() *backends {
	return &backends{sampler: v, known: map[tenancy.ID]*backendClients{}}
}

func (b *backends) clients(ctx context.Context, id tenancy.ID) ([]*minio.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.known[id]; ok {
		return c.list, c.away
	}
	backend, err := b.sampler.cfg.Store.Backend(ctx, b.sampler.cfg.Pool, id)
	if err != nil {
		return nil, err
	}
	list, err := backend.Clients()
	if err != nil {
		return nil, err
	}
	b.known[id] = &backendClients{list: list}
	return list, nil
}

// failed remembers a backend of which no endpoint answers.
func (b *backends) failed(id tenancy.ID, err error) {
	if !unreachable(err) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[id].away = err
}

// errStore marks errors of our own database on the way through a listing.
var errStore = errors.New("metering: keep a listing's place")

func storeError(err error) error {
	if err == nil || errors.Is(err, ErrListed) {
		return err
	}
	return fmt.Errorf("%w: %w", errStore, err)
}

// unreachable reports whether the backend did not answer: what it does answer
// comes as an S3 error.
func unreachable(err error) bool {
	var network net.Error
	return !errors.Is(err, errStore) && answer(err) == "" &&
		(errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network))
}

// answer is the S3 code of a backend's answer.
func answer(err error) string {
	var e minio.ErrorResponse
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// listedTimeout bounds how long SampleNow waits for another process.
const listedTimeout = time.Minute

// SampleNow is Sample, but waits while another process measures the bucket: what was
// written before the call is in the sample that it returns.
func (v *Sampler) SampleNow(ctx context.Context, b *tenancy.Bucket) (*Sample, error) {
	timeout := time.After(listedTimeout)
	for {
		sample, err := v.Sample(ctx, b)
		if !errors.Is(err, ErrListed) {
			return sample, err
		}
		select {
		case <-timeout:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
