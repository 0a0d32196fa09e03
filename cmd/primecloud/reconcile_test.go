package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/reconcile"
	"github.com/primecloudpro/primecloud/tenancy"
)

// report is what `usage reconcile --json` prints, as a reader of it sees it.
type report struct {
	Ledger, Unexplained reconcile.Figures
	Log                 *reconcile.LogReport `json:"access_log"`
	Cells               []struct {
		Account, Bucket, Key, Class string
		Difference                  reconcile.Figures
		Verdict                     reconcile.Verdict
		Cause                       string
	}
	Buckets []struct {
		Bucket          string
		Growth, Content reconcile.Comparison
	}
}

// TestReconcile drives two gateways with every kind of traffic and holds
// ledger, access log and backend against each other; then it damages each.
func TestReconcile(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	reader := decode[tenancy.Key](t, in.must("key", "create", "acme", "--permissions", "read", "--json"))
	b := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", "backups", "--json"))
	journals := []string{t.TempDir(), t.TempDir()}
	nodes := []*process{in.serveOn(journals[0]), in.serveOn(journals[1])}
	began := time.Now().UTC().Truncate(time.Hour)
	bucket := aws.String("backups")
	for i, p := range nodes {
		c, name := client(p.addrs.S3, k), func(s string) *string { return aws.String(s + string(rune('0'+i))) }
		try := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		body := bytes.Repeat([]byte("x"), 6<<20)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: name("plain é"), Body: bytes.NewReader(body)})
		try("put", err)
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: name("plain é")})
		try("get", err)
		_, err = io.Copy(io.Discard, out.Body)
		try("read", err)
		_ = out.Body.Close()
		_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
		try("list", err)
		mp, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: name("parts")})
		try("begin", err)
		part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: name("parts"), UploadId: mp.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(body[:5<<20])})
		try("part", err)
		_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: name("parts"), UploadId: mp.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}}})
		try("complete", err)
		mp, err = c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: name("unfinished")})
		try("begin", err)
		_, err = c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: name("unfinished"), UploadId: mp.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part")})
		try("part", err)
		// What fails, and what its client leaves.
		if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("nothing")}); err == nil {
			t.Fatal("read what is not there")
		}
		if _, err := client(p.addrs.S3, reader).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: name("forbidden"), Body: strings.NewReader("x")}); err == nil {
			t.Fatal("wrote with a key that reads")
		}
		leaving, leave := context.WithCancel(t.Context())
		out, err = c.GetObject(leaving, &s3.GetObjectInput{Bucket: bucket, Key: name("plain é")})
		try("get", err)
		_, err = io.ReadFull(out.Body, make([]byte, 1<<20))
		try("read", err)
		leave()
		_ = out.Body.Close()
	}
	in.must("usage", "sample", "--account", "acme")
	args := func(logs ...string) []string {
		list := []string{"usage", "reconcile", "--account", "acme", "--json", "--from", began.Format(time.RFC3339), "--to", time.Now().UTC().Truncate(time.Hour).Add(time.Hour).Format(time.RFC3339)}
		for _, j := range logs {
			list = append(list, "--access-log", accessLogOf(j))
		}
		return list
	}
	// While the nodes live, nothing is unexplained, and soon nothing differs.
	testenv.WaitFor(t, "the last lines", func() bool {
		return len(decode[report](t, in.must(args(journals...)...)).Cells) == 0
	})
	for _, p := range nodes {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Fatal(err, p.log)
		}
	}
	r := decode[report](t, in.must(args(journals...)...))
	if len(r.Cells) != 0 || r.Unexplained != (reconcile.Figures{}) || r.Log.Sum != r.Ledger || r.Ledger.Requests != 22 || r.Ledger.Ingress < 22<<20 || r.Ledger.Egress < 14<<20 {
		t.Errorf("the books of drained nodes: %+v", r)
	}
	if len(r.Buckets) != 1 || r.Buckets[0].Bucket != "backups" || r.Buckets[0].Growth.Verdict != reconcile.Exact || r.Buckets[0].Content.Verdict != reconcile.Exact {
		t.Errorf("the backend: %+v", r.Buckets)
	}
	fails := func(what string, args []string) report {
		t.Helper()
		out, err := in.run(args...)
		if err == nil {
			t.Errorf("%s: the command succeeds", what)
		}
		return decode[report](t, out)
	}
	// A node's log is missing.
	{
		r := fails("without a folder", args(journals[0]))
		if r.Unexplained.Requests != 11 || len(r.Cells) == 0 || r.Cells[0].Verdict != reconcile.Unexplained {
			t.Errorf("%+v", r)
		}
		for tolerance, passes := range map[string]bool{"100%": true, "1%": false, "1": false, "1000000000": true} {
			if _, err := in.run(append(args(journals[0]), "--no-listing", "--tolerance", tolerance)...); (err == nil) != passes {
				t.Errorf("tolerance %s: %v", tolerance, err)
			}
		}
	}
	// A line is damaged.
	{
		files, err := accesslog.Files(accessLogOf(journals[1]))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		whole, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		broken := slices.Clone(whole)
		of := bytes.Index(broken, []byte(k.KeyID)) // lines are in the order in which they were written, which is not that of requests
		broken[bytes.LastIndexByte(broken[:of], '\n')+20] = 0
		if err := os.WriteFile(files[0], broken, 0o600); err != nil {
			t.Fatal(err)
		}
		r := fails("with a damaged line", args(journals...))
		if len(r.Log.Damaged) != 1 || !strings.Contains(r.Log.Damaged[0], files[0]) || r.Unexplained.Requests != 1 || len(r.Cells) != 1 || r.Cells[0].Account != "acme" || r.Cells[0].Key != k.KeyID {
			t.Errorf("%+v", r)
		}
		if err := os.WriteFile(files[0], whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A row of the ledger is deleted.
	{
		superuser := in.db.Pool(t, "")
		for _, sql := range []string{`CREATE TABLE kept AS SELECT * FROM usage_readings WHERE class = 'A' AND ingress_bytes > 0`, `SET session_replication_role = replica; DELETE FROM usage_readings WHERE (epoch, class) IN (SELECT epoch, class FROM kept LIMIT 1); RESET session_replication_role`} {
			if _, err := superuser.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		r := fails("with a deleted row", args(journals...))
		if len(r.Cells) == 0 || r.Cells[0].Verdict != reconcile.Unexplained || r.Cells[0].Difference.Ingress >= 0 || r.Cells[0].Class != "A" || !strings.Contains(r.Cells[0].Cause, "the ledger lacks") {
			t.Errorf("%+v", r)
		}
		if _, err := superuser.Exec(t.Context(), `INSERT INTO usage_readings SELECT * FROM kept ON CONFLICT DO NOTHING`); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody writes past the gateway.
	{
		m := testenv.MinIO(t)
		direct := client(strings.TrimPrefix(m.Endpoint, "http://"), tenancy.Key{KeyID: m.AccessKey, Secret: m.SecretKey})
		if _, err := direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(b.BackendName), Key: aws.String("smuggled"), Body: strings.NewReader("12345")}); err != nil {
			t.Fatal(err)
		}
		r := fails("past the gateway", args(journals...))
		if c := r.Buckets[0]; c.Growth.Difference != 5 || c.Content.Difference != 5 || c.Content.Verdict != reconcile.Unexplained || r.Unexplained.Ingress != 5 {
			t.Errorf("%+v", c)
		}
		if out := in.must(append(slices.DeleteFunc(args(journals...), func(s string) bool { return s == "--json" }), "--tolerance", "5")...); !strings.Contains(out, "stored, against uploaded") {
			t.Errorf("printed %s", out)
		}
	}
}
