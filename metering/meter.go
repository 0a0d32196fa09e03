package metering

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Config configures a Meter. Pool and Dir are required.
type Config struct {
	Pool          *pgxpool.Pool // as primecloud_gateway
	Dir           string        // of the journal; one process at a time, on a disk of this machine
	Node          string        // a label for people; the epoch is what is unique
	FlushInterval time.Duration // 2 s
	SyncInterval  time.Duration // what a lost machine may lose; 1 s
	FlushTimeout  time.Duration // of one statement, so that a silent network cannot hold the ledger up; 10 s
	Logger        *slog.Logger
	Metrics       prometheus.Registerer
	Now           func() time.Time // time.Now
	Clock         *pg.Clock        // is told the database's time at each flush; nil: nobody is
}

// Meter holds the series of this process, in a journal that outlives it, and
// writes their readings. What an earlier process left is written first.
type Meter struct {
	cfg         Config
	journal     *journal // its epoch is unique: readings are cumulative within it
	shards      [64]shard
	seed        maphash.Seed
	currentHour atomic.Uint32 // the present hour, kept by Run and Flush

	flushing sync.Mutex // one flush at a time
	orphans  []*orphan  // journals of earlier processes
	closed   bool
	writer   rowid.ID  // of reports: this process
	sent     time.Time // the latest watermark that was reported

	retired, contested atomic.Bool           // as PostgreSQL said last
	unsynced           atomic.Pointer[error] // of the latest sync; nil: it went well

	metrics metrics
}

// New locks the journal folder (disk.ErrLocked when another process has it), reads
// what earlier processes left there and begins a journal; on a full disk it
// counts in memory until there is room. Run writes readings.
func New(cfg Config) (*Meter, error) {
	if cfg.Pool == nil {
		return nil, errors.New("metering: Pool is required")
	}
	if cfg.Dir == "" {
		return nil, errors.New("metering: Dir is required")
	}
	if cfg.FlushInterval < 0 || cfg.FlushTimeout < 0 || cfg.SyncInterval < 0 {
		return nil, errors.New("metering: FlushInterval, FlushTimeout and SyncInterval may not be negative")
	}
	if cfg.SyncInterval == 0 {
		cfg.SyncInterval = time.Second
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
	j, err := openJournal(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &Meter{cfg: cfg, journal: j, writer: rowid.New(), seed: maphash.MakeSeed(), metrics: newMetrics(cfg.Metrics, &j.degraded)}
	if m.orphans, err = j.orphans(); err != nil {
		return nil, errors.Join(err, j.close(true))
	}
	for _, o := range m.orphans {
		cfg.Logger.Info("usage of an earlier process is taken over", "journal", o.path, "readings", len(o.readings))
		if o.damage != nil {
			m.metrics.damaged.Inc()
			cfg.Logger.Error("a journal is damaged; its intact readings are written, and the file is kept aside", "error", o.damage)
		}
	}
	m.tick()
	return m, nil
}

// Epoch is what this process's readings are written under.
func (m *Meter) Epoch() rowid.ID { return m.journal.epoch }

// Close ends the journal: when all of it is in PostgreSQL it is deleted, else
// the next process takes it over. Run does it; call it where Run is not used.
func (m *Meter) Close() error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	confirmed := true
	for i := range m.shards {
		for n := range m.shards[i].nodes() {
			confirmed = confirmed && n.series.users.Load() == 0 && n.series.read() == n.series.confirmed
		}
	}
	if !confirmed {
		err := m.journal.close(false)
		if n := m.journal.degraded.Load(); n > 0 {
			err = errors.Join(err, fmt.Errorf("metering: usage in memory is lost, in %d places: %w", n, m.journal.reason()))
		}
		return err
	}
	err := m.report(context.Background(), time.Time{}, true)
	return errors.Join(err, m.journal.close(err == nil))
}

// tick moves the present hour on, never back: a series of an hour that was
// retired must not begin again at zero, since readings are cumulative.
func (m *Meter) tick() {
	now := uint32(hourOf(m.cfg.Now()))
	for {
		was := m.currentHour.Load()
		if now <= was || m.currentHour.CompareAndSwap(was, now) {
			return
		}
	}
}

func (m *Meter) hour() hour { return hour(m.currentHour.Load()) }

// enter finds or makes the series of k in the present hour and enters it. If the
// hour is retired while the goroutine is between hour() and enter(), the series is
// closed (or its hour below minHour): the loop retries with the new hour.
func (m *Meter) enter(k usage.Key) *series {
	for {
		ck := seriesKey{k, m.hour()}
		hash := maphash.Comparable(m.seed, ck)
		s := &m.shards[hash>>58]
		if c := s.find(hash, ck); c != nil && c.enter() {
			return c
		}
		s.add(hash, ck, m.journal)
	}
}

// Run keeps the hour, syncs the journal and flushes until ctx ends, then
// flushes a last time and closes: end it only when nothing is counted any
// more. The error is that of the last flush.
func (m *Meter) Run(ctx context.Context) error {
	var ticking sync.WaitGroup
	defer ticking.Wait()
	// Ten times a second, so that adding need not ask for the time.
	ticking.Go(func() { every(ctx, 100*time.Millisecond, m.tick) })
	ticking.Go(func() { every(ctx, m.cfg.SyncInterval, m.sync) })
	flushes := time.NewTicker(m.cfg.FlushInterval)
	defer flushes.Stop()
	for {
		// The first one makes this node known: what it counts belongs to no
		// final figure before it has said so.
		if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("usage not written; it is kept and written again", "error", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(m.Flush(context.WithoutCancel(ctx)), m.Close())
		case <-flushes.C:
		}
	}
}

// sync bounds what a lost machine can lose.
func (m *Meter) sync() {
	err := errors.Join(m.journal.sync(), m.journal.exists())
	if err == nil {
		m.unsynced.Store(nil)
		return
	}
	m.unsynced.Store(&err)
	m.metrics.failures.Inc()
	m.cfg.Logger.Error("usage is not on the disk", "error", err)
}

func every(ctx context.Context, d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}
