package storage

import (
	"context"
	"errors"
	"slices"

	"github.com/minio/minio-go/v7"
)

// uploads adds up the parts of unfinished multipart uploads: of those the
// backend lists, on any endpoint, and of those seen before. MinIO lists only
// what the asked process has begun itself.
func (l *listing) uploads(ctx context.Context, clients []*minio.Client) error {
	var failed error
	answered := false
	for _, c := range clients {
		err := l.discover(ctx, c)
		if err != nil && !unreachable(err) {
			return err
		}
		failed, answered = errors.Join(failed, err), answered || err == nil
	}
	if !answered {
		return failed
	}
	l.done.Uploads, l.done.IncompleteBytes = 0, 0
	for after := ""; ; {
		page, err := knownUploads(ctx, l.sampler.cfg.Pool, l.bucket.ID, after)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].id
		if err := l.measure(ctx, clients, page); err != nil {
			return err
		}
		if err := l.save(ctx); err != nil {
			return err
		}
	}
}

// discover remembers the uploads that an endpoint lists.
func (l *listing) discover(ctx context.Context, c *minio.Client) error {
	core := minio.Core{Client: c}
	for keyMarker, idMarker := "", ""; ; {
		page, err := ask(ctx, l.sampler, func(ctx context.Context) (minio.ListMultipartUploadsResult, error) {
			return core.ListMultipartUploads(ctx, l.bucket.BackendName, "", keyMarker, idMarker, "", pageSize)
		})
		if err != nil {
			return err
		}
		for some := range slices.Chunk(page.Uploads, pageSize) { // MinIO does not page
			if err := rememberUploads(ctx, l.sampler.cfg.Pool, l.bucket.ID, some); err != nil {
				return err
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == keyMarker && page.NextUploadIDMarker == idMarker {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// upload is a multipart upload that was seen.
type upload struct{ id, key string }

// measure adds up the parts of some uploads, and forgets those that are over.
func (l *listing) measure(ctx context.Context, clients []*minio.Client, page []upload) error {
	var finished []string
	for _, u := range page {
		bytes, err := l.parts(ctx, clients, u)
		switch {
		case answer(err) == minio.NoSuchUpload:
			finished = append(finished, u.id)
		case err != nil:
			return err
		default:
			l.done.Uploads++
			l.done.IncompleteBytes += bytes
		}
	}
	return forgetUploads(ctx, l.sampler.cfg.Pool, l.bucket.ID, finished)
}

func (l *listing) parts(ctx context.Context, clients []*minio.Client, u upload) (bytes int64, err error) {
	created := make([]int64, len(l.created))
	err = eachUntil(clients, func(c *minio.Client) error {
		bytes = 0
		clear(created)
		for marker := 0; ; {
			page, err := ask(ctx, l.sampler, func(ctx context.Context) (minio.ListObjectPartsResult, error) {
				return minio.Core{Client: c}.ListObjectParts(ctx, l.bucket.BackendName, u.key, u.id, marker, pageSize)
			})
			if err != nil {
				return err
			}
			for i := range page.ObjectParts {
				bytes += page.ObjectParts[i].Size
				l.within(created, page.ObjectParts[i].LastModified, page.ObjectParts[i].Size)
			}
			if !page.IsTruncated || page.NextPartNumberMarker <= marker {
				return nil
			}
			marker = page.NextPartNumberMarker
		}
	})
	for i, n := range created {
		l.created[i] += n
	}
	return bytes, err
}
