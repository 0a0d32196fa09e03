package metering_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

// newKeyring is one as the worker has it: it opens nothing.
func newKeyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

var firstHour = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// hourAt is the hour n hours after the first one that tests count in.
func hourAt(n int) time.Time { return firstHour.Add(time.Duration(n) * time.Hour) }

// ledger is a database with a meter and what seals.
type ledger struct {
	t             testing.TB
	db            *testenv.DB
	clock         *clock
	meter         *metering.Meter
	worker, owner *pgxpool.Pool
	keys          *secret.Keyring
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	db, c := testenv.Postgres(t), newClock()
	return &ledger{t, db, c, newMeter(t, db.Pool(t, pg.RoleGateway), c), db.Pool(t, pg.RoleWorker), db.Pool(t, pg.RoleOwner), newKeyring(t)}
}

func count(m *metering.Meter, k metering.Key, egress int64) {
	var tally metering.Tally
	m.Begin(&tally, k)
	tally.Request()
	tally.Egress(egress)
	tally.End()
}

func (l *ledger) flush() {
	l.t.Helper()
	if err := l.meter.Flush(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// seal seals what is final.
func (l *ledger) seal() int {
	l.t.Helper()
	return l.sealSome(1000)
}

// sealSome seals no more than most of it, as a worker that knows nothing of before.
func (l *ledger) sealSome(most int) int {
	l.t.Helper()
	r := prometheus.NewRegistry()
	if err := metering.NewSealer(metering.SealerConfig{Pool: l.worker, Keys: l.keys, AtOnce: most, Metrics: r}).Seal(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return int(metric(l.t, r, "primecloud_metering_seals_total"))
}

func (l *ledger) verify(q metering.VerifyQuery) metering.Verification {
	l.t.Helper()
	v, err := metering.Verify(l.t.Context(), l.owner, l.keys, q)
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

// fill counts in each of five hours but the third, and seals the first four.
func (l *ledger) fill() {
	l.t.Helper()
	for n := range 5 {
		if n != 2 {
			for k := range 3 {
				count(l.meter, key(k), int64(100*n+k))
			}
		}
		if n < 4 {
			l.clock.advance(time.Hour)
			l.meter.Tick()
		}
	}
	l.flush()
	if n := l.seal(); n != 4 {
		l.t.Fatalf("%d hours sealed, want 4", n)
	}
}

func TestSealFinal(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	if n := l.seal(); n != 0 {
		t.Errorf("%d hours sealed of nothing", n)
	}
	l.fill()
	if n := l.seal(); n != 0 {
		t.Errorf("%d hours sealed that are not over", n)
	}
	v := l.verify(metering.VerifyQuery{})
	if v.Difference != nil || v.Hours != 4 || v.Rows != 9 || !v.Head.Hour.Equal(hourAt(3)) || v.Unsealed != 0 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	// Another node has not said anything since: nothing more is final.
	if _, err := l.owner.Exec(t.Context(), `INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), 'silent', $1)`, hourAt(6)); err != nil {
		t.Fatal(err)
	}
	l.clock.advance(10 * time.Hour)
	l.flush()
	if v := l.verify(metering.VerifyQuery{}); v.Unsealed != 2 {
		t.Errorf("%d hours are said to be final and unsealed, want 2", v.Unsealed)
	}
	if n := l.sealSome(1); n != 1 {
		t.Errorf("%d hours sealed of at most 1", n)
	}
	if n := l.seal(); n != 1 {
		t.Errorf("%d hours sealed, want the one that is left", n)
	}
}

func TestSealer(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	registry := prometheus.NewRegistry()
	s := metering.NewSealer(metering.SealerConfig{Pool: l.worker, Keys: l.keys, Dir: t.TempDir(), Metrics: registry})
	count(l.meter, key(1), 1)
	l.clock.advance(2 * time.Hour)
	l.flush()
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"primecloud_metering_seals_total": 2, "primecloud_metering_seal_failures_total": 0,
		"primecloud_metering_sealed_until_timestamp_seconds": float64(hourAt(2).Unix()),
	} {
		if got := metric(t, registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Seal(cancelled); err == nil || metric(t, registry, "primecloud_metering_seal_failures_total") != 1 {
		t.Errorf("a failure is not counted: %v", err)
	}
}

// What is sealed changes for nobody.
func TestSealed_refuses(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.fill()
	// An adjustment, and its seal.
	late(t, l.db.Pool(t, pg.RoleGateway), hourAt(0))
	l.clock.advance(time.Hour)
	l.flush()
	if n := l.seal(); n != 1 {
		t.Fatalf("%d hours sealed", n)
	}
	const reading = `INSERT INTO usage_readings (epoch, account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
		VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'A', '%s', 1, 1, 1, 1, 1)`
	const upsert = ` ON CONFLICT (epoch, account_id, bucket_id, key_id, class, hour) DO UPDATE SET requests = usage_readings.requests + 1`
	writes := []string{
		fmt.Sprintf(reading, "2026-03-01T11:00Z"), fmt.Sprintf(reading, "2020-01-01T00:00Z"),
		`INSERT INTO usage_readings SELECT * FROM usage_readings WHERE hour = '2026-03-01T11:00Z'` + upsert,
		`UPDATE usage_readings SET requests = requests + 1 WHERE hour = '2026-03-01T11:00Z'`,
		`UPDATE usage_readings SET egress_bytes = egress_bytes`,
		`UPDATE usage_adjustments SET requests = requests + 1`,
	}
	changes := []string{
		`DELETE FROM usage_readings WHERE hour = '2026-03-01T11:00Z'`, `DELETE FROM usage_adjustments`,
		`TRUNCATE usage_readings`, `TRUNCATE usage_adjustments`, `TRUNCATE usage_seals`,
		`UPDATE usage_readings SET hour = '2026-03-01T11:00Z', key_id = gen_random_uuid() WHERE hour = '2026-03-01T14:00Z'`,
		`UPDATE usage_readings SET hour = '2026-03-01T20:00Z' WHERE hour = '2026-03-01T11:00Z'`,
		`UPDATE usage_seals SET rows = 0`, `DELETE FROM usage_seals`,
		`INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at) SELECT '2026-03-01T17:00Z', 0, 0, 0, hash, sha256(hash), key_id, hmac, sealed_at FROM usage_seals ORDER BY hour DESC LIMIT 1`,
		`INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at) SELECT '2026-03-01T15:00Z', 0, 0, 0, sha256(hash), sha256(hash), key_id, hmac, sealed_at FROM usage_seals ORDER BY hour DESC LIMIT 1`,
	}
	for _, tc := range []struct {
		role, code string
		statements []string
	}{
		{pg.RoleGateway, "23514", writes}, // check_violation: the trigger
		{pg.RoleGateway, "42501", changes},
		{pg.RoleWorker, "42501", append(changes[:9:9], writes...)},
		{pg.RoleWorker, "23514", changes[9:]},
		{pg.RoleOwner, "23514", append(writes, changes...)},
		{"", "23514", append(writes, changes...)}, // a superuser
	} {
		pool := l.db.Pool(t, tc.role)
		for _, sql := range tc.statements {
			_, err := pool.Exec(t.Context(), sql)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != tc.code {
				t.Errorf("%s: %s: %v", tc.role, sql, err)
			}
		}
	}
	// A table of the session's own does not hide the seals, nor does an old snapshot.
	// (The gateway's role may make none.)
	for before, code := range map[string]string{
		`CREATE TEMPORARY TABLE usage_seals (hour timestamptz)`: "23514",
		`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`:       "25000", // invalid_transaction_state
	} {
		err := pgx.BeginFunc(t.Context(), l.owner, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			_, err := tx.Exec(t.Context(), writes[0])
			return err
		})
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("after %s: %v", before, err)
		}
	}
	// What is not sealed still changes.
	if _, err := l.owner.Exec(t.Context(), fmt.Sprintf(reading, "2026-03-01T16:00Z")); err != nil {
		t.Error(err)
	}
	if v := l.verify(metering.VerifyQuery{}); v.Difference != nil || v.Hours != 5 || v.Adjustments != 1 {
		t.Errorf("after all that: %+v, %+v", v, v.Difference)
	}
}

// late writes a reading of an hour through a meter of its own.
func late(t testing.TB, pool *pgxpool.Pool, hour time.Time) {
	t.Helper()
	c := newClock()
	c.seconds.Store(hour.Unix())
	m := newMeter(t, pool, c)
	count(m, key(1), 1000)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE usage_nodes SET closed_at = now() WHERE flushed_at = $1`, hour); err != nil {
		t.Fatal(err)
	}
}

// Whoever may switch the triggers off changes what is sealed, and it shows.
func TestVerify_tampering(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sql  string
		hour int
		what string
	}{
		"a reading is changed":           {`UPDATE usage_readings SET egress_bytes = egress_bytes - 1 WHERE hour = $1 AND egress_bytes = 101`, 1, "hash"},
		"a reading's moment is changed":  {`UPDATE usage_readings SET read_at = read_at + interval '1 microsecond' WHERE hour = $1`, 1, "hash"},
		"a reading changes its account":  {`UPDATE usage_readings SET account_id = gen_random_uuid() WHERE hour = $1`, 1, "hash"},
		"a reading is deleted":           {`DELETE FROM usage_readings WHERE hour = $1 AND egress_bytes = 101`, 1, "rows"},
		"a reading moves to an hour":     {`UPDATE usage_readings SET hour = hour + interval '1 hour' WHERE hour = $1 AND egress_bytes = 101`, 1, "rows"},
		"a reading in an empty hour":     {`INSERT INTO usage_readings SELECT epoch, account_id, bucket_id, key_id, class, $1, 1, 1, 1, 1, 1 FROM usage_readings LIMIT 1`, 2, "rows"},
		"a reading before the first":     {`INSERT INTO usage_readings SELECT epoch, account_id, bucket_id, key_id, class, $1, 1, 1, 1, 1, 1 FROM usage_readings LIMIT 1`, -100, "rows"},
		"an adjustment is changed":       {`UPDATE usage_adjustments SET egress_bytes = 0 WHERE seal_hour = $1`, 4, "hash"},
		"an adjustment changes its hour": {`UPDATE usage_adjustments SET hour = hour + interval '1 hour' WHERE seal_hour = $1`, 4, "hash"},
		"an adjustment is deleted":       {`DELETE FROM usage_adjustments WHERE seal_hour = $1`, 4, "adjustments"},
		"an adjustment is put back":      {`UPDATE usage_adjustments SET seal_hour = $1`, 3, "adjustments"},
		"an adjustment before the first": {`INSERT INTO usage_adjustments SELECT epoch, account_id, bucket_id, key_id, class, hour - interval '1 year', $1, 1, 1, 1, 1, 1 FROM usage_adjustments`, -100, "adjustments"},
		"a seal's hash":                  {`UPDATE usage_seals SET hash = sha256(hash) WHERE hour = $1`, 1, "hash"},
		"a seal's rows":                  {`UPDATE usage_seals SET rows = rows + 1 WHERE hour = $1`, 1, "rows"},
		"a seal's adjustments":           {`UPDATE usage_seals SET adjustments = adjustments + 1 WHERE hour = $1`, 1, "adjustments"},
		"a seal's moment":                {`UPDATE usage_seals SET sealed_at = sealed_at + interval '1 hour' WHERE hour = $1`, 1, "hash"},
		"a seal's hmac":                  {`UPDATE usage_seals SET hmac = sha256(hmac) WHERE hour = $1`, 1, "hmac"},
		"a seal's key":                   {`UPDATE usage_seals SET key_id = 'mine' WHERE hour = $1`, 1, "hmac"},
		"a seal's predecessor":           {`UPDATE usage_seals SET previous = sha256(previous) WHERE hour = $1`, 1, "chain"},
		"a seal is removed":              {`DELETE FROM usage_seals WHERE hour = $1`, 1, "missing"},
		"an hour and its seal":           {`WITH r AS (DELETE FROM usage_readings WHERE hour = $1) DELETE FROM usage_seals WHERE hour = $1`, 1, "missing"},
		"the first seal is removed":      {`DELETE FROM usage_seals WHERE hour = $1`, 0, "missing"},
		"two seals change places":        {`UPDATE usage_seals SET hour = CASE WHEN hour = $1 THEN hour + interval '100 hours' ELSE $1 END WHERE hour IN ($1, $1::timestamptz + interval '1 hour')`, 1, "chain"},
		"an hour is sealed anew, forged": {`UPDATE usage_seals SET hmac = sha256('guess') WHERE hour = $1`, 0, "hmac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.fill()
			late(t, l.db.Pool(t, pg.RoleGateway), hourAt(0))
			l.clock.advance(time.Hour)
			l.flush()
			l.seal()
			if v := l.verify(metering.VerifyQuery{}); v.Difference != nil || v.Hours != 5 || v.Adjustments != 1 {
				t.Fatalf("before: %+v, %+v", v, v.Difference)
			}
			superuser := l.db.Pool(t, "")
			if err := pgx.BeginFunc(t.Context(), superuser, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				tag, err := tx.Exec(t.Context(), tc.sql, hourAt(tc.hour))
				if err != nil || tag.RowsAffected() == 0 {
					return errors.Join(err, errors.New("nothing was changed"))
				}
				if name == "two seals change places" {
					_, err = tx.Exec(t.Context(), `UPDATE usage_seals SET hour = hour - interval '99 hours' WHERE hour > $1`, hourAt(50))
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			v := l.verify(metering.VerifyQuery{})
			if d := v.Difference; d == nil || !d.Hour.Equal(hourAt(tc.hour)) || d.What != tc.what {
				t.Errorf("found %+v, want %s at %s", v.Difference, tc.what, hourAt(tc.hour))
			}
			// The hours before it are as they were.
			if v := l.verify(metering.VerifyQuery{From: hourAt(0), To: hourAt(max(tc.hour, 0))}); tc.hour > 0 && (v.Difference != nil || v.Hours != tc.hour) {
				t.Errorf("the hours before: %+v, %+v", v, v.Difference)
			}
		})
	}
}

// That the newest seals were removed shows only to who knows of one.
func TestVerify_known(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.fill()
	v := l.verify(metering.VerifyQuery{})
	known := map[time.Time]metering.Digest{v.Head.Hour: v.Head.Hash}
	if v := l.verify(metering.VerifyQuery{Known: known}); v.Difference != nil {
		t.Errorf("nothing has changed: %+v", v.Difference)
	}
	if _, err := metering.Verify(t.Context(), l.owner, l.keys, metering.VerifyQuery{To: v.Head.Hour, Known: known}); err == nil {
		t.Error("a copy is handed in for hours that are not verified, and nobody says so")
	}
	if _, err := l.db.Pool(t, "").Exec(t.Context(), `ALTER TABLE usage_seals DISABLE TRIGGER ALL; DELETE FROM usage_seals WHERE hour > '2026-03-01T11:00Z'; ALTER TABLE usage_seals ENABLE TRIGGER ALL`); err != nil {
		t.Fatal(err)
	}
	if v := l.verify(metering.VerifyQuery{}); v.Difference != nil || v.Unsealed != 2 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	if v := l.verify(metering.VerifyQuery{Known: known}); v.Difference == nil || v.Difference.What != "missing" || !v.Difference.Hour.Equal(hourAt(3)) {
		t.Errorf("removed: %+v", v.Difference)
	}
	l.seal() // who has the keyring too makes new ones
	if v := l.verify(metering.VerifyQuery{}); v.Difference != nil {
		t.Errorf("sealed anew: %+v", v.Difference)
	}
	if v := l.verify(metering.VerifyQuery{Known: known}); v.Difference == nil || v.Difference.What != "known" || !v.Difference.Hour.Equal(hourAt(3)) {
		t.Errorf("sealed anew: %+v", v.Difference)
	}
}

// Seals from before a rotation of the keyring stay good; another keyring
// vouches for nothing.
func TestVerify_rotatedKeyring(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.fill()
	foreign := newKeyring(t)
	whole, err := l.keys.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	l.keys = whole.Public()
	l.clock.advance(3 * time.Hour)
	l.flush()
	if n := l.seal(); n != 3 {
		t.Fatalf("%d hours sealed", n)
	}
	if v := l.verify(metering.VerifyQuery{}); v.Difference != nil || v.Hours != 7 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	var keys int
	if err := l.owner.QueryRow(t.Context(), `SELECT count(DISTINCT key_id) FROM usage_seals`).Scan(&keys); err != nil || keys != 2 {
		t.Errorf("%d keys have sealed (%v), want 2", keys, err)
	}
	v, err := metering.Verify(t.Context(), l.owner, foreign, metering.VerifyQuery{})
	if err != nil || v.Difference == nil || v.Difference.What != "hmac" || !strings.Contains(v.Difference.Detail, "does not have the key") {
		t.Errorf("with another keyring: %+v, %v", v.Difference, err)
	}
}

// What comes after its hour was sealed is an adjustment, once, however often it
// comes, and belongs to one seal.
func TestLateUsage(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	count(l.meter, key(1), 100)
	l.flush()
	count(l.meter, key(1), 10) // counted and not written
	again := func() {
		t.Helper()
		for range 2 {
			f, err := l.meter.WriteUnconfirmed(t.Context())
			if err == nil {
				err = f(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	sealUntil := func(n int) {
		t.Helper()
		if _, err := metering.SealUntil(t.Context(), l.worker, l.keys, hourAt(n)); err != nil {
			t.Fatal(err)
		}
	}
	sealUntil(1)
	again()
	count(l.meter, key(1), 1) // in the same hour still, after its seal
	again()
	sealUntil(2) // the adjustment's seal
	again()      // brings nothing new
	count(l.meter, key(1), 1000)
	again()
	l.flush()
	sealUntil(4)
	again()

	u, err := metering.Sum(t.Context(), l.worker, metering.Query{By: metering.ByHour})
	if err != nil || len(u) != 1 || u[0].Requests != 4 || u[0].Egress != 1111 || u[0].AdjustedRequests != 3 || u[0].AdjustedEgress != 1011 || u[0].AdjustedIngress != 0 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	epochs, err := metering.SumEpochs(t.Context(), l.db.Pool(t, pg.RoleGateway), tenancy.ID{1}, tenancy.ID{}, hourAt(0), hourAt(1), []time.Time{hourAt(5)})
	if err != nil || len(epochs) != 1 || epochs[0].Egress != 1111 || epochs[0].Requests != 4 {
		t.Errorf("the epoch has counted: %+v, %v", epochs, err)
	}
	for _, tc := range []struct {
		from, to int
		egress   []int64
	}{{0, 10, []int64{11, 1000}}, {0, 2, []int64{11}}, {2, 3, []int64{1000}}, {3, 10, nil}} {
		got, err := metering.Adjustments(t.Context(), l.worker, tenancy.ID{1}, hourAt(tc.from), hourAt(tc.to))
		if err != nil || len(got) != len(tc.egress) {
			t.Fatalf("adjustments of %d to %d: %+v, %v", tc.from, tc.to, got, err)
		}
		for i, a := range got {
			if a.Egress != tc.egress[i] || a.Key != key(1) || !a.Hour.Equal(hourAt(0)) || !a.SealHour.Before(hourAt(tc.to)) || time.Since(a.Recorded) > time.Minute {
				t.Errorf("adjustment %+v, want %d bytes", a, tc.egress[i])
			}
		}
	}
	if none, err := metering.Adjustments(t.Context(), l.worker, tenancy.ID{2}, time.Time{}, time.Time{}); err != nil || len(none) != 0 {
		t.Errorf("another account's adjustments: %v, %v", none, err)
	}
	for account, want := range map[tenancy.ID]int{{1}: 2, {2}: 0} {
		if err := tenancy.AsAccount(t.Context(), l.db.Pool(t, pg.RolePortal), account, func(tx pgx.Tx) error {
			got, err := metering.Adjustments(t.Context(), tx, tenancy.ID{}, time.Time{}, time.Time{})
			if len(got) != want {
				t.Errorf("the portal of account %s sees %v", account, got)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if v := l.verify(metering.VerifyQuery{}); v.Difference != nil || v.Adjustments != 2 || v.Hours != 4 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
}

// A node is given up, its hours are sealed, and its journal turns up after all.
func TestImportJournal_afterSealing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	dir := t.TempDir()
	c := newClock()
	lost, err := metering.New(metering.Config{Pool: l.db.Pool(t, pg.RoleGateway), Dir: dir, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	count(lost, key(1), 100)
	if err := lost.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	count(lost, key(1), 7)
	count(lost, key(2), 8)
	if _, err := metering.ImportJournal(t.Context(), l.owner, lost.Path()); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a journal that is counted in is handed in: %v", err)
	}
	if err := lost.Close(); err != nil {
		t.Fatal(err)
	}
	l.clock.advance(3 * time.Hour)
	l.flush()
	if n := l.seal(); n != 0 {
		t.Fatalf("%d hours sealed while a node is missing", n)
	}
	file, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	var epoch tenancy.ID
	if err := l.owner.QueryRow(t.Context(), `SELECT epoch FROM usage_readings`).Scan(&epoch); err != nil {
		t.Fatal(err)
	}
	if err := metering.RetireNode(t.Context(), l.owner, epoch); err != nil {
		t.Fatal(err)
	}
	if n := l.seal(); n != 3 {
		t.Fatalf("%d hours sealed", n)
	}
	for range 2 {
		if _, err := metering.ImportJournal(t.Context(), l.owner, file[0]); err != nil {
			t.Fatal(err)
		}
	}
	u, err := metering.Sum(t.Context(), l.worker, metering.Query{By: metering.ByClass})
	if err != nil || len(u) != 1 || u[0].Egress != 115 || u[0].AdjustedEgress != 15 || u[0].Requests != 3 || u[0].AdjustedRequests != 2 {
		t.Errorf("usage: %+v, %v", u, err)
	}
}

// Many nodes write while hours are sealed under them, before they are final:
// each byte is there once, as a reading or as an adjustment.
func TestSeal_underWriters(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := newClock()
	gateway, worker, keys := db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleWorker), newKeyring(t)
	const writers, hours = 6, 12
	var counted [writers]atomic.Int64
	var writing, sealing sync.WaitGroup
	over := make(chan struct{})
	for w := range writers {
		m := newMeter(t, gateway, c)
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			var again []func(context.Context) error
			for !c.now().After(hourAt(hours)) {
				m.Tick()
				for range 20 {
					n := 1 + r.Int64N(1000)
					count(m, key(w), n)
					counted[w].Add(n)
				}
				var err error
				switch r.IntN(4) {
				case 0: // the answer is lost, and the write comes once more later
					var f func(context.Context) error
					f, err = m.WriteUnconfirmed(t.Context())
					again = append(again, f)
				case 1:
					if len(again) > 0 {
						err = again[r.IntN(len(again))](t.Context())
					}
				default:
					err = m.Flush(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				c.advance(time.Duration(r.IntN(8)) * time.Minute)
			}
			if err := m.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for range 2 {
		sealing.Go(func() {
			for {
				if _, err := metering.SealUntil(t.Context(), worker, keys, c.now()); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(over)
	sealing.Wait()
	// However few turns the sealers got: all is sealed, and something came late.
	late(t, gateway, hourAt(0))
	counted[1].Add(1000)
	if _, err := metering.SealUntil(t.Context(), worker, keys, c.now()); err != nil {
		t.Fatal(err)
	}
	var got [writers]int64
	var adjusted int64
	u, err := metering.Sum(t.Context(), worker, metering.Query{By: metering.ByKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range u {
		id, err := tenancy.ParseID(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		got[id[15]] += s.Egress
		adjusted += s.AdjustedEgress
	}
	for w := range writers {
		if want := counted[w].Load(); got[w] != want {
			t.Errorf("writer %d: stored %d, counted %d", w, got[w], want)
		}
	}
	if adjusted == 0 {
		t.Error("nothing came late: the test shows nothing")
	}
	v, err := metering.Verify(t.Context(), worker, keys, metering.VerifyQuery{})
	if err != nil || v.Difference != nil || v.Hours < hours {
		t.Errorf("%+v, %+v, %v", v, v.Difference, err)
	}
}

// Hours become final and are sealed between any two statements of a
// verification: what it says is of one moment all the same.
func TestVerify_whileSealing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.fill()
	sealed := 0
	between := l.db.Interleaved(t, pg.RoleOwner, func() {
		count(l.meter, key(1), 1)
		l.clock.advance(time.Hour)
		l.meter.Tick()
		l.flush()
		sealed += l.seal()
	})
	v, err := metering.Verify(t.Context(), between, l.keys, metering.VerifyQuery{})
	if err != nil || v.Difference != nil || v.Hours < 4 {
		t.Fatalf("%+v, %+v, %v", v, v.Difference, err)
	}
	if last := hourAt(v.Hours - 1); !v.Head.Hour.Equal(last) || v.Unsealed != 0 {
		t.Errorf("verified to %s, the head is %s, and %d hours are unsealed", last, v.Head.Hour, v.Unsealed)
	}
	if sealed < 5 {
		t.Errorf("%d hours were sealed meanwhile: the test shows nothing", sealed)
	}
}

// A writer that has looked holds the sealer off until it has committed.
func TestSeal_waitsForWriters(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	count(l.meter, key(1), 1)
	l.flush()
	tx, err := l.db.Pool(t, pg.RoleGateway).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var open *time.Time
	if err := tx.QueryRow(t.Context(), `SELECT usage_open_from()`).Scan(&open); err != nil {
		t.Fatal(err)
	}
	_, err = metering.SealUntil(t.Context(), l.worker, l.keys, hourAt(1))
	var timeout *pgconn.PgError
	if !errors.As(err, &timeout) || timeout.Code != "55P03" { // lock_not_available
		t.Errorf("sealed under a writer: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := metering.SealUntil(t.Context(), l.worker, l.keys, hourAt(1)); n != 1 || err != nil {
		t.Errorf("%d hours sealed, %v", n, err)
	}
}

// A machine was copied with its journal: the copy takes the epoch over while the
// original counts on. Nothing is lost or doubled, and nothing becomes final
// until somebody has looked.
func TestMeter_copiedJournal(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	pool, owner, c := db.Pool(t, pg.RoleGateway), db.Pool(t, pg.RoleOwner), newClock()
	open := func(dir string) (*metering.Meter, *prometheus.Registry) {
		t.Helper()
		r := prometheus.NewRegistry()
		m, err := metering.New(metering.Config{Pool: pool, Dir: dir, Now: c.now, Metrics: r})
		if err != nil {
			t.Fatal(err)
		}
		return m, r
	}
	flush := func(m *metering.Meter) {
		t.Helper()
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	final := func() time.Time {
		t.Helper()
		moment, _, err := metering.Final(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	dir, copied := t.TempDir(), t.TempDir()
	original, registry := open(dir)
	count(original, key(1), 100)
	flush(original)
	count(original, key(1), 10)
	file, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	b, err := os.ReadFile(file[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, filepath.Base(file[0])), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second, _ := open(copied)
	count(second, key(1), 1000)
	flush(second)
	if metric(t, registry, "primecloud_metering_epoch_contested") != 0 {
		t.Error("an alarm before anything is known")
	}
	c.advance(2 * time.Hour)
	count(original, key(1), 1)
	for range 2 {
		flush(original)
		flush(second)
	}
	if metric(t, registry, "primecloud_metering_epoch_contested") != 1 {
		t.Error("no alarm")
	}
	if !final().Equal(hourAt(0)) {
		t.Errorf("figures are final until %v", final())
	}
	u, err := metering.Sum(t.Context(), owner, metering.Query{By: metering.ByClass})
	if err != nil || len(u) != 1 || u[0].Egress != 1111 || u[0].Requests != 4 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if err := original.Close(); err != nil {
		t.Fatal(err)
	}
	if !final().Equal(hourAt(0)) {
		t.Errorf("a contested epoch ended, and figures are final until %v", final())
	}
	nodes, err := metering.Nodes(t.Context(), owner, false)
	if err != nil || len(nodes) != 2 || nodes[0].ContestedAt.IsZero() || !nodes[1].ContestedAt.IsZero() {
		t.Fatalf("nodes: %+v, %v", nodes, err)
	}
	if err := metering.RetireNode(t.Context(), owner, nodes[0].Epoch); err != nil {
		t.Fatal(err)
	}
	if !final().Equal(hourAt(2)) {
		t.Errorf("somebody has looked, and figures are final until %v", final())
	}
}

// A machine was copied with its memory: both are the same writer.
func TestMeter_copiedMemory(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.flush()
	if _, err := l.owner.Exec(t.Context(), `UPDATE usage_nodes SET flushed_at = flushed_at + interval '1 second'`); err != nil {
		t.Fatal(err) // as the copy does
	}
	l.flush()
	l.clock.advance(time.Hour)
	l.flush()
	nodes, err := metering.Nodes(t.Context(), l.owner, false)
	if err != nil || len(nodes) != 1 || nodes[0].ContestedAt.IsZero() || !nodes[0].FlushedAt.Before(hourAt(1)) {
		t.Errorf("nodes: %+v, %v", nodes, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	l := newLedger(b)
	const rows = 100_000
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range rows {
			count(l.meter, key(i), 1)
		}
		l.clock.advance(time.Hour)
		l.flush()
		b.StartTimer()
		if n := l.seal(); n != 1 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
