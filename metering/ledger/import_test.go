package ledger_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A node is given up, its hours are sealed, and its journal turns up after all.
func TestImportJournal_afterSealing(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	dir := t.TempDir()
	c := ledgertest.NewClock()
	lost, err := metering.New(metering.Config{Pool: l.DB.Pool(t, pg.RoleGateway), Dir: dir, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Count(lost, ledgertest.Key(1), 100)
	if err := lost.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ledgertest.Count(lost, ledgertest.Key(1), 7)
	ledgertest.Count(lost, ledgertest.Key(2), 8)
	file, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	if _, err := metering.ImportJournal(t.Context(), l.Owner, file[0]); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a journal that is counted in is handed in: %v", err)
	}
	if err := lost.Close(); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(3 * time.Hour)
	l.Flush()
	if n := l.Seal(); n != 0 {
		t.Fatalf("%d hours sealed while a node is missing", n)
	}
	var epoch tenancy.ID
	if err := l.Owner.QueryRow(t.Context(), `SELECT epoch FROM usage_readings`).Scan(&epoch); err != nil {
		t.Fatal(err)
	}
	if err := ledger.RetireNode(t.Context(), l.Owner, epoch); err != nil {
		t.Fatal(err)
	}
	if n := l.Seal(); n != 3 {
		t.Fatalf("%d hours sealed", n)
	}
	for range 2 {
		if _, err := metering.ImportJournal(t.Context(), l.Owner, file[0]); err != nil {
			t.Fatal(err)
		}
	}
	u, err := ledger.Sum(t.Context(), l.Worker, ledger.Query{By: ledger.ByClass})
	if err != nil || len(u) != 1 || u[0].Egress != 115 || u[0].AdjustedEgress != 15 || u[0].Requests != 3 || u[0].AdjustedRequests != 2 {
		t.Errorf("usage: %+v, %v", u, err)
	}
}
