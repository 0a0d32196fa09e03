package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/tenancy"
)

// listing is the measuring of one bucket. It can be put down after any key and
// taken up again, by another process too.
type listing struct {
	sampler *Sampler
	bucket  *tenancy.Bucket
	holder  tenancy.ID // zero: nothing is kept
	saved   time.Time

	startedAt time.Time
	hours     []time.Time // in which it read, of those that are kept
	marker    string      // the last key whose versions are all in done
	done      Totals
	delivered int64 // bytes of done that are delivered access logs: of each key one version at most

	windows []Window // kept by no one, as is what was stored in each
	created []int64
}

// pageSize is S3's largest page.
const pageSize = 1000

var errStalled = errors.New("metering: the backend has stopped answering")

// read lists versions, then unfinished uploads. An endpoint that fails is
// replaced by the next one, at the key where it failed.
func (l *listing) read(ctx context.Context, clients []*minio.Client) error {
	if err := eachUntil(clients, func(c *minio.Client) error { return l.versions(ctx, c) }); err != nil {
		return l.explain(err)
	}
	return l.explain(l.uploads(ctx, clients))
}

// eachUntil tries the endpoints in turn until one answers.
func eachUntil(clients []*minio.Client, f func(*minio.Client) error) (err error) {
	for _, c := range clients {
		if err = f(c); err == nil || !unreachable(err) {
			return err
		}
	}
	return err
}

func (l *listing) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case answer(err) == minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", errBucketMissing, err)
	}
	return fmt.Errorf("list bucket %s: %w", l.bucket.BackendName, err)
}

// versions adds up every version behind the marker. done moves on from key to
// key, so that a version is counted once however often this is interrupted.
func (l *listing) versions(ctx context.Context, c *minio.Client) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The client has no limit for an answer that stops half-way.
	stall := time.AfterFunc(l.sampler.cfg.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	key, sums, created, n := l.marker, l.done, slices.Clone(l.created), 0
	delivered, bucket := l.delivered, l.bucket.BackendName
	isLog := false // a version of key was
	for o := range c.ListObjectsIter(ctx, l.bucket.BackendName, minio.ListObjectsOptions{
		WithVersions: true, Recursive: true, StartAfter: l.marker, MaxKeys: pageSize,
	}) {
		if o.Err != nil {
			return errors.Join(o.Err, stallOf(ctx))
		}
		if o.Key != key {
			l.passed(key, sums, delivered, created)
			if err := l.save(ctx); err != nil {
				return err
			}
			key, isLog = o.Key, false
		}
		if !isLog && l.sampler.mac.delivered(bucket, o.Key, o.Size) {
			isLog = true
			delivered += o.Size
		}
		sums.add(&o)
		l.within(created, o.LastModified, o.Size)
		if n++; n%pageSize == 0 {
			stall.Reset(l.sampler.cfg.Stall)
			if err := l.sampler.limiter.Wait(ctx); err != nil {
				return errors.Join(err, stallOf(ctx))
			}
		}
	}
	// The iterator ends without a word when it is told to.
	if err := context.Cause(ctx); err != nil {
		return err
	}
	l.passed(key, sums, delivered, created)
	return nil
}

// passed notes what there is up to and with a key.
func (l *listing) passed(key string, sums Totals, delivered int64, created []int64) {
	l.marker, l.done, l.delivered = key, sums, delivered
	copy(l.created, created)
}

// within adds size to what was stored in each window that has the moment.
func (l *listing) within(created []int64, at time.Time, size int64) {
	for i, w := range l.windows {
		if w.has(at) {
			created[i] += size
		}
	}
}

// ask makes one request, within the rate and the time that one may take.
func ask[T any](ctx context.Context, v *Sampler, f func(context.Context) (T, error)) (T, error) {
	var none T
	if err := v.limiter.Wait(ctx); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, v.cfg.Stall, errStalled)
	defer cancel()
	page, err := f(ctx)
	return page, errors.Join(err, stallOf(ctx))
}

func stallOf(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errStalled) {
		return err
	}
	return nil
}

func (s *Totals) add(o *minio.ObjectInfo) {
	switch {
	case o.IsDeleteMarker:
		s.DeleteMarkers++
	case o.IsLatest:
		s.Objects++
		s.CurrentBytes += o.Size
	default:
		s.NoncurrentVersions++
		s.NoncurrentBytes += o.Size
	}
}

// save keeps the place when it is time to.
func (l *listing) save(ctx context.Context) error {
	if l.holder == (tenancy.ID{}) || time.Since(l.saved) < l.sampler.cfg.SaveInterval {
		return nil
	}
	l.saved = time.Now()
	l.note(l.sampler.cfg.Now())
	return storeError(keepListing(ctx, l.sampler.cfg.Pool, l, l.sampler.cfg.Hold))
}

// hourOf is the beginning of the hour of t, UTC.
func hourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// note makes the hour of now the last of those in which the listing read.
func (l *listing) note(now time.Time) {
	h := hourOf(now)
	l.hours = append(slices.DeleteFunc(l.hours, h.Equal), h)
}

// leave puts the listing down, with what it has. The hour of a failure is a
// gap, and stays one when the listing is taken up in a later hour.
func (l *listing) leave(ctx context.Context, failed bool) error {
	l.note(l.sampler.cfg.Now())
	if failed {
		l.hours = l.hours[:len(l.hours)-1]
	}
	return keepListing(ctx, l.sampler.cfg.Pool, l, 0)
}

// write ends the listing with the sample of each hour in which it read.
func (l *listing) write(ctx context.Context) (*Sample, error) {
	now := l.sampler.cfg.Now()
	l.note(now)
	s := &Sample{
		Bucket: l.bucket.ID, Account: l.bucket.AccountID, Hour: hourOf(now), Totals: l.done, Source: sourceListing,
		StartedAt: l.startedAt, MeasuredAt: now,
	}
	return s, writeSamples(ctx, l.sampler.cfg.Pool, s, l)
}

// take begins a listing, or takes up one that was put down.
func (v *Sampler) take(ctx context.Context, b *tenancy.Bucket) (*listing, error) {
	l := &listing{sampler: v, bucket: b, holder: tenancy.NewID(), startedAt: v.cfg.Now(), saved: time.Now()}
	return l, takeListing(ctx, v.cfg.Pool, l, v.cfg.Hold, l.startedAt.Add(-v.cfg.MaxAge))
}
