package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	alpha, beta = tenancy.ID{0xa}, tenancy.ID{0xb}
	bucket1     = tenancy.ID{1}
	bucket2     = tenancy.ID{2}
)

// fill counts a little for two accounts, over two hours.
func fill(t *testing.T, db *testenv.DB) {
	t.Helper()
	c := ledgertest.NewClock()
	m := ledgertest.NewMeter(t, db.Pool(t, pg.RoleGateway), c)
	var tally metering.Tally
	count := func(k usage.Key, in, out int64) {
		m.Begin(&tally, k)
		tally.Request()
		tally.DeclaredIngress(in)
		tally.Ingress(in)
		tally.Egress(out)
		tally.DeclaredEgress(out)
		tally.End()
	}
	count(usage.Key{Account: alpha, Bucket: bucket1, AccessKey: tenancy.ID{7}, Class: usage.ClassA}, 100, 0)
	count(usage.Key{Account: alpha, Bucket: bucket2, AccessKey: tenancy.ID{7}, Class: usage.ClassB}, 0, 200)
	count(usage.Key{Account: beta, Bucket: bucket1, AccessKey: tenancy.ID{8}, Class: usage.ClassB}, 0, 400)
	c.Advance(time.Hour)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	count(usage.Key{Account: alpha, Bucket: bucket1, AccessKey: tenancy.ID{9}, Class: usage.ClassB}, 0, 800)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	fill(t, db)
	type line struct {
		value             string
		requests, in, out int64
	}
	hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		query ledger.Query
		want  []line
	}{
		{"by bucket", ledger.Query{Account: alpha, By: ledger.ByBucket}, []line{{bucket1.String(), 2, 100, 800}, {bucket2.String(), 1, 0, 200}}},
		{"by key", ledger.Query{Account: alpha, By: ledger.ByKey}, []line{{tenancy.ID{7}.String(), 2, 100, 200}, {tenancy.ID{9}.String(), 1, 0, 800}}},
		{"by class", ledger.Query{Account: alpha, By: ledger.ByClass}, []line{{"A", 1, 100, 0}, {"B", 2, 0, 1000}}},
		{"by hour", ledger.Query{Account: alpha, By: ledger.ByHour}, []line{{"2026-03-01T10:00:00Z", 2, 100, 200}, {"2026-03-01T11:00:00Z", 1, 0, 800}}},
		{"by day", ledger.Query{Account: alpha, By: ledger.ByDay}, []line{{"2026-03-01", 3, 100, 1000}}},
		{"by account", ledger.Query{By: ledger.ByAccount}, []line{{"", 3, 100, 1000}, {"", 1, 0, 400}}},
		{"every account", ledger.Query{By: ledger.ByClass}, []line{{"A", 1, 100, 0}, {"B", 2, 0, 1000}, {"B", 1, 0, 400}}},
		{"to is excluded", ledger.Query{Account: alpha, By: ledger.ByClass, From: hour, To: hour.Add(time.Hour)}, []line{{"A", 1, 100, 0}, {"B", 1, 0, 200}}},
		{"from is included", ledger.Query{Account: alpha, By: ledger.ByClass, From: hour.Add(time.Hour)}, []line{{"B", 1, 0, 800}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ledger.Sum(t.Context(), db.Pool(t, pg.RoleWorker), tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %d rows, want %d: %v", len(got), len(tc.want), got)
			}
			for i, w := range tc.want {
				g := got[i]
				if (line{g.Value, g.Requests, g.Ingress, g.Egress}) != w || g.DeclaredIngress != w.in || g.DeclaredEgress != w.out {
					t.Errorf("got %+v, want %+v", g, w)
				}
			}
		})
	}
	if _, err := ledger.Sum(t.Context(), db.Pool(t, pg.RoleWorker), ledger.Query{By: "bucket_id; DROP TABLE usage_readings"}); err == nil {
		t.Error("an unknown group is accepted")
	}
}

// refused wants PostgreSQL to refuse a statement of a role.
func refused(t *testing.T, db *testenv.DB, role, sql string) {
	t.Helper()
	_, err := db.Pool(t, role).Exec(t.Context(), sql)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "42501" { // insufficient_privilege
		t.Errorf("%s: %s: %v", role, sql, err)
	}
}

// What each database role may do with the ledger.
func TestRoles(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	fill(t, db)
	t.Run("nobody deletes, and only the gateway writes", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `DELETE FROM usage_readings`)
			refused(t, db, role, `TRUNCATE usage_readings`)
			refused(t, db, role, `DELETE FROM usage_nodes`)
		}
		for _, role := range []string{pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `UPDATE usage_readings SET requests = 0`)
			refused(t, db, role, `INSERT INTO usage_nodes (epoch, node, flushed_at) VALUES (gen_random_uuid(), '', now())`)
		}
		refused(t, db, pg.RoleGateway, `UPDATE usage_readings SET account_id = gen_random_uuid()`)
		refused(t, db, pg.RolePortal, `SELECT node FROM usage_nodes`)
		refused(t, db, pg.RolePortal, `SELECT hash FROM usage_seals`)
		for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
			refused(t, db, role, `DELETE FROM usage_adjustments`)
			refused(t, db, role, `UPDATE usage_adjustments SET seal_hour = now()`)
			refused(t, db, role, `UPDATE usage_seals SET rows = 0`)
			if role != pg.RoleWorker {
				refused(t, db, role, `INSERT INTO usage_seals (hour) VALUES (now())`)
			}
			if role != pg.RoleGateway {
				refused(t, db, role, `INSERT INTO usage_adjustments (epoch) VALUES (gen_random_uuid())`)
			}
		}
	})
	t.Run("the portal sees one account", func(t *testing.T) {
		t.Parallel()
		pool := db.Pool(t, pg.RolePortal)
		none, err := ledger.Sum(t.Context(), pool, ledger.Query{By: ledger.ByBucket})
		if err != nil || len(none) != 0 {
			t.Errorf("without an account it sees %v, %v", none, err)
		}
		err = tenancy.AsAccount(t.Context(), pool, beta, func(tx pgx.Tx) error {
			got, err := ledger.Sum(t.Context(), tx, ledger.Query{By: ledger.ByBucket})
			if len(got) != 1 || got[0].Account != beta || got[0].Egress != 400 {
				t.Errorf("got %v", got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
