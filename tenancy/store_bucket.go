package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

const bucketColumns = `id, account_id, name, backend_id, backend_name, public_blocked, object_lock, created_at`

func scanBucket(row pgx.Row) (*Bucket, error) {
	b := &Bucket{}
	err := row.Scan(&b.ID, &b.AccountID, &b.Name, &b.BackendID, &b.BackendName, &b.PublicBlocked, &b.ObjectLock, &b.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrBucketUnknown
	}
	return b, err
}

// abandoned is when a change of a bucket's state counts as left behind by a
// process that died.
const abandoned = `interval '5 minutes'`

// ReserveBucket writes the ownership record of a new bucket in state creating,
// on the account's backend. A record of that name that is being created or
// deleted is ErrBucketBusy; one left behind by a dead process is taken over.
func (s *Store) ReserveBucket(ctx context.Context, q pg.Querier, account ID, name string, objectLock bool) (*Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return nil, err
	}
	id := NewID()
	b, err := scanBucket(q.QueryRow(ctx, `INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state, object_lock)
		SELECT $1, $2, $3, b.id, $4, 'creating', $5 FROM backends b
		WHERE b.id = coalesce((SELECT backend_id FROM accounts WHERE id = $2), (SELECT id FROM backends WHERE is_default))
		ON CONFLICT (account_id, name) DO NOTHING RETURNING `+bucketColumns, id, account, name, backendName(id), objectLock))
	if !errors.Is(err, ErrBucketUnknown) {
		return b, err
	}
	// A stale "creating" has a bucket in the backend or not: making it again settles that.
	b, err = scanBucket(q.QueryRow(ctx, `UPDATE buckets SET updated_at = now()
		WHERE account_id = $1 AND name = $2 AND state = 'creating' AND updated_at < now() - `+abandoned+`
		RETURNING `+bucketColumns, account, name))
	if !errors.Is(err, ErrBucketUnknown) {
		return b, err
	}
	// A stale "deleting" still has its data or not: its owner may delete it again.
	if _, err := q.Exec(ctx, `UPDATE buckets SET state = 'active', updated_at = now()
		WHERE account_id = $1 AND name = $2 AND state = 'deleting' AND updated_at < now() - `+abandoned, account, name); err != nil {
		return nil, err
	}
	var state string
	err = q.QueryRow(ctx, `SELECT state FROM buckets WHERE account_id = $1 AND name = $2`, account, name).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrNoBackend
	case err != nil:
		return nil, err
	case state == "active":
		return nil, ErrBucketExists
	}
	return nil, ErrBucketBusy
}

func (s *Store) moveBucket(ctx context.Context, q pg.Querier, id ID, from, to string) error {
	return one(q.Exec(ctx, `UPDATE buckets SET state = $3, updated_at = now() WHERE id = $1 AND state = $2`, id, from, to))(ErrBucketBusy)
}

func (s *Store) dropBucket(ctx context.Context, q pg.Querier, id ID, state string) error {
	return one(q.Exec(ctx, `DELETE FROM buckets WHERE id = $1 AND state = $2`, id, state))(ErrBucketBusy)
}

// ImportBucket takes over a bucket that exists in the backend. Whether it does
// is the caller's to check; that nobody owns it yet is checked here.
func (s *Store) ImportBucket(ctx context.Context, q pg.Querier, account ID, name string, backend ID, backendName string) (*Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return nil, err
	}
	var owned bool
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM buckets WHERE backend_id = $1 AND backend_name = $2)`, backend, backendName).Scan(&owned); err != nil {
		return nil, err
	}
	if owned {
		return nil, ErrBucketTaken
	}
	b, err := scanBucket(q.QueryRow(ctx, `INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state)
		VALUES ($1, $2, $3, $4, $5, 'active') RETURNING `+bucketColumns, NewID(), account, name, backend, backendName))
	if isUnique(err) {
		return nil, fmt.Errorf("%w, or the backend's bucket was taken at this moment", ErrBucketExists)
	}
	return b, err
}

// Bucket returns an account's bucket in state active.
func (s *Store) Bucket(ctx context.Context, q pg.Querier, account ID, name string) (*Bucket, error) {
	return scanBucket(q.QueryRow(ctx, `SELECT `+bucketColumns+` FROM buckets WHERE account_id = $1 AND name = $2 AND state = 'active'`, account, name))
}

// ListBuckets returns up to limit active buckets in the order of their names,
// beginning with prefix, behind after.
func (s *Store) ListBuckets(ctx context.Context, q pg.Querier, account ID, prefix, after string, limit int) ([]*Bucket, error) {
	rows, err := q.Query(ctx, `SELECT `+bucketColumns+` FROM buckets
		WHERE account_id = $1 AND state = 'active' AND starts_with(name, $2) AND name COLLATE "C" > $3
		ORDER BY name COLLATE "C" LIMIT $4`, account, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Bucket, error) { return scanBucket(r) })
}

// BucketNames returns the names of all buckets by id, for reports.
func (s *Store) BucketNames(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, name FROM buckets`)
}

// AccountNames returns the names of all accounts by id, for reports.
func (s *Store) AccountNames(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, name FROM accounts`)
}

// KeyIDs returns all access key ids by row id, for reports.
func (s *Store) KeyIDs(ctx context.Context, q pg.Querier) (map[ID]string, error) {
	return names(ctx, q, `SELECT id, key_id FROM access_keys`)
}

func names(ctx context.Context, q pg.Querier, sql string) (map[ID]string, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	m := map[ID]string{}
	var id ID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error { m[id] = name; return nil })
	return m, err
}
