// Package testenv gives tests real servers: a database of their own in a real
// PostgreSQL, a real MinIO. They are started once per test process, when the
// first test asks, and die with it.
//
// Data is kept in numbered folders of the user's cache, one for each process
// that tests at the same time, so that a server starts in a fraction of a
// second and nothing piles up.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Unavailable skips the test on a developer's machine and fails it where
// PRIMECLOUD_TEST_STRICT=1 is set: CI cannot be green by skipping.
func Unavailable(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("PRIMECLOUD_TEST_STRICT") == "1" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

var slot struct {
	sync.Once
	dir string
	err error
	// lock is held for the life of the process; the kernel lets go of it.
	lock *os.File
}

// folder returns this process's folder for a server's data.
func folder(name string) (string, error) {
	slot.Do(func() {
		var cache string
		if cache, slot.err = os.UserCacheDir(); slot.err != nil {
			return
		}
		root := filepath.Join(cache, "primecloud", "test")
		for n := range 64 {
			dir := filepath.Join(root, fmt.Sprint(n))
			if slot.err = os.MkdirAll(dir, 0o700); slot.err != nil {
				return
			}
			if slot.lock, slot.err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); slot.err != nil {
				return
			}
			if syscall.Flock(int(slot.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				slot.dir = dir
				return
			}
			_ = slot.lock.Close()
		}
		slot.err = errors.New("64 test processes are running already")
	})
	return filepath.Join(slot.dir, name), slot.err
}
