package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/disk"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "of", "one")
	if _, err := disk.Lock(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	held, err := disk.MakeAndLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	for _, lock := range []func(string) (*os.File, error){disk.Lock, disk.MakeAndLock} {
		if _, err := lock(dir); !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), dir) {
			t.Errorf("while it is held: %v", err)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := disk.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// names are those of what is in a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "keyring")
	is := func(want string) {
		t.Helper()
		b, err := os.ReadFile(file)
		info, serr := os.Stat(file)
		if err != nil || serr != nil || string(b) != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%q, %v, %v, %v; want %q", b, err, info, serr, want)
		}
		if list := names(t, dir); !slices.Equal(list, []string{"keyring"}) {
			t.Errorf("the folder has %q", list)
		}
	}
	if err := disk.CreateFile(file, []byte("first")); err != nil {
		t.Fatal(err)
	}
	is("first")
	if err := disk.CreateFile(file, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over one that is there: %v", err)
	}
	is("first")
	if err := disk.WriteFile(file, []byte("third")); err != nil {
		t.Fatal(err)
	}
	is("third")
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := disk.WriteFile(filepath.Join(dir, "d"), nil); err == nil {
		t.Error("a file in the place of a folder")
	}
	if err := disk.Remove(filepath.Join(dir, "d")); err != nil {
		t.Error(err)
	}
	is("third") // and nothing half-made is left
	if err := disk.WriteFile(filepath.Join(dir, "nowhere", "x"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
}

func TestIsFull(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}: true, unix.EDQUOT: true, unix.EIO: false, fs.ErrExist: false, nil: false,
	} {
		if disk.IsFull(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
