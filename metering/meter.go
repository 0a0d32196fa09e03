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
	coarse atomic.Uint32 // the present hour
	flush  sync.Mutex    // one flush at a time

	flushed  prometheus.Counter
	failures prometheus.Counter
}

// shard is a map that readers use without a lock: it is replaced, not changed,
// when a cell is added or retired, which is rare.
type shard struct {
	cells atomic.Pointer[map[cellKey]*cell]
	mu    sync.Mutex
}

type cellKey struct {
	Key
	hour hour
}

// New makes a meter. Run writes its readings.
func New(cfg Config) (*Meter, error) {
	if cfg.Pool == nil {
		return nil, errors.New("metering: Pool is required")
	}
	if cfg.FlushInterval == 0 {
		cfg.FlushInterval = 2 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Meter{
		cfg: cfg, epoch: tenancy.NewID(), seed: maphash.MakeSeed(),
		flushed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_readings_total", Help: "Readings that PostgreSQL has acknowledged.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_flush_failures_total", Help: "Flushes that failed and will be repeated.",
		}),
	}
	for i := range m.shards {
		m.shards[i].cells.Store(&map[cellKey]*cell{})
	}
	m.tick()
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(m.flushed, m.failures)
	}
	return m, nil
}

// tick moves the present hour on, never back: a cell of an hour that was
// retired must not begin again at zero, since readings are cumulative.
func (m *Meter) tick() { m.coarse.Store(max(m.coarse.Load(), uint32(hourOf(m.cfg.Now())))) }

func (m *Meter) hour() hour { return hour(m.coarse.Load()) }

// enter finds or makes the cell of k in the present hour and enters it.
func (m *Meter) enter(k Key) *cell {
	ck := cellKey{k, m.hour()}
	s := &m.shards[maphash.Comparable(m.seed, ck)%uint64(len(m.shards))]
	for {
		if c := (*s.cells.Load())[ck]; c != nil && c.enter() {
			return c
		}
		s.add(ck)
	}
}

// add makes a cell unless there is one that can be entered.
func (s *shard) add(ck cellKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.cells.Load()
	if old[ck] != nil {
		return
	}
	s.replace(old, func(cells map[cellKey]*cell) { cells[ck] = &cell{key: ck.Key, hour: ck.hour} })
}

func (s *shard) replace(old map[cellKey]*cell, change func(map[cellKey]*cell)) {
	next := make(map[cellKey]*cell, len(old)+1)
	for k, c := range old {
		next[k] = c
	}
	change(next)
	s.cells.Store(&next)
}

// Run keeps the hour and flushes until ctx ends, then flushes a last time.
func (m *Meter) Run(ctx context.Context) error {
	hours := time.NewTicker(100 * time.Millisecond)
	defer hours.Stop()
	flushes := time.NewTicker(m.cfg.FlushInterval)
	defer flushes.Stop()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hours.C:
				m.tick()
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return m.Flush(last)
		case <-flushes.C:
			if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
				m.cfg.Logger.Warn("usage not written; it is kept and written again", "error", err)
			}
		}
	}
}
