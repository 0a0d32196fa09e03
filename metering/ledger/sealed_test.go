package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// tamper is exec by a superuser who switches triggers off.
func (l *books) tamper(sql string, args ...any) {
	l.T.Helper()
	if err := pgx.BeginFunc(l.T.Context(), l.DB.Pool(l.T, ""), func(tx pgx.Tx) error {
		if _, err := tx.Exec(l.T.Context(), `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(l.T.Context(), sql, args...)
		return err
	}); err != nil {
		l.T.Fatalf("%s: %v", sql, err)
	}
}

// fillAll fills, and leaves one of each kind that the next seal covers: readings, a
// late one's adjustment and a sample.
func (l *books) fillAll() {
	l.T.Helper()
	l.Fill()
	ledgertest.WriteLate(l.T, l.DB.Pool(l.T, pg.RoleGateway), ledgertest.HourAt(0))
	if err := l.addSample(pg.RoleWorker, 1, ledgertest.HourAt(4), 7); err != nil {
		l.T.Fatal(err)
	}
}

// addSample writes one as a listing does.
func (l *books) addSample(role string, bucket byte, hour time.Time, bytes int64) error {
	_, err := l.DB.Pool(l.T, role).Exec(l.T.Context(), `INSERT INTO storage_samples (bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes,
			objects, noncurrent_versions, delete_markers, uploads, source, started_at, measured_at)
		VALUES ($1, $2, $3, $4, 0, 0, 1, 0, 0, 0, 'listing', $2, $2)`, tenancy.ID{bucket}, hour, alpha, bytes)
	return err
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// figures are the columns of a table that hold them.
func (l *books) figures(table string) []string {
	l.T.Helper()
	rows, err := l.Owner.Query(l.T.Context(), `SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 AND data_type = 'bigint' ORDER BY 1`, table)
	if err != nil {
		l.T.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(list) < 5 {
		l.T.Fatalf("%s has the figures %q, %v", table, list, err)
	}
	return list
}

// A sealed figure is what its seal covers: what the gateway's own role writes
// for a sealed hour stands beside it, whatever seal it claims, until the next
// seal covers it.
func TestSealedFigure(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	sums := func() (sealed, beside int64) {
		t.Helper()
		all, err := ledger.Sum(t.Context(), l.Owner, ledger.Query{By: ledger.ByHour, To: ledgertest.HourAt(1)})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			sealed += u.Sealed().Egress
			if u.Unsealed != nil {
				beside += u.Unsealed.Egress
			}
		}
		return sealed, beside
	}
	was, beside := sums()
	if beside != 0 {
		t.Fatalf("%d bytes are beside", beside)
	}
	for i, claimed := range []string{"2199-01-01", "2026-03-01T15:00Z", "2026-03-01T11:00Z"} {
		l.Exec(pg.RoleGateway, `INSERT INTO usage_adjustments (epoch, account_id, bucket_id, key_id, class, hour, seal_hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes, recorded_at)
			SELECT gen_random_uuid(), account_id, bucket_id, key_id, class, hour, $1, 1, 1, 777000, 1, 1, '2020-01-01' FROM usage_readings WHERE hour = $2 LIMIT 1`, claimed, ledgertest.HourAt(0))
		if sealed, beside := sums(); sealed != was || beside != int64(i+1)*777000 {
			t.Errorf("claiming %s: %d bytes are shown as sealed, %d were, and %d stand beside", claimed, sealed, was, beside)
		}
	}
	var wrong int
	if err := l.Owner.QueryRow(t.Context(), `SELECT count(*) FROM usage_adjustments WHERE seal_hour <> $1 OR recorded_at < now() - interval '1 hour'`, ledgertest.HourAt(4)).Scan(&wrong); err != nil || wrong != 0 {
		t.Errorf("%d adjustments have another seal than the next, %v", wrong, err)
	}
	v := l.Verify(ledger.VerifyQuery{})
	if want := (ledger.Open{Hour: ledgertest.HourAt(4), What: "adjustments", Rows: 3}); v.Difference != nil || !slices.Contains(v.Open, want) {
		t.Errorf("what waits for a seal: %+v, %+v", v.Open, v.Difference)
	}
	// Of an hour that is not sealed there are none.
	for _, hour := range []time.Time{ledgertest.HourAt(4), ledgertest.HourAt(1000)} {
		_, err := l.DB.Pool(t, pg.RoleGateway).Exec(t.Context(), `INSERT INTO usage_adjustments SELECT epoch, account_id, bucket_id, key_id, class, $1, $1::timestamptz + interval '1 hour', 1, 1, 1, 1, 1 FROM usage_readings LIMIT 1`, hour)
		if code(err) != "23514" {
			t.Errorf("an adjustment of %s: %v", hour, err)
		}
	}
	l.Clock.Advance(time.Hour)
	l.Flush()
	l.Seal()
	if sealed, beside := sums(); sealed != was+3*777000 || beside != 0 {
		t.Errorf("after the next seal: %d bytes are sealed, %d beside", sealed, beside)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Adjustments != 3 || len(v.Open) != 0 {
		t.Errorf("after the next seal: %+v, %+v", v, v.Difference)
	}
}

// Nobody makes usage less, sealed or not, in any figure.
func TestUsage_onlyGrows(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	ledgertest.WriteLate(t, l.DB.Pool(t, pg.RoleGateway), ledgertest.HourAt(0))
	for _, table := range []string{"usage_readings", "usage_adjustments"} {
		where := map[string]string{"usage_readings": `hour = '2026-03-01T14:00Z'`, "usage_adjustments": "true"}[table]
		for _, column := range l.figures(table) {
			for _, role := range []string{pg.RoleGateway, pg.RoleOwner, ""} {
				l.Exec(role, `UPDATE `+table+` SET `+column+` = `+column+` + 2 WHERE `+where)
				if _, err := l.DB.Pool(t, role).Exec(t.Context(), `UPDATE `+table+` SET `+column+` = `+column+` - 1 WHERE `+where); code(err) != "23514" {
					t.Errorf("%s makes %s of %s less: %v", role, column, table, err)
				}
			}
		}
		for _, sql := range []string{
			`UPDATE %s SET account_id = gen_random_uuid() WHERE ` + where, `UPDATE %s SET epoch = gen_random_uuid() WHERE ` + where, `UPDATE %s SET hour = hour - interval '10 years' WHERE ` + where,
			`DELETE FROM %s WHERE ` + where, `TRUNCATE %s`,
		} {
			for _, role := range []string{pg.RoleOwner, ""} {
				if _, err := l.DB.Pool(t, role).Exec(t.Context(), fmt.Sprintf(sql, table)); code(err) != "23514" {
					t.Errorf("%s: %s: %v", role, fmt.Sprintf(sql, table), err)
				}
			}
		}
	}
	if _, err := l.Owner.Exec(t.Context(), `UPDATE usage_adjustments SET seal_hour = seal_hour + interval '100 years'`); code(err) != "23514" {
		t.Errorf("an adjustment moves to another seal: %v", err)
	}
}

// Whatever figures are read from: rows that no seal covers or will, and figures
// below zero, are found.
func TestVerify_uncovered(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.fillAll()
	before := l.Verify(ledger.VerifyQuery{})
	want := []ledger.Open{{Hour: ledgertest.HourAt(4), What: "readings", Rows: 3}, {Hour: ledgertest.HourAt(4), What: "adjustments", Rows: 1}, {Hour: ledgertest.HourAt(4), What: "samples", Rows: 1}}
	if before.Difference != nil || !slices.Equal(before.Open, want) {
		t.Fatalf("before: %+v, %+v", before.Open, before.Difference)
	}
	found := func(name, what string, hour time.Time) {
		t.Helper()
		d := l.Verify(ledger.VerifyQuery{}).Difference
		if d == nil || d.What != what || !d.Hour.Equal(hour) {
			t.Errorf("%s: found %+v", name, d)
		}
		if d := l.Verify(ledger.VerifyQuery{To: ledgertest.HourAt(4)}).Difference; d != nil {
			t.Errorf("%s: hours before it: %+v", name, d)
		}
	}
	never := time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct{ table, column string }{{"usage_readings", "hour"}, {"usage_adjustments", "seal_hour"}, {"storage_samples", "seal_hour"}} {
		where := ` WHERE ` + tc.column + ` = $2 AND ctid = (SELECT min(ctid) FROM ` + tc.table + ` WHERE ` + tc.column + ` = $2)`
		l.tamper(`UPDATE `+tc.table+` SET `+tc.column+` = $1`+where, never, ledgertest.HourAt(4))
		found(tc.table+" of a seal that never comes", "unsealed", never)
		l.tamper(`UPDATE `+tc.table+` SET `+tc.column+` = $1`+where, ledgertest.HourAt(4), never)
		for _, column := range l.figures(tc.table) {
			l.Exec("", `ALTER TABLE `+tc.table+` DROP CONSTRAINT IF EXISTS `+tc.table+`_`+column+`_check`)
			l.tamper(`UPDATE `+tc.table+` SET `+column+` = -1 - `+column+` WHERE `+tc.column+` = $1`, ledgertest.HourAt(4))
			found(column+" of "+tc.table, "negative", ledgertest.HourAt(4))
			l.tamper(`UPDATE `+tc.table+` SET `+column+` = -1 - `+column+` WHERE `+tc.column+` = $1`, ledgertest.HourAt(4))
		}
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil {
		t.Errorf("put back: %+v", v.Difference)
	}
	// An adjustment without any seal.
	l.tamper(`DELETE FROM usage_seals`)
	if d := l.Verify(ledger.VerifyQuery{}).Difference; d == nil || d.What != "unsealed" {
		t.Errorf("adjustments, and no seal at all: %+v", d)
	}
}

// Samples are sealed with their hour, or by the next seal when they come later;
// sealed ones stay.
func TestSeal_samples(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	add := func(bucket byte, n int, bytes int64) {
		t.Helper()
		if err := l.addSample(pg.RoleWorker, bucket, ledgertest.HourAt(n), bytes); err != nil {
			t.Fatal(err)
		}
	}
	add(1, -30, 1) // before there is a first seal: it covers it
	add(1, 1, 10)
	l.Fill()
	sums := func() (sealed, beside int64) {
		t.Helper()
		all, err := storage.Sum(t.Context(), l.Owner, ledger.Query{By: ledger.ByHour, To: ledgertest.HourAt(4)}, ledgertest.HourAt(5))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			sealed += u.Sealed().Current.Int64()
			if u.Unsealed != nil {
				beside += u.Unsealed.Current.Int64()
			}
		}
		return sealed, beside
	}
	if sealed, beside := sums(); sealed != 11 || beside != 0 {
		t.Errorf("%d byte-hours are sealed, %d beside", sealed, beside)
	}
	add(2, 1, 100)                                                                                      // late
	l.Exec("", `UPDATE storage_samples SET seal_hour = 'infinity' WHERE bucket_id = $1`, tenancy.ID{2}) // and of no seal, if it could
	if sealed, beside := sums(); sealed != 11 || beside != 100 {
		t.Errorf("with a late one: %d byte-hours are sealed, %d beside", sealed, beside)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Samples != 2 || !slices.Contains(v.Open, ledger.Open{Hour: ledgertest.HourAt(4), What: "samples", Rows: 1}) {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	l.Clock.Advance(time.Hour)
	l.Flush()
	l.Seal()
	if sealed, beside := sums(); sealed != 111 || beside != 0 {
		t.Errorf("after the next seal: %d byte-hours are sealed, %d beside", sealed, beside)
	}
	for _, sql := range []string{`UPDATE storage_samples SET current_bytes = 0`, `UPDATE storage_samples SET uploads = uploads`} {
		for _, role := range []string{pg.RoleWorker, pg.RoleOwner, ""} {
			if _, err := l.DB.Pool(t, role).Exec(t.Context(), sql); code(err) != "23514" {
				t.Errorf("%s: %s: %v", role, sql, err)
			}
		}
	}
	for _, sql := range []string{`DELETE FROM storage_samples`, `TRUNCATE storage_samples`, `UPDATE storage_samples SET seal_hour = 'infinity'`} {
		if _, err := l.Owner.Exec(t.Context(), sql); code(err) != "23514" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := l.addSample(pg.RoleWorker, 3, ledgertest.HourAt(5-26), 1); code(err) != "23514" {
		t.Errorf("a sample of the day before yesterday: %v", err)
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Samples != 3 {
		t.Errorf("after all that: %+v, %+v", v, v.Difference)
	}
	for what, sql := range map[string]string{
		"hash": `UPDATE storage_samples SET current_bytes = current_bytes + 1 WHERE hour = $1`, "samples": `DELETE FROM storage_samples WHERE hour = $1`,
	} {
		l.tamper(`CREATE TABLE kept_` + what + ` AS SELECT * FROM storage_samples`)
		l.tamper(sql, ledgertest.HourAt(1))
		if d := l.Verify(ledger.VerifyQuery{}).Difference; d == nil || d.What != what {
			t.Errorf("%s: %+v", sql, d)
		}
		l.tamper(`DELETE FROM storage_samples`)
		l.tamper(`INSERT INTO storage_samples SELECT * FROM kept_` + what)
	}
}

// No hour is sealed before it is over by the database's clock, whatever the
// nodes say, and whoever says it.
func TestSeal_hourIsOver(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	now, err := pg.Now(t.Context(), l.Owner)
	if err != nil {
		t.Fatal(err)
	}
	l.Clock.Set(now.Add(-2 * time.Hour))
	l.Flush()
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
	l.Flush()
	l.Exec(pg.RoleGateway, `UPDATE usage_nodes SET flushed_at = '2199-01-01'`)
	l.Seal()
	if l.Seal() > 1 { // 1: an hour has turned meanwhile
		t.Error("hours are sealed without end")
	}
	var until, there time.Time
	if err := l.Owner.QueryRow(t.Context(), `SELECT max(hour) + interval '1 hour', clock_timestamp() FROM usage_seals`).Scan(&until, &there); err != nil || until.After(there) {
		t.Errorf("at %s it is sealed until %s, %v", there, until, err)
	}
	_, err = l.Worker.Exec(t.Context(), `INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at)
		SELECT hour + interval '1 hour', 0, 0, 0, hash, sha256(hash), key_id, hmac, sealed_at FROM usage_seals ORDER BY hour DESC LIMIT 1`)
	if code(err) != "23514" {
		t.Errorf("a seal of the present hour: %v", err)
	}
}

// anotherKeyring stands for a seal that somebody makes who has read how it is done
// and has no key.
const anotherKeyring = "another keyring"

// What the tables' owner does to the seals gets no signature: a worker makes none
// after what is not genuine, or while one that it knows is gone.
func TestSealer_refuses(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string][]string{
		"the newest seals are removed, and a reading is changed": {`DELETE FROM usage_seals WHERE hour > '2026-03-01T11:00Z'`, `UPDATE usage_readings SET egress_bytes = 1 WHERE hour > '2026-03-01T11:00Z'`},
		"all of them are removed":                                {`DELETE FROM usage_seals`},
		"some are made anew, by a worker that was fooled":        {`DELETE FROM usage_seals WHERE hour > '2026-03-01T11:00Z'`, `UPDATE usage_readings SET egress_bytes = 1 WHERE hour > '2026-03-01T11:00Z'`, ""},
		"the newest one's signature":                             {`UPDATE usage_seals SET hmac = sha256(hmac) WHERE hour = '2026-03-01T13:00Z'`},
		"the newest one's hash":                                  {`UPDATE usage_seals SET hash = sha256(hash) WHERE hour = '2026-03-01T13:00Z'`},
		"the newest one is moved":                                {`UPDATE usage_seals SET hour = hour + interval '1 hour' WHERE hour = '2026-03-01T13:00Z'`},
		"one of another keyring, which fits, is put after it":    {anotherKeyring},
		"one is put after it": {`INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at)
			SELECT '2026-03-01T14:00Z', 0, 0, 0, hash, sha256(hash), key_id, hmac, sealed_at FROM usage_seals ORDER BY hour DESC LIMIT 1`},
		"one with another's signature is put after it": {`INSERT INTO usage_seals (hour, rows, adjustments, samples, previous, hash, key_id, hmac, sealed_at)
			SELECT '2026-03-01T14:00Z', 0, 0, 0, (SELECT hash FROM usage_seals ORDER BY hour DESC LIMIT 1), sha256(hash), key_id, hmac, sealed_at FROM usage_seals ORDER BY hour LIMIT 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newBooks(t)
			// One worker that seals, and one that has only looked.
			type worker struct {
				sealer   *ledger.Sealer
				registry *prometheus.Registry
				dir      string
			}
			start := func(dir string) worker {
				r := prometheus.NewRegistry()
				return worker{ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, Dir: dir, Metrics: r}), r, dir}
			}
			l.Fill()
			workers := map[string]worker{"the worker": start(t.TempDir()), "one that looked": start(t.TempDir())}
			if err := workers["the worker"].sealer.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := workers["one that looked"].sealer.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			workers["the worker, started again"] = start(workers["the worker"].dir)
			for _, s := range sql {
				switch s {
				case "":
					l.Seal()
				case anotherKeyring:
					if n, err := ledger.SealUntil(t.Context(), l.Worker, ledgertest.NewKeyring(t), ledgertest.HourAt(5)); n != 1 || err != nil {
						t.Fatal(n, err)
					}
				default:
					l.tamper(s)
				}
			}
			l.Clock.Advance(2 * time.Hour)
			l.Flush()
			had := l.seals()
			for who, w := range workers {
				if err := w.sealer.Seal(t.Context()); !errors.Is(err, ledger.ErrSealsChanged) {
					t.Errorf("%s: %v", who, err)
				}
				if testenv.Metric(t, w.registry, "primecloud_metering_seals_changed") != 1 {
					t.Errorf("%s: no alarm", who)
				}
			}
			if now := l.seals(); !maps.Equal(now, had) {
				t.Errorf("there were %d seals, and are %d", len(had), len(now))
			}
		})
	}
}

// seals are those that are there: their hours and hashes.
func (l *books) seals() map[string]string {
	l.T.Helper()
	rows, err := l.Owner.Query(l.T.Context(), `SELECT hour::text, hash::text FROM usage_seals`)
	if err != nil {
		l.T.Fatal(err)
	}
	all := map[string]string{}
	var hour, hash string
	if _, err := pgx.ForEachRow(rows, []any{&hour, &hash}, func() error { all[hour] = hash; return nil }); err != nil {
		l.T.Fatal(err)
	}
	return all
}

// A worker that knows of no seal believes a chain of genuine ones; several that
// seal in turn know each other's; who has looked removes the note, and the
// worker goes on.
func TestSealer_note(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	var sealers []*ledger.Sealer
	for _, dir := range dirs {
		sealers = append(sealers, ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, Dir: dir}))
	}
	note := func(dir string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "newest-seal"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
	for n := range 4 {
		l.Clock.Advance(time.Hour)
		l.Flush()
		if err := sealers[n%2].Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		head := l.Verify(ledger.VerifyQuery{}).Head
		if want := fmt.Sprintf("%s=%x", head.Hour.Format(time.RFC3339), head.Hash); note(dirs[n%2]) != want || !head.Hour.Equal(ledgertest.HourAt(n)) {
			t.Errorf("noted is %s, the newest seal %s", note(dirs[n%2]), want)
		}
	}
	// A backup from before the last seals is put back.
	l.tamper(`DELETE FROM usage_seals WHERE hour > $1`, ledgertest.HourAt(1))
	for _, s := range sealers {
		if err := s.Seal(t.Context()); !errors.Is(err, ledger.ErrSealsChanged) {
			t.Errorf("put back: %v", err)
		}
	}
	for i, s := range sealers {
		if err := os.Remove(filepath.Join(dirs[i], "newest-seal")); err != nil {
			t.Fatal(err)
		}
		if err := s.Seal(t.Context()); err != nil {
			t.Errorf("somebody has looked: %v", err)
		}
	}
	if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil || v.Hours != 4 {
		t.Errorf("%+v, %+v", v, v.Difference)
	}
	// Who knows nothing looks whether the newest seal fits what is there.
	l.tamper(`UPDATE usage_readings SET egress_bytes = egress_bytes + 1`)
	l.tamper(`DELETE FROM usage_seals WHERE hour > $1`, ledgertest.HourAt(0)) // the hour that has a reading
	fresh := ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, Dir: t.TempDir()})
	if err := fresh.Seal(t.Context()); !errors.Is(err, ledger.ErrSealsChanged) {
		t.Errorf("what is there was changed: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dirs[0], "newest-seal"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sealers[0].Seal(t.Context()); err == nil || errors.Is(err, ledger.ErrSealsChanged) {
		t.Errorf("a note that cannot be read is none: %v", err)
	}
}

// Whatever lock a role can take that neither flushes nor seals, both go on.
func TestLocks(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.Fill()
	goOn := func(what string) {
		t.Helper()
		ledgertest.Count(l.Meter, ledgertest.Key(1), 1)
		l.Clock.Advance(time.Hour)
		if err := l.Meter.Flush(t.Context()); err != nil {
			t.Errorf("%s: flush: %v", what, err)
			return
		}
		r := prometheus.NewRegistry()
		err := ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, Metrics: r}).Seal(t.Context())
		if err != nil || testenv.Metric(t, r, "primecloud_metering_seals_total") != 1 {
			t.Errorf("%s: seal: %v", what, err)
		}
	}
	hold := func(pool *pgxpool.Pool, sql string) (held bool) {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			if code(err) != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
			return false
		}
		goOn(sql)
		return true
	}
	portal := l.DB.Pool(t, pg.RolePortal)
	hold(portal, `SELECT pg_advisory_xact_lock(504414725989)`) // the one that both took once
	rows, err := l.Owner.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE ANY ('{usage%,storage%}')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 5 {
		t.Fatal(tables, err)
	}
	held := 0
	for _, table := range tables {
		for _, mode := range []string{"ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE", "ROW EXCLUSIVE", "ROW SHARE", "ACCESS SHARE"} {
			if hold(portal, `LOCK TABLE `+table+` IN `+mode+` MODE`) {
				held++
			}
		}
		hold(portal, `SELECT FROM `+table+` FOR UPDATE`)
	}
	if held == 0 {
		t.Error("the portal can lock nothing: the test shows nothing")
	}
	for role, functions := range map[string][]string{
		pg.RolePortal: {`usage_open_from()`, `lock_usage()`, `lock_account('` + alpha.String() + `')`}, pg.RoleGateway: {`lock_usage()`}, pg.RoleWorker: {`lock_account('` + alpha.String() + `')`},
	} {
		for _, f := range functions {
			refused(t, l.DB, role, `SELECT `+f)
		}
	}
}
