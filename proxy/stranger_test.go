package proxy_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestStranger_quota: what strangers' requests make be delivered leaves a hard
// quota as it was. What the tenant stores beside it counts, under whatever name.
func TestStranger_quota(t *testing.T) {
	t.Parallel()
	began := time.Now()
	g := newGateway(t, options{limit: limits.Config{Stored: storage.StoredBytes}, lines: accesslog.Config{Now: func() time.Time { return began }}})
	tn := g.tenant()
	c, ctx := tn.s3(), t.Context()
	for _, name := range []string{"data", "logs"} {
		if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: aws.String("data"), BucketLoggingStatus: &types.BucketLoggingStatus{
		LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String("logs"), TargetPrefix: aws.String("log/")}}}); err != nil {
		t.Fatal(err)
	}
	const quota = 100_000
	tn.limit(t, hardCap(tenancy.Storage, quota))
	for _, head := range strangersHeads(tn.account.Name) {
		flood(t, g.addr, head, 400)
	}
	sampler, err := storage.New(storage.Config{Pool: g.db.Pool(t, pg.RoleWorker), Store: &tenancy.Store{Keyring: g.keyring}})
	if err != nil {
		t.Fatal(err)
	}
	// sample measures the buckets: in an hour after all that was uploaded, so that
	// nothing is counted twice.
	sample := func() (logged int64) {
		t.Helper()
		for _, name := range []string{"data", "logs"} {
			b, err := g.dir.Bucket(ctx, tn.account.ID, []byte(name))
			if err != nil {
				t.Fatal(err)
			}
			s, err := sampler.Sample(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			if name == "logs" {
				logged = s.Bytes()
			}
		}
		return logged
	}
	if err := g.lines.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := g.deliver.Deliver(ctx); err != nil {
		t.Fatal(err)
	}
	if n := sample(); n < 2*quota {
		t.Fatalf("%d bytes are delivered: too few for this test", n)
	}
	put := func(key string, size int) (string, int) {
		t.Helper()
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("logs"), Key: aws.String(key), Body: bytes.NewReader(make([]byte, size))})
		code, status, _ := refusal(err)
		return code, status
	}
	if code, status := put("own", quota/2); code != "" {
		t.Errorf("half of the quota, which is strangers' doing: %d %s", status, code)
	}
	// A name like the delivery's is no way past the quota.
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("logs"), Prefix: aws.String("log/")})
	if err != nil || len(list.Contents) == 0 {
		t.Fatal(err)
	}
	name := *list.Contents[0].Key
	if code, status := put(name[:len(name)-1]+"~", quota/4); code != "" {
		t.Errorf("a quarter more: %d %s", status, code)
	}
	if code, _ := put(name, quota/3); code != "QuotaExceeded" {
		t.Errorf("beyond the quota, under a delivered name: %q", code)
	}
	if code, _ := put(strings.Replace(name, "log/", "log/x", 1), quota/3); code != "QuotaExceeded" {
		t.Errorf("beyond the quota: %q", code)
	}
	sample()
	if n, _, err := storage.StoredBytes(ctx, g.owner, tn.account.ID); err != nil || n != quota/2+quota/4 {
		t.Errorf("%d bytes count, want what the tenant stored, %d: %v", n, quota/2+quota/4, err)
	}
	// And all of it is the tenant's to delete.
	for _, o := range list.Contents {
		if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("logs"), Key: o.Key}); err != nil {
			t.Error(err)
		}
	}
	if n := sample(); n != quota/2+quota/4 {
		t.Errorf("%d bytes are left", n)
	}
}
