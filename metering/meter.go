package metering

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/tenancy"
)

// Config configures a Meter. Pool is required.
type Config struct {
	Pool          *pgxpool.Pool // as primecloud_gateway
	Node          string        // a label for people; the epoch is what is unique
	FlushInterval time.Duration // 2 s
	FlushTimeout  time.Duration // of one statement, so that a silent network cannot hold the ledger up; 10 s
	Logger        *slog.Logger
	Metrics       prometheus.Registerer
	Now           func() time.Time // time.Now
}

// Meter holds the cells of this process and writes their readings. In this
// first form the cells are in memory: a killed process loses what was not
// flushed, at most FlushInterval.
type Meter struct {
	cfg    Config
	epoch  tenancy.ID // unique for each process: readings are cumulative within it
	shards [64]shard
	seed   maphash.Seed
	coarse atomic.Uint32 // the present hour, kept by Run and Flush
	flush  sync.Mutex    // one flush at a time

	metrics metrics
}

// New makes a meter. Run writes its readings.
func New(cfg Config) (*Meter, error) {
	if cfg.Pool == nil {
		return nil, errors.New("metering: Pool is required")
	}
	if cfg.FlushInterval < 0 || cfg.FlushTimeout < 0 {
		return nil, errors.New("metering: FlushInterval and FlushTimeout may not be negative")
	}
	if cfg.FlushInterval == 0 {
		cfg.FlushInterval = 2 * time.Second
	}
	if cfg.FlushTimeout == 0 {
		cfg.FlushTimeout = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Meter{cfg: cfg, epoch: tenancy.NewID(), seed: maphash.MakeSeed(), metrics: newMetrics(cfg.Metrics)}
	m.tick()
	return m, nil
}

// tick moves the present hour on, never back: a cell of an hour that was
// retired must not begin again at zero, since readings are cumulative.
func (m *Meter) tick() {
	now := uint32(hourOf(m.cfg.Now()))
	for {
		was := m.coarse.Load()
		if now <= was || m.coarse.CompareAndSwap(was, now) {
			return
		}
	}
}

func (m *Meter) hour() hour { return hour(m.coarse.Load()) }

// enter finds or makes the cell of k in the present hour and enters it. Who is
// held up on the way until that hour's cells are retired finds the cell closed
// or its hour below the floor, and takes the cell of the hour it is by then.
func (m *Meter) enter(k Key) *cell {
	for {
		ck := cellKey{k, m.hour()}
		hash := maphash.Comparable(m.seed, ck)
		s := &m.shards[hash>>58]
		if c := s.find(hash, ck); c != nil && c.enter() {
			return c
		}
		s.add(hash, ck)
	}
}

// Run keeps the hour and flushes until ctx ends, then flushes a last time: end
// it only when nothing is counted any more. The error is the last flush's.
func (m *Meter) Run(ctx context.Context) error {
	var ticking sync.WaitGroup
	defer ticking.Wait()
	ticking.Go(func() { m.keepHour(ctx) })
	flushes := time.NewTicker(m.cfg.FlushInterval)
	defer flushes.Stop()
	for {
		select {
		case <-ctx.Done():
			return m.Flush(context.WithoutCancel(ctx))
		case <-flushes.C:
			if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
				m.cfg.Logger.Warn("usage not written; it is kept and written again", "error", err)
			}
		}
	}
}

// keepHour asks for the time ten times a second, so that adding need not.
func (m *Meter) keepHour(ctx context.Context) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.tick()
		}
	}
}
