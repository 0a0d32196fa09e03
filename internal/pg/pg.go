// Package pg opens PostgreSQL, runs transactions and migrates the schema. It
// knows no tables: each domain owns its own and its store.go.
package pg

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/finding"
)

// Roles of the database. The first owns the tables and migrates them; the
// others have the least they need, and none may bypass row security.
const (
	RoleOwner   = "primecloud_owner"
	RoleGateway = "primecloud_gateway"
	RolePortal  = "primecloud_portal"
	RoleWorker  = "primecloud_worker"
)

// Querier is a pool or a transaction: a store's caller decides which. Each
// call on a pool is a transaction of its own.
type Querier interface {
	Beginner
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Beginner begins transactions; within a transaction they are savepoints.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// connectTimeout bounds each attempt to connect, unless the URL says
// connect_timeout. A pool connects in the background, without the deadline of
// whoever waits: behind a silent network its places would stay taken.
const connectTimeout = 3 * time.Second

// ParseConfig reads a URL or a list of keywords and values, as libpq does
// (postgresql.org/docs/current/libpq-connect.html), with our defaults.
func ParseConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, finding.Worded(err, notURL)
	}
	if !strings.Contains(url, "connect_timeout") && os.Getenv("PGCONNECT_TIMEOUT") == "" {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.PingTimeout = connectTimeout // of a connection that was idle: it may have gone silent
	return cfg, nil
}

// Open returns a pool for url and checks that the database answers.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := ParseConfig(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, unreachable(cfg.ConnConfig, err)
	}
	return pool, nil
}

// InTx runs f in a transaction, committed when f returns nil and rolled back
// when it returns an error or panics.
func InTx(ctx context.Context, db Beginner, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, f)
}

// Snapshotter begins transactions of a kind. A pool does; within a transaction
// the kind is settled, so that a transaction is none.
type Snapshotter interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Pool is what a *pgxpool.Pool is and a transaction is not: calls on it are
// transactions of their own, and it gives snapshots.
type Pool interface {
	Querier
	Snapshotter
}

// InSnapshot runs f in a read-only transaction of which every statement sees
// what was committed when the first one began. What is read by several
// statements and must agree is read so: in InTx, as on a pool, each statement
// sees what others have committed since the one before. It keeps rows that are
// replaced meanwhile from being cleared away: nothing in f may wait for anybody.
func InSnapshot(ctx context.Context, db Snapshotter, f func(Querier) error) error {
	return pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error { return f(tx) })
}
