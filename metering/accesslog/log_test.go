package accesslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
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
	if dir := os.Getenv("ACCESSLOG_SYNCED_DIR"); dir != "" {
		if err := endFiles(dir); err != nil {
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
		case e.Sum != nil:
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

func metric(t testing.TB, r *prometheus.Registry, name string) float64 {
	t.Helper()
	return testenv.Metric(t, r, "primecloud_accesslog_"+name)
}

func newClock() *testenv.Clock { return testenv.NewClock(time.Date(2026, 2, 6, 10, 0, 0, 0, time.UTC)) }

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
	l := open(t, accesslog.Config{Dir: dir, Node: "n", Now: c.Now})
	add := func(n int) {
		l.Add(record(n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(2)
	c.Advance(time.Hour)
	add(3)
	c.Advance(-2 * time.Hour)
	add(4)
	c.Advance(10 * time.Hour)
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

// A clock that is set back makes no file that would be read before the one that
// was written before it.
func TestLog_clockBack(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	l := open(t, accesslog.Config{Dir: dir, Node: "n", Now: c.Now, RotateSize: 1}) // a file for each line
	for n := range 4 {
		l.Add(record(n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		c.Advance(-3 * time.Hour)
	}
	var order []string
	for e, err := range accesslog.Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, e.Record.RequestID.String()[15:])
	}
	if got := strings.Join(order, " "); got != "0 1 2 3" || len(files(t, dir)) != 4 {
		t.Errorf("read in the order %s: %v", got, files(t, dir))
	}
}

func TestLog_locked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir})
	if _, err := accesslog.Open(accesslog.Config{Dir: dir}); !errors.Is(err, disk.ErrLocked) {
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
	l := open(t, accesslog.Config{Dir: dir, Now: c.Now, RotateSize: line, KeepSize: 5 * line, MaxSize: 8 * line, KeepAge: 3 * time.Hour, Metrics: registry})
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
	c.Advance(3 * time.Hour)
	l.Sweep()
	if list := files(t, dir); len(list) != 5 {
		t.Errorf("not older than that yet: %v", list)
	}
	c.Advance(time.Hour)
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

// What a line costs in all but the disk: a request's own part, and the
// writer's copying.
func BenchmarkLog_Add(b *testing.B) {
	registry := prometheus.NewRegistry()
	l := open(b, accesslog.Config{Dir: b.TempDir(), Metrics: registry})
	r, id, n := typical(), []byte("0000000000000000"), 0
	r.RequestID = id
	b.ReportAllocs()
	for b.Loop() {
		id[15]++
		l.Add(r)
		if n++; n%1000 == 0 {
			l.Discard()
		}
	}
	if dropped := metric(b, registry, "dropped_lines_total"); dropped > 0 {
		b.Errorf("%v lines were dropped: that is not what is measured", dropped)
	}
}

// unproven is a request of somebody that nobody knows.
func unproven(n int) *accesslog.Record {
	r := record(n)
	r.Requester, r.AccessKey, r.Auth = "", "", "anonymous"
	r.OwnerID, r.Owner = tenancy.ID{}, ""
	r.SetCounted(usage.Key{Class: usage.ClassUnbilled}, []usage.Delta{{Class: usage.ClassUnbilled, Hour: r.Time.Truncate(time.Hour), Requests: 1, Egress: 250}})
	return r
}

// totals is what the sums of a folder say, and what the unproven lines of it are.
type totals struct{ requests, leftOut, egress, lines, bytes int64 }

func sumsOf(t testing.TB, dir string) (sum totals) {
	t.Helper()
	for e, err := range accesslog.Read(dir) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Sum != nil:
			sum.requests += e.Sum.Lines
			sum.leftOut += e.Sum.LeftOut
			sum.egress += e.Sum.Egress
		case e.Summed:
			sum.lines++
			sum.bytes += e.End - e.Offset
		}
	}
	return sum
}

// Whoever floods, from wherever and at whatever: lines of nobody's requests are
// written up to a rate, those left out are counted one by one, and the sums have
// every request. Proven requests' lines are all there.
func TestLog_flood(t *testing.T) {
	t.Parallel()
	const n = 20000
	const second, saved = 64 << 10, 8 // of the node, 8 KiB of an address, 4 KiB of a bucket
	owner := tenancy.NewID()
	for name, c := range map[string]struct {
		reason string
		rate   int64
		change func(i int, r *accesslog.Record)
	}{
		"one address, one bucket": {"bucket", 4 << 10, func(_ int, r *accesslog.Record) { r.OwnerID = owner }},
		"no account, many names": {"bucket", 4 << 10, func(i int, r *accesslog.Record) {
			r.Bucket = accesslog.Text(fmt.Sprint("bucket-", i))
			r.Remote = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		}},
		"one address, many buckets": {"address", 8 << 10, func(i int, r *accesslog.Record) {
			r.OwnerID, r.Bucket = owner, accesslog.Text(fmt.Sprint("bucket-", i))
		}},
		"one network": {"address", 8 << 10, func(i int, r *accesslog.Record) {
			r.OwnerID, r.Bucket = owner, accesslog.Text(fmt.Sprint("bucket-", i))
			r.Remote = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i), 14: byte(i >> 8), 13: byte(i >> 16)})
		}},
		"many addresses, many buckets": {"node", second, func(i int, r *accesslog.Record) {
			r.OwnerID, r.Bucket = owner, accesslog.Text(fmt.Sprint("bucket-", i))
			r.Remote = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clk, registry := t.TempDir(), newClock(), prometheus.NewRegistry()
			l := open(t, accesslog.Config{Dir: dir, Now: clk.Now, Metrics: registry, UnprovenRate: second, BucketRate: 4 << 10})
			for i := range n {
				r := unproven(i)
				c.change(i, r)
				l.Add(r)
				if i%1000 == 0 {
					l.Add(record(n + i))
					clk.Advance(time.Second)
					if err := l.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			ids, dropped := read(t, dir)
			for i := 0; i < n; i += 1000 {
				if ids[record(n+i).RequestID.String()] != 1 {
					t.Errorf("the line of a proven request is missing")
				}
			}
			got := sumsOf(t, dir)
			if got.requests != n || got.egress != n*250 || got.lines+got.leftOut != n || dropped.Lines != 0 {
				t.Errorf("%+v of %d requests, %d dropped", got, n, dropped.Lines)
			}
			if most := c.rate * (saved + n/1000 + 1); got.bytes > most || got.bytes < most/3 {
				t.Errorf("%d bytes of lines, %d would be the rate", got.bytes, most)
			}
			if m := metric(t, registry, "left_out_lines_total"); m != float64(got.leftOut) {
				t.Errorf("%v are counted of %d", m, got.leftOut)
			}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if f.GetName() == "primecloud_accesslog_left_out_lines_total" && m.GetLabel()[0].GetValue() == c.reason && m.GetCounter().GetValue() < float64(got.leftOut)/2 {
						t.Errorf("%v of %d are said to be left out by %s", m.GetCounter().GetValue(), got.leftOut, c.reason)
					}
				}
			}
		})
	}
}

// A full buffer of strangers' lines is nobody else's, and what it costs is in
// the sums like the rest.
func TestLog_unprovenBuffer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n, buffer = 1000, 160 << 10
	l := open(t, accesslog.Config{Dir: dir, Buffer: buffer, UnprovenRate: 1 << 40, BucketRate: 1 << 40})
	for i := range n {
		l.Add(unproven(i))
		if i < 50 {
			l.Add(record(n + i))
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ids, dropped := read(t, dir)
	got := sumsOf(t, dir)
	if got.requests != n || got.lines+got.leftOut != n || got.leftOut == 0 || dropped.Lines != 0 || int64(len(ids)) != got.lines+50 || got.bytes < buffer/8 || got.bytes > buffer/4+8<<10 { // a line more in each of eight
		t.Errorf("%+v, %d lines in all, dropped %+v", got, len(ids), dropped)
	}
}

// More cells than sums are kept of: what is beyond is a number without a name,
// and nothing is missing in all.
func TestLog_manyCells(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir})
	const n = 5000
	for i := range n {
		r := unproven(i)
		r.BucketID = tenancy.ID{1, byte(i), byte(i >> 8)}
		l.Add(r)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cells := map[tenancy.ID]bool{}
	for e, err := range accesslog.Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Sum != nil {
			cells[e.Sum.BucketID] = true
		}
	}
	got := sumsOf(t, dir)
	_, beyond := read(t, dir)
	if len(cells) > 512 || got.requests+beyond.Lines != n || got.egress+beyond.Egress != n*250 {
		t.Errorf("%d cells, %+v, beyond them %+v", len(cells), got, beyond)
	}
}

// A request in two hours is in the sums of both.
func TestLog_sumParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, accesslog.Config{Dir: dir})
	r := unproven(1)
	hour := r.Time.Truncate(time.Hour)
	want := []usage.Delta{{Class: usage.ClassB, Hour: hour, Egress: 7}, {Class: usage.ClassB, Hour: hour.Add(time.Hour), Requests: 1, Egress: 5}}
	r.SetCounted(usage.Key{Account: tenancy.ID{1}, Bucket: tenancy.ID{2}, Class: usage.ClassB}, want)
	l.Add(r)
	l.Add(r)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := map[time.Time]*accesslog.Sum{}
	for e, err := range accesslog.Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Sum != nil {
			got[e.Sum.Hour] = e.Sum
		}
	}
	a, b := got[hour], got[hour.Add(time.Hour)]
	if len(got) != 2 || a.Egress != 14 || a.Requests != 0 || a.Lines != 0 || b.Egress != 10 || b.Requests != 2 || b.Lines != 2 || b.BucketID != (tenancy.ID{2}) || b.AccountID != (tenancy.ID{1}) {
		t.Errorf("sums %+v, %+v", a, b)
	}
}

// Strangers' files have a bound of their own: beyond it they go, delivered or
// not, and nothing else does.
func TestLog_unprovenFiles(t *testing.T) {
	t.Parallel()
	dir, c, registry := t.TempDir(), newClock(), prometheus.NewRegistry()
	line := int64(len(unproven(1).AppendLine(nil)))
	l := open(t, accesslog.Config{Dir: dir, Now: c.Now, Metrics: registry, UnprovenSize: 40 * line, UnprovenRate: 1 << 40, BucketRate: 1 << 40, RotateSize: 1 << 20})
	accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l}) // nothing is ever delivered
	for i := range 1000 {
		l.Add(unproven(i))
		if i < 10 {
			l.Add(record(1000 + i))
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			l.Sweep()
		}
		if i%100 == 99 {
			c.Advance(time.Hour) // the files of sums are several, too
		}
	}
	l.Sweep()
	got := sumsOf(t, dir)
	if got.bytes > 40*line || got.bytes < 20*line || got.requests != 1000 || got.egress != 250*1000 {
		t.Errorf("%+v with lines of %d", got, line)
	}
	ids, _ := read(t, dir)
	for i := range 10 {
		if ids[record(1000+i).RequestID.String()] != 1 {
			t.Error("the line of a proven request went")
		}
	}
	if lost, others := metric(t, registry, "lost_unproven_files_total"), metric(t, registry, "lost_files_total"); lost == 0 || others != 0 {
		t.Errorf("%v files are said to be lost, and %v of proven requests", lost, others)
	}
}

// A stranger's request costs no allocation either, with its line or without.
func BenchmarkLog_Add_unproven(b *testing.B) {
	for name, rate := range map[string]int64{"written": 1 << 40, "left out": 1} {
		b.Run(name, func(b *testing.B) {
			l := open(b, accesslog.Config{Dir: b.TempDir(), UnprovenRate: rate, BucketRate: rate})
			r, id, n := unproven(1), []byte("0000000000000000"), 0
			r.RequestID = id
			b.ReportAllocs()
			for b.Loop() {
				id[15]++
				l.Add(r)
				if n++; n%1000 == 0 {
					l.Discard()
				}
			}
		})
	}
}
