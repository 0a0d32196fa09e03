package accesslog

import (
	"errors"
	"os"
)

// Discard takes what was added, as a flush does, and forgets it: what a
// request costs is measured, and not this machine's disk.
func (l *Log) Discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeProven()
	l.takeUnproven()
	l.takeSums()
	for _, s := range []*stream{l.proven, l.unproven, l.sums} {
		s.pending = s.pending[:0]
	}
}

// Jam puts a pipe in the place of the file of proven requests: a disk that takes
// no more than it has room for until somebody reads.
func (l *Log) Jam() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	err = errors.Join(l.flush(true), l.proven.file.Close())
	l.proven.file = w
	return r, err
}

var AppendS3Line = appendS3Line
