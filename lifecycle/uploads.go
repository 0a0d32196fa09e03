// Package lifecycle does what rules of buckets' lifecycles ask for and MinIO does
// not: multipart uploads that nobody completes are aborted (docs/decisions/0032).
package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/minio-go/v7"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Config of an Aborter.
type Config struct {
	Pool    *pgxpool.Pool // as primecloud_worker
	Store   *tenancy.Store
	Now     func() time.Time      // nil: time.Now
	Logger  *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // nil: none
	// Most uploads aborted by one job; those left wait for the next day's. 0: 10,000.
	Most int
}

// Aborter aborts uploads that rules say are too old.
type Aborter struct {
	cfg     Config
	uploads *prometheus.CounterVec
}

// NewAborter makes an Aborter.
func NewAborter(cfg Config) *Aborter {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Most == 0 {
		cfg.Most = 10_000
	}
	a := &Aborter{cfg: cfg, uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_lifecycle_uploads_total", Help: "Multipart uploads that a lifecycle rule was to abort.",
	}, []string{"outcome"})}
	for _, outcome := range []string{"aborted", "over", "failed"} {
		a.uploads.WithLabelValues(outcome)
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(a.uploads)
	}
	return a
}

// BucketUploads names the bucket whose uploads a job looks at.
type BucketUploads struct {
	Bucket tenancy.ID `json:"bucket"`
}

// AbortUploads is a job for each bucket that has rules, enqueued once a day.
var AbortUploads = jobs.Kind[BucketUploads]{
	Name: "abort_uploads", Queue: jobs.Queue{Name: "lifecycle", Workers: 4}, Timeout: 20 * time.Minute, Once: true,
}

// Daily is the work that enqueues them.
func (a *Aborter) Daily() jobs.Periodic {
	return jobs.Periodic{Kind: "abort_uploads_daily", Every: 24 * time.Hour, Timeout: 10 * time.Minute, Work: a.Enqueue}
}

// Enqueue enqueues a job for each bucket that has rules.
func (a *Aborter) Enqueue(ctx context.Context) error {
	for after := (tenancy.ID{}); ; {
		page, err := tenancy.BucketsWithUploadRules(ctx, a.cfg.Pool, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
		list := make([]BucketUploads, len(page))
		for i, id := range page {
			list[i] = BucketUploads{id}
		}
		if err := pg.InTx(ctx, a.cfg.Pool, func(tx pgx.Tx) error {
			_, err := AbortUploads.InsertTx(ctx, tx, list...)
			return err
		}); err != nil {
			return err
		}
	}
}

// counts are the outcomes for one bucket's uploads.
type counts struct{ aborted, over, failed int }

// Abort aborts the uploads of a bucket that its rules say are too old. Cut off, it
// goes on where it was when it is called again.
func (a *Aborter) Abort(ctx context.Context, of BucketUploads) error {
	b, err := tenancy.BucketByID(ctx, a.cfg.Pool, of.Bucket)
	if errors.Is(err, tenancy.ErrBucketUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	backend, err := a.cfg.Store.Backend(ctx, a.cfg.Pool, b.BackendID)
	if err != nil {
		return err
	}
	c, err := backend.Client()
	if err != nil {
		return err
	}
	rules, err := a.rules(ctx, c, b)
	if err != nil {
		return err
	}
	var n counts
	var errs []error
	for _, r := range rules {
		if r.Enabled {
			errs = append(errs, a.abort(ctx, c, b, r, &n))
		}
	}
	if n != (counts{}) {
		a.cfg.Logger.Info("unfinished uploads aborted by lifecycle rules", "bucket", b.ID, "aborted", n.aborted, "over", n.over, "failed", n.failed,
			"more", n.aborted >= a.cfg.Most)
	}
	return errors.Join(errs...)
}

// rules are those in force, which the backend's document names; the others are forgotten.
func (a *Aborter) rules(ctx context.Context, c *minio.Client, b *tenancy.Bucket) ([]tenancy.UploadRule, error) {
	var named tenancy.ID
	doc, err := c.GetBucketLifecycle(ctx, b.BackendName)
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil:
		for _, r := range doc.Rules {
			if version, is := tenancy.ParseUploadRulesMark(r.ID); is {
				named = version
			}
		}
	case code == "NoSuchLifecycleConfiguration":
	default:
		return nil, err
	}
	if err := tenancy.ForgetUploadRules(ctx, a.cfg.Pool, b.ID, named); err != nil || named == (tenancy.ID{}) {
		return nil, err
	}
	return tenancy.UploadRulesOf(ctx, a.cfg.Pool, b.ID, named)
}

// pageSize is how many uploads are read from PostgreSQL at once.
const pageSize = 100

// abort ends uploads that began Days before this day's midnight, UTC, or earlier: S3
// rounds the moment at which a rule applies up to the next midnight
// (docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html).
func (a *Aborter) abort(ctx context.Context, c *minio.Client, b *tenancy.Bucket, r tenancy.UploadRule, n *counts) error {
	began := a.cfg.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -r.Days)
	var errs []error
	for after := ""; n.aborted < a.cfg.Most; {
		page, err := storage.OldUploads(ctx, a.cfg.Pool, b.ID, r.Prefix, began, after, min(pageSize, a.cfg.Most-n.aborted))
		if err != nil || len(page) == 0 {
			return errors.Join(append(errs, err)...)
		}
		after = page[len(page)-1].ID
		var ended []string
		for _, u := range page {
			err := minio.Core{Client: c}.AbortMultipartUpload(ctx, b.BackendName, u.Key, u.ID)
			switch {
			case err == nil:
				n.aborted++
				a.uploads.WithLabelValues("aborted").Inc()
			case minio.ToErrorResponse(err).Code == minio.NoSuchUpload:
				n.over++
				a.uploads.WithLabelValues("over").Inc()
			case ctx.Err() != nil:
				return errors.Join(ctx.Err(), a.forget(ctx, b, ended))
			default:
				n.failed++
				a.uploads.WithLabelValues("failed").Inc()
				errs = append(errs, err)
				continue // it keeps no other
			}
			ended = append(ended, u.ID)
		}
		if err := a.forget(ctx, b, ended); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if len(errs) > pageSize {
			break // the backend's trouble, not an upload's
		}
	}
	return errors.Join(errs...)
}

// forget is also for when ctx has ended: what is over need not be asked for again.
func (a *Aborter) forget(ctx context.Context, b *tenancy.Bucket, ended []string) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return storage.ForgetUploads(ctx, a.cfg.Pool, b.ID, ended)
}
