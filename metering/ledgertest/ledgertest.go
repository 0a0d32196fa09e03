// Package ledgertest is a ledger for tests: a database of its own, a meter that
// writes usage into it, a clock that the test moves, and what seals and verifies.
package ledgertest

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// NewClock returns a clock at HourAt(0).
func NewClock() *testenv.Clock { return testenv.NewClock(HourAt(0)) }

// HourAt is the hour n hours after the first one that tests count in.
func HourAt(n int) time.Time {
	return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

// NewKeyring returns a keyring as the worker has it: it opens nothing.
func NewKeyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

// NewMeter returns a meter with a journal of its own, whose time is c's.
func NewMeter(t testing.TB, pool *pgxpool.Pool, c *testenv.Clock) *metering.Meter {
	t.Helper()
	m, err := metering.New(metering.Config{Pool: pool, Dir: t.TempDir(), Node: "test", Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Key is the n'th access key of account 1, in class B.
func Key(n int) usage.Key {
	k := usage.Key{Account: rowid.ID{1}, Class: usage.ClassB}
	binary.BigEndian.PutUint64(k.AccessKey[8:], uint64(n))
	return k
}

// Count counts a request with egress bytes.
func Count(m *metering.Meter, k usage.Key, egress int64) {
	var tally metering.Tally
	m.Begin(&tally, k)
	tally.Request()
	tally.Egress(egress)
	tally.End()
}

// Ledger is a database with a meter and what seals.
type Ledger struct {
	T             testing.TB
	DB            *testenv.DB
	Clock         *testenv.Clock
	Meter         *metering.Meter
	Worker, Owner *pgxpool.Pool
	Keys          *secret.Keyring
}

// New returns an empty ledger.
func New(t testing.TB) *Ledger {
	t.Helper()
	db, c := testenv.Postgres(t), NewClock()
	return &Ledger{t, db, c, NewMeter(t, db.Pool(t, pg.RoleGateway), c), db.Pool(t, pg.RoleWorker), db.Pool(t, pg.RoleOwner), NewKeyring(t)}
}

// Flush writes what the meter has counted.
func (l *Ledger) Flush() {
	l.T.Helper()
	if err := l.Meter.Flush(l.T.Context()); err != nil {
		l.T.Fatal(err)
	}
}

// Seal seals what is final, and returns how many hours it was.
func (l *Ledger) Seal() int {
	l.T.Helper()
	return l.SealSome(1000)
}

// SealSome seals at most limit hours of what is final, as a worker that remembers no seal.
func (l *Ledger) SealSome(limit int) int {
	l.T.Helper()
	r := prometheus.NewRegistry()
	if err := ledger.NewSealer(ledger.SealerConfig{Pool: l.Worker, Keys: l.Keys, AtOnce: limit, Metrics: r}).Seal(l.T.Context()); err != nil {
		l.T.Fatal(err)
	}
	return int(testenv.Counted(l.T, r, "primecloud_metering_seals_total"))
}

// SealUntil seals every hour that is over before until, whatever the nodes say, an
// hour in each transaction, as a worker does. owner is a pool of the tables' owner.
func SealUntil(ctx context.Context, owner *pgxpool.Pool, keys ledger.Keys, until time.Time) error {
	for {
		sealed, err := sealOne(ctx, owner, keys, until)
		if err != nil || !sealed {
			return err
		}
	}
}

// sealOne seals the next hour. In its transaction another table, with one node that
// has written all before until, hides that of the nodes.
func sealOne(ctx context.Context, owner *pgxpool.Pool, keys ledger.Keys, until time.Time) (sealed bool, err error) {
	err = pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		// A statement that was prepared goes on reading the table that it was prepared for.
		if err := tx.Conn().DeallocateAll(ctx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TEMP TABLE usage_nodes (flushed_at timestamptz, closed_at timestamptz) ON COMMIT DROP`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO usage_nodes (flushed_at) VALUES ($1)`, until); err != nil {
			return err
		}
		var before, after int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM usage_seals`).Scan(&before); err != nil {
			return err
		}
		if err := ledger.NewSealer(ledger.SealerConfig{Pool: tx, Keys: keys, AtOnce: 1}).Seal(ctx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM usage_seals`).Scan(&after); err != nil {
			return err
		}
		sealed = after > before
		return tx.Conn().DeallocateAll(ctx)
	})
	return sealed, err
}

// Verify verifies what is sealed.
func (l *Ledger) Verify(q ledger.VerifyQuery) ledger.Verification {
	l.T.Helper()
	v, err := ledger.Verify(l.T.Context(), l.Owner, l.Keys, q)
	if err != nil {
		l.T.Fatal(err)
	}
	return v
}

// Fill counts in each of five hours but the third, and seals the first four.
func (l *Ledger) Fill() {
	l.T.Helper()
	for n := range 5 {
		if n != 2 {
			for k := range 3 {
				Count(l.Meter, Key(k), int64(100*n+k))
			}
		}
		if n < 4 {
			l.Clock.Advance(time.Hour)
			l.Flush()
		}
	}
	l.Flush()
	if n := l.Seal(); n != 4 {
		l.T.Fatalf("%d hours sealed, want 4", n)
	}
}

// WriteLate writes a reading of an hour through a meter of its own, whose epoch it then closes.
func WriteLate(t testing.TB, pool *pgxpool.Pool, hour time.Time) {
	t.Helper()
	c := NewClock()
	c.Set(hour)
	m := NewMeter(t, pool, c)
	Count(m, Key(1), 1000)
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE usage_nodes SET closed_at = now() WHERE flushed_at = $1`, hour); err != nil {
		t.Fatal(err)
	}
}

// Exec runs a statement as a role; it must succeed.
func (l *Ledger) Exec(role, sql string, args ...any) {
	l.T.Helper()
	if _, err := l.DB.Pool(l.T, role).Exec(l.T.Context(), sql, args...); err != nil {
		l.T.Fatalf("%s: %s: %v", role, sql, err)
	}
}
