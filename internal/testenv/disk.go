package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// diskName is the file that a disk of MountDisk is.
const diskName = "image"

// MountDisk makes an ext4 of its own in a file below dir, and mounts it: for root,
// in a process with a namespace of its own for mounts. What the file has is what
// the disk was told to keep: not the kernel's page cache.
func MountDisk(dir string) (mounted string, err error) {
	image := filepath.Join(dir, diskName)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return "", err
	}
	mounted = filepath.Join(dir, "disk")
	if err := errors.Join(os.Truncate(image, 32<<20), os.MkdirAll(mounted, 0o700), syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")); err != nil {
		return "", err
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, mounted}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil { //nolint:noctx // a test's
			return "", fmt.Errorf("%q: %w: %s", command, err, out)
		}
	}
	return mounted, nil
}

// KeptOnDisk is what a machine finds of a file of the disk's root when it starts
// again after it was lost: now.
func KeptOnDisk(dir, name string) ([]byte, error) {
	image, kept := filepath.Join(dir, diskName+".lost"), filepath.Join(dir, "kept")
	b, err := os.ReadFile(filepath.Join(dir, diskName))
	if err == nil {
		err = errors.Join(os.WriteFile(image, b, 0o600), os.RemoveAll(kept))
	}
	if err != nil {
		return nil, err
	}
	// The first applies the file system's own journal; it says 1 when there was something to mend.
	out, err := exec.Command("e2fsck", "-fy", image).CombinedOutput() //nolint:noctx // a test's
	var status *exec.ExitError
	if err != nil && (!errors.As(err, &status) || status.ExitCode() != 1) {
		return nil, fmt.Errorf("e2fsck: %w: %s", err, out)
	}
	if out, err = exec.Command("debugfs", "-R", "dump /"+name+" "+kept, image).CombinedOutput(); err != nil { //nolint:noctx // a test's
		return nil, fmt.Errorf("debugfs: %w: %s", err, out)
	}
	return os.ReadFile(kept)
}
