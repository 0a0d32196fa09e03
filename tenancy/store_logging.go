package tenancy

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// KeyFormat is how objects of access log lines are named
// (docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html).
type KeyFormat string

// The formats. The empty one is SimplePrefix, not asked for by name.
const (
	SimplePrefix   KeyFormat = "simple"        // <prefix>YYYY-mm-DD-HH-MM-SS-Unique
	ByEventTime    KeyFormat = "event-time"    // <prefix>account/region/bucket/YYYY/mm/DD/…, by the day of the requests
	ByDeliveryTime KeyFormat = "delivery-time" // the same, by the time of delivery
)

// BucketLogging says where a bucket's access log lines go: a bucket of the
// same account, by name, whether it exists now or not.
type BucketLogging struct {
	Target string    `json:"target"`
	Prefix string    `json:"prefix"`
	Format KeyFormat `json:"format"`
}

// LoggedBucket is a bucket whose lines are delivered, and where to.
type LoggedBucket struct {
	ID, AccountID ID
	Name          string
	Account       string // its name
	CanonicalID   string
	Status        Status // of the account
	Logging       BucketLogging
	Since         time.Time // of the first request to be delivered
	// Where Target lives; zero and "" while the account has no bucket of that name.
	BackendID   ID
	BackendName string
}

// setLogging puts a bucket's logging on, changes it, or with nil puts it off.
func setLogging(ctx context.Context, q pg.Querier, bucket ID, l *BucketLogging) error {
	if l == nil {
		_, err := q.Exec(ctx, `DELETE FROM bucket_logging WHERE bucket_id = $1`, bucket)
		return err
	}
	_, err := q.Exec(ctx, `INSERT INTO bucket_logging (bucket_id, target_name, target_prefix, key_format) VALUES ($1, $2, $3, $4)
		ON CONFLICT (bucket_id) DO UPDATE SET target_name = excluded.target_name, target_prefix = excluded.target_prefix, key_format = excluded.key_format`,
		bucket, l.Target, l.Prefix, l.Format)
	if pg.IsForeign(err) {
		return ErrBucketUnknown
	}
	return err
}

// LoggedBuckets returns every bucket with logging on.
func LoggedBuckets(ctx context.Context, q pg.Querier) ([]*LoggedBucket, error) {
	rows, err := q.Query(ctx, `SELECT b.id, b.account_id, b.name, a.name, a.canonical_id, a.status,
			l.target_name, l.target_prefix, l.key_format, l.enabled_at, t.backend_id, coalesce(t.backend_name, '')
		FROM bucket_logging l JOIN buckets b ON b.id = l.bucket_id JOIN accounts a ON a.id = b.account_id
		LEFT JOIN buckets t ON t.account_id = b.account_id AND t.name = l.target_name AND t.`+existing+`
		ORDER BY b.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*LoggedBucket, error) {
		l := &LoggedBucket{}
		return l, r.Scan(&l.ID, &l.AccountID, &l.Name, &l.Account, &l.CanonicalID, &l.Status,
			&l.Logging.Target, &l.Logging.Prefix, &l.Logging.Format, &l.Since, &l.BackendID, &l.BackendName)
	})
}

// SetLogging says where the bucket's access log lines go; nil: nowhere.
func (d *Directory) SetLogging(ctx context.Context, b *Bucket, l *BucketLogging) error {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return d.outage(err)
	}
	defer leave()
	return d.changed(b, setLogging(ctx, d.cfg.Pool, b.ID, l))
}

// LogTarget reports whether lines about some bucket of its account go into b.
func (d *Directory) LogTarget(ctx context.Context, b *Bucket) (is bool, err error) {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return false, d.outage(err)
	}
	defer leave()
	err = d.cfg.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM bucket_logging l JOIN buckets s ON s.id = l.bucket_id
		WHERE s.account_id = $1 AND l.target_name = $2)`, b.AccountID, b.Name).Scan(&is)
	return is, d.outage(err)
}

// LoggedBuckets is the function LoggedBuckets, straight from PostgreSQL.
func (d *Directory) LoggedBuckets(ctx context.Context) ([]*LoggedBucket, error) {
	list, err := LoggedBuckets(ctx, d.cfg.Pool)
	return list, d.outage(err)
}
