package reload_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/reload"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

const interval = time.Second

// fixture is a reloader with one source, whose loads are counted.
type fixture struct {
	*reload.Reloader
	metrics *prometheus.Registry
	log     testenv.Buffer
	loads   atomic.Int64
	fails   atomic.Bool
	file    string                 // that changes
	named   atomic.Pointer[string] // by the source
}

// run runs f in a bubble, whose time passes when everybody waits.
func run(t *testing.T, f func(t *testing.T, x *fixture)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "one")
	synctest.Test(t, func(t *testing.T) {
		x := &fixture{metrics: prometheus.NewRegistry(), file: file}
		x.named.Store(&file)
		x.Reloader = reload.New(reload.Config{Interval: interval, Retry: 10 * interval, Metrics: x.metrics, Logger: slog.New(slog.NewTextHandler(&x.log, nil))})
		x.Add(reload.Source{Name: "part", Files: func() []string { return []string{*x.named.Load()} }, Load: func(context.Context) error {
			x.loads.Add(1)
			if x.fails.Load() {
				return fmt.Errorf("%s: it is broken", x.file)
			}
			return nil
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- x.Run(ctx) }()
		<-time.After(interval / 2) // a look comes between two of the test's steps
		f(t, x)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// want waits for so many looks, and compares how often the source was loaded.
func (x *fixture) want(t *testing.T, looks int, loads int64, what string) {
	t.Helper()
	<-time.After(time.Duration(looks) * interval)
	synctest.Wait()
	if n := x.loads.Load(); n != loads {
		t.Errorf("%s: loaded %d times, want %d", what, n, loads)
	}
}

// However a file is changed, it is loaded once, and when it has stayed so.
func TestReloader_changes(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	write(t, other, "linked")
	stamp := time.Now().Add(-time.Hour)
	for name, change := range map[string]func(t *testing.T, x *fixture){
		"written over": func(t *testing.T, x *fixture) { write(t, x.file, "two") },
		"with the times and the size of before": func(t *testing.T, x *fixture) {
			write(t, x.file, "two")
			if err := os.Chtimes(x.file, stamp, stamp); err != nil {
				t.Fatal(err)
			}
		},
		"renamed over": func(t *testing.T, x *fixture) {
			write(t, x.file+".new", "two")
			if err := os.Rename(x.file+".new", x.file); err != nil {
				t.Fatal(err)
			}
		},
		"a link to another": func(t *testing.T, x *fixture) {
			if err := errors.Join(os.Remove(x.file), os.Symlink(other, x.file)); err != nil {
				t.Fatal(err)
			}
		},
		"removed":            func(t *testing.T, x *fixture) { _ = os.Remove(x.file) },
		"under another name": func(_ *testing.T, x *fixture) { x.named.Store(&other) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, func(t *testing.T, x *fixture) {
				x.want(t, 5, 0, "without a change")
				change(t, x)
				x.want(t, 1, 0, "at the first look")
				x.want(t, 1, 1, "at the second")
				x.want(t, 30, 1, "afterwards")
			})
		})
	}
}

// A file that is being written is loaded when that is over.
func TestReloader_changing(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, x *fixture) {
		for i := range 5 {
			write(t, x.file, strings.Repeat("x", 10+i))
			x.want(t, 1, 0, "while it changes")
		}
		x.want(t, 1, 1, "when it has stayed")
	})
}

// A load that fails is said once in a sentence that names the file and in a metric, is
// tried again after a while and at once when the file changes, and is over when it works.
func TestReloader_fails(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, x *fixture) {
		failed := func(want float64) {
			t.Helper()
			if n := testenv.Metric(t, x.metrics, "primecloud_reload_failed", "source=part"); n != want {
				t.Errorf("the metric is %v, want %v", n, want)
			}
		}
		failed(0)
		x.fails.Store(true)
		write(t, x.file, "broken")
		x.want(t, 2, 1, "a broken file")
		failed(1)
		if n := strings.Count(x.log.String(), "level=ERROR"); n != 1 || !strings.Contains(x.log.String(), x.file) {
			t.Errorf("%d errors: %s", n, &x.log)
		}
		x.want(t, 8, 1, "before it is tried again")
		x.want(t, 2, 2, "tried again")
		write(t, x.file, "broken otherwise")
		x.want(t, 2, 3, "changed")
		failed(1)
		x.fails.Store(false)
		write(t, x.file, "good")
		x.want(t, 2, 4, "mended")
		failed(0)
		x.want(t, 30, 4, "afterwards")
		if n := testenv.Metric(t, x.metrics, "primecloud_reload_loads_total", "source=part"); n != 1 {
			t.Errorf("%v loads are counted", n)
		}
	})
}

// Trigger loads everything, in the order in which it was added, without a change and at
// once; several are as good as one.
func TestReloader_Trigger(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, x *fixture) {
		var order []int64
		x.Add(reload.Source{Name: "second", Files: func() []string { return nil }, Load: func(context.Context) error {
			order = append(order, x.loads.Load())
			return nil
		}})
		for range 3 {
			x.Trigger()
		}
		synctest.Wait()
		if len(order) == 0 || len(order) > 2 || order[0] != 1 {
			t.Errorf("loaded at %v", order)
		}
	})
}

// What is no file, or not there, is not waited for.
func TestReloader_noFile(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	r := reload.New(reload.Config{})
	r.Add(reload.Source{Name: "odd", Files: func() []string { return []string{pipe, t.TempDir(), "/nowhere"} }, Load: func(context.Context) error { return nil }})
}
