package testenv

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Interleaved is a Pool that calls between before each of its statements, BEGIN
// and COMMIT too: what others do then is committed before the statement begins.
func (d *DB) Interleaved(t testing.TB, role string, between func()) *pgxpool.Pool {
	t.Helper()
	return d.traced(t, role, interleaver{between: between})
}

// BeforeCommit is a Pool that calls before ahead of each COMMIT: what the
// transaction read may have changed by then, and nobody sees yet what it wrote.
func (d *DB) BeforeCommit(t testing.TB, role string, before func()) *pgxpool.Pool {
	t.Helper()
	return d.traced(t, role, interleaver{only: "commit", between: before})
}

func (d *DB) traced(t testing.TB, role string, tracer interleaver) *pgxpool.Pool {
	t.Helper()
	cfg, err := pg.ParseConfig(d.URL(role))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

type interleaver struct {
	only    string // a statement; "": every
	between func()
}

// TraceQueryStart is called on the goroutine that makes the statement.
func (f interleaver) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if f.only == "" || strings.EqualFold(f.only, data.SQL) {
		f.between()
	}
	return ctx
}

// TraceQueryEnd does nothing.
func (interleaver) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// LockAwaited reports whether a session of the database waits for a lock that
// another one has.
func (d *DB) LockAwaited(t testing.TB) (awaited bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL("")) // a superuser sees what everybody waits for
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	err = conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&awaited)
	if err != nil {
		t.Fatal(err)
	}
	return awaited
}
