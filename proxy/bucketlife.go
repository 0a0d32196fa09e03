package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// createBucket writes the ownership record first, then makes the backend's
// bucket, then activates the record: a crash leaves a record that is busy,
// never a bucket without an owner.
func createBucket(x *exchange) error {
	doc, err := x.readDocument()
	if err != nil {
		return err
	}
	if len(doc) > 0 {
		location, err := s3xml.ParseCreateBucket(doc)
		if err != nil {
			return err
		}
		if location != "" && location != x.srv.cfg.Region {
			return &s3err.Error{Code: "InvalidLocationConstraint"}
		}
	}
	lock := false
	if v, ok := x.header("x-amz-bucket-object-lock-enabled"); ok {
		lock = equalFold(v, "true")
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	dir := x.srv.cfg.Directory
	bucket, err := dir.ReserveBucket(ctx, x.account.ID, string(x.bucketName), lock)
	if err != nil {
		return err
	}
	if err := x.makeBackendBucket(ctx, bucket, lock); err != nil {
		if rerr := dir.ReleaseBucket(cleanup(ctx), bucket); rerr != nil {
			x.srv.log.Error("bucket record left behind", "request", string(x.id[:]), "bucket", bucket.ID.String(), "error", rerr)
		}
		return err
	}
	// However long the backend took: the record must not stay as it is.
	if err := dir.ActivateBucket(cleanup(ctx), bucket); err != nil {
		return err
	}
	x.respondEmpty(200)
	h := &x.ctx.Response.Header
	h.Set("Location", "/"+bucket.Name)
	return nil
}

func (x *exchange) makeBackendBucket(ctx context.Context, bucket *tenancy.Bucket, lock bool) error {
	b, err := x.srv.backends.get(ctx, bucket.BackendID)
	if err != nil {
		return err
	}
	x.backend, x.bucket = b, bucket
	x.out.set("PUT", bucket.BackendName, nil)
	x.out.payload, x.out.length = emptySHA256, 0
	if lock {
		x.out.header([]byte("x-amz-bucket-object-lock-enabled"), valueTrue)
	}
	if err := x.send(nil); err != nil {
		return err
	}
	defer x.finish()
	if x.resp.Status == 409 {
		// The name is ours alone: an earlier attempt got this far.
		return nil
	}
	if x.resp.Status != 200 {
		return x.backendError()
	}
	return nil
}

// deleteBucket marks the record first, so that nobody writes to the bucket,
// deletes it or makes one of its name meanwhile, and restores it when the
// backend refuses. Readers notice nothing of the attempt, writers are told to
// come again (settled). A node that dies in between leaves a record that every
// node restores after a while (tenancy.RestoreAbandoned). An upload that
// was authorised before the mark is not waited for.
func deleteBucket(x *exchange) error {
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	dir := x.srv.cfg.Directory
	if err := dir.BeginDeleteBucket(ctx, x.bucket); err != nil {
		return err
	}
	x.prepare()
	err := x.send(nil)
	if err == nil {
		if s := x.resp.Status; s != 204 && s != 200 {
			err = x.backendError()
		}
		x.finish()
	}
	if x.goneAlready(err) {
		err = nil
	}
	if err != nil {
		if rerr := dir.RestoreBucket(cleanup(ctx), x.bucket); rerr != nil {
			x.srv.log.Error("bucket record not restored", "request", string(x.id[:]), "bucket", x.bucket.ID.String(), "error", rerr)
		}
		return err
	}
	if err := dir.RemoveBucket(cleanup(ctx), x.bucket); err != nil {
		return err
	}
	x.respondEmpty(204)
	return nil
}

// goneAlready reports whether the backend has said that it has no such bucket:
// an earlier attempt got that far. A 404 of somebody else, a proxy's say, is no
// reason to forget whose the objects are.
func (x *exchange) goneAlready(err error) bool {
	var e *s3err.Error
	return errors.As(err, &e) && e.Code == "NoSuchBucket" && x.resp.Status == 404
}

// settled refuses to write into a bucket that may be gone in a moment: MinIO
// acknowledges an object and removes it with the bucket when the two come at
// once. It is no 404 either: most attempts fail because the bucket is not empty.
// What makes the bucket emptier is let through.
func (x *exchange) settled(b *tenancy.Bucket) error {
	if b.Deleting && x.op.Writes() && !x.op.Empties {
		return &s3err.Error{Code: "SlowDown", Message: "The bucket is being deleted, which fails unless it is empty. Try again.", Retry: 1}
	}
	return nil
}

// databaseContext bounds what a request waits for PostgreSQL.
func (s *Server) databaseContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.cfg.Limits.DocumentWait)
}

// cleanup is a context for undoing: it outlives the request's, briefly.
func cleanup(ctx context.Context) context.Context {
	c, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	context.AfterFunc(c, cancel)
	return c
}
