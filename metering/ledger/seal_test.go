package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

func TestSealFinal(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	if n := l.Seal(); n != 0 {
		t.Errorf("%d hours sealed of nothing", n)
	}
	l.Fill()
	if n := l.Seal(); n != 0 {
		t.Errorf("%d hours sealed that are not over", n)
	}
	v := l.Verify(ledger.VerifyQuery{})
	if v.Difference != nil || v.Hours != 4 || v.Rows != 9 || !v.Head.Hour.Equal(ledgertest.HourAt(3)) || v.Unsealed != 0 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	// Another node has not said anything since: nothing more is final.
	if _, err := l.Owner.Exec(t.Context(), `INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), 'silent', $1)`, ledgertest.HourAt(6)); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(10 * time.Hour)
	l.Flush()
	if v := l.Verify(ledger.VerifyQuery{}); v.Unsealed != 2 {
		t.Errorf("%d hours are said to be final and unsealed, want 2", v.Unsealed)
	}
	if n := l.SealSome(1); n != 1 {
		t.Errorf("%d hours sealed of at most 1", n)
	}
	if n := l.Seal(); n != 1 {
		t.Errorf("%d hours sealed, want the one that is left", n)
	}
}

func TestSealer(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	registry := prometheus.NewRegistry()
	s := ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, Dir: t.TempDir(), Metrics: registry})
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
	l.Clock.Advance(2 * time.Hour)
	l.Flush()
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"primecloud_metering_seals_total": 2, "primecloud_metering_seal_failures_total": 0,
		"primecloud_metering_sealed_until_timestamp_seconds": float64(ledgertest.HourAt(2).Unix()),
	} {
		if got := testenv.Metric(t, registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Seal(cancelled); err == nil || testenv.Metric(t, registry, "primecloud_metering_seal_failures_total") != 1 {
		t.Errorf("a failure is not counted: %v", err)
	}
}

// What is sealed changes for nobody.
func TestSealed_refuses(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	// An adjustment, and its seal.
	ledgertest.WriteLate(t, l.DB.Pool(t, pg.RoleGateway), ledgertest.HourAt(0))
	l.Clock.Advance(time.Hour)
	l.Flush()
	if n := l.Seal(); n != 1 {
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
		pool := l.DB.Pool(t, tc.role)
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
		err := pgx.BeginFunc(t.Context(), l.Owner, func(tx pgx.Tx) error {
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
	if _, err := l.Owner.Exec(t.Context(), fmt.Sprintf(reading, "2026-03-01T16:00Z")); err != nil {
		t.Error(err)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Hours != 5 || v.Adjustments != 1 {
		t.Errorf("after all that: %+v, %+v", v, v.Difference)
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
			l := newBooks(t)
			l.Fill()
			ledgertest.WriteLate(t, l.DB.Pool(t, pg.RoleGateway), ledgertest.HourAt(0))
			l.Clock.Advance(time.Hour)
			l.Flush()
			l.Seal()
			if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Hours != 5 || v.Adjustments != 1 {
				t.Fatalf("before: %+v, %+v", v, v.Difference)
			}
			superuser := l.DB.Pool(t, "")
			if err := pgx.BeginFunc(t.Context(), superuser, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				tag, err := tx.Exec(t.Context(), tc.sql, ledgertest.HourAt(tc.hour))
				if err != nil || tag.RowsAffected() == 0 {
					return errors.Join(err, errors.New("nothing was changed"))
				}
				if name == "two seals change places" {
					_, err = tx.Exec(t.Context(), `UPDATE usage_seals SET hour = hour - interval '99 hours' WHERE hour > $1`, ledgertest.HourAt(50))
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			v := l.Verify(ledger.VerifyQuery{})
			if d := v.Difference; d == nil || !d.Hour.Equal(ledgertest.HourAt(tc.hour)) || d.What != tc.what {
				t.Errorf("found %+v, want %s at %s", v.Difference, tc.what, ledgertest.HourAt(tc.hour))
			}
			// The hours before it are as they were.
			if v := l.Verify(ledger.VerifyQuery{From: ledgertest.HourAt(0), To: ledgertest.HourAt(max(tc.hour, 0))}); tc.hour > 0 && (v.Difference != nil || v.Hours != tc.hour) {
				t.Errorf("the hours before: %+v, %+v", v, v.Difference)
			}
		})
	}
}

// That the newest seals were removed shows only to who knows of one.
func TestVerify_known(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	v := l.Verify(ledger.VerifyQuery{})
	known := map[time.Time]ledger.Digest{v.Head.Hour: v.Head.Hash}
	if v := l.Verify(ledger.VerifyQuery{Known: known}); v.Difference != nil {
		t.Errorf("nothing has changed: %+v", v.Difference)
	}
	if _, err := ledger.Verify(t.Context(), l.Owner, l.Keys, ledger.VerifyQuery{To: v.Head.Hour, Known: known}); err == nil {
		t.Error("a copy is handed in for hours that are not verified, and nobody says so")
	}
	if _, err := l.DB.Pool(t, "").Exec(t.Context(), `ALTER TABLE usage_seals DISABLE TRIGGER ALL; DELETE FROM usage_seals WHERE hour > '2026-03-01T11:00Z'; ALTER TABLE usage_seals ENABLE TRIGGER ALL`); err != nil {
		t.Fatal(err)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Unsealed != 2 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	if v := l.Verify(ledger.VerifyQuery{Known: known}); v.Difference == nil || v.Difference.What != "missing" || !v.Difference.Hour.Equal(ledgertest.HourAt(3)) {
		t.Errorf("removed: %+v", v.Difference)
	}
	l.Seal() // who has the keyring too makes new ones
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil {
		t.Errorf("sealed anew: %+v", v.Difference)
	}
	if v := l.Verify(ledger.VerifyQuery{Known: known}); v.Difference == nil || v.Difference.What != "known" || !v.Difference.Hour.Equal(ledgertest.HourAt(3)) {
		t.Errorf("sealed anew: %+v", v.Difference)
	}
}

// Seals from before a rotation of the keyring stay good; another keyring
// vouches for nothing.
func TestVerify_rotatedKeyring(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	foreign := ledgertest.NewKeyring(t)
	whole, err := l.Keys.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	l.Keys = whole.Public()
	l.Clock.Advance(3 * time.Hour)
	l.Flush()
	if n := l.Seal(); n != 3 {
		t.Fatalf("%d hours sealed", n)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Hours != 7 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	var keys int
	if err := l.Owner.QueryRow(t.Context(), `SELECT count(DISTINCT key_id) FROM usage_seals`).Scan(&keys); err != nil || keys != 2 {
		t.Errorf("%d keys have sealed (%v), want 2", keys, err)
	}
	v, err := ledger.Verify(t.Context(), l.Owner, foreign, ledger.VerifyQuery{})
	if err != nil || v.Difference == nil || v.Difference.What != "hmac" || !strings.Contains(v.Difference.Detail, "does not have the key") {
		t.Errorf("with another keyring: %+v, %v", v.Difference, err)
	}
}

// Hours become final and are sealed between any two statements of a
// verification: what it says is of one moment all the same.
func TestVerify_whileSealing(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	sealed := 0
	between := l.DB.Interleaved(t, pg.RoleOwner, func() {
		ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
		l.Clock.Advance(time.Hour)
		l.Flush()
		l.Flush()
		sealed += l.Seal()
	})
	v, err := ledger.Verify(t.Context(), between, l.Keys, ledger.VerifyQuery{})
	if err != nil || v.Difference != nil || v.Hours < 4 {
		t.Fatalf("%+v, %+v, %v", v, v.Difference, err)
	}
	if last := ledgertest.HourAt(v.Hours - 1); !v.Head.Hour.Equal(last) || v.Unsealed != 0 {
		t.Errorf("verified to %s, the head is %s, and %d hours are unsealed", last, v.Head.Hour, v.Unsealed)
	}
	if sealed < 5 {
		t.Errorf("%d hours were sealed meanwhile: the test shows nothing", sealed)
	}
}

// A writer that has looked holds the sealer off until it has committed.
func TestSeal_waitsForWriters(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
	l.Flush()
	tx, err := l.DB.Pool(t, pg.RoleGateway).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var open *time.Time
	if err := tx.QueryRow(t.Context(), `SELECT usage_open_from()`).Scan(&open); err != nil {
		t.Fatal(err)
	}
	_, err = ledger.SealUntil(t.Context(), l.Worker, l.Keys, ledgertest.HourAt(1))
	var timeout *pgconn.PgError
	if !errors.As(err, &timeout) || timeout.Code != "55P03" { // lock_not_available
		t.Errorf("sealed under a writer: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := ledger.SealUntil(t.Context(), l.Worker, l.Keys, ledgertest.HourAt(1)); n != 1 || err != nil {
		t.Errorf("%d hours sealed, %v", n, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	l := newBooks(b)
	const rows = 100_000
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range rows {
			ledgertest.Count(l.Meter, ledgertest.Key(i), 1)
		}
		l.Clock.Advance(time.Hour)
		l.Flush()
		b.StartTimer()
		if n := l.Seal(); n != 1 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
