package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// MinIOModule is the newest MinIO there is: the repository is archived and no
// binaries are published, so it is built from the module.
const MinIOModule = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"

// ToolsDir is where built tools are kept: $PRIMECLOUD_TOOLS, or a folder of
// the user's cache, outside any checkout.
func ToolsDir() (string, error) {
	if dir := os.Getenv("PRIMECLOUD_TOOLS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "primecloud", "tools"), nil
}

// EnsureServers finds, installs or builds PostgreSQL and MinIO.
func EnsureServers(ctx context.Context, log io.Writer) error {
	_, perr := postgresBin(ctx, log)
	_, merr := minioBin(ctx, log)
	return errors.Join(perr, merr)
}

func minioBin(ctx context.Context, log io.Writer) (string, error) {
	return EnsureTool(ctx, "minio", MinIOModule, log)
}

// EnsureTool returns the path of a Go program, built from its module version
// when the tools folder does not have that version. Processes that need the same
// tool wait for one another.
func EnsureTool(ctx context.Context, name, module string, log io.Writer) (string, error) {
	dir, err := ToolsDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(module, "@")
	bin := filepath.Join(dir, name+"-"+version)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	unlock, err := lockFile(filepath.Join(dir, name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("%s is not there, and to build it Go is needed: install Go 1.26 or newer", bin)
	}
	progress(log, "building %s from %s, once; this takes some minutes", name, module)
	// Installed aside and moved: a build that is cut leaves nothing half-made.
	stage, err := os.MkdirTemp(dir, name+"-build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(stage)
	cmd := exec.CommandContext(ctx, goTool, "install", module)
	cmd.Dir = stage // outside any module
	cmd.Env = append(os.Environ(), "GOBIN="+stage, "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w: %s", module, err, out)
	}
	return bin, os.Rename(filepath.Join(stage, name), bin)
}

// lockFile takes an exclusive lock, waiting for it.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
