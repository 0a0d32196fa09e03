package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrRole means that a process is logged in as somebody who may not do its work.
var ErrRole = errors.New("pg: the database lets this login do too little")

// CheckRole compares what the login of q may do with what the migrations have granted to
// a role. Its error is ErrRole when something is missing, and PostgreSQL's when
// that cannot be asked. A superuser, the tables' owner and a member of the role may do
// all of it.
func CheckRole(ctx context.Context, q Querier, role string) error {
	// What is granted to the role itself, by kind of object: a right is the name that
	// has_…_privilege knows it by.
	rows, err := q.Query(ctx, `SELECT current_user::text, r.what, r.may FROM (
			SELECT a.privilege_type || ' on ' || c.oid::regclass::text, CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, a.privilege_type) ELSE has_table_privilege(c.oid, a.privilege_type) END
			FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_roles o ON o.oid = a.grantee
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND o.rolname = $1
		UNION ALL
			SELECT a.privilege_type || ' on ' || t.attrelid::regclass::text || '.' || t.attname, has_column_privilege(t.attrelid, t.attnum, a.privilege_type)
			FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) a JOIN pg_roles o ON o.oid = a.grantee
			WHERE c.relnamespace = 'public'::regnamespace AND NOT t.attisdropped AND o.rolname = $1
		UNION ALL
			SELECT a.privilege_type || ' on ' || p.oid::regprocedure::text, has_function_privilege(p.oid, a.privilege_type)
			FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a JOIN pg_roles o ON o.oid = a.grantee
			WHERE p.pronamespace = 'public'::regnamespace AND o.rolname = $1
		) r (what, may) ORDER BY 2`, role)
	if err != nil {
		return fmt.Errorf("rights of the login: %w", err)
	}
	var login, what string
	var may bool
	var missing []string
	granted := 0
	if _, err := pgx.ForEachRow(rows, []any{&login, &what, &may}, func() error {
		granted++
		if !may {
			missing = append(missing, what)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("rights of the login: %w", err)
	}
	switch {
	case granted == 0:
		return fmt.Errorf("%w: the role %s has no rights in this database; run `primecloud migrate`, or restore the dump with its rights", ErrRole, role)
	case len(missing) > 0:
		return fmt.Errorf("%w: %s lacks %d of the %d rights of %s (%s); log in as %s", ErrRole, login, len(missing), granted, role,
			strings.Join(missing[:min(len(missing), 3)], ", "), role)
	}
	return nil
}
