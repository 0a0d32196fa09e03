// Package disk has what files need that must outlive a crash: folders of one process,
// and changes that are whole or not there at all.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process has the folder.
var ErrLocked = errors.New("disk: another process uses this folder")

// MakeAndLock is Lock of a folder that is made if need be, for its owner alone.
func MakeAndLock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: folder: %w", err)
	}
	return Lock(dir)
}

// Lock keeps other processes out of a folder as long as the returned file is open:
// ErrLocked when one has it. It locks the folder itself: a lock file might find no room.
func Lock(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: folder: %w", err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("disk: lock %s: %w", dir, err)
	}
	return d, nil
}

// IsFull reports whether an error is that there is no room.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// SyncDir returns when what was made, renamed or removed in a folder is on the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Rename renames a file within a folder, and returns when that is on the disk.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Remove removes a file, and returns when that is on the disk.
func Remove(file string) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(file))
}

// WriteFile makes a file or replaces it, whole or not at all, readable by its owner
// only, and returns when it is on the disk.
func WriteFile(file string, b []byte) error {
	return write(file, b, func(temporary string) error { return os.Rename(temporary, file) })
}

// CreateFile is WriteFile of a file that must not be there: fs.ErrExist when it is.
func CreateFile(file string, b []byte) error {
	return write(file, b, func(temporary string) error {
		if err := os.Link(temporary, file); err != nil {
			return err
		}
		return os.Remove(temporary)
	})
}

func write(file string, b []byte, place func(temporary string) error) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = place(f.Name())
	}
	if err != nil {
		if rerr := os.Remove(f.Name()); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	return SyncDir(filepath.Dir(file))
}
