package accesslog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/primecloudpro/primecloud/internal/disk"
)

// The kinds of files: each has buffers and a budget of its own, so that none
// takes another's room.
const (
	ofProven   = "access"   // requests whose signature was good
	ofUnproven = "unproven" // all others: whoever can reach the node makes these
	ofSums     = "sums"     // what the ledger has of all the unproven ones
)

// shards is how many buffers requests share, so that few wait for each other.
const shards = 8

// shard is a buffer of lines.
type shard struct {
	mu      sync.Mutex
	buf     []byte
	spare   []byte
	dropped Dropped  // proven
	sums    sums     // unproven
	_       [64]byte // of its own cache line
}

// stream is the buffers and files of one kind. The files are under Log.mu.
type stream struct {
	log    *Log
	room   int   // bytes of a shard
	rotate int64 // bytes of a file
	shards [shards]shard

	file    *os.File // nil: the next write begins one
	name    fileName
	size    int64
	pending []byte // taken from the shards and not written
	torn    bool   // the file ends inside a line whose rest is pending
}

// shard is where a record's line waits.
func (s *stream) shard(r *Record) *shard {
	if n := len(r.RequestID); n > 0 {
		return &s.shards[r.RequestID[n-1]%shards]
	}
	return &s.shards[0]
}

// filled wakes the writer when a shard is half full.
func (s *stream) filled(before, after int) {
	if before < s.room/2 && after >= s.room/2 {
		notify(s.log.full)
	}
}

// flush writes what is pending and what take adds to it.
func (s *stream) flush(take func()) error {
	for range 2 { // what was left over, then what is new
		if len(s.pending) == 0 {
			take()
		}
		if err := s.write(); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) write() error {
	hour := s.log.cfg.Now().UTC().Truncate(time.Hour)
	// A line is never in two files.
	if s.file != nil && !s.torn && (hour.After(s.name.hour) || s.size > 0 && s.size+int64(len(s.pending)) > s.rotate) {
		s.end()
	}
	if len(s.pending) == 0 {
		return nil
	}
	if s.file == nil {
		if err := s.begin(hour); err != nil {
			return err
		}
	}
	n, err := s.file.Write(s.pending)
	s.size += int64(n)
	if n > 0 {
		s.torn = s.pending[n-1] != '\n'
		s.pending = s.pending[:copy(s.pending, s.pending[n:])]
	}
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	return nil
}

// begin makes the next file. Hours never go back, whatever the clock does.
func (s *stream) begin(hour time.Time) error {
	next := s.name
	next.seq++
	if hour.After(next.hour) {
		next.hour = hour
	}
	file, err := os.OpenFile(filepath.Join(s.log.cfg.Dir, next.String()), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	s.file, s.name, s.size = file, next, 0
	return disk.SyncDir(s.log.cfg.Dir)
}

// end closes the file when it is on the disk.
func (s *stream) end() {
	if err := errors.Join(s.file.Sync(), s.file.Close()); err != nil {
		s.log.metrics.failures.Inc()
		s.log.cfg.Logger.Error("an access log file may not be whole on the disk", "file", s.name.String(), "error", err)
	}
	s.file, s.torn = nil, false
	notify(s.log.ended)
}
