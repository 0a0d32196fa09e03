package metering

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// LockFolder makes a folder if need be and keeps other processes out of it, as
// long as the file is open: ErrLocked when one has it.
func LockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("metering: folder: %w", err)
	}
	return lockFolder(dir)
}

// lockFolder locks the folder itself: a lock file might find no room.
func lockFolder(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("metering: folder: %w", err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("metering: lock %s: %w", dir, err)
	}
	return d, nil
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// begin makes the journal that found no room when the process started. Cells
// that are in memory stay there until their hour is over.
func (j *journal) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		return
	}
	if j.sick = j.create(); j.sick == nil {
		j.more(-1)
	}
}

// more changes the number of what found no room, and says in the journal
// whether there is any. With j.mu held.
func (j *journal) more(n int64) {
	n = j.degraded.Add(n)
	if len(j.segments) > 0 {
		j.header().short.Store(uint32(min(n, 1)))
	}
}
