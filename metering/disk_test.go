package metering_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

// diskChildren are what this binary does when a test has started it with a
// folder and the URL of a database.
var diskChildren = map[string]func(dir, url string) error{"full": fillDisk, "full at start": startOnFullDisk, "syncing": countAndSync, "running": countAndRun}

// diskChild is a child with a namespace of its own, in which it may mount: a disk
// in a file if this is root.
func diskChild(t *testing.T, name, dir, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "METERING_DISK_CHILD="+name, "METERING_DISK_DIR="+dir, "METERING_DISK_URL="+url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS}
	switch {
	case url != "": // a tmpfs is all it mounts
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	case os.Getuid() != 0:
		testenv.Unavailable(t, "a disk in a file", errors.New("mounting it needs root"))
	}
	return cmd
}

// degraded is the alarm metric.
func degraded(r *prometheus.Registry) (float64, error) {
	families, err := r.Gather()
	for _, f := range families {
		if f.GetName() == "primecloud_metering_journal_degraded_cells" {
			return f.GetMetric()[0].GetGauge().GetValue(), err
		}
	}
	return 0, errors.Join(err, errors.New("there is no alarm metric"))
}

// countSeries counts n bytes out into the nth of some series.
func countSeries(m *metering.Meter, count int) {
	for n := range count {
		var t metering.Tally
		m.Begin(&t, ledgertest.Key(n))
		t.Egress(int64(n))
		t.End()
	}
}

// isFinal reports whether any figure is final.
func isFinal(ctx context.Context, q pg.Querier) (bool, error) {
	moment, ok, err := ledger.Final(ctx, q)
	return ok && moment.Year() > 1, err
}

// manyCells is more than a journal's first MiB has room for.
const manyCells = 6000

// fillDisk counts into more series than its disk of 1 MiB has room for.
func fillDisk(dir, url string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	m, err := metering.New(metering.Config{Pool: pool, Dir: dir, Metrics: registry})
	if err != nil {
		return err
	}
	if err := m.Unwritable(); err != nil {
		return fmt.Errorf("with room: %w", err)
	}
	countSeries(m, manyCells)
	if n, err := degraded(registry); err != nil || n == 0 {
		return fmt.Errorf("no cell is said to be without a journal: %w", err)
	}
	if err := errors.Join(m.Flush(ctx), m.Flush(ctx)); err != nil {
		return err
	}
	if err := m.Unwritable(); err == nil || !strings.Contains(err.Error(), "no room for the journal") {
		return fmt.Errorf("without room the journal is said to be writable: %w", err)
	}
	// As soon as there is room, though what is in memory stays there until its hour is over.
	if err := errors.Join(syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=8m"), m.Flush(ctx), m.Unwritable()); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return nil
}

// A disk without room costs nothing that is counted while the process lives;
// but no figure becomes final. The disk is a small one of a namespace's own.
func TestJournal_diskFull(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	owner := db.Pool(t, pg.RoleOwner)
	if out, err := diskChild(t, "full", t.TempDir(), db.URL(pg.RoleGateway)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows, err := ledger.Sum(t.Context(), owner, ledger.Query{By: ledger.ByClass})
	if err != nil || len(rows) != 1 || rows[0].Egress != manyCells*(manyCells-1)/2 {
		t.Errorf("usage: %+v, %v", rows, err)
	}
	if final, err := isFinal(t.Context(), owner); err != nil || final {
		t.Errorf("figures are final (%v, %v) though a kill would have lost some", final, err)
	}
}

// startOnFullDisk starts where the disk has no room for a journal, gets room,
// and loses it again.
func startOnFullDisk(dir, url string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	ctx, c := context.Background(), ledgertest.NewClock()
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	var faults []error
	expect := func(what string, m *metering.Meter, r *prometheus.Registry, alarm, final bool) {
		if err := m.Flush(ctx); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", what, err))
		}
		n, err := degraded(r)
		if err != nil || (n > 0) != alarm {
			faults = append(faults, fmt.Errorf("%s: %v cells are said to be without a journal, %w", what, n, err))
		}
		if is, err := isFinal(ctx, pool); err != nil || is != final {
			faults = append(faults, fmt.Errorf("%s: figures are final: %v, %w", what, is, err))
		}
	}
	open := func() (*metering.Meter, *prometheus.Registry, error) {
		r := prometheus.NewRegistry()
		m, err := metering.New(metering.Config{Pool: pool, Dir: dir, Metrics: r, Now: c.Now})
		return m, r, err
	}
	m, r, err := open()
	if err != nil {
		return fmt.Errorf("a full disk keeps the process from starting: %w", err)
	}
	expect("before anything is counted", m, r, true, false)
	countSeries(m, 100)
	expect("on a full disk", m, r, true, false)
	if _, _, err := open(); !errors.Is(err, disk.ErrLocked) {
		return fmt.Errorf("a second process on a full disk: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=1100k"); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	expect("with room again", m, r, true, false)
	c.Advance(time.Hour)
	m.Tick()
	expect("an hour later", m, r, false, true) // the flush has written and retired the series in memory
	countSeries(m, 100)
	expect("with the journal begun", m, r, false, true)
	countSeries(m, manyCells)
	if n, err := degraded(r); err != nil || n == 0 {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	m.Crash()
	if m, _, err = open(); err != nil {
		return err
	}
	c.Advance(time.Hour)
	if err := m.Flush(ctx); err != nil {
		return err
	}
	moment, _, err := ledger.Final(ctx, pool)
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); err != nil || !moment.Before(c.Now()) || len(aside) != 1 {
		faults = append(faults, fmt.Errorf("after a kill with cells in memory figures are final until %v, %d journals are put aside, %w", moment, len(aside), err))
	}
	var left int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM usage_nodes WHERE closed_at IS NULL`).Scan(&left); err != nil || left != 2 {
		faults = append(faults, fmt.Errorf("%d epochs are open, not the killed process's and its successor's: %w", left, err))
	}
	return errors.Join(faults...)
}

// A process starts on a full disk: it counts in memory, raises the alarm and
// lets no figure become final, until there is room and the hour is over. One
// that is killed meanwhile leaves its epoch open.
func TestJournal_diskFullAtStart(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	if out, err := diskChild(t, "full at start", t.TempDir(), db.URL(pg.RoleGateway)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows, err := ledger.Sum(t.Context(), db.Pool(t, pg.RoleOwner), ledger.Query{By: ledger.ByHour})
	if err != nil || len(rows) != 2 || rows[0].Egress != 100*99/2 || rows[1].Egress < 100*99/2 {
		t.Errorf("usage: %+v, %v", rows, err)
	}
}

// diskMeter is a meter with its journal on a disk of its own, and no database.
func diskMeter(dir string) (*metering.Meter, error) {
	mounted, err := testenv.MountDisk(dir)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(context.Background(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		return nil, err
	}
	return metering.New(metering.Config{Pool: pool, Dir: mounted, SyncInterval: 20 * time.Millisecond})
}

// countAndRun counts while the meter runs: its journal must come to the disk by
// itself, long before the kernel would write it (dirty_expire_centisecs, 30 s).
func countAndRun(dir, _ string) error {
	m, err := diskMeter(dir)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Second)
	defer stop()
	go func() { _ = m.Run(ctx) }()
	for n := range 3 {
		countSeries(m, manyCells*(n+1)) // the later ones in segments that came later
		for {
			counted, err := os.ReadFile(m.Path())
			if err != nil {
				return err
			}
			kept, err := testenv.KeptOnDisk(dir, filepath.Base(m.Path()))
			if err != nil {
				return err
			}
			if bytes.Equal(counted, kept) {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("round %d: the disk has %d bytes of the journal's %d, and not the same", n, len(kept), len(counted))
			}
		}
	}
	return nil
}

// TestJournal_synced: a meter that runs brings what it counts to the disk.
func TestJournal_synced(t *testing.T) {
	t.Parallel()
	if out, err := diskChild(t, "running", t.TempDir(), "").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// countAndSync counts on every counter and says so after each addition, and
// keeps what the disk has of the journal whenever it was synced: that is what a
// lost machine has.
func countAndSync(dir, _ string) error {
	m, err := diskMeter(dir)
	if err != nil {
		return err
	}
	var adding sync.WaitGroup
	for worker := range crashWorkers {
		adding.Go(func() {
			var t metering.Tally
			m.Begin(&t, ledgertest.Key(worker))
			for n := int64(1); ; n++ {
				t.Request()
				t.Ingress(crashStep)
				t.Egress(crashStep)
				t.DeclaredIngress(crashStep)
				t.DeclaredEgress(crashStep)
				fmt.Printf("%d %d\n", worker, n)
			}
		})
	}
	for n := 1; ; n++ {
		fmt.Printf("sync %d\n", n)
		if err := m.Sync(); err != nil {
			return err
		}
		name := filepath.Base(m.Path())
		data, err := testenv.KeptOnDisk(dir, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".copying"), data, 0o600)
		}
		if err == nil {
			err = os.Rename(filepath.Join(dir, name+".copying"), filepath.Join(dir, name+".synced"))
		}
		if err != nil {
			return err
		}
		fmt.Printf("synced %d\n", n)
	}
}

// A machine is lost: what its disk has is the journal as it was synced last.
// What was counted before that sync began is there, per counter, nothing is
// there twice, and at most what was counted since is missing.
func TestJournal_machineLost(t *testing.T) {
	t.Parallel()
	db, dir := testenv.Postgres(t), t.TempDir()
	owner := db.Pool(t, pg.RoleOwner)
	var least, most [crashWorkers]int64
	const machines = 5
	for range machines {
		cmd := diskChild(t, "syncing", dir, "")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said, begun, synced [crashWorkers]int64
		enough := 1 + rand.IntN(3)
		for s := bufio.NewScanner(out); s.Scan(); {
			var worker int
			var n int64
			switch line := s.Text(); {
			case scan(line, "synced %d", &n):
				synced = begun
				if enough--; enough == 0 {
					// Not at once: what is counted from here on is lost with the machine.
					time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, func() { _ = cmd.Process.Kill() })
				}
			case scan(line, "sync %d", &n):
				begun = said
			case scan(line, "%d %d", &worker, &n):
				said[worker] = n
			}
		}
		_ = cmd.Wait()
		if enough > 0 {
			t.Fatal("the child ended by itself")
		}
		files := journals(t, dir, ".synced")
		if len(files) != 1 {
			t.Fatal(files)
		}
		if err := os.Rename(files[0], files[0][:len(files[0])-len(".synced")]); err != nil {
			t.Fatal(err)
		}
		for w := range crashWorkers {
			least[w], most[w] = least[w]+synced[w], most[w]+said[w]+1 // one addition may have come before its line
		}
		m, err := metering.New(metering.Config{Pool: db.Pool(t, pg.RoleGateway), Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := ledger.Sum(t.Context(), owner, ledger.Query{By: ledger.ByKey})
	if err != nil || len(rows) != crashWorkers {
		t.Fatal(rows, err)
	}
	for _, u := range rows {
		for w := range crashWorkers {
			if u.Value != ledgertest.Key(w).AccessKey.String() {
				continue
			}
			for name, got := range map[string]int64{"requests": u.Requests, "in": u.Ingress / crashStep, "out": u.Egress / crashStep, "declared in": u.DeclaredIngress / crashStep, "declared out": u.DeclaredEgress / crashStep} {
				if got < least[w] || got > most[w] {
					t.Errorf("key %d, %s: %d in the ledger, %d were synced and %d counted", w, name, got, least[w], most[w])
				}
			}
			t.Logf("key %d: %d additions synced, %d in the ledger, %d counted", w, least[w], u.Requests, most[w])
		}
	}
	if _, ok, err := ledger.Final(t.Context(), owner); !ok || err != nil {
		t.Errorf("no figure is final: %v", err)
	}
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}
