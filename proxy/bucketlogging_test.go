package proxy_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/minio/minio-go/v7"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What aws-sdk-go-v2 puts comes back, in every form, and off is off.
func TestBucketLogging_roundTrip(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	c, ctx := tn.s3(), t.Context()
	for _, name := range []string{"source", "target"} {
		if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []*types.LoggingEnabled{
		nil,
		{TargetBucket: aws.String("target"), TargetPrefix: aws.String("")},
		{TargetBucket: aws.String("source"), TargetPrefix: aws.String("its own/<&>\"'")},
		{TargetBucket: aws.String("target"), TargetPrefix: aws.String("p/"), TargetObjectKeyFormat: &types.TargetObjectKeyFormat{SimplePrefix: &types.SimplePrefix{}}},
		{TargetBucket: aws.String("target"), TargetPrefix: aws.String("p/"), TargetObjectKeyFormat: &types.TargetObjectKeyFormat{PartitionedPrefix: &types.PartitionedPrefix{PartitionDateSource: types.PartitionDateSourceEventTime}}},
		{TargetBucket: aws.String("target"), TargetPrefix: aws.String("p/"), TargetObjectKeyFormat: &types.TargetObjectKeyFormat{PartitionedPrefix: &types.PartitionedPrefix{PartitionDateSource: types.PartitionDateSourceDeliveryTime}}},
		nil,
	} {
		if _, err := c.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: aws.String("source"), BucketLoggingStatus: &types.BucketLoggingStatus{LoggingEnabled: want}}); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: aws.String("source")})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.LoggingEnabled, cmpopts.IgnoreUnexported(types.LoggingEnabled{}, types.TargetObjectKeyFormat{}, types.PartitionedPrefix{}, types.SimplePrefix{})); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBucketLogging_refused(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn, other := g.tenant(), g.tenant()
	for _, b := range []struct {
		tn   *tenant
		name string
	}{{tn, "source"}, {tn, "target"}, {other, "foreign"}} {
		if r := b.tn.raw().do(t, &request{method: "PUT", path: "/" + b.name}); r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
	}
	limited := tn.newKey(tenancy.Key{Buckets: []string{"source"}})
	reader := tn.newKey(tenancy.Key{Permissions: []string{"read", "list", "write"}})
	enabled := func(inner string) string {
		return "<BucketLoggingStatus><LoggingEnabled>" + inner + "</LoggingEnabled></BucketLoggingStatus>"
	}
	missing := enabled("<TargetBucket>missing</TargetBucket><TargetPrefix></TargetPrefix>")
	var answers []string
	for _, c := range []struct {
		name, doc, code string
		key             *tenancy.Key
	}{
		{"a missing target", missing, "InvalidTargetBucketForLogging", nil},
		{"another account's target", strings.Replace(missing, "missing", "foreign", 1), "InvalidTargetBucketForLogging", nil},
		{"no bucket's name", strings.Replace(missing, "missing", "No Bucket", 1), "InvalidTargetBucketForLogging", nil},
		{"a target beyond the key's buckets", strings.Replace(missing, "missing", "target", 1), "AccessDenied", limited},
		{"without the right", strings.Replace(missing, "missing", "target", 1), "AccessDenied", reader},
		{"grants", enabled(`<TargetBucket>target</TargetBucket><TargetGrants><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>x</URI></Grantee><Permission>READ</Permission></Grant></TargetGrants><TargetPrefix></TargetPrefix>`), "NotImplemented", nil},
		{"no target", enabled("<TargetPrefix>x</TargetPrefix>"), "MalformedXML", nil},
		{"two formats", enabled("<TargetBucket>target</TargetBucket><TargetObjectKeyFormat><SimplePrefix/><PartitionedPrefix/></TargetObjectKeyFormat><TargetPrefix/>"), "MalformedXML", nil},
		{"another date", enabled("<TargetBucket>target</TargetBucket><TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>Easter</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat><TargetPrefix/>"), "MalformedXML", nil},
		{"an unknown element", enabled("<TargetBucket>target</TargetBucket><TargetPrefix/><More>x</More>"), "NotImplemented", nil},
		{"a prefix that is no key's", enabled("<TargetBucket>target</TargetBucket><TargetPrefix>a/../b/</TargetPrefix>"), "InvalidArgument", nil},
		{"a prefix that is too long", enabled("<TargetBucket>target</TargetBucket><TargetPrefix>" + strings.Repeat("x", 513) + "</TargetPrefix>"), "InvalidArgument", nil},
		{"another document", "<Tagging/>", "MalformedXML", nil},
	} {
		e := tn.raw()
		if c.key != nil {
			e.id, e.secret = c.key.KeyID, c.key.Secret
		}
		r := e.do(t, &request{method: "PUT", path: "/source", query: query("logging", ""), body: []byte(c.doc)})
		if r.status < 400 || r.code() != c.code {
			t.Errorf("%s: %d %s, want %s", c.name, r.status, r.body, c.code)
		}
		answers = append(answers, requestIDs.ReplaceAllString(string(r.body), ""))
	}
	if answers[0] != answers[1] {
		t.Errorf("a foreign target is told from a missing one:\n%s\n%s", answers[0], answers[1])
	}
	if list, err := g.dir.LoggedBuckets(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("something was set: %v, %v", list, err)
	}
	if err := tenancy.SetStatus(t.Context(), g.owner, tn.account.ID, tenancy.ReadOnly); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "a read-only account to be refused", func() bool {
		r := tn.raw().do(t, &request{method: "PUT", path: "/source", query: query("logging", ""), body: []byte("<BucketLoggingStatus/>")})
		return r.code() == "AccessDenied"
	})
}

// Real requests end as objects in the bucket that the account has named; the
// delivery itself is billed to nobody and makes no lines.
func TestBucketLogging_delivered(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	c, e, ctx := tn.s3(), tn.raw(), t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("itself")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: aws.String("itself"), BucketLoggingStatus: &types.BucketLoggingStatus{
		LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String("itself"), TargetPrefix: aws.String("log/")}}}); err != nil {
		t.Fatal(err)
	}
	asked := e.do(t, &request{method: "GET", path: "/itself", query: query("logging", "")})
	if r := e.do(t, &request{method: "PUT", path: "/itself/k", body: []byte("hello")}); r.status != 200 {
		t.Fatal(r.status)
	}
	presigned := e.do(t, &request{method: "GET", path: "/itself/k", presign: true})
	stranger := e.do(t, &request{method: "GET", path: "/itself/k", anonymous: true, host: tn.account.Name + ".tenants.example.test"})
	foreign := g.tenant().raw().do(t, &request{method: "GET", path: "/itself/k", host: tn.account.Name + ".tenants.example.test"})
	denied := tn.newKey(tenancy.Key{Permissions: []string{"list"}})
	noRight := (&endpoint{g.addr, denied.KeyID, denied.Secret}).do(t, &request{method: "GET", path: "/itself/k"})
	for _, r := range []*reply{asked, presigned, stranger, foreign, noRight} {
		g.lineOf(t, r) // settled
	}
	before, lines := usageBy(t, g, tn, ledger.ByClass), len(g.records(t))
	if err := g.deliver.Deliver(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, usageBy(t, g, tn, ledger.ByClass)); diff != "" || len(g.records(t)) != lines {
		t.Errorf("the delivery was counted or logged: %s", diff)
	}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("itself"), Prefix: aws.String("log/")})
	if err != nil || len(list.Contents) != 2 { // of requests that were proven, and of the others
		t.Fatalf("%d objects, %v", len(list.Contents), err)
	}
	text := ""
	for _, o := range list.Contents {
		text += string(e.do(t, &request{method: "GET", path: "/itself/" + aws.ToString(o.Key)}).body)
	}
	arn := "arn:aws:iam::" + tn.account.Name + ":user/" + tn.key.KeyID
	for _, part := range []string{
		tn.account.CanonicalID + " itself [", "] 127.0.0.1 " + arn + " ", ` REST.GET.LOGGING_STATUS - "GET /itself?logging`, ` REST.PUT.OBJECT k "PUT /itself/k HTTP/1.1" 200 - - 5 `,
		" QueryString ", " AuthHeader ", "] 127.0.0.1 - " + stranger.header.Get("X-Amz-Request-Id") + " REST.GET.OBJECT k ", "] 127.0.0.1 - " + foreign.header.Get("X-Amz-Request-Id") + " REST.GET.OBJECT k ",
		noRight.header.Get("X-Amz-Request-Id") + ` REST.GET.OBJECT k "GET /itself/k HTTP/1.1" 403 AccessDenied `,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if strings.Contains(text, "Signature=") || strings.Contains(text, "Credential=") {
		t.Errorf("signatures in\n%s", text)
	}
	if n := strings.Count(text, "\n"); n != 6 {
		t.Errorf("%d lines, want 6:\n%s", n, text)
	}
	if _, err := tn.s3().GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: aws.String("missing")}); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("a missing bucket: %v", err)
	}
}

// TestBucketLogging_retention: lines are never where nobody may delete them: a
// default retention and logging into the bucket refuse each other, and where the
// one came behind our backs, the other delivers nothing.
func TestBucketLogging_retention(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	c, ctx := tn.s3(), t.Context()
	for _, name := range []string{"kept", "locked", "source"} {
		if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name), ObjectLockEnabledForBucket: aws.Bool(name != "source")}); err != nil {
			t.Fatal(err)
		}
	}
	retain := func(bucket string) error {
		_, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: aws.String(bucket), ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
		}})
		return err
	}
	logTo := func(target string) error {
		_, err := c.PutBucketLogging(ctx, &s3.PutBucketLoggingInput{Bucket: aws.String("source"), BucketLoggingStatus: &types.BucketLoggingStatus{
			LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String(target), TargetPrefix: aws.String("")}}})
		return err
	}
	want := func(what string, err error, code string, status int) {
		t.Helper()
		if got, s, _ := refusal(err); got != code || s != status {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	if err := retain("kept"); err != nil {
		t.Fatal(err)
	}
	want("logging into a bucket with a default retention", logTo("kept"), "InvalidTargetBucketForLogging", 400)
	if err := logTo("locked"); err != nil {
		t.Errorf("logging into a bucket with object lock alone: %v", err)
	}
	want("a default retention where logs go", retain("locked"), "InvalidBucketState", 409)
	if _, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: aws.String("locked"),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}}); err != nil {
		t.Errorf("object lock without a rule where logs go: %v", err)
	}
	// Set in the backend, as an operator may.
	locked, err := g.dir.Bucket(ctx, tn.account.ID, []byte("locked"))
	if err != nil {
		t.Fatal(err)
	}
	direct, err := g.backend.Client()
	if err != nil {
		t.Fatal(err)
	}
	mode, days, unit := minio.Compliance, uint(1), minio.Days
	if err := direct.SetBucketObjectLockConfig(ctx, locked.BackendName, &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	list := func() int {
		n := 0
		for o := range direct.ListObjectsIter(ctx, locked.BackendName, minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			n++
		}
		return n
	}
	deliver := func() {
		t.Helper()
		tn.raw().do(t, &request{method: "GET", path: "/source/k"})
		testenv.WaitFor(t, "the line", func() bool {
			if err := g.lines.Flush(); err != nil {
				t.Fatal(err)
			}
			before := g.metric(t, "primecloud_accesslog_delivered_lines_total") + g.metric(t, "primecloud_accesslog_withheld_lines_total")
			if err := g.deliver.Deliver(ctx); err != nil {
				t.Fatal(err)
			}
			return g.metric(t, "primecloud_accesslog_delivered_lines_total")+g.metric(t, "primecloud_accesslog_withheld_lines_total") > before
		})
	}
	deliver()
	if n := list(); n != 0 {
		t.Errorf("%d objects are where nobody may delete them", n)
	}
	if err := direct.SetBucketObjectLockConfig(ctx, locked.BackendName, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	deliver()
	if n := list(); n == 0 {
		t.Error("nothing is delivered into a bucket with object lock alone")
	}
}
