package pg_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// A login does a role's work if it is the role, has it, owns the tables or may do everything;
// not if it is another's, or has lost a single right of any kind.
func TestCheckRole(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	superuser := db.Pool(t, "")
	check := func(pool *pgxpool.Pool, role, says string) {
		t.Helper()
		err := pg.CheckRole(t.Context(), pool, role)
		switch {
		case says == "" && err != nil:
			t.Errorf("%s: %v", role, err)
		case says != "" && (!errors.Is(err, pg.ErrRole) || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v, want %q", role, err, says)
		}
	}
	roles := []string{pg.RoleGateway, pg.RoleWorker, pg.RolePortal}
	for _, login := range roles {
		for _, role := range roles {
			says := login + " lacks"
			if login == role {
				says = ""
			}
			check(db.Pool(t, login), role, says)
		}
	}
	for _, role := range roles {
		check(superuser, role, "")
		check(db.Pool(t, pg.RoleOwner), role, "")
	}

	login := "login_" + db.Name
	run(t, superuser, `CREATE ROLE `+login)
	run(t, superuser, db.LoginSQL(login))
	run(t, superuser, `GRANT CONNECT ON DATABASE `+db.Name+` TO `+login)
	own := db.Pool(t, login)
	check(own, pg.RoleGateway, login+" lacks")
	run(t, superuser, `GRANT primecloud_gateway TO `+login)
	check(own, pg.RoleGateway, "")
	check(own, pg.RoleWorker, login+" lacks")
	run(t, superuser, `REVOKE primecloud_gateway FROM `+login)
	check(own, pg.RoleGateway, login+" lacks")
	own.Close()
	run(t, superuser, `REVOKE CONNECT ON DATABASE `+db.Name+` FROM `+login)
	run(t, superuser, `DROP ROLE `+login)

	// One right of each kind, which the role itself has and the login lacks.
	for kind, grant := range map[string]string{
		"a table": `GRANT TRUNCATE ON accounts TO primecloud_gateway`, "a column": `GRANT UPDATE (created_at) ON accounts TO primecloud_gateway`,
		"a function": `CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION public.f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION public.f() TO primecloud_gateway`,
		"a sequence": `CREATE SEQUENCE public.s; GRANT USAGE ON SEQUENCE public.s TO primecloud_gateway`,
	} {
		before := lacking(t, db.Pool(t, pg.RoleWorker))
		run(t, superuser, grant)
		if after := lacking(t, db.Pool(t, pg.RoleWorker)); after == before {
			t.Errorf("a right on %s is not missed: %s", kind, after)
		}
	}

	// A restore without rights.
	run(t, superuser, `REVOKE ALL ON ALL TABLES IN SCHEMA public FROM primecloud_worker; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM primecloud_worker; REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM primecloud_worker`)
	for _, table := range list[struct{ Name string }](t, superuser, `SELECT DISTINCT attrelid::regclass::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text NOT LIKE 'pg_%'`) {
		columns := list[struct{ Name string }](t, superuser, `SELECT quote_ident(attname::text) FROM pg_attribute WHERE attrelid = $1::regclass AND attacl IS NOT NULL`, table.Name)
		for _, c := range columns {
			run(t, superuser, `REVOKE ALL (`+c.Name+`) ON `+table.Name+` FROM primecloud_worker`)
		}
	}
	check(superuser, pg.RoleWorker, "has no rights in this database; run `primecloud migrate`")
}

func lacking(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	err := pg.CheckRole(t.Context(), pool, pg.RoleGateway)
	if err == nil {
		return ""
	}
	_, count, _ := strings.Cut(err.Error(), " lacks ")
	count, _, _ = strings.Cut(count, " of ")
	return count
}
