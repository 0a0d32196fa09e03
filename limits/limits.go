// Package limits holds requests to what their account and access key may do:
// rates, transfer rates, requests at once, and budgets of storage, egress,
// requests and spend (docs/LIMITS.md).
//
// A Limiter is a node's. Rates are divided by the number of live nodes.
// Budgets are leased from PostgreSQL in slices: a node takes from its slice in
// memory before bytes move, and the slices of all nodes together are never
// more than what is left.
package limits

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Stored returns how many bytes an account's buckets held when they were last
// measured, and when that measurement began: later uploads are added from the
// leases.
type Stored func(ctx context.Context, q pg.Querier, account tenancy.ID) (bytes int64, measuredFrom time.Time, err error)

// Config configures a Limiter. Pool and Epoch are required.
type Config struct {
	Pool   *pgxpool.Pool // as primecloud_gateway
	Epoch  tenancy.ID    // of this node's readings: metering.Meter.Epoch
	Stored Stored        // nil: storage is what was uploaded since its budget was set

	// Concurrent is how many requests at once an account may have on this node
	// whose own limits do not say; 0: any number. Else one account's slow clients
	// could have all of the node's connections.
	Concurrent int64

	Refresh time.Duration // between renewals of leases that are in use; 2 s
	Wait    time.Duration // how long a request waits for a lease; 5 s
	MaxDebt time.Duration // how far ahead of its transfer rate an account may be before new requests get SlowDown; 10 s
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time                                 // time.Now
	Sleep   func(ctx context.Context, d time.Duration) error // waits, or until ctx ends
}

const (
	readingAge = 5 * time.Second  // how old the ledger's sum may be in a lease
	liveness   = 10 * time.Second // without a flush for so long, a node has no share of the rates
	retryAfter = time.Second      // how long a refusal and an outage are remembered
	idleAfter  = 5                // renewals without use after which a slice is given back
	burst      = int64(time.Second)
)

// Limiter admits requests. Its methods may be called by several goroutines.
type Limiter struct {
	cfg      Config
	start    time.Time
	subjects sync.Map // tenancy.ID of an account or key → *subject
	nodes    atomic.Int64
	none     tenancy.Limits // of an account that has none: Config.Concurrent holds it
	metrics  metrics
}

// New makes a limiter; Run keeps its leases.
func New(cfg Config) (*Limiter, error) {
	if cfg.Pool == nil || cfg.Epoch == (tenancy.ID{}) {
		return nil, errors.New("limits: Pool and Epoch are required")
	}
	cfg.Refresh = cmp.Or(cfg.Refresh, 2*time.Second)
	cfg.Wait = cmp.Or(cfg.Wait, 5*time.Second)
	cfg.MaxDebt = cmp.Or(cfg.MaxDebt, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Limiter{cfg: cfg, start: cfg.Now(), metrics: newMetrics(cfg.Metrics)}
	l.nodes.Store(1)
	return l, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// now is the limiter's own clock in nanoseconds, which no one sets back.
func (l *Limiter) now() int64 { return int64(l.cfg.Now().Sub(l.start)) }

// Run renews leases until ctx ends, then gives back what is not used.
func (l *Limiter) Run(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Refresh)
	defer tick.Stop()
	const sweepEvery = 15 // refreshes
	for n := 0; ; n++ {
		l.countNodes(ctx)
		l.Renew(ctx)
		if n%sweepEvery == sweepEvery-1 {
			if err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Logger.Warn("sweep of budgets failed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			l.release()
			return
		case <-tick.C:
		}
	}
}

// countNodes keeps the last number known while PostgreSQL is away.
func (l *Limiter) countNodes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Wait)
	defer cancel()
	if n, err := ledger.LiveNodes(ctx, l.cfg.Pool, liveness); err == nil {
		l.nodes.Store(int64(max(1, n)))
	}
}

// Renew renews every lease that has something to report, once.
func (l *Limiter) Renew(ctx context.Context) {
	l.each(func(h *subject) {
		if h.due() {
			select {
			case <-h.renewal():
			case <-ctx.Done():
			}
		} else {
			l.evict(h)
		}
	})
}

// release gives every slice back: another node may use it at once.
func (l *Limiter) release() {
	l.each(func(h *subject) {
		h.retiring.Store(true)
		<-h.renewal()
	})
}

// each visits the subjects, a few at a time: each visit may wait for PostgreSQL.
func (l *Limiter) each(visit func(*subject)) {
	var working sync.WaitGroup
	slots := make(chan struct{}, 4)
	l.subjects.Range(func(_, v any) bool {
		slots <- struct{}{}
		working.Go(func() {
			visit(v.(*subject))
			<-slots
		})
		return true
	})
	working.Wait()
}

// subject is what limits apply to: one account, or one access key. It outlives the
// Account and Identity that name it, which are replaced when they change.
type subject struct {
	l       *Limiter
	account tenancy.ID
	key     tenancy.ID // zero: the account as a whole

	// users counts the grants that use it; negative once it is evicted.
	users  atomic.Int64
	active atomic.Int64 // of them, those that count as requests at once
	seen   atomic.Int64 // on the limiter's clock

	requests  pacer
	strangers struct { // the part of requests without a key
		active   atomic.Int64
		requests pacer
	}
	transfer [directions]pacer
	rates    atomic.Pointer[Rates]
	leases   [tenancy.Budgets]atomic.Pointer[lease]
	retiring atomic.Bool

	mu      sync.Mutex
	past    []*lease // of earlier periods, until all of them is settled
	running chan struct{}
	next    chan struct{} // a renewal that begins when running ends
}

const closedSubject = 1 << 40

// enter finds or makes the subject of an account or key and keeps it until leave.
func (l *Limiter) enter(account, key tenancy.ID) *subject {
	id := account
	if key != (tenancy.ID{}) {
		id = key
	}
	for {
		v, ok := l.subjects.Load(id)
		if !ok {
			v, _ = l.subjects.LoadOrStore(id, &subject{l: l, account: account, key: key})
		}
		h := v.(*subject)
		if h.users.Add(1) > 0 {
			return h
		}
		h.users.Add(-1) // it was evicted at this moment
	}
}

func (h *subject) leave() { h.users.Add(-1) }

// keepFor is how long an unused subject is kept: its state must not be forgotten
// while it still matters.
const keepFor = 10 * time.Minute

// evict forgets a subject that was not used for long. All its leases were given
// back and reported, else it would be due.
func (l *Limiter) evict(h *subject) {
	if l.now()-h.seen.Load() < int64(keepFor) || !h.users.CompareAndSwap(0, -closedSubject) {
		return
	}
	if h.due() { // used between the look and the closing
		h.users.Add(closedSubject)
		return
	}
	id := h.account
	if h.key != (tenancy.ID{}) {
		id = h.key
	}
	l.subjects.Delete(id)
}

// Active is how many grants are held that have limits.
func (l *Limiter) Active() (n int64) {
	l.subjects.Range(func(_, v any) bool {
		n += max(0, v.(*subject).users.Load())
		return true
	})
	return n
}
