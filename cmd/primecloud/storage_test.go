package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/bucketsync"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// hoursSince are the hours that the database may have said since then.
func hoursSince(began time.Time) (hours []string) {
	for at := began.UTC().Truncate(time.Hour); !at.After(time.Now()); at = at.Add(time.Hour) {
		hours = append(hours, at.Format("2006-01-02T15:00:00Z"))
	}
	return hours
}

// TestStorage writes through the gateway and reads what the sampler, the
// commands and a live listing say about it; then loses a bucket.
func TestStorage(t *testing.T) {
	t.Parallel()
	began := time.Now()
	in := install(t)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	b := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", "backups", "--json"))
	empty := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", "empty", "--json"))
	p := in.serveProcess()
	// The worker measures by itself.
	testenv.WaitFor(t, "the first samples", func() bool {
		return len(decode[[]usagereport.Storage](t, in.must("usage", "show", "--storage", "--json"))) >= 2
	})
	c := client(p.addrs.S3, k)
	put := func(key string, size int) {
		t.Helper()
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String(key), Body: bytes.NewReader(make([]byte, size))}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", 1000)
	put("b", 234)
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("backups"), Key: aws.String("big")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String("backups"), Key: aws.String("big"), UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part")}); err != nil {
		t.Fatal(err)
	}
	want := storage.Totals{CurrentBytes: 1234, Objects: 2, IncompleteBytes: 4, Uploads: 1}
	if s := decode[storage.Status](t, in.must("bucket", "stat", "acme", "backups", "--json")); s.Now != want || s.Last == nil || *s.Difference != want {
		t.Errorf("bucket stat: %+v", s)
	}
	find := func(rows []bucketsync.Row, bucket string) *bucketsync.Row {
		if i := slices.IndexFunc(rows, func(r bucketsync.Row) bool { return r.BackendBucket == bucket }); i >= 0 {
			return &rows[i]
		}
		return nil
	}
	if r := find(decode[[]bucketsync.Row](t, in.must("bucket", "sync", "--json")), b.BackendName); r == nil || r.Finding != bucketsync.SizeDiffers || *r.Difference != want || r.Repaired {
		t.Errorf("bucket sync: %+v", r)
	}
	if rows := decode[[]storage.Sampled](t, in.must("usage", "sample", "--account", "acme", "--bucket", "backups", "--json")); len(rows) != 1 || rows[0].Totals != want || rows[0].Bucket != "backups" {
		t.Errorf("usage sample: %+v", rows)
	}
	if r := find(decode[[]bucketsync.Row](t, in.must("bucket", "sync", "--json")), b.BackendName); r != nil {
		t.Errorf("bucket sync after the sample: %+v", r)
	}
	rows := decode[[]usagereport.Storage](t, in.must("usage", "show", "--storage", "--account", "acme", "--json"))
	if i := slices.IndexFunc(rows, func(r usagereport.Storage) bool { return r.Bucket == "backups" }); i < 0 || rows[i].Current.Int64() != 1234*rows[i].Measured && rows[i].Measured == 1 || rows[i].Incomplete.Sign() <= 0 || rows[i].Final {
		t.Errorf("usage show --storage: %+v", rows)
	}
	table, err := csv.NewReader(strings.NewReader(in.must("usage", "show", "--storage", "--by", "hour", "--csv"))).ReadAll()
	if err != nil || len(table) < 2 || table[0][2] != "CURRENT_BYTE_HOURS" || !slices.Contains(hoursSince(began), table[len(table)-1][1]) {
		t.Errorf("usage show --storage --csv: %q, %v", table, err)
	}

	// The backend loses both buckets, and has one that nobody owns.
	m := testenv.MinIO(t)
	direct := client(strings.TrimPrefix(m.Endpoint, "http://"), tenancy.Key{KeyID: m.AccessKey, Secret: m.SecretKey})
	for _, key := range []string{"a", "b"} {
		if _, err := direct.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(b.BackendName), Key: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{b.BackendName, empty.BackendName} {
		if _, err := direct.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	orphan := "orphan-" + strings.ToLower(in.db.Name[2:])
	if _, err := direct.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(orphan)}); err != nil {
		t.Fatal(err)
	}
	if out, err := in.run("usage", "sample", "--account", "acme", "--json"); !errors.Is(err, storage.ErrNotMeasured) {
		t.Errorf("usage sample of what is not there: %v", err)
	} else if rows := decode[[]storage.Sampled](t, out); len(rows) != 2 || rows[0].Sample != nil || !strings.Contains(rows[0].Error, "no such bucket") {
		t.Errorf("usage sample of what is not there: %+v", rows)
	}
	for _, args := range [][]string{{"bucket", "sync", "--json", "--names-only"}, {"bucket", "sync", "--json", "--names-only", "--repair"}} {
		repair := args[len(args)-1] == "--repair"
		found := decode[[]bucketsync.Row](t, in.must(args...))
		if r := find(found, orphan); r == nil || r.Finding != bucketsync.Orphan || !strings.Contains(r.ToDo, "bucket import ACCOUNT "+orphan+" --backend minio") || r.Repaired {
			t.Errorf("the orphan: %+v", r)
		}
		// What held data stays on record, whatever is asked.
		if r := find(found, b.BackendName); r == nil || r.Finding != bucketsync.Missing || r.Account != "acme" || r.Bucket != "backups" || r.Repaired {
			t.Errorf("the lost bucket with data: %+v", r)
		}
		if r := find(found, empty.BackendName); r == nil || r.Finding != bucketsync.Missing || r.Repaired != repair {
			t.Errorf("the lost empty bucket: %+v", r)
		}
	}
	if list := decode[[]tenancy.Bucket](t, in.must("bucket", "list", "acme", "--json")); len(list) != 1 || list[0].Name != "backups" {
		t.Errorf("after the repair: %+v", list)
	}
	in.must("bucket", "import", "acme", orphan, "--backend", "minio")
	if _, err := in.run("bucket", "sync", "--backend", "none"); !errors.Is(err, tenancy.ErrBackendUnknown) {
		t.Errorf("an unknown backend: %v", err)
	}
	// The account is not billed for the listings.
	for _, r := range decode[[]usagereport.Usage](t, in.must("usage", "show", "--by", "class", "--json")) {
		if r.Requests > 4 {
			t.Errorf("the client made 4 requests; counted are %+v", r)
		}
	}
	if _, err := direct.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(orphan)}); err != nil && minio.ToErrorResponse(err).Code != "" {
		t.Error(err)
	}
}
