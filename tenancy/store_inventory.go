package tenancy

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// AllBuckets returns up to limit buckets that may hold data, those being
// deleted too, in the order of their ids behind after. A zero account is every
// account.
func AllBuckets(ctx context.Context, q pg.Querier, account, after ID, limit int) ([]*Bucket, error) {
	rows, err := q.Query(ctx, `SELECT `+bucketColumns+` FROM buckets
		WHERE state <> 'creating' AND ($1::uuid = $2::uuid OR account_id = $1) AND id > $3 ORDER BY id LIMIT $4`, account, ID{}, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Bucket, error) { return scanBucket(r) })
}

// EachBucket calls f for all buckets of AllBuckets, until f returns an error.
func EachBucket(ctx context.Context, q pg.Querier, account ID, f func(*Bucket) error) error {
	for after := (ID{}); ; {
		page, err := AllBuckets(ctx, q, account, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
		for _, b := range page {
			if err := f(b); err != nil {
				return err
			}
		}
	}
}

// BucketOwned reports whether the bucket's record is still there.
func BucketOwned(ctx context.Context, q pg.Querier, id ID) (owned bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM buckets WHERE id = $1 AND state = 'active')`, id).Scan(&owned)
	return owned, err
}

// Life is when a bucket was there.
type Life struct {
	ID, AccountID ID
	CreatedAt     time.Time
	DeletedAt     time.Time // zero: it is there
}

// BucketLives returns when the buckets of an account, or of all with the zero
// ID, were there, the deleted ones too.
func BucketLives(ctx context.Context, q pg.Querier, account ID) ([]Life, error) {
	rows, err := q.Query(ctx, `SELECT id, account_id, created_at, '0001-01-01Z'::timestamptz FROM buckets
			WHERE state <> 'creating' AND ($1::uuid = $2::uuid OR account_id = $1)
		UNION ALL SELECT id, account_id, created_at, deleted_at FROM deleted_buckets WHERE $1::uuid = $2::uuid OR account_id = $1`, account, ID{})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (l Life, err error) {
		err = r.Scan(&l.ID, &l.AccountID, &l.CreatedAt, &l.DeletedAt)
		return l, err
	})
}

// Owner says whose a bucket of a backend is.
type Owner struct {
	Bucket
	Account string // its name
	Settled bool   // neither being created nor deleted at this moment
}

// BucketOwners returns the owners of a backend's buckets by their names there,
// those being created or deleted too.
func BucketOwners(ctx context.Context, q pg.Querier, backend ID) (map[string]Owner, error) {
	rows, err := q.Query(ctx, `SELECT b.id, b.account_id, b.name, b.backend_id, b.backend_name, b.public_blocked, b.object_lock, b.created_at, a.name, b.state = 'active'
		FROM buckets b JOIN accounts a ON a.id = b.account_id WHERE b.backend_id = $1`, backend)
	if err != nil {
		return nil, err
	}
	m := map[string]Owner{}
	var o Owner
	_, err = pgx.ForEachRow(rows, []any{&o.ID, &o.AccountID, &o.Name, &o.BackendID, &o.BackendName, &o.PublicBlocked, &o.ObjectLock, &o.CreatedAt, &o.Account, &o.Settled},
		func() error { m[o.BackendName] = o; return nil })
	return m, err
}

// ForgetBucket removes the record of a bucket whose data is not in the backend
// any more. That it holds nothing is the caller's to know.
func ForgetBucket(ctx context.Context, q pg.Querier, id ID) error {
	return dropBucket(ctx, q, id, "active")
}
