package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// OldUpload is an unfinished multipart upload that a sample has seen. ID is the backend's.
type OldUpload struct{ ID, Key string }

// OldUploads returns up to limit uploads of a bucket whose keys have the prefix and
// that began at before or earlier, in the order of their ids behind after. Some may
// be over by now; those that began after the bucket's last sample are not there.
func OldUploads(ctx context.Context, q pg.Querier, bucket tenancy.ID, prefix string, before time.Time, after string, limit int) ([]OldUpload, error) {
	rows, err := q.Query(ctx, `SELECT upload_id, key FROM storage_uploads
		WHERE bucket_id = $1 AND substring(key FOR length($2::bytea)) = $2 AND initiated_at <= $3 AND upload_id > $4 ORDER BY upload_id LIMIT $5`,
		bucket, []byte(prefix), before, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (u OldUpload, err error) {
		var key []byte
		err = r.Scan(&u.ID, &key)
		u.Key = string(key)
		return u, err
	})
}

// ForgetUploads removes uploads that are over.
func ForgetUploads(ctx context.Context, q pg.Querier, bucket tenancy.ID, ids []string) error {
	return forgetUploads(ctx, q, bucket, ids)
}
