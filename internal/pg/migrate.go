package pg

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/primecloudpro/primecloud/internal/finding"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchemaOld means that the database needs `primecloud migrate` first.
var ErrSchemaOld = errors.New("pg: the database schema is older than this program; run `primecloud migrate`")

// Migrate brings the schema up to date: forward only, one transaction a
// migration, under an advisory lock, so that several nodes may start at once.
// url is for a role that may create roles and tables.
func Migrate(ctx context.Context, url string) error {
	if err := migrateRiver(ctx, url); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	p, db, err := provider(url)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := restrict(ctx, url); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// riverLock is the advisory lock under which River's tables are migrated. Its
// migrations have no lock of their own, and there is no table yet to lock. Who
// may connect may hold it, as goose's: then migrating fails after five minutes.
const riverLock = 0x7072696d65726976

// migrateRiver brings the tables of the job queue up to date. They come first,
// so that a migration of ours can grant what River's have made.
func migrateRiver(ctx context.Context, url string) error {
	pool, err := Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	// The lock is one connection's, the migrations run on others: each is a
	// transaction, since PostgreSQL wants a new enum value committed before it
	// is used.
	return InTx(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '5min'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(riverLock)); err != nil {
			return err
		}
		_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
}

func provider(url string) (*goose.Provider, *sql.DB, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	// Asked for every second, for five minutes: another node is migrating.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("migrate: %w", err), db.Close())
	}
	return p, db, nil
}

// Version is the newest migration that this program knows.
func Version() (int64, error) {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return 0, err
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// CheckVersion refuses a schema that is older than this program. A newer one
// is fine: migrations expand first, so that old code runs on beside them.
func CheckVersion(ctx context.Context, q Querier) error {
	want, err := Version()
	if err != nil {
		return err
	}
	var have int64
	err = q.QueryRow(ctx, `SELECT version FROM schema_version`).Scan(&have)
	switch {
	case hasCode(err, "42P01"), hasCode(err, "42501"): // no such table, or none of its rights
		return finding.Worded(errors.Join(ErrSchemaOld, err), "pg: the database has no schema that this program can read; run `primecloud migrate`")
	case err != nil:
		return err
	case have < want:
		return fmt.Errorf("%w (it is at %d, needed is %d)", ErrSchemaOld, have, want)
	}
	return nil
}

// DatabaseRights is the SQL that leaves PUBLIC no right on a database: to
// connect, and to make temporary tables. They belong to the database itself, so
// that no template and no dump of one brings them; each Migrate gives them anew.
func DatabaseRights(name string) string {
	db := pgx.Identifier{name}.Sanitize()
	others := RoleGateway + ", " + RolePortal + ", " + RoleWorker
	return fmt.Sprintf(`REVOKE ALL ON DATABASE %[1]s FROM PUBLIC, %[2]s; GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %[1]s TO %[3]s; GRANT CONNECT ON DATABASE %[1]s TO %[2]s`,
		db, others, RoleOwner)
}

// restrict gives the database its rights. Who does not own the database is
// only warned that he changed nothing: Excess tells.
func restrict(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, DatabaseRights(conn.Config().Database))
	return err
}

// Excess lists statements that take from PUBLIC what nobody needs. Migrate does
// the same, as far as its role may: the first is the database's owner's to do, the
// others a superuser's.
func Excess(ctx context.Context, q Querier) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
			WHERE datname = current_database() AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0)
		UNION ALL SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure) FROM pg_proc
			WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^lo(_.*|read|write)$'
				AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
