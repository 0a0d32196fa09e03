package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

const bucketColumns = `id, account_id, name, backend_id, backend_name, public_blocked, object_lock, created_at, state = 'deleting',
	(SELECT jsonb_build_object('target', target_name, 'prefix', target_prefix, 'format', key_format) FROM bucket_logging WHERE bucket_id = buckets.id)`

func scanBucket(row pgx.Row) (*Bucket, error) {
	b := &Bucket{}
	err := row.Scan(&b.ID, &b.AccountID, &b.Name, &b.BackendID, &b.BackendName, &b.PublicBlocked, &b.ObjectLock, &b.CreatedAt, &b.Deleting, &b.Logging)
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
// deleted is ErrBucketBusy; those left behind by a dead process are forgotten.
// ErrTooManyBuckets means that the account has as many buckets as its own limits
// allow, or maxBuckets when they say nothing; 0 is no bound, for the operator's
// commands. The account is locked meanwhile, so that all nodes together create
// no more.
func ReserveBucket(ctx context.Context, q pg.Querier, account ID, name string, objectLock bool, maxBuckets int) (b *Bucket, err error) {
	if err := CheckBucketName(name); err != nil {
		return nil, err
	}
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		// A statement of its own: the next one sees what the transaction that had
		// the lock before has committed.
		if _, err := tx.Exec(ctx, `SELECT lock_account($1)`, account); err != nil {
			return err
		}
		if err := forgetAbandoned(ctx, tx, account); err != nil {
			return err
		}
		id := NewID()
		b, err = scanBucket(tx.QueryRow(ctx, `INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state, object_lock)
			SELECT $4, $1, $2, b.id, $5, 'creating', $6 FROM backends b
			WHERE b.id = coalesce((SELECT backend_id FROM accounts WHERE id = $1), (SELECT id FROM backends WHERE is_default))
				AND ($3 = 0 OR `+countBuckets+` < `+bucketBound+`)
			ON CONFLICT (account_id, name) DO NOTHING RETURNING `+bucketColumns, account, name, maxBuckets, id, backendName(id), objectLock))
		if errors.Is(err, ErrBucketUnknown) {
			return whyNotReserved(ctx, tx, account, name, maxBuckets)
		}
		return err
	})
	if pg.IsForeign(err) {
		return nil, ErrAccountUnknown
	}
	return b, err
}

// How many buckets the account $1 has, and may have when the gateways say $3.
const (
	countBuckets = `(SELECT count(*) FROM buckets WHERE account_id = $1)`
	bucketBound  = `coalesce((SELECT buckets FROM account_limits WHERE account_id = $1), $3)`
)

// forgetAbandoned removes the records of buckets whose creation was begun by a
// process that died. The next one of such a name gets another id and so another
// name in the backend: nothing left over is attached to it (S3-RULES.md D10).
func forgetAbandoned(ctx context.Context, q pg.Querier, account ID) error {
	_, err := q.Exec(ctx, `DELETE FROM buckets WHERE account_id = $1 AND state = 'creating' AND updated_at < now() - `+abandoned, account)
	return err
}

// whyNotReserved tells what stood in the way of a new bucket.
func whyNotReserved(ctx context.Context, q pg.Querier, account ID, name string, maxBuckets int) error {
	var state *string
	var backend, full bool
	err := q.QueryRow(ctx, `SELECT (SELECT state FROM buckets WHERE account_id = $1 AND name = $2),
		EXISTS (SELECT FROM accounts WHERE id = $1 AND backend_id IS NOT NULL) OR EXISTS (SELECT FROM backends WHERE is_default),
		$3 > 0 AND `+countBuckets+` >= `+bucketBound, account, name, maxBuckets).Scan(&state, &backend, &full)
	switch {
	case err != nil:
		return err
	case state != nil && *state == "active":
		return ErrBucketExists
	case state != nil:
		return ErrBucketBusy
	case !backend:
		return ErrNoBackend
	case full:
		return ErrTooManyBuckets
	}
	return ErrBucketBusy // the one that was in the way has gone meanwhile
}

// RestoreAbandoned ends deletions that were begun by a process that died: the
// data is there or not, and the owner may delete the bucket again. It returns
// how many there were. Rows that another transaction has locked are left for the
// next call.
func RestoreAbandoned(ctx context.Context, q pg.Querier) (int64, error) {
	tag, err := q.Exec(ctx, `UPDATE buckets SET state = 'active', updated_at = now() WHERE id IN (
		SELECT id FROM buckets WHERE state = 'deleting' AND updated_at < now() - `+abandoned+` FOR UPDATE SKIP LOCKED)`)
	return tag.RowsAffected(), wrapf(err, "restore abandoned buckets")
}

func moveBucket(ctx context.Context, q pg.Querier, id ID, from, to string) error {
	return mustAffect(q.Exec(ctx, `UPDATE buckets SET state = $3, updated_at = now() WHERE id = $1 AND state = $2`, id, from, to))(ErrBucketBusy)
}

func dropBucket(ctx context.Context, q pg.Querier, id ID, state string) error {
	return mustAffect(q.Exec(ctx, `DELETE FROM buckets WHERE id = $1 AND state = $2`, id, state))(ErrBucketBusy)
}

// ImportBucket takes over a bucket that exists in the backend. Whether it does
// is the caller's to check. It returns ErrBucketTaken when an account owns it.
func ImportBucket(ctx context.Context, q pg.Querier, account ID, name string, backend ID, backendName string, objectLock bool) (*Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return nil, err
	}
	b, err := scanBucket(q.QueryRow(ctx, `INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state, object_lock)
		VALUES ($1, $2, $3, $4, $5, 'active', $6) RETURNING `+bucketColumns, NewID(), account, name, backend, backendName, objectLock))
	switch {
	case hasConstraint(err, "buckets_backend_id_backend_name_key"):
		return nil, about(backendName, ErrBucketTaken)
	case pg.IsUnique(err):
		return nil, about(name, ErrBucketExists)
	case pg.IsForeign(err):
		return nil, fmt.Errorf("%w, or %w", ErrAccountUnknown, ErrBackendUnknown)
	}
	return b, err
}

// existing is the condition for a bucket that its account has. One that is being
// deleted is among them: the attempt fails when the bucket is not empty, and
// must not look like a success meanwhile.
const existing = `state IN ('active', 'deleting')`

// BucketByName returns an account's bucket, one that is being deleted too, or
// ErrBucketUnknown.
func BucketByName(ctx context.Context, q pg.Querier, account ID, name string) (*Bucket, error) {
	b, err := scanBucket(q.QueryRow(ctx, `SELECT `+bucketColumns+` FROM buckets WHERE account_id = $1 AND name = $2 AND `+existing, account, name))
	return b, about(name, err)
}

// ListBuckets returns up to limit buckets that are there in the order of their
// names, beginning with prefix, behind after; of those named in only, unless
// that is nil.
func ListBuckets(ctx context.Context, q pg.Querier, account ID, only []string, prefix, after string, limit int) ([]*Bucket, error) {
	rows, err := q.Query(ctx, `SELECT `+bucketColumns+` FROM buckets
		WHERE account_id = $1 AND `+existing+` AND ($2::text[] IS NULL OR name = ANY ($2)) AND starts_with(name, $3) AND name > $4
		ORDER BY name LIMIT $5`, account, only, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Bucket, error) { return scanBucket(r) })
}
