package accesslog_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Lines of proven requests are delivered first, in objects of their own, however
// old those of strangers are.
func TestDelivery_provenFirst(t *testing.T) {
	t.Parallel()
	g, endpoint := newGate(t)
	f := newFixture(t, endpoint)
	c := newClock()
	l := open(t, accesslog.Config{Dir: t.TempDir(), Now: c.Now})
	source, target := f.bucket("source"), f.bucket("target")
	f.logging(source, &tenancy.BucketLogging{Target: "target"})
	stranger := func(n int) *accesslog.Record {
		r := f.about(source, n)
		r.Requester, r.AccessKey, r.Auth = "", "", "anonymous"
		return r
	}
	for n := range 3 { // files of three hours, of strangers' requests first
		l.Add(stranger(n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.Add(f.about(source, 10+n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Hour)
	}
	if err := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory}).Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	objects := f.objects(target)
	var order []string
	for _, path := range g.uploads {
		key := strings.TrimPrefix(path, "/"+target.BackendName+"/")
		proven := strings.Count(objects[key], "arn:aws:iam::acme:user/")
		switch lines := strings.Count(objects[key], "\n"); {
		case lines != 1:
			t.Errorf("%d lines in an object of one hour", lines)
		case proven == 1:
			order = append(order, "proven")
		default:
			order = append(order, "stranger")
		}
	}
	if got := strings.Join(order, " "); got != "proven proven proven stranger stranger stranger" {
		t.Errorf("delivered %s", got)
	}
}

// What a backend refuses is tried again after a minute, then twice as long each
// time up to an hour; lines for another bucket are delivered meanwhile, and once.
func TestDelivery_refused(t *testing.T) {
	t.Parallel()
	g, endpoint := newGate(t)
	f := newFixture(t, endpoint)
	c, registry := testenv.NewClock(time.Now().UTC().Truncate(time.Second)), prometheus.NewRegistry()
	l := open(t, accesslog.Config{Dir: t.TempDir(), Now: c.Now, Metrics: registry})
	d := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory})
	refused, taken := f.bucket("refused"), f.bucket("taken")
	f.logging(refused, &tenancy.BucketLogging{Target: "refused"})
	f.logging(taken, &tenancy.BucketLogging{Target: "taken"})
	deliver := func() (asked bool) {
		t.Helper()
		before := g.asked.Load()
		if err := d.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		return g.asked.Load() > before
	}
	g.bucket.Store(&refused.BackendName)
	g.shut.Store(true)
	l.Add(f.about(refused, 1))
	l.Add(f.about(taken, 2))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	deliver()
	if got := f.delivered(taken); len(got) != 1 || got["0000000000000002"] != 1 {
		t.Errorf("beside what is refused is delivered %v", got)
	}
	const minute = time.Minute
	for try, wait := range []time.Duration{minute, 2 * minute, 4 * minute, 8 * minute, 16 * minute, 32 * minute, 60 * minute, 60 * minute} {
		c.Advance(wait - time.Second)
		if deliver() {
			t.Errorf("try %d: before %v", try+2, wait)
		}
		c.Advance(time.Second)
		if !deliver() {
			t.Errorf("try %d: not after %v", try+2, wait)
		}
	}
	if got := metric(t, registry, "delivery_failures_total"); got != 9 {
		t.Errorf("%v failures are counted", got)
	}
	if got := f.delivered(refused); len(got) != 0 {
		t.Fatalf("delivered %v", got)
	}
	g.shut.Store(false)
	c.Advance(time.Hour)
	deliver()
	beside := 0
	if got := f.delivered(refused); len(got) != 1 || got["0000000000000001"] != 1 {
		t.Errorf("in the end is delivered %v", got)
	}
	if got := f.delivered(taken); len(got) != 1 || got["0000000000000002"] != 1 {
		t.Errorf("beside it %v", got)
	}
	for _, path := range g.uploads {
		if !strings.HasPrefix(path, "/"+refused.BackendName+"/") {
			beside++
		}
	}
	if beside != 1 {
		t.Errorf("those for another bucket were sent %d times", beside)
	}
	c.Advance(2 * time.Hour)
	if deliver() || metric(t, registry, "undelivered_bytes") != 0 {
		t.Error("something is left")
	}
}

// An upload of which nobody heard the answer is sent again as the same object: a
// line is in one, and a versioned target has two equal versions of it. Lines that
// came meanwhile are in another.
func TestDelivery_answerLost(t *testing.T) {
	t.Parallel()
	g, endpoint := newGate(t)
	f := newFixture(t, endpoint)
	c := testenv.NewClock(time.Now().UTC().Truncate(time.Second))
	l := open(t, accesslog.Config{Dir: t.TempDir(), Now: c.Now})
	source, target := f.bucket("source"), f.bucket("target")
	if err := f.client.EnableVersioning(t.Context(), target.BackendName); err != nil {
		t.Fatal(err)
	}
	f.logging(source, &tenancy.BucketLogging{Target: "target", Prefix: "p/"})
	pass := func(n int) {
		t.Helper()
		l.Add(f.about(source, n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		// Another process goes on each time.
		if err := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory}).Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.deaf.Store(true)
	pass(1)
	g.deaf.Store(false)
	c.Advance(time.Hour)
	pass(2)
	if got := f.delivered(target); len(got) != 2 || got["0000000000000001"] != 1 || got["0000000000000002"] != 1 {
		t.Errorf("delivered %v", got)
	}
	versions := map[string][]string{}
	for o := range f.client.ListObjects(t.Context(), target.BackendName, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		versions[o.Key] = append(versions[o.Key], o.ETag)
	}
	twice := 0
	for key, etags := range versions {
		if len(etags) == 2 && etags[0] == etags[1] {
			twice++
		} else if len(etags) != 1 {
			t.Errorf("%s has versions %v", key, etags)
		}
	}
	if len(versions) != 2 || twice != 1 {
		t.Errorf("versions %v", versions)
	}
}

// A delivery that runs delivers each interval, and at once when a file ends.
func TestDelivery_Run(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	for name, cfg := range map[string]accesslog.DeliveryConfig{"interval": {Interval: 20 * time.Millisecond}, "end": {Interval: 24 * time.Hour}} {
		c := newClock()
		l := open(t, accesslog.Config{Dir: t.TempDir(), Now: c.Now})
		source, target := f.bucket(name+"-source"), f.bucket(name+"-target")
		f.logging(source, &tenancy.BucketLogging{Target: target.Name})
		cfg.Log, cfg.Directory = l, f.directory
		d := accesslog.NewDelivery(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		l.Add(f.about(source, 1))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if name == "end" {
			c.Advance(time.Hour)
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		testenv.WaitFor(t, "the line, by "+name, func() bool { return f.delivered(target)["0000000000000001"] == 1 })
		cancel()
		running.Wait()
	}
}

// What is delivered counts against no storage quota, and is billed as storage all
// the same; renamed, or replaced by something of another size, it counts.
func TestDelivery_quota(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	l := open(t, accesslog.Config{Dir: t.TempDir()})
	source, target := f.bucket("source"), f.bucket("target")
	f.logging(source, &tenancy.BucketLogging{Target: "target", Prefix: "p/"})
	for n := range 2 {
		l.Add(f.about(source, n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory, MAC: f.keyring.MAC}).Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 2, 6, 10, 0, 0, 0, time.UTC)
	sampler, err := storage.New(storage.Config{Pool: f.db.Pool(t, pg.RoleWorker), Store: &tenancy.Store{Keyring: f.keyring}, Rate: 10_000, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, counts, stored int64) {
		t.Helper()
		now = now.Add(time.Second)
		if _, err := sampler.Sample(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		if got, _, err := storage.StoredBytes(t.Context(), f.owner, f.account.ID); err != nil || got != counts {
			t.Errorf("%s: %d bytes count, want %d: %v", what, got, counts, err)
		}
		var got int64
		if err := f.owner.QueryRow(t.Context(), `SELECT current_bytes FROM storage_samples WHERE bucket_id = $1 ORDER BY hour DESC, measured_at DESC LIMIT 1`, target.ID).Scan(&got); err != nil || got != stored {
			t.Errorf("%s: the sample has %d bytes, want %d: %v", what, got, stored, err)
		}
	}
	objects := f.objects(target)
	var keys []string
	for key := range objects {
		keys = append(keys, key)
	}
	if len(keys) != 2 {
		t.Fatalf("objects %v", keys)
	}
	put := func(key, text string) {
		t.Helper()
		if _, err := f.client.PutObject(t.Context(), target.BackendName, key, io.NopCloser(strings.NewReader(text)), int64(len(text)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	one, both := int64(len(objects[keys[0]])), int64(len(objects[keys[0]])+len(objects[keys[1]]))
	check("as delivered", 0, both)
	put("q/"+strings.TrimPrefix(keys[0], "p/"), objects[keys[0]])
	check("with another name", one, both+one)
	put(keys[1], objects[keys[1]]+"more")
	check("replaced", both+4, both+one+4)
}
