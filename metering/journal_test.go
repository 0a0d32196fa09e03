package metering_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

// TestMain counts until it is killed when a test has started this binary so.
func TestMain(m *testing.M) {
	if dir := os.Getenv("METERING_CRASH_DIR"); dir != "" {
		countForEver(dir)
	}
	if child := diskChildren[os.Getenv("METERING_DISK_CHILD")]; child != nil {
		if err := child(os.Getenv("METERING_DISK_DIR"), os.Getenv("METERING_DISK_URL")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const crashStep = 1 << 20 // bytes of one addition, the largest there is

// countForEver says how much it has counted after each addition.
func countForEver(dir string) {
	pool, err := pgxpool.New(context.Background(), "postgres://nobody@127.0.0.1:1/none")
	if err == nil {
		var meter *metering.Meter
		if meter, err = metering.New(metering.Config{Pool: pool, Dir: dir}); err == nil {
			var adding sync.WaitGroup
			for worker := range crashWorkers {
				adding.Go(func() {
					var t metering.Tally
					meter.Begin(&t, ledgertest.Key(worker))
					for n := int64(1); ; n++ {
						t.Egress(crashStep)
						fmt.Printf("%d %d\n", worker, n*crashStep)
					}
				})
			}
			adding.Wait()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

const crashWorkers = 4

// A process that counts is killed at random moments: what it said it had
// counted is there, and at most the one addition that each thread was in is
// there beyond it.
func TestJournal_kill(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	owner, dir := db.Pool(t, pg.RoleOwner), t.TempDir()
	said := map[string]int64{}
	const kills = 20
	for range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "METERING_CRASH_DIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r, last := bufio.NewReader(out), map[string]int64{}
		read := func() error {
			line, err := r.ReadString('\n')
			if err != nil {
				return err // the last line may be cut
			}
			var worker int
			var n int64
			if _, err := fmt.Sscan(line, &worker, &n); err != nil {
				return err
			}
			last[ledgertest.Key(worker).AccessKey.String()] = n
			return nil
		}
		for range 1 + rand.IntN(2000) {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Process.Kill()
		for err = nil; err == nil; err = read() { //nolint:revive // until the end
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for id, n := range last {
			said[id] += n
		}
	}
	m, err := metering.New(metering.Config{Pool: db.Pool(t, pg.RoleGateway), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice: what was taken over is not taken over again
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := ledger.Sum(t.Context(), owner, ledger.Query{By: ledger.ByKey})
	if err != nil || len(rows) != crashWorkers {
		t.Fatal(rows, err)
	}
	for _, u := range rows {
		if over := u.Egress - said[u.Value]; over < 0 || over > kills*crashStep {
			t.Errorf("key %s: %d counted, %d said, %d kills", u.Value, u.Egress, said[u.Value], kills)
		}
		t.Logf("%d bytes said, %d in the ledger: %d of %d kills fell between an addition and its line", said[u.Value], u.Egress, (u.Egress-said[u.Value])/crashStep, kills)
	}
	if left := journals(t, dir, ".journal"); len(left) != 1 {
		t.Errorf("journals left: %v", left)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if left := journals(t, dir, ".journal"); len(left) != 0 {
		t.Errorf("journals left after a clean end: %v", left)
	}
	if open, err := ledger.Nodes(t.Context(), owner, false); err != nil || len(open) != 0 {
		t.Errorf("epochs that are not over: %+v, %v", open, err)
	}
}

func journals(t *testing.T, dir, suffix string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Two processes on one folder would count into one epoch.
func TestJournal_locked(t *testing.T) {
	t.Parallel()
	pool, dir := testenv.Postgres(t).Pool(t, pg.RoleGateway), t.TempDir()
	m, err := metering.New(metering.Config{Pool: pool, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metering.New(metering.Config{Pool: pool, Dir: dir}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("the second: %v", err)
	}
	if _, err := metering.ImportJournal(t.Context(), pool, m.Path()); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a journal that is counted in is handed in: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := metering.New(metering.Config{Pool: pool, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// Every single changed byte of a journal either changes nothing that is
// believed or is found: then the file is put aside, what is intact is written,
// and no period becomes final.
func TestJournal_damage(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool, dir := db.Pool(t, pg.RoleGateway), t.TempDir()
	m, err := metering.New(metering.Config{Pool: offlinePool(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		var tally metering.Tally
		m.Begin(&tally, ledgertest.Key(n))
		tally.Request()
		tally.Egress(int64(1000 + n))
		tally.End()
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	file := journals(t, dir, ".journal")[0]
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := metering.Believed(file)
	if err != nil || len(sound) != 2 {
		t.Fatal(sound, err)
	}
	const records = 3 * 256 // header and two series
	for at := range records {
		for _, flip := range []byte{1, 0x80} {
			bad := append([]byte(nil), good...)
			bad[at] ^= flip
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := metering.Believed(file)
			if err != nil {
				continue
			}
			for k, v := range got {
				if sound[k] != v {
					t.Errorf("byte %d ^ %#x: %s is believed to be %d, it was %d", at, flip, k, v, sound[k])
				}
			}
			if len(got) != len(sound) {
				t.Errorf("byte %d ^ %#x: %d cells without a word", at, flip, len(got))
			}
			if epoch, err := metering.EpochOf(file); err != nil || epoch+".journal" != filepath.Base(file) {
				t.Errorf("byte %d ^ %#x: it is believed to be of epoch %s, %v", at, flip, epoch, err)
			}
		}
	}
	if err := os.WriteFile(file, make([]byte, len(good)), 0o600); err != nil {
		t.Fatal(err)
	}
	if epoch, err := metering.EpochOf(file); err != nil || epoch+".journal" != filepath.Base(file) {
		t.Errorf("a journal without a header is of epoch %s, %v", epoch, err)
	}
	bad := append([]byte(nil), good...)
	bad[256+8] ^= 1 // of the first series' account
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := metering.New(metering.Config{Pool: pool, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if aside := journals(t, dir, ".damaged"); len(aside) != 1 || !strings.HasPrefix(filepath.Base(aside[0]), filepath.Base(file)) {
		t.Errorf("put aside: %v", aside)
	}
	rows, err := ledger.Sum(t.Context(), db.Pool(t, pg.RoleOwner), ledger.Query{By: ledger.ByBucket})
	if err != nil || len(rows) != 1 {
		t.Errorf("the intact cell alone should be written: %v, %v", rows, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if moment, ok, err := ledger.Final(t.Context(), db.Pool(t, pg.RoleOwner)); err != nil || ok && moment.Year() > 1 {
		t.Errorf("figures are final until %v with a damaged journal, %v", moment, err)
	}
	damaged, err := ledger.Nodes(t.Context(), pool, false)
	if err != nil || len(damaged) != 1 || damaged[0].Epoch.String()+".journal" != filepath.Base(file) {
		t.Fatalf("held up by %+v, %v", damaged, err)
	}
	if err := ledger.RetireNode(t.Context(), db.Pool(t, pg.RoleOwner), damaged[0].Epoch); err != nil {
		t.Fatal(err)
	}
	if final, err := isFinal(t.Context(), pool); err != nil || !final {
		t.Errorf("somebody has decided, and no figure is final: %v", err)
	}
}

// Series of past hours make room for others: a journal does not grow with the
// hours, and nothing of the series before is in those that take their places.
func TestJournal_room(t *testing.T) {
	t.Parallel()
	db, c := testenv.Postgres(t), ledgertest.NewClock()
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), c)
	const hours, series = 6, 3000 // of the 4095 that the first MiB has room for
	for range hours {
		countSeries(m, series)
		c.Advance(time.Hour)
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := m.Series(); n != 0 {
			t.Fatalf("%d cells of the hour before are kept", n)
		}
	}
	if info, err := os.Stat(m.Path()); err != nil || info.Size() != 1<<20 {
		t.Errorf("the journal: %v, %v", info, err)
	}
	rows, err := ledger.Sum(t.Context(), db.Pool(t, pg.RoleOwner), ledger.Query{By: ledger.ByHour})
	if err != nil || len(rows) != hours {
		t.Fatal(rows, err)
	}
	for _, u := range rows {
		if u.Egress != series*(series-1)/2 {
			t.Errorf("%s: %d bytes", u.Value, u.Egress)
		}
	}
}

// A journal of an earlier process that PostgreSQL refuses keeps neither other
// ones nor what is counted now from being written; nothing becomes final.
func TestFlush_badJournal(t *testing.T) {
	t.Parallel()
	l := ledgertest.New(t)
	dir := t.TempDir()
	for _, bytes := range []int64{7, 20} {
		c := ledgertest.NewClock()
		m, err := metering.New(metering.Config{Pool: l.DB.Pool(t, pg.RoleGateway), Dir: filepath.Join(dir, fmt.Sprint(bytes)), Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		ledgertest.Count(m, ledgertest.Key(1), bytes)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		for _, file := range journals(t, filepath.Join(dir, fmt.Sprint(bytes)), ".journal") {
			if err := os.Rename(file, filepath.Join(dir, filepath.Base(file))); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.Exec("", `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END'`)
	l.Exec("", `CREATE TRIGGER refuse BEFORE INSERT ON usage_readings FOR EACH ROW WHEN (NEW.egress_bytes = 7) EXECUTE FUNCTION refuse()`)
	m, err := metering.New(metering.Config{Pool: l.DB.Pool(t, pg.RoleGateway), Dir: dir, Now: l.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	ledgertest.Count(m, ledgertest.Key(2), 300)
	if err := m.Flush(t.Context()); err == nil {
		t.Error("the refused journal is not told of")
	}
	u, err := ledger.Sum(t.Context(), l.Owner, ledger.Query{By: ledger.ByClass})
	if err != nil || len(u) != 1 || u[0].Egress != 320 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if left := journals(t, dir, ".journal"); len(left) != 2 {
		t.Errorf("journals: %v", left)
	}
	var reported int
	if err := l.Owner.QueryRow(t.Context(), `SELECT count(*) FROM usage_nodes WHERE epoch = $1`, m.Epoch()).Scan(&reported); err != nil || reported > 0 {
		t.Errorf("a watermark was told, %v", err)
	}
}
