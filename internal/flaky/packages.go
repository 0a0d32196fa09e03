package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// testPackage is a package with tests, built.
type testPackage struct {
	path, dir, binary string
	changed           int64 // Unix time of its last commit
}

// build makes the packages' test binaries under the race detector. What has
// changed last comes first: it has been run least.
func build(ctx context.Context, root, dir string, patterns []string) ([]*testPackage, error) {
	list, err := output(ctx, root, "go", append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var packages []*testPackage
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var one struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if len(one.TestGoFiles)+len(one.XTestGoFiles) == 0 {
			continue
		}
		p := &testPackage{path: one.ImportPath, dir: one.Dir, binary: binaryOf(dir, len(packages))}
		if when, err := output(ctx, p.dir, "git", "log", "-1", "--format=%ct", "--", "."); err == nil {
			p.changed, _ = strconv.ParseInt(strings.TrimSpace(string(when)), 10, 64)
		}
		if _, err := output(ctx, root, "go", "test", "-race", "-c", "-o", p.binary, p.path); err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	slices.SortStableFunc(packages, func(a, b *testPackage) int { return cmp.Compare(b.changed, a.changed) })
	return packages, nil
}

func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var errs bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return out, nil
}

// run runs the package's tests once, in a random order.
func (p *testPackage) run(ctx context.Context, m mode, only string, c *counts) {
	args := []string{"tool", "test2json", "-p", p.path, p.binary, "-test.v=test2json", "-test.shuffle=on", "-test.timeout=30m"}
	if only != "" {
		args = append(args, "-test.run="+only)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the tests' servers too
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	c.add(p.path, m, out.Bytes(), err, ctx.Err() != nil)
}

// keepBusy keeps every core busy until stop is called. The spinning is this
// program's own: the kernel shares the cores between it and the tests.
func keepBusy() (stop func(), err error) {
	var spinning []*exec.Cmd
	stop = func() {
		for _, s := range spinning {
			_ = s.Process.Kill()
			_ = s.Wait()
		}
	}
	for range runtime.NumCPU() {
		s := exec.Command("sh", "-c", "while :; do :; done") //nolint:noctx // stop ends it
		s.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		s.Stderr = os.Stderr
		if err := s.Start(); err != nil {
			stop()
			return nil, err
		}
		spinning = append(spinning, s)
	}
	return stop, nil
}
