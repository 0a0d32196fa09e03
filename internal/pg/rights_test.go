package pg_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

const (
	securityFile = "../../docs/SECURITY.md"
	rightsBegin  = "<!-- rights of the database's roles: `make docs` writes what is between these lines -->\n"
	rightsEnd    = "<!-- end of the rights -->\n"
)

var restrictedRoles = []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker}

// TestRightsPage keeps the table of docs/SECURITY.md what the database's catalogue
// says: a right that a migration gives or takes is seen where it is reviewed.
func TestRightsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), rightsBegin)
	was, after, ends := strings.Cut(rest, rightsEnd)
	if !ok || !ends {
		t.Fatal("docs/SECURITY.md has no place for the rights")
	}
	want := rightsPage(t, testenv.Postgres(t).Pool(t, ""))
	if *update {
		was = want
		if err := os.WriteFile(securityFile, []byte(before+rightsBegin+want+rightsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if was != want {
		t.Errorf("docs/SECURITY.md does not have the rights that roles have; run `make docs` and review what changes:\n%s", want)
	}
}

func list[T any](t *testing.T, db *pgxpool.Pool, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// relation is what a role may do with a table or view: by each right, which of
// its columns.
type relation struct {
	Table, Role string
	Columns     []string
	// Of SELECT, INSERT and UPDATE.
	Read, Insert, Update []string
	// Of the whole table.
	Whole    []string
	Guarded  bool // by row security, also for the owner
	Policies []string
}

const relations = `SELECT c.relname::text, r.role,
	(SELECT array_agg(a.attname::text ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
	(SELECT array_agg(a.attname::text ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND has_column_privilege(r.role, c.oid, attnum, 'SELECT')),
	(SELECT array_agg(a.attname::text ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND has_column_privilege(r.role, c.oid, attnum, 'INSERT')),
	(SELECT array_agg(a.attname::text ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND has_column_privilege(r.role, c.oid, attnum, 'UPDATE')),
	(SELECT array_agg(p ORDER BY p) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p WHERE has_table_privilege(r.role, c.oid, p)),
	c.relrowsecurity AND c.relforcerowsecurity,
	(SELECT array_agg(DISTINCT e) FROM pg_policy p, unnest(ARRAY[pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)]) e
		WHERE p.polrelid = c.oid AND e IS NOT NULL AND (0 = ANY (polroles) OR r.role::regrole = ANY (polroles)))
	FROM pg_class c CROSS JOIN unnest($1::text[]) WITH ORDINALITY r (role, n)
	WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.relname NOT LIKE 'goose%' ORDER BY 1, r.n`

// right is one right with the columns it is for.
func right(name string, may, all []string) string {
	switch {
	case len(may) == 0:
		return ""
	case len(may) == len(all):
		return name
	case len(may) > len(all)/2+1:
		without := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(may, c) })
		return name + " all but " + strings.Join(without, ", ")
	}
	return name + " " + strings.Join(may, ", ")
}

func (r *relation) String() string {
	var parts []string
	for _, p := range []string{right("**read**", r.Read, r.Columns), right("**insert**", r.Insert, r.Columns), right("**update**", r.Update, r.Columns)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	for _, p := range r.Whole {
		if p != "SELECT" && p != "INSERT" && p != "UPDATE" {
			parts = append(parts, "**"+strings.ToLower(p)+"**")
		}
	}
	if len(parts) == 0 {
		return "–"
	}
	s := strings.Join(parts, "; ")
	switch {
	case !r.Guarded:
	case len(r.Policies) == 0:
		s += "; no rows"
	case !slices.Equal(r.Policies, []string{"true"}):
		s += "; rows: `" + strings.Join(strings.Fields(strings.Join(r.Policies, "; ")), " ") + "`"
	}
	return s
}

func rightsPage(t *testing.T, db *pgxpool.Pool) string {
	var b strings.Builder
	b.WriteString("What is not here no role has; of a table without \"rows\" a role has every account's. The owner (`primecloud_owner`) has all. A role that may\n" +
		"delete of a table, or update it as a whole, may also lock it against everybody.\n\n| Table or view | gateway | portal | worker |\n|---|---|---|---|\n")
	row, none := "", []string{}
	for cells := range slices.Chunk(list[relation](t, db, relations, restrictedRoles), len(restrictedRoles)) {
		row = ""
		for _, c := range cells {
			row += " | " + c.String()
		}
		if row == " | – | – | –" {
			none = append(none, "`"+cells[0].Table+"`")
			continue
		}
		fmt.Fprintf(&b, "| `%s`%s |\n", cells[0].Table, row)
	}
	fmt.Fprintf(&b, "\nNo role but the owner has %s, goose's tables.\n\n", strings.Join(none, ", "))
	for _, part := range []struct{ title, sql string }{
		{"Functions", `SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' || CASE WHEN p.prosecdef THEN ', with the owner''s rights' ELSE '' END,
			` + holders(`has_function_privilege(r.role, p.oid, 'EXECUTE')`) + ` FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype ORDER BY 1`},
		{"Sequences", `SELECT c.relname::text, ` + holders(`has_sequence_privilege(r.role, c.oid, 'USAGE, SELECT, UPDATE')`) + ` FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S' AND c.relname NOT LIKE 'goose%' ORDER BY 1`},
		{"Schema and database", `SELECT what, holders FROM (
			SELECT 1 AS n, 'use of the schema public' AS what, ` + holders(`has_schema_privilege(r.role, 'public', 'USAGE')`) + ` AS holders
			UNION ALL SELECT 2, 'making something in it', ` + holders(`has_schema_privilege(r.role, 'public', 'CREATE')`) + `
			UNION ALL SELECT 3, 'connecting', ` + holders(`has_database_privilege(r.role, current_database(), 'CONNECT')`) + `
			UNION ALL SELECT 4, 'temporary tables', ` + holders(`has_database_privilege(r.role, current_database(), 'TEMPORARY')`) + `
			UNION ALL SELECT 5, 'schemas', ` + holders(`has_database_privilege(r.role, current_database(), 'CREATE')`) + `
			UNION ALL SELECT 6, 'large objects', ` + holders(`EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
				AND p.proname ~ '^lo(_.*|read|write)$' AND has_function_privilege(r.role, p.oid, 'EXECUTE'))`) + `) x ORDER BY n`},
		{"Roles", `SELECT rolname::text, concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolbypassrls THEN 'bypasses row security' END, CASE WHEN rolcreaterole THEN 'makes roles' END,
				CASE WHEN rolcreatedb THEN 'makes databases' END, CASE WHEN rolreplication THEN 'replicates' END,
				'belongs to ' || coalesce((SELECT string_agg(roleid::regrole::text, ', ') FROM pg_auth_members WHERE member = r.oid), 'none'),
				'settings ' || coalesce((SELECT string_agg(array_to_string(setconfig, ', '), ', ') FROM pg_db_role_setting WHERE setrole = r.oid), 'none'),
				'connections ' || CASE rolconnlimit WHEN -1 THEN 'without a limit' ELSE rolconnlimit::text END)
			FROM pg_roles r WHERE rolname = ANY (ARRAY['primecloud_owner', 'primecloud_gateway', 'primecloud_portal', 'primecloud_worker']) ORDER BY 1`},
	} {
		fmt.Fprintf(&b, "| %s | |\n|---|---|\n", part.title)
		for _, l := range list[struct{ What, Who string }](t, db, part.sql) {
			fmt.Fprintf(&b, "| %s | %s |\n", l.What, l.Who)
		}
		b.WriteString("\n")
	}
	b.WriteString("| Channel | Who hears it, and tells on it |\n|---|---|\n")
	for _, c := range channels(t, db) {
		fmt.Fprintf(&b, "| %s | %s |\n", c[0], c[1])
	}
	return b.String() + "\n"
}

// holders is SQL for who of the roles, and of the owner, has a right.
func holders(has string) string {
	return `coalesce((SELECT string_agg(CASE role WHEN 'public' THEN 'everybody' ELSE substr(role, 12) END, ', ' ORDER BY n)
		FROM (SELECT role, n, ` + has + ` AS has FROM unnest(ARRAY['primecloud_owner', 'primecloud_gateway', 'primecloud_portal', 'primecloud_worker']) WITH ORDINALITY r (role, n)` +
		`) held WHERE has), 'nobody')`
}

// channels are those that functions of the database tell on: a fixed name is
// everybody's.
func channels(t *testing.T, db *pgxpool.Pool) (rows [][2]string) {
	for _, f := range list[struct{ Name, Source, Holders string }](t, db, `SELECT proname::text, prosrc, `+holders(`has_function_privilege(r.role, p.oid, 'EXECUTE')`)+`
		FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prosrc ~* 'LISTEN|pg_notify' ORDER BY 1`) {
		if strings.Contains(f.Source, "LISTEN") {
			rows = append(rows, [2]string{"of changes, its name a secret (`" + f.Name + "`)", f.Holders + "; the owner's functions tell"})
		}
		if strings.Contains(f.Source, "pg_notify('primecloud'") {
			rows = append(rows, [2]string{"`primecloud` (`" + f.Name + "`)", "whoever connects; told only while a gateway from before migration 0013 reports"})
		}
	}
	return append(rows, [2]string{"`primecloud_beat_` and a random text", "the gateway that made it"}, [2]string{"River's (`river_insert`, `river_control`, `river_leadership`)", "whoever connects; nothing of accounts is told, and no process of ours listens"})
}

// What no role may have, whatever a migration to come makes.
func TestRights_kinds(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	super, owner := db.Pool(t, ""), db.Pool(t, pg.RoleOwner)
	// As one to come would be made.
	run(t, super, `CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	run(t, owner, `CREATE FUNCTION latest() RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	type found struct{ What string }
	for what, sql := range map[string]string{
		"everybody may call": `SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)`,
		"everybody has rights on": `SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0)`,
		"runs with the owner's rights and looks for names where others may make them": `SELECT oid::regprocedure::text FROM pg_proc
			WHERE pronamespace = 'public'::regnamespace AND prosecdef AND NOT coalesce(array_to_string(proconfig, ' '), '') ~ 'search_path=pg_catalog(, public)?, pg_temp'`,
		"belongs to who migrated": `SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S') AND relowner <> 'primecloud_owner'::regrole AND relname NOT LIKE 'goose%'
			UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proowner <> 'primecloud_owner'::regrole AND proname <> 'later'`,
		"may be locked against gateways by another role": `SELECT r.role || ': ' || c.relname FROM pg_class c, unnest(ARRAY['primecloud_portal', 'primecloud_worker']) r (role)
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_any_column_privilege('primecloud_gateway', c.oid, 'SELECT') AND has_table_privilege(r.role, c.oid, 'UPDATE, DELETE, TRUNCATE')`,
		"has the name of an account's row, and no row security": `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
	} {
		for _, f := range list[found](t, super, sql) {
			t.Errorf("%s: %s", what, f.What)
		}
	}
	excess, err := pg.Excess(t.Context(), super)
	if err != nil || len(excess) > 0 {
		t.Errorf("PUBLIC has too much, %v: %q", err, excess)
	}
	for _, role := range restrictedRoles {
		pool := db.Pool(t, role)
		for _, sql := range []string{
			`CREATE TEMP TABLE x (n int)`, `SELECT lo_creat(-1)`, `SELECT lo_from_bytea(0, '\x00')`, `CREATE SCHEMA x`, `CREATE TABLE public.x (n int)`,
			`CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `SELECT later()`, `SELECT latest()`, `SET ROLE primecloud_owner`,
			`DO 'BEGIN LOCK TABLE access_keys IN ACCESS EXCLUSIVE MODE; END'`, `DO 'BEGIN LOCK TABLE key_limits IN SHARE MODE; END'`, `DO 'BEGIN LOCK TABLE domains IN SHARE MODE; END'`,
		} {
			if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %s: %v", role, sql, err)
			}
		}
	}
	// What `primecloud doctor` finds when a database was made anew from a dump.
	run(t, super, fmt.Sprintf(`GRANT TEMPORARY ON DATABASE %s TO PUBLIC; GRANT EXECUTE ON FUNCTION lo_creat(int) TO PUBLIC`, db.Name))
	if excess, err = pg.Excess(t.Context(), super); err != nil || len(excess) != 2 {
		t.Errorf("%v: %q", err, excess)
	}
	for _, sql := range excess {
		run(t, super, sql)
	}
	if excess, err = pg.Excess(context.Background(), super); err != nil || len(excess) > 0 {
		t.Errorf("%v: %q", err, excess)
	}
}
