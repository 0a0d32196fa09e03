package pg_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

func run(t testing.TB, q pg.Querier, sql string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestMigrate_severalAtOnce(t *testing.T) {
	t.Parallel()
	db := testenv.EmptyPostgres(t)
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = pg.Migrate(t.Context(), db.OwnerURL()) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker, pg.RoleOwner} {
		if err := pg.CheckVersion(t.Context(), db.Pool(t, role)); err != nil {
			t.Errorf("as %s: %v", role, err)
		}
	}
}

// An operator's PostgreSQL may give no superuser: a role that owns the
// database and may create roles is enough.
func TestMigrate_withoutSuperuser(t *testing.T) {
	t.Parallel()
	db := testenv.EmptyPostgres(t)
	role := "t_migrator_" + strings.ToLower(rand.Text()[:8])
	super := db.Pool(t, "")
	run(t, super, `CREATE ROLE `+role+` CREATEROLE`)
	run(t, super, db.LoginSQL(role))
	run(t, super, `ALTER DATABASE `+db.Name+` OWNER TO `+role)
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := super.Exec(ctx, `REASSIGN OWNED BY `+role+` TO current_user`); err != nil {
			t.Error(err)
		}
		if _, err := super.Exec(ctx, `DROP OWNED BY `+role); err != nil {
			t.Error(err)
		}
		if _, err := super.Exec(ctx, `DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	if err := pg.Migrate(t.Context(), db.URL(role)); err != nil {
		t.Fatal(err)
	}
	pool := db.Pool(t, role)
	if err := pg.CheckVersion(t.Context(), pool); err != nil {
		t.Error(err)
	}
	var owner string
	if err := pool.QueryRow(t.Context(), `SELECT tableowner FROM pg_tables WHERE tablename = 'accounts'`).Scan(&owner); err != nil || owner != pg.RoleOwner {
		t.Errorf("accounts belongs to %q, %v", owner, err)
	}
	// Row security applies to it as to the owner: it sees all.
	run(t, pool, `INSERT INTO accounts (id, name, display_name, canonical_id, status)
		VALUES (gen_random_uuid(), 'a', 'a', repeat('a', 64), 'active')`)
	pool.Close()
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	if err := pg.CheckVersion(t.Context(), testenv.EmptyPostgres(t).Pool(t, "")); !errors.Is(err, pg.ErrSchemaOld) {
		t.Errorf("without a schema: %v", err)
	}
	db := testenv.Postgres(t)
	super, gateway := db.Pool(t, ""), db.Pool(t, pg.RoleGateway)
	if err := pg.CheckVersion(t.Context(), gateway); err != nil {
		t.Errorf("up to date: %v", err)
	}
	run(t, super, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err := pg.CheckVersion(t.Context(), gateway); err != nil {
		t.Errorf("newer: %v", err)
	}
	run(t, super, `DELETE FROM goose_db_version WHERE version_id > 1`)
	if err := pg.CheckVersion(t.Context(), gateway); !errors.Is(err, pg.ErrSchemaOld) {
		t.Errorf("older: %v", err)
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	pool := testenv.EmptyPostgres(t).Pool(t, "")
	run(t, pool, `CREATE TABLE x (n int)`)
	insert := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO x VALUES (1)`)
		return err
	}
	if err := pg.InTx(t.Context(), pool, insert); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error { return errors.Join(insert(tx), boom) }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	// Within a transaction it is a savepoint.
	if err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		if err := pg.InTx(t.Context(), tx, func(tx pgx.Tx) error { return errors.Join(insert(tx), boom) }); !errors.Is(err, boom) {
			t.Error(err)
		}
		return insert(tx)
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, pool, `SELECT count(*) FROM x`); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

func TestOpen_refused(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.EmptyPostgres(t).OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/absent"
	if pool, err := pg.Open(t.Context(), u.String()); err == nil {
		pool.Close()
		t.Error("opened a database that does not exist")
	}
	if _, err := pg.Open(t.Context(), "postgres://%zz"); err == nil {
		t.Error("opened nonsense")
	}
}

// The roles of the design: none may step around row security, and every table
// that names an account forces it.
func TestMigrate_roles(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t).Pool(t, "")
	if n := count(t, pool, `SELECT count(*) FROM pg_roles WHERE rolname LIKE 'primecloud\_%'
		AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`); n != 0 {
		t.Errorf("%d roles may do too much", n)
	}
	if n := count(t, pool, `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname LIKE 'primecloud\_%'`); n != 0 {
		t.Errorf("%d roles are members of others", n)
	}
	rows, err := pool.Query(t.Context(), `SELECT c.relname FROM pg_class c
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
		AND (c.relname = 'accounts' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id'))
		AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`)
	if err != nil {
		t.Fatal(err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(open) > 0 {
		t.Errorf("tables of accounts without forced row security: %v, %v", open, err)
	}
	if n := count(t, pool, `SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.relnamespace = 'public'::regnamespace
		AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relname NOT LIKE 'goose_db_version%' AND r.rolname <> 'primecloud_owner'`); n != 0 {
		t.Errorf("%d relations do not belong to the owner", n)
	}
}

func count(t testing.TB, pool *pgxpool.Pool, sql string) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What others commit between the statements of a snapshot is not in it, and it
// changes nothing.
func TestInSnapshot(t *testing.T) {
	t.Parallel()
	db := testenv.EmptyPostgres(t)
	other := db.Pool(t, "")
	run(t, other, `CREATE TABLE things (n int)`)
	snapshots := db.Interleaved(t, "", func() { run(t, other, `INSERT INTO things VALUES (1)`) })
	if err := pg.InSnapshot(t.Context(), snapshots, func(q pg.Querier) error {
		seen := map[int]bool{}
		for range 4 {
			var n int
			if err := q.QueryRow(t.Context(), `SELECT count(*) FROM things`).Scan(&n); err != nil {
				return err
			}
			seen[n] = true
		}
		if len(seen) != 1 || seen[0] {
			t.Errorf("counted %v in one snapshot", seen)
		}
		_, err := q.Exec(t.Context(), `DELETE FROM things`)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "25006" { // read_only_sql_transaction
			t.Errorf("a snapshot deletes: %v", err)
		}
		return nil
	}); err == nil {
		t.Error("an aborted transaction is committed")
	}
}
