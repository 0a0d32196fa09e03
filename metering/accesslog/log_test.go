package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
)

// TestMain is another process when a test has started this binary as one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ACCESSLOG_FULL_DIR"); dir != "" {
		if err := fillDisk(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("ACCESSLOG_CRASH_DIR"); dir != "" {
		fmt.Fprintln(os.Stderr, logForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, cfg accesslog.Config) *accesslog.Log {
	t.Helper()
	l, err := accesslog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func record(n int) *accesslog.Record {
	r := typical()
	r.RequestID = accesslog.Text(fmt.Sprintf("%016X", n))
	return r
}

// read is all that a folder has: request ids, and lines that say how many are missing.
func read(t testing.TB, dir string) (ids map[string]int, dropped accesslog.Dropped) {
	t.Helper()
	ids = map[string]int{}
	for e, err := range accesslog.Read(dir) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Dropped != nil:
			dropped.Lines += e.Dropped.Lines
			dropped.Ingress += e.Dropped.Ingress
			dropped.Egress += e.Dropped.Egress
		default:
			ids[e.Record.RequestID.String()]++
		}
	}
	return ids, dropped
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	list, err := accesslog.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i] = filepath.Base(list[i])
	}
	return list
}

func metric(t testing.TB, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "primecloud_accesslog_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// clock is a time that tests move.
type clock struct{ seconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.seconds.Store(time.Date(2026, 2, 6, 10, 0, 0, 0, time.UTC).Unix())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.seconds.Load(), 0).UTC() }
func (c *clock) advance(d time.Duration) { c.seconds.Add(int64(d.Seconds())) }

// Requests of many goroutines: each line once, whole, whatever files it went to.
func TestLog_concurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir, Node: "a/b", RotateSize: 100 << 10})
	ctx, cancel := context.WithCancel(t.Context())
	var running, adding sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const workers, each = 8, 500
	for w := range workers {
		adding.Go(func() {
			for n := range each {
				l.Add(record(w*each + n))
				if n%50 == 0 {
					if err := l.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	adding.Wait()
	cancel()
	running.Wait()
	ids, dropped := read(t, dir)
	if len(ids) != workers*each || dropped.Lines != 0 {
		t.Errorf("%d lines of %d, %d dropped", len(ids), workers*each, dropped.Lines)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s: %d lines", id, n)
		}
	}
	if list := files(t, dir); len(list) < 10 || !strings.HasSuffix(list[0], "-000001-a-b.jsonl") {
		t.Errorf("files %v", list)
	}
}

// An hour begins a file; hours never go back; the name says node, epoch and hour.
func TestLog_rotation(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	l := open(t, accesslog.Config{Dir: dir, Node: "n", Now: c.now})
	add := func(n int) {
		l.Add(record(n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(2)
	c.advance(time.Hour)
	add(3)
	c.advance(-2 * time.Hour)
	add(4)
	c.advance(10 * time.Hour)
	if err := l.Flush(); err != nil { // nothing to write: the file ends all the same, to be delivered
		t.Fatal(err)
	}
	add(5)
	list := files(t, dir)
	var hours []string
	for i, f := range list {
		hours = append(hours, strings.Split(f, "-")[1])
		if !strings.HasSuffix(f, fmt.Sprintf("-%06d-n.jsonl", i+1)) {
			t.Errorf("file %d is %s", i, f)
		}
	}
	if strings.Join(hours, " ") != "2026020610 2026020611 2026020619" {
		t.Errorf("hours %v", hours)
	}
	if ids, _ := read(t, dir); len(ids) != 5 {
		t.Errorf("%d lines", len(ids))
	}
}

func TestLog_locked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir})
	if _, err := accesslog.Open(accesslog.Config{Dir: dir}); !errors.Is(err, metering.ErrLocked) {
		t.Errorf("the second: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, accesslog.Config{Dir: dir})
}

// Files go by age and by size, the oldest first; the one that is written stays.
func TestLog_Sweep(t *testing.T) {
	t.Parallel()
	dir, c, registry := t.TempDir(), newClock(), prometheus.NewRegistry()
	line := int64(len(record(1).AppendLine(nil)))
	l := open(t, accesslog.Config{Dir: dir, Now: c.now, RotateSize: line, KeepSize: 5 * line, MaxSize: 8 * line, KeepAge: 3 * time.Hour, Metrics: registry})
	for n := range 7 {
		l.Add(record(n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	l.Sweep()
	if list := files(t, dir); len(list) != 5 || !strings.Contains(list[0], "-000003-") {
		t.Errorf("by size: %v", list)
	}
	c.advance(3 * time.Hour)
	l.Sweep()
	if list := files(t, dir); len(list) != 5 {
		t.Errorf("not older than that yet: %v", list)
	}
	c.advance(time.Hour)
	l.Sweep()
	if list := files(t, dir); len(list) != 1 || !strings.Contains(list[0], "-000007-") {
		t.Errorf("by age: %v", list)
	}
	if got := metric(t, registry, "files_bytes"); got != float64(line) {
		t.Errorf("%v bytes", got)
	}
}

// A buffer that nobody empties drops lines, counts them, and says so in the log.
func TestLog_dropped(t *testing.T) {
	t.Parallel()
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	l := open(t, accesslog.Config{Dir: dir, Buffer: 80 << 10, Metrics: registry})
	const n = 1000
	for i := range n {
		l.Add(record(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ids, dropped := read(t, dir)
	if len(ids) < 50 || dropped.Lines == 0 || int64(len(ids))+dropped.Lines != n || dropped.Egress != dropped.Lines<<20 {
		t.Errorf("%d lines, dropped %+v", len(ids), dropped)
	}
	if got := metric(t, registry, "dropped_lines_total"); got != float64(dropped.Lines) {
		t.Errorf("%v are counted of %d", got, dropped.Lines)
	}
}

// fillDisk logs on a disk of 1 MiB until that is full and beyond, makes room,
// and goes on: what is missing is told, what is there is whole.
func fillDisk(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		return err
	}
	l, err := accesslog.Open(accesslog.Config{Dir: dir, Buffer: 64 << 10})
	if err != nil {
		return err
	}
	const n = 800
	failed := 0
	for i := range n {
		if i == 700 {
			if failed == 0 {
				return errors.New("the disk was never full")
			}
			if err := os.Remove(ballast); err != nil {
				return err
			}
		}
		l.Add(record(i))
		if err := l.Flush(); errors.Is(err, syscall.ENOSPC) {
			failed++
		} else if err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	lines, dropped := int64(0), int64(0)
	for e, err := range accesslog.Read(dir) {
		switch {
		case err != nil:
			return err
		case e.Dropped != nil:
			dropped += e.Dropped.Lines
		default:
			lines++
		}
	}
	if lines+dropped != n || dropped == 0 {
		return fmt.Errorf("%d lines and %d dropped are not %d", lines, dropped, n)
	}
	return nil
}

func TestLog_diskFull(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "ACCESSLOG_FULL_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Run writes within the flush interval, without being asked.
func TestLog_Run(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(ctx) })
	defer running.Wait()
	defer cancel()
	l.Add(record(1))
	testenv.WaitFor(t, "the line", func() bool {
		list, err := accesslog.Files(dir)
		if err != nil || len(list) == 0 {
			return false
		}
		text, err := os.ReadFile(list[0])
		return err == nil && bytes.HasSuffix(text, []byte("\n"))
	})
}

// What a request pays, with all the others at the same buffers.
func BenchmarkLog_Add(b *testing.B) {
	l := open(b, accesslog.Config{Dir: b.TempDir(), RotateSize: 1 << 30})
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(ctx) })
	defer running.Wait()
	defer cancel()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r, id := typical(), []byte("0000000000000000")
		r.RequestID = id
		for pb.Next() {
			id[15]++
			l.Add(r)
		}
	})
}
