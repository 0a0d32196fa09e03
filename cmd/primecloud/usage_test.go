package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Nodes count and flush between any two statements of `usage show`: an hour that
// it calls final has all that will ever be in it.
func TestUsageShow_whileCounting(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	meter, err := metering.New(metering.Config{Pool: db.Pool(t, pg.RoleGateway), Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	sealer := ledger.NewSealer(ledger.SealerConfig{Pool: db.Pool(t, pg.RoleWorker), Keys: keyring})
	count := func() {
		var tally metering.Tally
		meter.Begin(&tally, usage.Key{Account: tenancy.ID{1}, Class: usage.ClassA})
		tally.Request()
		tally.End()
	}
	flush := func() {
		t.Helper()
		if err := meter.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Each hour has one request that is flushed within it, and one that is
	// flushed with its end.
	between := func() {
		count()
		now = now.Add(time.Hour)
		flush()
		count()
		flush()
		if err := sealer.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	count()
	flush()
	between()
	between()
	var out bytes.Buffer
	o := &operator{pool: db.Interleaved(t, pg.RoleOwner, between)}
	if err := (&usageShow{By: "hour"}).show(t.Context(), &cli{out: &out, json: true}, o, ledger.Query{By: ledger.ByHour}); err != nil {
		t.Fatal(err)
	}
	final := 0
	for _, r := range decode[[]usagereport.Usage](t, out.String()) {
		if !r.Final {
			continue
		}
		if final++; r.Requests != 2 {
			t.Errorf("%s is final with %d requests, and 2 were counted", r.Hour, r.Requests)
		}
	}
	if final < 2 {
		t.Errorf("%d hours are final in %s", final, out.String())
	}
	if err := meter.Close(); err != nil {
		t.Error(err)
	}
}

// What no seal covers stands beside final figures, in usage and in storage, and
// in no column of its own when there is nothing.
func TestUsageShow_beside(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	owner, gateway, worker := db.Pool(t, pg.RoleOwner), db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleWorker)
	keyring, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	store, id := &tenancy.Store{Keyring: keyring}, tenancy.ID{1}
	hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	exec := func(pool *pgxpool.Pool, sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	const sample = `INSERT INTO storage_samples (bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads, source, started_at, measured_at)
		VALUES ($1, $2, $1, $3, 0, 0, 1, 0, 0, 0, 'listing', $2, $2)`
	exec(gateway, `INSERT INTO usage_readings (epoch, account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes) VALUES ($1, $1, $1, $1, 'B', $2, 1, 0, 35, 0, 35)`, id, hour)
	exec(gateway, `INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES ($1, 'n', $2)`, id, hour.Add(time.Hour))
	exec(worker, sample, id, hour, 5)
	show := func(usage, storage string, columns int) {
		t.Helper()
		for _, storageShow := range []bool{false, true} {
			var asJSON, asCSV bytes.Buffer
			o, q, want := &operator{pool: owner, store: store}, ledger.Query{By: ledger.ByBucket, To: hour.Add(time.Hour)}, usage
			f := (*usageShow).show
			if storageShow {
				f, want = (*usageShow).showStorage, storage
			}
			if err := errors.Join(f(&usageShow{By: "bucket"}, t.Context(), &cli{out: &asJSON, json: true}, o, q), f(&usageShow{By: "bucket", CSV: true}, t.Context(), &cli{out: &asCSV}, o, q)); err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(&asCSV).ReadAll()
			if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) || strings.Join(rows[1][2:], " ") != want || strings.Contains(strings.Join(rows[0], " "), "UNSEALED") != strings.Contains(asJSON.String(), "unsealed") {
				t.Errorf("%v, %v: want %s\n%s", rows, err, want, asJSON.String())
			}
			if !storageShow && len(rows[0]) != columns {
				t.Errorf("%d columns: %v", len(rows[0]), rows[0])
			}
		}
	}
	show("1 0 35 0 0 0 false", "5 0 0 1 0 false", 9)
	sealer := ledger.NewSealer(ledger.SealerConfig{Pool: worker, Keys: keyring})
	if err := sealer.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	show("1 0 35 0 0 0 true", "5 0 0 1 0 true", 9)
	exec(gateway, `INSERT INTO usage_adjustments (epoch, account_id, bucket_id, key_id, class, hour, seal_hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
		VALUES ($1, $1, $1, $1, 'B', $2, '2199-01-01', 1, 0, 777, 0, 777)`, id, hour)
	exec(worker, sample, id, hour.Add(-time.Hour), 50) // of an hour before it that had none
	show("1 0 35 0 0 0 true 1 0 777", "5 0 0 1 0 true 50 0 0 1", 12)
}

// A listing ends between any two statements of `usage show --storage`: an hour
// that is final has its sample, and what is missing is named by its gaps.
func TestStorageShow_whileSampling(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	owner := db.Pool(t, pg.RoleOwner)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	keyring, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	store := &tenancy.Store{Keyring: keyring}
	backend, err := store.AddBackend(t.Context(), owner, tenancy.Backend{Name: "minio", Endpoints: []string{"http://127.0.0.1:1"}, AccessKeyID: "id", SecretKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := tenancy.CreateAccount(t.Context(), owner, "acme", "", tenancy.Active)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tenancy.ImportBucket(t.Context(), owner, a.ID, "backups", backend.ID, "theirs", false)
	if err != nil {
		t.Fatal(err)
	}
	present := time.Now().UTC().Truncate(time.Hour)
	const hours = 25
	exec(`UPDATE buckets SET created_at = $1`, present.Add(-hours*time.Hour))
	// One listing reads in all of the hours; each step is the end of one of it.
	open := make([]time.Time, hours)
	for i := range open {
		open[i] = present.Add(time.Duration(i-hours) * time.Hour)
	}
	// Every hour has its seal when it is over.
	exec(`INSERT INTO usage_readings SELECT $1, $1, $1, $1, 'A', $2, 1, 1, 1, 1, 1`, a.ID, present.Add(-hours*time.Hour))
	exec(`INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES ($1, 'n', $2)`, a.ID, present)
	if err := ledger.NewSealer(ledger.SealerConfig{Pool: db.Pool(t, pg.RoleWorker), Keys: keyring}).Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := func() {
		exec(`DELETE FROM storage_listings`)
		if len(open) > 0 {
			exec(`INSERT INTO storage_listings (bucket_id, holder, held_until, started_at, hours, marker, current_bytes, noncurrent_bytes, objects, noncurrent_versions, delete_markers)
				VALUES ($1, $1, 'infinity', $2, $3, '', 0, 0, 0, 0, 0)`, b.ID, open[0], open)
		}
	}
	between := func() {
		if len(open) == 0 {
			return
		}
		exec(`INSERT INTO storage_samples (bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads, source, started_at, measured_at)
			VALUES ($1, $2, $3, 1, 0, 0, 1, 0, 0, 0, 'listing', $2, $2)`, b.ID, open[0], a.ID)
		open = open[1:]
		list()
	}
	list()
	between()
	for _, by := range []ledger.Group{ledger.ByHour, ledger.ByBucket} {
		var out bytes.Buffer
		o := &operator{pool: db.Interleaved(t, pg.RoleOwner, between), store: store}
		if err := (&usageShow{By: by}).showStorage(t.Context(), &cli{out: &out, json: true}, o, ledger.Query{By: by}); err != nil {
			t.Fatal(err)
		}
		for _, r := range decode[[]usagereport.Storage](t, out.String()) {
			if r.Final && r.Missing > 0 {
				t.Errorf("%s is final without its sample", r.Hour)
			}
			gaps := int64(0)
			for _, g := range r.Gaps {
				gaps += int64(g.To.Sub(g.From) / time.Hour)
			}
			if by == ledger.ByBucket && gaps != r.Missing {
				t.Errorf("%d hours are missing, and the gaps are of %d: %+v", r.Missing, gaps, r.Gaps)
			}
		}
	}
	if len(open) == 0 {
		t.Error("the listing was over too early: the test shows nothing")
	}
}
