package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Bucket holds what the backend has against the last sample, and what was
// stored in the window against what was uploaded in it.
type Bucket struct {
	Account Name   `json:"account"`
	Bucket  Name   `json:"bucket"`
	Error   string `json:"error,omitempty"` // it could not be listed: nothing is known

	Now    *storage.Totals `json:"now,omitempty"`
	Sample *storage.Sample `json:"last_sample,omitempty"`
	Growth Comparison      `json:"growth"` // Now against Sample

	// Created is of the window: the bytes that are there now and were stored in
	// it. Uploaded is what clients sent for objects and parts in it, by the log,
	// or else all that the ledger has as ingress of class A.
	Created  int64      `json:"created_bytes"`
	Uploaded int64      `json:"uploaded_bytes"`
	Content  Comparison `json:"content"` // Created against Uploaded
}

// Comparison is a difference in bytes and what is known of it.
type Comparison struct {
	Difference int64   `json:"difference_bytes"`
	Verdict    Verdict `json:"verdict"`
	Cause      string  `json:"cause,omitempty"`

	unexplained int64 // bytes of Difference for which there is no cause
}

// uploads is what the log says of a bucket's window.
type uploads struct {
	stored  map[time.Time]int64 // bytes of uploads that succeeded, by the hour in which they began
	copies  int64               // that succeeded: of these the log has no sizes
	removed int64               // requests that take something away
	// begun has, by key, multipart uploads that were begun in the window less
	// those that were completed in it, where these are not equal.
	begun map[string]int
}

// older counts the multipart uploads that were completed in the window and
// begun before it: parts of theirs are of before it.
func (u *uploads) older() (n int) {
	for _, begun := range u.begun {
		n += max(0, -begun)
	}
	return n
}

func newUploads() *uploads { return &uploads{stored: map[time.Time]int64{}, begun: map[string]int{}} }

// before is the bytes of those uploads that began in an hour that begins before
// a moment: all that can have been stored by then, and some that were not.
func (u *uploads) before(moment time.Time) (bytes int64) {
	for hour, n := range u.stored {
		if hour.Before(moment) {
			bytes += n
		}
	}
	return bytes
}

func (u *uploads) multipart(key string, n int) {
	if u.begun[key] += n; u.begun[key] == 0 {
		delete(u.begun, key)
	}
}

func (u *uploads) add(r *accesslog.Record) {
	if r.Status/100 != 2 {
		return
	}
	switch r.Operation {
	case "PutObject", "UploadPart", "PostObject":
		for _, c := range r.Cells() {
			u.stored[r.Time.UTC().Truncate(time.Hour)] += c.Ingress
		}
	case "CopyObject", "UploadPartCopy":
		u.copies++
	case "CreateMultipartUpload":
		u.multipart(string(r.Key), 1)
	case "CompleteMultipartUpload":
		u.multipart(string(r.Key), -1)
	case "DeleteObject", "DeleteObjects", "AbortMultipartUpload":
		u.removed++
	}
}

func (r *Report) compareBuckets(ctx context.Context, cfg *Config, l *window, log *requestLog) error {
	return tenancy.EachBucket(ctx, cfg.Pool, cfg.Account, func(b *tenancy.Bucket) error {
		return r.compareBucket(ctx, cfg, b, l, log)
	})
}

func (r *Report) compareBucket(ctx context.Context, cfg *Config, b *tenancy.Bucket, l *window, log *requestLog) error {
	one := Bucket{Account: Name{ID: b.AccountID}, Bucket: Name{b.ID, b.Name}}
	// What was in a bucket before it was the account's came another way.
	from := cfg.From
	if b.CreatedAt.After(from) {
		from = b.CreatedAt
	}
	// The sample before the listing: one that is made meanwhile may have what was
	// deleted since the listing passed it.
	if err := one.readSample(ctx, cfg); err != nil {
		return err
	}
	now, created, err := cfg.Sampler.MeasureWindows(ctx, b, storage.Window{From: from, To: cfg.To},
		storage.Window{From: from, To: l.sureOf(cfg.To)}, storage.Window{From: l.sure()})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		one.Error, one.Growth.Verdict, one.Content.Verdict = err.Error(), Unexplained, Unexplained
		r.Unexplained.Requests++ // nothing is known of its bytes, and that may not pass
		r.Buckets = append(r.Buckets, one)
		return nil
	}
	one.Now, one.Created = &now, created[0]
	if err := one.compareSample(ctx, cfg, created[2]); err != nil {
		return err
	}
	one.compareContent(l, log, cfg.To, created[1])
	r.Unexplained.Ingress += one.Growth.unexplained + one.Content.unexplained
	r.Buckets = append(r.Buckets, one)
	return nil
}

func (b *Bucket) readSample(ctx context.Context, cfg *Config) error {
	last, ok, err := storage.LastSample(ctx, cfg.Pool, b.Bucket.ID)
	if ok {
		b.Sample = &last
	}
	return err
}

// compareSample: what the bucket holds may only have changed by requests since
// the last sample, or by rules that the backend works by itself. recent is the
// bytes that were stored so late that their requests may not be written yet.
func (b *Bucket) compareSample(ctx context.Context, cfg *Config, recent int64) error {
	last := b.Sample
	if last == nil {
		b.Growth = Comparison{Difference: b.Now.Bytes(), Verdict: Possible, Cause: "it was never sampled"}
		return nil
	}
	b.Growth = Comparison{Difference: b.Now.Bytes() - last.Bytes(), Verdict: Exact}
	if *b.Now == last.Totals {
		return nil
	}
	writes := int64(0)
	for c, err := range ledger.Rows(ctx, cfg.Pool, ledger.Query{Account: b.Account.ID, From: last.StartedAt.UTC().Truncate(time.Hour)}) {
		if err != nil {
			return err
		}
		if c.Bucket == b.Bucket.ID && (c.Class == usage.ClassA || c.Class == usage.ClassFree) {
			writes += c.Requests
		}
	}
	switch {
	case writes > 0:
		b.Growth.Verdict, b.Growth.Cause = Possible, "requests since the hour of the last sample"
	case b.Growth.Difference <= 0:
		b.Growth.Verdict, b.Growth.Cause = Possible, "lifecycle rules of the bucket, or work in the backend: there was no request"
	case b.Growth.Difference <= recent:
		b.Growth.Verdict, b.Growth.Cause = Possible, "requests that are not written yet: the hour is not final"
	default:
		b.Growth.unexplained = b.Growth.Difference - recent
		b.Growth.Verdict, b.Growth.Cause = Unexplained, "it grew without a request: somebody writes to the backend past the gateway"
	}
	return nil
}

// compareContent: every byte that was stored in the window was uploaded in it,
// but for copies, and for parts that came before it. sure is those of the bytes
// that were stored in time for their lines to be there.
func (b *Bucket) compareContent(l *window, log *requestLog, to time.Time, sure int64) {
	writes := int64(0)
	for id, f := range l.cells {
		if id.bucket == b.Bucket.ID && id.class == usage.ClassA {
			writes += f.Requests
			b.Uploaded += f.Ingress
		}
	}
	uploaded := b.Uploaded // that can be among the sure ones
	var u *uploads
	if log != nil {
		if u = log.buckets[b.Bucket.ID]; u == nil {
			u = newUploads()
		}
		b.Uploaded, uploaded = u.before(to), u.before(l.sureOf(to))
	}
	c := &b.Content
	c.Difference, c.Verdict = b.Created-b.Uploaded, Exact
	switch d, extra := c.Difference, sure-uploaded; {
	case d == 0 && extra <= 0:
	case d < 0 && extra <= 0 && u == nil:
		c.Verdict, c.Cause = Possible, "documents and uploads that failed (the access log would tell), or deleted, overwritten or aborted since"
	case d < 0 && extra <= 0 && u.removed > 0:
		c.Verdict, c.Cause = Possible, fmt.Sprintf("deleted or aborted since (%d requests in the window), overwritten, or expired by a rule", u.removed)
	case d < 0 && extra <= 0:
		c.Verdict, c.Cause = Possible, "overwritten, or expired by a rule, or deleted behind the window: no request in it took anything away"
	case u == nil && writes > 0:
		c.Verdict, c.Cause = Possible, "copies on the server, or parts of before the window (the access log would tell)"
	case u != nil && u.copies > 0:
		c.Verdict, c.Cause = Possible, "copies on the server: no client sent these bytes"
	case u != nil && u.older() > 0:
		c.Verdict, c.Cause = Possible, "multipart uploads that were begun before the window and completed in it"
	case extra <= 0:
		c.Verdict, c.Cause = Possible, "uploads of which the line or the reading is on its way: the hour is not final"
	default:
		c.unexplained = extra
		c.Verdict, c.Cause = Unexplained, "stored without an upload: somebody writes to the backend past the gateway, or the record of the upload is missing"
		if extra != d {
			c.Cause += fmt.Sprintf(" (%d bytes, of hours that are final)", extra)
		}
	}
}
