package testenv

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Interleaved is a Pool that calls between before each of its statements, BEGIN
// and COMMIT too: what others do then is committed before the statement begins.
func (d *DB) Interleaved(t testing.TB, role string, between func()) *pgxpool.Pool {
	t.Helper()
	cfg, err := pg.ParseConfig(d.URL(role))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = interleaver(between)
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

type interleaver func()

// TraceQueryStart is called on the goroutine that makes the statement.
func (f interleaver) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	f()
	return ctx
}

// TraceQueryEnd does nothing.
func (interleaver) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
