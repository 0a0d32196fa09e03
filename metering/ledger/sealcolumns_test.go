package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

// otherwise is SQL that makes another allowed value of a column, by its type.
var otherwise = map[string]string{
	"uuid": "gen_random_uuid()", "bigint": "%[1]s + 1", "bytea": "sha256(%[1]s)", "timestamp with time zone": "%[1]s + interval '1 microsecond'", "text": "%[1]s || 'x'",
}

// TestVerify_everyColumn changes each column of everything that is sealed, and of
// the seals: each change is found, and found no more when it is undone, with the
// rows in another physical order.
func TestVerify_everyColumn(t *testing.T) {
	t.Parallel()
	l := newBooks(t)
	l.fillAll()
	l.Clock.Advance(time.Hour)
	l.Flush()
	l.Seal()
	for table, special := range map[string]map[string]string{
		"usage_readings":    {"hour": "%[1]s + interval '2 hours'", "class": "CASE %[1]s WHEN 'A' THEN 'B' ELSE 'A' END"},
		"usage_adjustments": {"hour": "%[1]s - interval '1 hour'", "seal_hour": "%[1]s - interval '1 hour'", "class": "CASE %[1]s WHEN 'A' THEN 'B' ELSE 'A' END"},
		"storage_samples":   {"hour": "%[1]s + interval '1 hour'", "seal_hour": "%[1]s - interval '1 hour'", "started_at": "%[1]s - interval '1 microsecond'", "source": "CASE %[1]s WHEN 'listing' THEN 'metrics' ELSE 'listing' END"},
		"usage_seals":       {"hour": "%[1]s - interval '1 hour'"},
	} {
		l.Exec("", `CREATE TABLE saved AS SELECT * FROM `+table)
		rows, err := l.DB.Pool(t, "").Query(t.Context(), `SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = $1`, table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Type string }])
		if err != nil || len(columns) < 9 {
			t.Fatalf("%s: %v, %v", table, columns, err)
		}
		first := map[string]string{"usage_readings": "hour = $1", "usage_adjustments": "true", "storage_samples": "true", "usage_seals": "hour = $1"}[table]
		for _, c := range columns {
			to := special[c.Name]
			if to == "" {
				to = otherwise[c.Type]
			}
			sql := fmt.Sprintf(`UPDATE `+table+` SET %[1]s = `+to+` WHERE (`+first+`) AND $1::timestamptz IS NOT NULL`, c.Name)
			l.tamper(sql, ledgertest.HourAt(0))
			if v := l.Verify(ledger.VerifyQuery{}); v.Difference == nil {
				t.Errorf("%s.%s may be changed", table, c.Name)
			}
			l.tamper(`DELETE FROM ` + table)
			l.tamper(`INSERT INTO ` + table + ` SELECT * FROM saved ORDER BY random()`)
			if v := l.Verify(ledger.VerifyQuery{}); v.Difference != nil {
				t.Fatalf("%s.%s was put back: %+v", table, c.Name, v.Difference)
			}
		}
		l.Exec("", `DROP TABLE saved`)
	}
}

// TestVerify_begunAnew: who cuts off the first hours, and makes the next seal look
// like the first, is found: a seal covers what it follows.
func TestVerify_begunAnew(t *testing.T) {
	t.Parallel()
	for n := 1; n < 4; n++ {
		l := newBooks(t)
		l.Fill()
		l.Exec("", `CREATE TABLE saved AS SELECT previous FROM usage_seals ORDER BY hour LIMIT 1`)
		for _, table := range []string{"usage_readings", "usage_seals"} {
			l.tamper(`DELETE FROM `+table+` WHERE hour < $1`, ledgertest.HourAt(n))
		}
		l.tamper(`UPDATE usage_seals SET previous = (SELECT previous FROM saved) WHERE hour = $1`, ledgertest.HourAt(n))
		if d := l.Verify(ledger.VerifyQuery{}).Difference; d == nil || !d.Hour.Equal(ledgertest.HourAt(n)) {
			t.Errorf("the first %d hours are gone: %+v", n, d)
		}
	}
}
