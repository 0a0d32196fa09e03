package storage

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// withoutSample returns those of the buckets that have no sample in the hour,
// apart those of which a part was read before.
func withoutSample(ctx context.Context, q pg.Querier, page []*tenancy.Bucket, hour time.Time) (fresh, begun []*tenancy.Bucket, err error) {
	ids, byID := make([]tenancy.ID, len(page)), map[tenancy.ID]*tenancy.Bucket{}
	for i, b := range page {
		ids[i], byID[b.ID] = b.ID, b
	}
	rows, err := q.Query(ctx, `SELECT id, EXISTS (SELECT FROM storage_listings l WHERE l.bucket_id = b.id AND l.marker <> '') FROM unnest($1::uuid[]) AS b (id)
		WHERE NOT EXISTS (SELECT FROM storage_samples s WHERE s.bucket_id = b.id AND s.hour = $2) ORDER BY id`, ids, hour)
	if err != nil {
		return nil, nil, err
	}
	var id tenancy.ID
	var partly bool
	_, err = pgx.ForEachRow(rows, []any{&id, &partly}, func() error {
		if partly {
			begun = append(begun, byID[id])
		} else {
			fresh = append(fresh, byID[id])
		}
		return nil
	})
	return fresh, begun, err
}

// takeListing fills l with the place where an earlier holder put the listing
// down, or begins anew when there is none, or it is of before oldest. It
// returns ErrListed while somebody holds it.
func takeListing(ctx context.Context, q pg.Querier, l *listing, hold time.Duration, oldest time.Time) error {
	var marker []byte
	err := q.QueryRow(ctx, `INSERT INTO storage_listings AS l
			(bucket_id, holder, held_until, started_at, hours, marker, current_bytes, noncurrent_bytes, objects, noncurrent_versions, delete_markers)
		SELECT id, $2, clock_timestamp() + $3, $4, '{}', '', 0, 0, 0, 0, 0 FROM buckets WHERE id = $1 AND state <> 'creating'
		ON CONFLICT (bucket_id) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until,
			started_at = CASE WHEN l.started_at < $5 THEN excluded.started_at ELSE l.started_at END,
			hours = CASE WHEN l.started_at < $5 THEN excluded.hours ELSE l.hours END,
			marker = CASE WHEN l.started_at < $5 THEN excluded.marker ELSE l.marker END,
			current_bytes = CASE WHEN l.started_at < $5 THEN 0 ELSE l.current_bytes END,
			noncurrent_bytes = CASE WHEN l.started_at < $5 THEN 0 ELSE l.noncurrent_bytes END,
			objects = CASE WHEN l.started_at < $5 THEN 0 ELSE l.objects END,
			noncurrent_versions = CASE WHEN l.started_at < $5 THEN 0 ELSE l.noncurrent_versions END,
			delete_markers = CASE WHEN l.started_at < $5 THEN 0 ELSE l.delete_markers END,
			delivered_bytes = CASE WHEN l.started_at < $5 THEN 0 ELSE l.delivered_bytes END
		WHERE l.held_until < clock_timestamp()
		RETURNING started_at, hours, marker, current_bytes, noncurrent_bytes, objects, noncurrent_versions, delete_markers, delivered_bytes`,
		l.bucket.ID, l.holder, hold, l.startedAt, oldest).
		Scan(&l.startedAt, &l.hours, &marker, &l.done.CurrentBytes, &l.done.NoncurrentBytes, &l.done.Objects, &l.done.NoncurrentVersions, &l.done.DeleteMarkers, &l.delivered)
	l.marker = string(marker)
	for i := range l.hours {
		l.hours[i] = l.hours[i].UTC()
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	// Held, or its bucket is gone.
	var held bool
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM storage_listings WHERE bucket_id = $1)`, l.bucket.ID).Scan(&held); err != nil {
		return err
	}
	if !held {
		return tenancy.ErrBucketUnknown
	}
	return ErrListed
}

// keepListing writes how far the listing has got and holds it on; with no time
// to hold it is put down.
func keepListing(ctx context.Context, q pg.Querier, l *listing, hold time.Duration) error {
	return heldOn(q.Exec(ctx, `UPDATE storage_listings SET held_until = clock_timestamp() + $3, hours = $4, marker = $5,
			current_bytes = $6, noncurrent_bytes = $7, objects = $8, noncurrent_versions = $9, delete_markers = $10, delivered_bytes = $11
		WHERE bucket_id = $1 AND holder = $2`,
		l.bucket.ID, l.holder, hold, l.hours, []byte(l.marker),
		l.done.CurrentBytes, l.done.NoncurrentBytes, l.done.Objects, l.done.NoncurrentVersions, l.done.DeleteMarkers, l.delivered))
}

// writeSamples ends a listing: its sample goes into every hour in which it
// read. The latest sample of an hour stays, and so does one that is sealed; an
// hour of more than a day before the first that is not sealed stays a gap, as a
// trigger demands: a listing that old is begun anew.
func writeSamples(ctx context.Context, q pg.Querier, s *Sample, l *listing) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		if err := heldOn(tx.Exec(ctx, `DELETE FROM storage_listings WHERE bucket_id = $1 AND holder = $2`, s.Bucket, l.holder)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO storage_samples AS s
				(bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads,
				source, started_at, measured_at)
			SELECT $1, hour, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM unnest($2::timestamptz[]) AS h (hour)
			WHERE hour >= coalesce(usage_open_from() - interval '25 hours', '-infinity')
			ON CONFLICT (bucket_id, hour) DO UPDATE SET
				current_bytes = excluded.current_bytes, noncurrent_bytes = excluded.noncurrent_bytes, incomplete_bytes = excluded.incomplete_bytes,
				objects = excluded.objects, noncurrent_versions = excluded.noncurrent_versions, delete_markers = excluded.delete_markers,
				uploads = excluded.uploads, source = excluded.source, started_at = excluded.started_at, measured_at = excluded.measured_at
			WHERE s.measured_at < excluded.measured_at AND s.seal_hour >= coalesce(usage_open_from(), '-infinity')`,
			s.Bucket, l.hours, s.Account, s.CurrentBytes, s.NoncurrentBytes, s.IncompleteBytes, s.Objects, s.NoncurrentVersions, s.DeleteMarkers, s.Uploads,
			s.Source, s.StartedAt, s.MeasuredAt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO storage_delivered AS d (bucket_id, account_id, measured_at, bytes) VALUES ($1, $2, $3, $4)
			ON CONFLICT (bucket_id) DO UPDATE SET measured_at = excluded.measured_at, bytes = excluded.bytes WHERE d.measured_at < excluded.measured_at`,
			s.Bucket, s.Account, s.MeasuredAt, l.delivered); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM storage_gaps WHERE bucket_id = $1 AND hour = ANY($2)`, s.Bucket, l.hours)
		return err
	})
}

// heldOn turns "no row changed" into ErrListed: another process took over.
func heldOn(tag interface{ RowsAffected() int64 }, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return ErrListed
	}
	return err
}

// writeGap says why the hour has no sample, unless it has one.
func writeGap(ctx context.Context, q pg.Querier, b *tenancy.Bucket, at time.Time, why error) error {
	_, err := q.Exec(ctx, `INSERT INTO storage_gaps (bucket_id, hour, account_id, error, failed_at)
		SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM storage_samples WHERE bucket_id = $1 AND hour = $2)
		ON CONFLICT (bucket_id, hour) DO UPDATE SET error = excluded.error, failed_at = excluded.failed_at`,
		b.ID, hourOf(at), b.AccountID, why.Error(), at)
	return err
}

// LastSample returns a bucket's newest sample; ok is false when it has none.
func LastSample(ctx context.Context, q pg.Querier, bucket tenancy.ID) (s Sample, ok bool, err error) {
	err = q.QueryRow(ctx, `SELECT bucket_id, hour, account_id, current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions,
			delete_markers, uploads, source, started_at, measured_at
		FROM storage_samples WHERE bucket_id = $1 ORDER BY hour DESC LIMIT 1`, bucket).
		Scan(&s.Bucket, &s.Hour, &s.Account, &s.CurrentBytes, &s.NoncurrentBytes, &s.IncompleteBytes, &s.Objects, &s.NoncurrentVersions,
			&s.DeleteMarkers, &s.Uploads, &s.Source, &s.StartedAt, &s.MeasuredAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return Sample{}, false, nil
	}
	return s, err == nil, err
}

// rememberUploads keeps unfinished uploads, so that they are found again when
// the backend has forgotten to list them.
func rememberUploads(ctx context.Context, q pg.Querier, bucket tenancy.ID, list []minio.ObjectMultipartInfo) error {
	ids, keys, began := make([]string, len(list)), make([][]byte, len(list)), make([]time.Time, len(list))
	for i := range list {
		ids[i], keys[i], began[i] = list[i].UploadID, []byte(list[i].Key), list[i].Initiated
	}
	_, err := q.Exec(ctx, `INSERT INTO storage_uploads (bucket_id, upload_id, key, initiated_at)
		SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::timestamptz[]) ON CONFLICT (bucket_id, upload_id) DO NOTHING`, bucket, ids, keys, began)
	return storeError(err)
}

// knownUploads returns some uploads of a bucket in the order of their ids.
func knownUploads(ctx context.Context, q pg.Querier, bucket tenancy.ID, after string) ([]upload, error) {
	rows, err := q.Query(ctx, `SELECT upload_id, key FROM storage_uploads WHERE bucket_id = $1 AND upload_id > $2 ORDER BY upload_id LIMIT 100`, bucket, after)
	if err != nil {
		return nil, storeError(err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (u upload, err error) {
		var key []byte
		err = r.Scan(&u.id, &key)
		u.key = string(key)
		return u, err
	})
	return list, storeError(err)
}

// forgetUploads removes uploads that are over.
func forgetUploads(ctx context.Context, q pg.Querier, bucket tenancy.ID, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, `DELETE FROM storage_uploads WHERE bucket_id = $1 AND upload_id = ANY($2)`, bucket, ids)
	return storeError(err)
}
