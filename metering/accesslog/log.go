package accesslog

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Config configures a Log. Dir is required.
type Config struct {
	Dir   string     // one process at a time
	Node  string     // a label for people, in the names of files
	Epoch tenancy.ID // of the usage journal, so that a reader can hold one against the other; a new one by default

	FlushInterval time.Duration // what a killed process may lose; 250 ms
	Buffer        int           // bytes of lines that may wait for the disk; beyond, lines are dropped and counted. Thrice that is held at most. 16 MiB
	RotateSize    int64         // bytes of a file; also, each hour begins one; 64 MiB
	KeepAge       time.Duration // of files; 7 days
	KeepSize      int64         // bytes of all files; 8 GiB
	// MaxSize is the bytes beyond which files go that are not delivered yet;
	// up to it those stay whatever KeepAge and KeepSize say. 16 GiB.
	MaxSize int64

	// Requests that nobody proved have files of their own, which go beyond
	// UnprovenSize whether or not they are delivered. What is left out of them is
	// counted, and none of it is missing in the sums.
	UnprovenSize int64 // bytes of those files; 1 GiB
	UnprovenRate int64 // bytes of their lines per second, an eighth of it for one address; 1 MiB
	BucketRate   int64 // the same about one bucket; 64 KiB

	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now
}

// Log writes lines to files. Adding never waits for the disk.
type Log struct {
	cfg     Config
	lock    *os.File
	metrics metrics
	rates   rates
	began   time.Time
	full    chan struct{} // a shard is half full: flush before it is time
	ended   chan struct{} // a file has ended: deliver before it is time

	mu       sync.Mutex // of the files
	proven   *stream
	unproven *stream
	sums     *stream
	summed   time.Time // sums were written
	failing  bool
	closed   bool

	undelivered func(file string) bool // nil: nothing is delivered
}

// Open locks the folder: disk.ErrLocked when another process has it. Run
// writes.
func Open(cfg Config) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("accesslog: Dir is required")
	}
	cfg.Epoch = cmp.Or(cfg.Epoch, tenancy.NewID())
	cfg.FlushInterval = cmp.Or(cfg.FlushInterval, 250*time.Millisecond)
	cfg.Buffer = cmp.Or(cfg.Buffer, 16<<20)
	cfg.RotateSize = cmp.Or(cfg.RotateSize, 64<<20)
	cfg.KeepAge = cmp.Or(cfg.KeepAge, 7*24*time.Hour)
	cfg.KeepSize = cmp.Or(cfg.KeepSize, 8<<30)
	cfg.UnprovenSize = cmp.Or(cfg.UnprovenSize, 1<<30)
	cfg.UnprovenRate = cmp.Or(cfg.UnprovenRate, 1<<20)
	cfg.BucketRate = cmp.Or(cfg.BucketRate, 64<<10)
	cfg.MaxSize = cmp.Or(cfg.MaxSize, max(16<<30, cfg.KeepSize))
	if cfg.MaxSize < cfg.KeepSize || cfg.KeepSize < cfg.RotateSize {
		return nil, errors.New("accesslog: RotateSize may not be above KeepSize, nor that above MaxSize")
	}
	cfg.Node = nodeLabel(cfg.Node)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	lock, err := disk.MakeAndLock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, lock: lock, metrics: newMetrics(cfg.Metrics), full: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
	l.began = cfg.Now()
	l.rates.seed = maphash.MakeSeed()
	l.rates.node, l.rates.bucket, l.rates.address = cfg.UnprovenRate, cfg.BucketRate, max(1, cfg.UnprovenRate/8)
	l.proven = l.stream(ofProven, cfg.Buffer, cfg.RotateSize)
	// A quarter of the bound at most goes with one file.
	l.unproven = l.stream(ofUnproven, cfg.Buffer/4, min(cfg.RotateSize, max(1, cfg.UnprovenSize/4)))
	l.sums = l.stream(ofSums, 0, cfg.RotateSize)
	return l, nil
}

func (l *Log) stream(kind string, buffer int, rotate int64) *stream {
	return &stream{log: l, room: buffer / shards, rotate: rotate, name: fileName{kind: kind, epoch: l.cfg.Epoch, node: l.cfg.Node}}
}

// Add appends the record's line to a buffer. Nothing of r is kept. A line that
// finds the buffer full, because the disk is full or too slow, is dropped and
// counted. Of requests that nobody proved, lines beyond a rate are left out,
// and counted too.
func (l *Log) Add(r *Record) {
	if r.Unproven() {
		l.addUnproven(r)
		return
	}
	s := l.proven.shard(r)
	s.mu.Lock()
	before := len(s.buf)
	if before < l.proven.room {
		s.buf = r.AppendLine(s.buf)
	} else {
		s.dropped.Lines++
		s.dropped.Ingress += r.Ingress
		s.dropped.Egress += r.Egress
	}
	after := len(s.buf)
	s.mu.Unlock()
	l.proven.filled(before, after)
}

func (l *Log) addUnproven(r *Record) {
	// Not the time of day: a clock that is set back would close every rate.
	now, share := l.cfg.Now().Sub(l.began).Nanoseconds(), l.rates.share(r)
	reason := l.rates.refuse(share, now)
	s := l.unproven.shard(r)
	s.mu.Lock()
	before := len(s.buf)
	if reason == "" && before >= l.unproven.room {
		reason = byBuffer
	}
	if reason == "" {
		s.buf = r.AppendLine(s.buf)
	}
	after := len(s.buf)
	s.sums.add(r, reason != "")
	s.mu.Unlock()
	if reason != "" {
		l.metrics.leftOut[reason].Inc()
		return
	}
	l.rates.take(share, now, after-before)
	l.unproven.filled(before, after)
}

// notify wakes the goroutine that receives from c, whose buffer is one. It does
// nothing when a wake-up is pending already.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// takeProven empties the shards into pending, and says in a line of its own
// what was dropped.
func (l *Log) takeProven() {
	dropped := Dropped{Time: l.cfg.Now().UTC(), Node: l.cfg.Node}
	for i := range l.proven.shards {
		s := &l.proven.shards[i]
		s.mu.Lock()
		s.buf, s.spare = s.spare[:0], s.buf
		dropped.Lines += s.dropped.Lines
		dropped.Ingress += s.dropped.Ingress
		dropped.Egress += s.dropped.Egress
		s.dropped = Dropped{}
		s.mu.Unlock()
		l.proven.pending = append(l.proven.pending, s.spare...)
	}
	if dropped.Lines == 0 {
		return
	}
	l.metrics.dropped.Add(float64(dropped.Lines))
	l.cfg.Logger.Error("access log lines were dropped: the disk is full or too slow", "lines", dropped.Lines)
	l.proven.pending = appendMarker(l.proven.pending, &dropped)
}

func (l *Log) takeUnproven() {
	for i := range l.unproven.shards {
		s := &l.unproven.shards[i]
		s.mu.Lock()
		s.buf, s.spare = s.spare[:0], s.buf
		s.mu.Unlock()
		l.unproven.pending = append(l.unproven.pending, s.spare...)
	}
}

// takeSums makes lines of the sums. While those cannot be written, sums go on
// growing where they are, and none is lost.
func (l *Log) takeSums() {
	var all sums
	for i := range l.unproven.shards {
		s := &l.unproven.shards[i]
		s.mu.Lock()
		s.sums.moveTo(&all)
		s.mu.Unlock()
	}
	l.sums.pending = all.appendLines(l.sums.pending, l.cfg.Now().UTC(), l.cfg.Node)
}

// Flush writes what has been added. What cannot be written is kept for the
// next time.
func (l *Log) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush(true)
}

// flush leaves the sums until it is time for them, unless it is told to write
// all.
func (l *Log) flush(all bool) error {
	takeSums := func() {}
	if now := l.cfg.Now(); all || now.Sub(l.summed).Abs() >= sumInterval {
		l.summed, takeSums = now, l.takeSums
	}
	err := errors.Join(l.proven.flush(l.takeProven), l.unproven.flush(l.takeUnproven), l.sums.flush(takeSums))
	if err != nil {
		l.metrics.failures.Inc()
		if !l.failing {
			l.failing = true
			l.cfg.Logger.Error("the access log cannot be written; lines are kept in memory, up to a bound", "error", err)
		}
		return err
	}
	if l.failing {
		l.failing = false
		l.cfg.Logger.Info("the access log is written again")
	}
	return nil
}

// current are the paths of the files that are being written.
func (l *Log) current() (paths []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range []*stream{l.proven, l.unproven, l.sums} {
		if s.file != nil {
			paths = append(paths, filepath.Join(l.cfg.Dir, s.name.String()))
		}
	}
	return paths
}

// Run flushes, rotates and sweeps until ctx ends, then closes: end it when
// nothing is added any more.
func (l *Log) Run(ctx context.Context) error {
	flushes, sweeps := time.NewTicker(l.cfg.FlushInterval), time.NewTicker(time.Minute)
	defer flushes.Stop()
	defer sweeps.Stop()
	l.Sweep()
	for {
		select {
		case <-ctx.Done():
			return l.Close()
		case <-flushes.C:
			l.tick()
		case <-l.full:
			l.tick()
		case <-sweeps.C:
			l.Sweep()
		}
	}
}

func (l *Log) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.flush(false) // said already
}

// Close flushes a last time and lets go of the folder.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.flush(true)
	for _, s := range []*stream{l.proven, l.unproven, l.sums} {
		if s.file != nil {
			s.end()
		}
	}
	return errors.Join(err, l.lock.Close())
}
