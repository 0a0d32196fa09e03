package metering

import (
	"errors"
	"fmt"
	"os"
)

// Retired reports whether somebody has given this process's epoch up while it runs, as
// of the last flush. It gets no budgets any more.
func (m *Meter) Retired() bool { return m.retired.Load() }

// Contested reports whether another process writes this one's usage, as of the last
// flush.
func (m *Meter) Contested() bool { return m.contested.Load() }

// Unwritable says why what is counted is not in the journal, or not on its disk, so that
// a kill or a lost machine would lose more of it than it may; nil: it is there.
func (m *Meter) Unwritable() error {
	if err := m.journal.noRoom(); err != nil {
		return err
	}
	if err := m.unsynced.Load(); err != nil {
		return *err
	}
	return nil
}

// noRoom is the error of the latest attempt to get room, nil when it got some.
func (j *journal) noRoom() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil && (!j.full || len(j.free) > 0) {
		return nil
	}
	return fmt.Errorf("metering: no room for the journal: %w", j.allocErr)
}

// errMoved means that the journal's file is not found any more by the process that
// comes after this one.
var errMoved = errors.New("was moved, replaced or deleted while this process writes it")

// exists checks that the file has its name.
func (j *journal) exists() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.closed {
		return nil // noRoom says so, or it has been removed
	}
	named, err := os.Stat(j.path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("metering: journal: %w", err)
	}
	if err == nil {
		var open os.FileInfo
		if open, err = j.file.Stat(); err == nil && os.SameFile(named, open) {
			return nil
		}
	}
	return fmt.Errorf("metering: the journal %s %w", j.path(), errMoved)
}
