package testenv

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/pg"
)

// DB is a test's own database.
type DB struct {
	Name   string
	server *devstack.Postgres
}

// URL is the database as a role sees it: pg.RoleGateway and so on.
func (d *DB) URL(role string) string { return d.server.URL(role, d.Name) }

// LoginSQL is the statement that lets a role of the test's own log in.
func (d *DB) LoginSQL(role string) string { return d.server.LoginSQL(role) }

// OwnerURL is the database as the superuser that migrates it.
func (d *DB) OwnerURL() string { return d.server.URL("", d.Name) }

// Pool opens a pool as role, closed with the test. An empty role is the superuser.
func (d *DB) Pool(t testing.TB, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(context.Background(), d.URL(role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

var postgres struct {
	sync.Once
	server *devstack.Postgres
	err    error      // PostgreSQL is not there
	schema error      // it is, and the migrations fail: never skipped
	admin  sync.Mutex // CREATE DATABASE copies one template at a time
}

const template = "primecloud_template"

func startPostgres() {
	dir, err := folder("postgres")
	if err != nil {
		postgres.err = err
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	postgres.server, postgres.err = devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir, Progress: os.Stderr})
	if postgres.err != nil {
		// What a killed process left may be broken: the data is worth nothing.
		_ = os.RemoveAll(dir)
		if postgres.server, postgres.err = devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir, Progress: os.Stderr}); postgres.err != nil {
			return
		}
	}
	postgres.schema = makeTemplate(ctx)
}

// makeTemplate drops what earlier processes left and migrates a fresh template.
func makeTemplate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, postgres.server.URL("", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE 't\_%' OR datname = $1`, template)
	if err != nil {
		return err
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range left {
		if _, err := conn.Exec(ctx, `DROP DATABASE `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+template); err != nil {
		return err
	}
	if err := pg.Migrate(ctx, postgres.server.URL("", template)); err != nil {
		return err
	}
	for _, role := range []string{pg.RoleOwner, pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
		if _, err := conn.Exec(ctx, postgres.server.LoginSQL(role)); err != nil {
			return err
		}
	}
	return nil
}

// Postgres returns a migrated database of the test's own, dropped with it.
func Postgres(t testing.TB) *DB { return database(t, template) }

// EmptyPostgres returns a database without a schema, dropped with the test.
func EmptyPostgres(t testing.TB) *DB { return database(t, "template1") }

func database(t testing.TB, from string) *DB {
	t.Helper()
	postgres.Do(startPostgres)
	if postgres.err != nil {
		Unavailable(t, "PostgreSQL", postgres.err)
	}
	if postgres.schema != nil {
		t.Fatal(postgres.schema)
	}
	db := &DB{Name: "t_" + strings.ToLower(rand.Text()[:16]), server: postgres.server}
	admin(t, `CREATE DATABASE `+db.Name+` TEMPLATE `+from)
	admin(t, pg.DatabaseRights(db.Name))
	t.Cleanup(func() { admin(t, `DROP DATABASE IF EXISTS `+db.Name+` WITH (FORCE)`) })
	return db
}

func admin(t testing.TB, sql string) {
	t.Helper()
	postgres.admin.Lock()
	defer postgres.admin.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, postgres.server.URL("", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// OwnPostgres returns a PostgreSQL of the test's own, to be stopped and
// restarted on its data at will. It has the superuser only.
func OwnPostgres(t testing.TB, dir string) *devstack.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir, Progress: os.Stderr})
	if err != nil {
		Unavailable(t, "PostgreSQL", err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}
