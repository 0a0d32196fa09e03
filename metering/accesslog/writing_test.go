package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
)

// What a killed process loses: of lines the last 250 ms, of what is left out of
// strangers' lines the last 5 s. Sums are not written more often than that.
func TestLog_intervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, accesslog.Config{Dir: dir, UnprovenRate: 1, BucketRate: 1}) // the first line is all
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		const passes, each = 80, 3 // 20 s
		for n := range passes {
			synctest.Wait() // what is due now is done
			l.Add(record(n))
			for range each {
				l.Add(unproven(n))
			}
			<-time.After(250 * time.Millisecond)
			synctest.Wait()
			if ids, _ := read(t, dir); ids[record(n).RequestID.String()] == 0 {
				t.Errorf("line %d is not written 250 ms later", n)
			}
			if got := sumsOf(t, dir); got.requests < int64(n+1-20)*each { // 20 passes are 5 s
				t.Errorf("%d requests are in the sums after %d", got.requests, (n+1)*each)
			}
		}
		written := 0
		for e, err := range accesslog.Read(dir) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Sum != nil {
				written++
			}
		}
		if written > 5 {
			t.Errorf("%d sums of one cell in 20 s", written)
		}
		cancel()
		running.Wait()
		if got := sumsOf(t, dir); got.requests != passes*each || got.lines != 1 || got.leftOut != passes*each-1 {
			t.Errorf("in the end %+v", got)
		}
	})
}

// A request never waits for the log: while the disk takes nothing, lines wait in
// memory up to the bound, and then they are dropped. Each is there or is told.
func TestLog_stuckDisk(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	const buffer = 160 << 10
	l := open(t, accesslog.Config{Dir: t.TempDir(), Buffer: buffer, Metrics: registry})
	l.Add(record(0))
	disk, err := l.Jam()
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	added := 0
	fill := func(n int) {
		for range n {
			added++
			l.Add(record(added))
		}
	}
	fill(200) // some 140 KB: more than a pipe has room for
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := l.Flush(); err != nil {
			t.Error(err)
		}
	})
	first := make([]byte, 1)
	if _, err := io.ReadFull(disk, first); err != nil { // the writer is in the middle of it
		t.Fatal(err)
	}
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		fill(2000)
	}()
	testenv.WaitFor(t, "requests to end while the disk takes nothing", func() bool {
		select {
		case <-filled:
			return true
		default:
			return false
		}
	})
	text := bytes.NewBuffer(first)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(text, disk) })
	writing.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	dir := t.TempDir()
	write(t, filepath.Join(dir, someFile), text.String())
	ids, dropped := read(t, dir)
	if len(ids)+int(dropped.Lines) != added || dropped.Lines == 0 || text.Len() > 3*buffer || text.Len() < buffer {
		t.Errorf("%d lines of %d, %d bytes, dropped %+v", len(ids), added, text.Len(), dropped)
	}
	if got := metric(t, registry, "dropped_lines_total"); got != float64(dropped.Lines) {
		t.Errorf("%v are counted of %d", got, dropped.Lines)
	}
}

// Each kind of files has a bound of its own, and counts in no other's: sums have
// 256 MiB. Beyond it the oldest of that kind go.
func TestLog_boundsApart(t *testing.T) {
	t.Parallel()
	dir, c, registry := t.TempDir(), newClock(), prometheus.NewRegistry()
	l := open(t, accesslog.Config{Dir: dir, Now: c.Now, Metrics: registry, RotateSize: 1 << 20, KeepSize: 100 << 20, MaxSize: 100 << 20, UnprovenSize: 200 << 20})
	accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l}) // nothing is ever delivered
	const file = 90 << 20
	for kind, n := range map[string]int{"access": 2, "unproven": 3, "sums": 4} {
		for i := range n {
			name := filepath.Join(dir, fmt.Sprintf("%s-2026020609-01950000-0000-7000-8000-000000000000-%06d-a.jsonl", kind, i+1))
			write(t, name, "")
			if err := os.Truncate(name, file); err != nil { // a hole: nothing is written
				t.Fatal(err)
			}
		}
	}
	l.Sweep()
	left := map[string]bool{}
	for _, name := range files(t, dir) {
		left[name[:len(name)-len("-01950000-0000-7000-8000-000000000000-000001-a.jsonl")]+name[len(name)-len("000001-a.jsonl"):len(name)-len("-a.jsonl")]] = true
	}
	want := []string{"access-2026020609000002", "unproven-2026020609000002", "unproven-2026020609000003", "sums-2026020609000003", "sums-2026020609000004"}
	for _, name := range want {
		if !left[name] {
			t.Errorf("%s has gone", name)
		}
	}
	if len(left) != len(want) {
		t.Errorf("left are %v", left)
	}
	if lost, strangers, bytes := metric(t, registry, "lost_files_total"), metric(t, registry, "lost_unproven_files_total"), metric(t, registry, "files_bytes"); lost != 1 || strangers != 1 || bytes != 5*file {
		t.Errorf("%v files are lost, %v of strangers, %v bytes left", lost, strangers, bytes)
	}
}

// endFiles ends a file of each kind, by the hour and by the log's own end, on a
// disk that is lost at once afterwards.
func endFiles(dir string) error {
	mounted, err := testenv.MountDisk(dir)
	if err != nil {
		return err
	}
	c := newClock()
	l, err := accesslog.Open(accesslog.Config{Dir: mounted, Now: c.Now})
	if err != nil {
		return err
	}
	kept := func() error {
		files, err := accesslog.Files(mounted)
		if err != nil {
			return err
		}
		for _, file := range files {
			want, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			got, err := testenv.KeptOnDisk(dir, filepath.Base(file))
			if err != nil {
				return err
			}
			if len(want) == 0 || !bytes.Equal(got, want) {
				return fmt.Errorf("the disk has %d bytes of the %d of %s", len(got), len(want), filepath.Base(file))
			}
		}
		if len(files)%3 != 0 || len(files) == 0 {
			return fmt.Errorf("%d files", len(files))
		}
		return nil
	}
	add := func() error {
		l.Add(record(1))
		l.Add(unproven(2))
		return l.Flush()
	}
	if err := add(); err != nil {
		return err
	}
	c.Advance(time.Hour)
	if err := errors.Join(l.Flush(), kept()); err != nil {
		return fmt.Errorf("after the hour: %w", err)
	}
	if err := errors.Join(add(), l.Close(), kept()); err != nil {
		return fmt.Errorf("after the end: %w", err)
	}
	return nil
}

// A file that has ended is on the disk: a lost machine has all of it.
func TestLog_synced(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testenv.Unavailable(t, "a disk in a file", errors.New("mounting it needs root"))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "ACCESSLOG_SYNCED_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
