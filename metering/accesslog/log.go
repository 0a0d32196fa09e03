package accesslog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/metering"
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

	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now
}

// shards is how many buffers requests share, so that few wait for each other.
const shards = 8

// Log writes lines to files. Adding never waits for the disk.
type Log struct {
	cfg     Config
	lock    *os.File
	metrics metrics
	shards  [shards]shard
	full    chan struct{} // a shard is half full: flush before it is time
	ended   chan struct{} // a file has ended: deliver before it is time

	mu      sync.Mutex // of the file
	file    *os.File   // nil: the next write begins one
	name    fileName
	size    int64
	pending []byte // taken from the shards and not written
	torn    bool   // the file ends inside a line whose rest is pending
	failing bool
	closed  bool

	undelivered func(file string) bool // nil: nothing is delivered
}

// shard is a buffer of lines.
type shard struct {
	mu      sync.Mutex
	buf     []byte
	spare   []byte
	dropped Dropped
	_       [64]byte // of its own cache line
}

// Open locks the folder: metering.ErrLocked when another process has it. Run
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
	lock, err := metering.LockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, lock: lock, metrics: newMetrics(cfg.Metrics), full: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
	l.name = fileName{epoch: cfg.Epoch, node: cfg.Node}
	return l, nil
}

// Add appends the record's line to a buffer. Nothing of r is kept. A line that
// finds the buffer full, because the disk is full or too slow, is dropped and
// counted.
func (l *Log) Add(r *Record) {
	s := &l.shards[0]
	if n := len(r.RequestID); n > 0 {
		s = &l.shards[r.RequestID[n-1]%shards]
	}
	limit := l.cfg.Buffer / shards
	s.mu.Lock()
	before := len(s.buf)
	if before < limit {
		s.buf = r.AppendLine(s.buf)
	} else {
		s.dropped.Lines++
		s.dropped.Ingress += r.Ingress
		s.dropped.Egress += r.Egress
	}
	after := len(s.buf)
	s.mu.Unlock()
	if before < limit/2 && after >= limit/2 {
		ring(l.full)
	}
}

// ring wakes who listens, if nobody has yet.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// take empties the shards into pending, and says in a line of its own what was
// dropped.
func (l *Log) take() {
	dropped := Dropped{Time: l.cfg.Now().UTC(), Node: l.cfg.Node}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.buf, s.spare = s.spare[:0], s.buf
		dropped.Lines += s.dropped.Lines
		dropped.Ingress += s.dropped.Ingress
		dropped.Egress += s.dropped.Egress
		s.dropped = Dropped{}
		s.mu.Unlock()
		l.pending = append(l.pending, s.spare...)
	}
	if dropped.Lines == 0 {
		return
	}
	l.metrics.dropped.Add(float64(dropped.Lines))
	l.cfg.Logger.Error("access log lines were dropped: the disk is full or too slow", "lines", dropped.Lines)
	line, err := json.Marshal(&dropped)
	if err != nil {
		return // numbers and a label: it does not fail
	}
	l.pending = append(append(l.pending, line...), '\n')
}

// Flush writes what has been added. What cannot be written is kept for the
// next time.
func (l *Log) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

func (l *Log) flush() error {
	for range 2 { // what was left over, then what is new
		if len(l.pending) == 0 {
			l.take()
		}
		if err := l.write(); err != nil {
			l.metrics.failures.Inc()
			if !l.failing {
				l.failing = true
				l.cfg.Logger.Error("the access log cannot be written; lines are kept in memory, up to a bound", "error", err)
			}
			return err
		}
	}
	if l.failing {
		l.failing = false
		l.cfg.Logger.Info("the access log is written again")
	}
	return nil
}

func (l *Log) write() error {
	hour := l.cfg.Now().UTC().Truncate(time.Hour)
	// A line is never in two files.
	if l.file != nil && !l.torn && (hour.After(l.name.hour) || l.size > 0 && l.size+int64(len(l.pending)) > l.cfg.RotateSize) {
		l.end()
	}
	if len(l.pending) == 0 {
		return nil
	}
	if l.file == nil {
		if err := l.begin(hour); err != nil {
			return err
		}
	}
	n, err := l.file.Write(l.pending)
	l.size += int64(n)
	if n > 0 {
		l.torn = l.pending[n-1] != '\n'
		l.pending = l.pending[:copy(l.pending, l.pending[n:])]
	}
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	return nil
}

// begin makes the next file. Hours never go back, whatever the clock does.
func (l *Log) begin(hour time.Time) error {
	next := l.name
	next.seq++
	if hour.After(next.hour) {
		next.hour = hour
	}
	file, err := os.OpenFile(filepath.Join(l.cfg.Dir, next.String()), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	l.file, l.name, l.size = file, next, 0
	return syncDir(l.cfg.Dir)
}

// end closes the file when it is on the disk.
func (l *Log) end() {
	if err := errors.Join(l.file.Sync(), l.file.Close()); err != nil {
		l.metrics.failures.Inc()
		l.cfg.Logger.Error("an access log file may not be whole on the disk", "file", l.name.String(), "error", err)
	}
	l.file, l.torn = nil, false
	ring(l.ended)
}

// current is the path of the file that is being written, "" for none.
func (l *Log) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return ""
	}
	return filepath.Join(l.cfg.Dir, l.name.String())
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
			_ = l.Flush() // said already
		case <-l.full:
			_ = l.Flush()
		case <-sweeps.C:
			l.Sweep()
		}
	}
}

// Close flushes a last time and lets go of the folder.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.flush()
	if l.file != nil {
		l.end()
	}
	return errors.Join(err, l.lock.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
