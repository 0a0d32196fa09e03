// Command flaky looks for tests that need luck: it runs every package's tests
// again and again under the race detector, in a random order, alone and two
// packages at once, on a quiet machine and with every core kept busy, until its
// time is over. It prints how often each test ran and every failure, with what
// runs it again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	minutes := flag.Float64("minutes", 45, "how long to go on; what runs then is stopped and not counted")
	only := flag.String("run", "", "the tests, as go test -run; default: all")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: flaky [flags] [packages]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ok, err := flaky(ctx, time.Duration(*minutes*float64(time.Minute)), *only, ".", flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "flaky:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// flaky reports whether no test of the module at root has failed.
func flaky(ctx context.Context, most time.Duration, only, root string, patterns []string) (ok bool, err error) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	dir, err := os.MkdirTemp("", "primecloud-flaky-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	packages, err := build(ctx, root, dir, patterns)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, most) // the builds do not count
	defer cancel()
	c := &counts{tests: map[test]*count{}}
	for round := 0; ctx.Err() == nil; round++ {
		if err := pass(ctx, packages, modes[round%len(modes)], only, c); err != nil {
			return false, err
		}
	}
	c.print(os.Stdout)
	return len(c.failures) == 0, nil
}

// mode is one way to disturb tests.
type mode struct {
	name     string
	busy     bool // a spinning process for each core beside
	together int  // packages at once
}

var modes = []mode{{"alone, quiet", false, 1}, {"alone, busy", true, 1}, {"two at once, quiet", false, 2}, {"two at once, busy", true, 2}}

// pass runs every package once.
func pass(ctx context.Context, packages []*testPackage, m mode, only string, c *counts) error {
	if m.busy {
		stop, err := keepBusy()
		if err != nil {
			return err
		}
		defer stop()
	}
	var next atomic.Int64
	var running sync.WaitGroup
	for range m.together {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(packages) {
					return
				}
				packages[i].run(ctx, m, only, c)
			}
		})
	}
	running.Wait()
	return nil
}

func binaryOf(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%d.test", number))
}
