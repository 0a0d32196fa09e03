package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	aborter "github.com/primecloudpro/primecloud/lifecycle"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// ruled is a bucket whose lifecycle is changed, and the way to its backend, which
// can lose answers and requests.
type ruled struct {
	g      *gateway
	tn     *tenant
	c      *s3.Client
	name   string
	bucket *tenancy.Bucket
	lost   *atomic.Value // what the way does: "", "answers", "requests"
}

func newRuled(t *testing.T) *ruled {
	t.Helper()
	m := testenv.MinIO(t)
	to, err := url.Parse(m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var lost atomic.Value
	lost.Store("")
	way := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Query().Has("lifecycle") && lost.Load() == "answers" {
				return errors.New("lost")
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("lifecycle") && lost.Load() == "requests" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		way.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g := newGateway(t, options{minio: &devstack.MinIO{Endpoint: server.URL, AccessKey: m.AccessKey, SecretKey: m.SecretKey}})
	r := ruledOf(t, g, "ruled")
	r.lost = &lost
	return r
}

// ruledOf is a bucket of an account of its own.
func ruledOf(t *testing.T, g *gateway, name string) *ruled {
	t.Helper()
	tn := g.tenant()
	r := &ruled{g: g, tn: tn, c: tn.s3(), name: name}
	if _, err := r.c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.bucket, err = g.dir.Bucket(t.Context(), tn.account.ID, []byte(name)); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *ruled) put(t *testing.T, rules ...types.LifecycleRule) error {
	t.Helper()
	_, err := r.c.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &r.name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	})
	return err
}

// has wants the bucket's rules to be these; none is NoSuchLifecycleConfiguration.
func (r *ruled) has(t *testing.T, rules ...types.LifecycleRule) {
	t.Helper()
	got, err := r.c.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &r.name})
	if len(rules) == 0 {
		if codeOf(err) != "NoSuchLifecycleConfiguration" {
			t.Errorf("the bucket has a lifecycle: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if want, is := asJSON(t, rules), asJSON(t, got.Rules); is != want {
		t.Errorf("rules are %s\nwanted %s", is, want)
	}
}

func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// aborting is a rule for unfinished uploads alone.
func aborting(id, prefix string, days int32) types.LifecycleRule {
	return types.LifecycleRule{
		ID: &id, Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: &prefix},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: &days},
	}
}

func expiring(id string, days int32) types.LifecycleRule {
	return types.LifecycleRule{
		ID: &id, Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("e/")},
		Expiration: &types.LifecycleExpiration{Days: &days},
	}
}

// What is put is what one gets, in its order, whatever of it the backend keeps.
func TestUploadRules_givenBack(t *testing.T) {
	t.Parallel()
	r := newRuled(t)
	both, disabled, whole, old := expiring("both", 9), aborting("disabled", "d/", 1), aborting("whole", "", 2147483647), aborting("old", "", 2)
	both.AbortIncompleteMultipartUpload = &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(4)}
	disabled.Status = types.ExpirationStatusDisabled
	whole.Filter = &types.LifecycleRuleFilter{}
	old.Filter, old.Prefix = nil, aws.String("old/ü&<") //nolint:staticcheck // the deprecated place is what is looked at
	for name, rules := range map[string][]types.LifecycleRule{
		"one":                   {aborting("a", "p/", 7)},
		"an expiration as well": {both},
		"before and after":      {aborting("a", "p/", 7), expiring("x", 1), disabled, both, expiring("y", 2), whole, old},
		"expirations alone":     {expiring("x", 1)},
	} {
		if err := r.put(t, rules...); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r.has(t, rules...)
	}
	unnamed := aborting("", "p/", 7)
	unnamed.ID = nil
	if err := r.put(t, unnamed); err != nil {
		t.Fatal(err)
	}
	got, err := r.c.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &r.name})
	if err != nil || len(got.Rules) != 1 || aws.ToString(got.Rules[0].ID) == "" {
		t.Errorf("a rule without an id: %+v, %v", got, err)
	}
	for name, list := range map[string][]types.LifecycleRule{
		"one id twice":                   {aborting("a", "p/", 7), expiring("a", 1)},
		"a reserved id":                  {aborting("primecloud-uploads-x", "p/", 7)},
		"a reserved id of an expiration": {expiring(tenancy.UploadRulesMark(tenancy.NewID()), 7)},
	} {
		if err := r.put(t, list...); codeOf(err) != "InvalidArgument" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.c.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &r.name}); err != nil {
		t.Fatal(err)
	}
	r.has(t)
}

// Why the rules are kept here: MinIO says 200 and drops them, or refuses.
func TestUploadRules_minio(t *testing.T) {
	t.Parallel()
	m := testenv.MinIO(t)
	c, bucket := awsClient(m.Endpoint, m.AccessKey, m.SecretKey), "uploadrules"
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	direct := &ruled{c: c, name: bucket}
	both := expiring("both", 9)
	if err := direct.put(t, both); err != nil {
		t.Fatal(err)
	}
	kept := both
	both.AbortIncompleteMultipartUpload = &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(4)}
	if err := direct.put(t, both); err != nil {
		t.Fatal(err)
	}
	direct.has(t, kept)
	if err := direct.put(t, aborting("a", "p/", 7)); err == nil {
		t.Error("MinIO takes a rule for unfinished uploads alone")
		direct.has(t, aborting("a", "p/", 7))
	}
}

// Whatever is lost on the way to the backend, the bucket has what was put or what it
// had, and never something of each.
func TestUploadRules_lostAnswer(t *testing.T) {
	t.Parallel()
	r := newRuled(t)
	first := []types.LifecycleRule{aborting("a", "first/", 1), expiring("x", 1)}
	second := []types.LifecycleRule{expiring("x", 2), aborting("a", "second/", 2)}
	onlyUploads := []types.LifecycleRule{aborting("a", "third/", 3)}
	losing := func(what string, f func() error) {
		t.Helper()
		r.lost.Store(what)
		if err := f(); err == nil {
			t.Errorf("with lost %s it is a success", what)
		}
		r.lost.Store("")
	}
	if err := r.put(t, first...); err != nil {
		t.Fatal(err)
	}
	losing("requests", func() error { return r.put(t, second...) })
	r.has(t, first...)
	losing("answers", func() error { return r.put(t, second...) })
	r.has(t, second...)
	losing("requests", func() error { return r.put(t, onlyUploads...) })
	r.has(t, second...)
	losing("answers", func() error { return r.put(t, onlyUploads...) })
	r.has(t, onlyUploads...)
	remove := func() error {
		_, err := r.c.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &r.name})
		return err
	}
	losing("requests", remove)
	r.has(t, onlyUploads...)
	losing("answers", remove)
	r.has(t)
}

// versions is how many versions of the bucket's rules are kept.
func (r *ruled) versions(t *testing.T) (n int) {
	t.Helper()
	if err := r.g.owner.QueryRow(t.Context(), `SELECT count(DISTINCT version) FROM bucket_upload_rules WHERE bucket_id = $1`, r.bucket.ID).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// age makes all versions older than any request.
func (r *ruled) age(t *testing.T) {
	t.Helper()
	if _, err := r.g.owner.Exec(t.Context(), `UPDATE bucket_upload_rules SET created_at = created_at - interval '2 hours'`); err != nil {
		t.Fatal(err)
	}
}

// What a client can have kept by putting again and again is bounded, and goes with the bucket.
func TestUploadRules_versions(t *testing.T) {
	t.Parallel()
	r := ruledOf(t, newGateway(t, options{}), "ruled")
	full := func(days int) (rules []types.LifecycleRule) { // as many as a document may have
		for i := range 1000 {
			rules = append(rules, aborting(fmt.Sprintf("rule-%d", i), fmt.Sprintf("%d/", i), int32(days)))
		}
		return rules
	}
	for i := range 20 {
		if err := r.put(t, full(i+1)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.put(t, aborting("a", "p/", 21)); codeOf(err) != "SlowDown" {
		t.Errorf("one more: %v", err)
	}
	r.has(t, full(20)...)
	r.age(t)
	if err := r.put(t, aborting("a", "p/", 22)); err != nil {
		t.Fatal(err)
	}
	r.has(t, aborting("a", "p/", 22))
	if n := r.versions(t); n != 2 {
		t.Errorf("%d versions: that of before and the last are wanted", n)
	}
	if _, err := r.c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &r.name}); err != nil {
		t.Fatal(err)
	}
	if n := r.versions(t); n != 0 {
		t.Errorf("%d versions outlive their bucket", n)
	}
}

func (r *ruled) begin(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := r.c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &r.name, Key: aws.String(key)}); err != nil {
			t.Fatal(err)
		}
	}
}

// sample makes unfinished uploads known, as a worker does each hour.
func (r *ruled) sample(t *testing.T) {
	t.Helper()
	sampler, err := storage.New(storage.Config{Pool: r.g.db.Pool(t, pg.RoleWorker), Store: &tenancy.Store{Keyring: r.g.keyring}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sampler.Sample(t.Context(), r.bucket); err != nil {
		t.Fatal(err)
	}
}

// unfinished are the keys of the uploads that the client sees.
func (r *ruled) unfinished(t *testing.T) string {
	t.Helper()
	page, err := r.c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &r.name})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, u := range page.Uploads {
		keys = append(keys, *u.Key)
	}
	return strings.Join(keys, " ")
}

func (g *gateway) aborter(t *testing.T, now func() time.Time, most int) *aborter.Aborter {
	t.Helper()
	return aborter.NewAborter(aborter.Config{Pool: g.db.Pool(t, pg.RoleWorker), Store: &tenancy.Store{Keyring: g.keyring}, Now: now, Metrics: g.metrics, Most: most})
}

// work does what is due on a day, as the leader and the workers of a fleet do it.
func (g *gateway) work(t *testing.T, a *aborter.Aborter) {
	t.Helper()
	if err := a.Enqueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	runner, err := jobs.New(jobs.Config{Pool: g.db.Pool(t, pg.RoleWorker), Jobs: []jobs.Job{jobs.Register(aborter.AbortUploads, a.Abort)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	testenv.WaitFor(t, "the jobs", func() (over bool) {
		if err := g.owner.QueryRow(t.Context(), `SELECT NOT EXISTS (SELECT FROM river_job WHERE finalized_at IS NULL)`).Scan(&over); err != nil {
			t.Fatal(err)
		}
		return over
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Old uploads are aborted, young ones are not, nor those that no rule is for, a
// disabled rule, or another account's.
func TestUploadRules_aborted(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	mine, other := ruledOf(t, g, "mine"), ruledOf(t, g, "other")
	off := aborting("off", "off/", 1)
	off.Status = types.ExpirationStatusDisabled
	if err := mine.put(t, aborting("tmp", "tmp/", 3), expiring("x", 1), aborting("logs", "logs/", 30), off); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*ruled{mine, other} {
		r.begin(t, "logs/k", "off/k", "other/k", "tmp/k", "tmpk")
		r.sample(t)
	}
	const all = "logs/k off/k other/k tmp/k tmpk"
	var day atomic.Int64
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	a := g.aborter(t, func() time.Time { return midnight.AddDate(0, 0, int(day.Load())) }, 0)
	for _, c := range []struct {
		day  int64
		left string
	}{
		{3, all}, // three days after an upload that began today are over at the fourth midnight
		{4, "logs/k off/k other/k tmpk"},
		{31, "off/k other/k tmpk"},
	} {
		day.Store(c.day)
		g.work(t, a)
		if left := mine.unfinished(t); left != c.left {
			t.Errorf("day %d: %q are left, wanted %q", c.day, left, c.left)
		}
	}
	if left := other.unfinished(t); left != all {
		t.Errorf("of another account %q are left", left)
	}
	if n := g.metric(t, "primecloud_lifecycle_uploads_total", "outcome=aborted"); n != 2 {
		t.Errorf("%v are counted", n)
	}
}

// A job aborts so many and no more; the next goes on. Rules that were deleted, and
// those of a lost request, abort nothing, and are forgotten.
func TestUploadRules_inForceAlone(t *testing.T) {
	t.Parallel()
	r := newRuled(t)
	if err := r.put(t, aborting("a", "a/", 1)); err != nil {
		t.Fatal(err)
	}
	r.lost.Store("requests")
	if err := r.put(t, aborting("a", "", 1)); err == nil {
		t.Error("a lost request is a success")
	}
	r.lost.Store("")
	r.begin(t, "a/1", "a/2", "b")
	r.sample(t)
	r.age(t)
	a := r.g.aborter(t, func() time.Time { return time.Now().AddDate(0, 0, 9) }, 1)
	for _, want := range []int{2, 1} {
		r.g.work(t, a)
		if left := strings.Fields(r.unfinished(t)); len(left) != want {
			t.Errorf("%q are left", left)
		}
	}
	if left := r.unfinished(t); left != "b" {
		t.Errorf("%q are left", left)
	}
	if n := r.versions(t); n != 1 {
		t.Errorf("%d versions are kept", n)
	}
	r.begin(t, "a/3")
	r.sample(t)
	if _, err := r.c.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &r.name}); err != nil {
		t.Fatal(err)
	}
	r.g.work(t, a)
	if left := r.unfinished(t); left != "a/3 b" {
		t.Errorf("without rules %q are left", left)
	}
	if n := r.versions(t); n != 0 {
		t.Errorf("%d versions are kept of a lifecycle that was deleted", n)
	}
}
