package accesslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/minio-go/v7"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// fixture is an account with buckets on a real backend.
type fixture struct {
	t         testing.TB
	db        *testenv.DB
	keyring   *secret.Keyring
	owner     *pgxpool.Pool
	store     *tenancy.Store
	account   *tenancy.Account
	backend   *tenancy.Backend
	directory *tenancy.Directory
	client    *minio.Client
}

func newFixture(t testing.TB, endpoint string) *fixture {
	t.Helper()
	m := testenv.MinIO(t)
	if endpoint == "" {
		endpoint = m.Endpoint
	}
	in := tenancytest.New(t)
	f := &fixture{t: t, db: in.DB, keyring: in.Keyring, owner: in.Owner, store: in.Store, account: in.Account("acme"),
		backend: in.Backend("minio", m, tenancy.Backend{Endpoints: []string{endpoint}}), directory: in.Directory()}
	direct := *f.backend
	direct.Endpoints = []string{m.Endpoint}
	f.client = testenv.Must(direct.Client())(t)
	return f
}

func (f *fixture) bucket(name string) *tenancy.Bucket {
	f.t.Helper()
	b, err := tenancy.ReserveBucket(f.t.Context(), f.owner, f.account.ID, name, false, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.client.MakeBucket(f.t.Context(), b.BackendName, minio.MakeBucketOptions{}); err != nil {
		f.t.Fatal(err)
	}
	if err := f.directory.ActivateBucket(f.t.Context(), b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *fixture) logging(b *tenancy.Bucket, l *tenancy.BucketLogging) {
	f.t.Helper()
	if err := f.directory.SetLogging(f.t.Context(), b, l); err != nil {
		f.t.Fatal(err)
	}
}

// about is the record of a request about a bucket, now.
func (f *fixture) about(b *tenancy.Bucket, n int) *accesslog.Record {
	r := record(n)
	// Whole seconds: a fraction is written without its last zeros, and tests count on lines of one length.
	r.Time, r.AccountID, r.BucketID, r.OwnerID, r.Owner, r.Bucket = time.Now().Add(time.Second).Truncate(time.Second), f.account.ID, b.ID, f.account.ID, f.account.Name, accesslog.Text(b.Name)
	return r
}

// objects are what a bucket has, by key.
func (f *fixture) objects(b *tenancy.Bucket) map[string]string {
	f.t.Helper()
	all := map[string]string{}
	for o := range f.client.ListObjects(f.t.Context(), b.BackendName, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			f.t.Fatal(o.Err)
		}
		r, err := f.client.GetObject(f.t.Context(), b.BackendName, o.Key, minio.GetObjectOptions{})
		if err != nil {
			f.t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			f.t.Fatal(err)
		}
		all[o.Key] = string(text)
	}
	return all
}

// delivered are the request ids in a bucket's objects, with how often each is there.
func (f *fixture) delivered(b *tenancy.Bucket) map[string]int {
	f.t.Helper()
	ids := map[string]int{}
	for _, text := range f.objects(b) {
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			ids[strings.Fields(line)[6]]++
		}
	}
	return ids
}

// Who has logging on gets the lines about that bucket, in S3's form and under
// S3's names; nobody else's.
func TestDelivery(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	l := open(t, accesslog.Config{Dir: dir, Metrics: registry})
	d := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory, Region: "eu-1"})
	photos, other, logs, itself := f.bucket("photos"), f.bucket("other"), f.bucket("logs"), f.bucket("itself")
	days, hours := f.bucket("by-event"), f.bucket("by-delivery")
	f.logging(photos, &tenancy.BucketLogging{Target: "logs", Prefix: "photos/"})
	f.logging(itself, &tenancy.BucketLogging{Target: "itself", Format: tenancy.SimplePrefix})
	f.logging(days, &tenancy.BucketLogging{Target: "logs", Prefix: "days/", Format: tenancy.ByEventTime})
	f.logging(hours, &tenancy.BucketLogging{Target: "logs", Prefix: "hours/", Format: tenancy.ByDeliveryTime})

	first := f.about(photos, 1)
	l.Add(first)
	l.Add(f.about(other, 2))
	refused := f.about(photos, 3) // before its bucket was looked up
	refused.BucketID, refused.AccountID, refused.Status, refused.ErrorCode, refused.Requester, refused.Auth = tenancy.ID{}, tenancy.ID{}, 403, "AccessDenied", "", "anonymous"
	refused.Key, refused.Target, refused.Egress, refused.ObjectSize = nil, accesslog.Text("/photos?list-type=2"), 0, -1
	refused.UserAgent, refused.Referer, refused.Cipher, refused.TLS = accesslog.Text("a \"quoted\"\tagent é"), accesslog.Text("https://example.test/"), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS 1.2"
	l.Add(refused)
	stranger := f.about(photos, 4) // another account's bucket of that name
	stranger.BucketID, stranger.OwnerID = tenancy.ID{}, tenancy.NewID()
	l.Add(stranger)
	early := f.about(photos, 5)
	early.Time = time.Now().Add(-time.Hour) // before logging was put on
	l.Add(early)
	l.Add(f.about(itself, 6))
	l.Add(f.about(days, 7))
	tomorrow := f.about(days, 8)
	tomorrow.Time = tomorrow.Time.Add(24 * time.Hour)
	l.Add(tomorrow)
	l.Add(f.about(hours, 9))
	pass := func() {
		t.Helper()
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := d.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	simple := regexp.MustCompile(`^(photos/)?\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$`)
	byEvent := regexp.MustCompile(`^days/acme/eu-1/by-event/(\d{4})/(\d\d)/(\d\d)/(\d{4})-(\d\d)-(\d\d)-00-00-00-[0-9A-F]{16}$`)
	byDelivery := regexp.MustCompile(`^hours/acme/eu-1/by-delivery/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$`)
	kinds := map[string]int{}
	var text string
	for key, body := range f.objects(logs) {
		switch {
		case simple.MatchString(key):
			kinds["simple"]++
			text += body
		case byEvent.MatchString(key):
			m := byEvent.FindStringSubmatch(key)
			if m[1] != m[4] || m[2] != m[5] || m[3] != m[6] {
				t.Errorf("days differ: %s", key)
			}
			kinds["event"]++
		case byDelivery.MatchString(key):
			kinds["delivery"]++
		default:
			t.Errorf("an object named %s", key)
		}
	}
	if kinds["simple"] != 2 /* nobody proved the one */ || kinds["event"] != 2 || kinds["delivery"] != 1 {
		t.Errorf("objects %v", kinds)
	}
	want := []string{
		fmt.Sprintf(`%s photos \[%s\] 192\.0\.2\.3 arn:aws:iam::acme:user/PC7Q2EXAMPLE 0000000000000001 REST\.GET\.OBJECT 2026/02/a%%20b\.jpg "GET /photos/2026/02/a%%20b\.jpg HTTP/1\.1" 200 - 1048576 1048576 12 3 "-" "aws-sdk-go-v2/1\.30\.3 os/linux lang/go#1\.26" - s9lzHYrFp76ZVxRcpX9\+5cjAnEH2ROuN SigV4 TLS_AES_128_GCM_SHA256 AuthHeader s3\.example\.test TLSv1\.3 - - eu-1`,
			f.account.CanonicalID, regexp.QuoteMeta(first.Time.UTC().Format("02/Jan/2006:15:04:05 -0700"))),
		fmt.Sprintf(`%s photos \[[^\]]*\] 192\.0\.2\.3 - 0000000000000003 REST\.GET\.OBJECT - "GET /photos\?list-type=2 HTTP/1\.1" 403 AccessDenied - - 12 3 "https://example\.test/" "a %%22quoted%%22%%09agent %%C3%%A9" - s9lzHYrFp76ZVxRcpX9\+5cjAnEH2ROuN - ECDHE-RSA-AES128-GCM-SHA256 - s3\.example\.test TLSv1\.2 - - eu-1`,
			f.account.CanonicalID),
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	published := regexp.MustCompile(`^([^ ]*) ([^ ]*) \[(.*?)\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) (-|[0-9]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) ("[^"]*"|-) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*)$`)
	for _, w := range want {
		found := false
		for _, line := range lines {
			found = found || regexp.MustCompile("^"+w+"$").MatchString(line)
			if !published.MatchString(line) {
				t.Errorf("not in the published form: %s", line)
			}
		}
		if !found {
			t.Errorf("no line is\n%s\nthere are\n%s", w, text)
		}
	}
	if got := f.delivered(itself); len(got) != 1 || got["0000000000000006"] != 1 {
		t.Errorf("in itself: %v", got)
	}
	if got := f.delivered(other); len(got) != 0 {
		t.Errorf("where nothing was asked for: %v", got)
	}
	before := len(f.objects(logs))
	pass()
	if after := len(f.objects(logs)); after != before {
		t.Errorf("a pass with nothing new makes %d objects", after-before)
	}
	l.Add(f.about(photos, 10))
	pass()
	if got := f.delivered(logs); got["000000000000000A"] != 1 || got["0000000000000001"] != 1 {
		t.Errorf("after another pass: %v", got)
	}
	f.logging(photos, nil)
	l.Add(f.about(photos, 11))
	pass()
	if got := f.delivered(logs); got["000000000000000B"] != 0 {
		t.Errorf("delivered though it is off: %v", got)
	}
	if got := metric(t, registry, "delivered_lines_total"); got != 7 {
		t.Errorf("%v lines are counted", got)
	}
}

// A target that is gone, or an account that is not active, costs its own lines
// alone, and they are counted; a target that is made again is one again.
// A file that cannot be read keeps no other from being delivered.
func TestDelivery_badFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	dir := t.TempDir()
	source, target := f.bucket("source"), f.bucket("target")
	f.logging(source, &tenancy.BucketLogging{Target: "target"})
	var d *accesslog.Delivery
	for range 2 {
		l := open(t, accesslog.Config{Dir: dir})
		d = accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory})
		l.Add(f.about(source, 1))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		files, err := accesslog.Files(dir)
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		if len(files) == 1 { // the older one, which comes first
			if err := os.WriteFile(files[0]+".delivery", []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := d.Deliver(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Base(files[0])) {
			t.Errorf("the bad file: %v", err)
		}
	}
	if n := len(f.objects(target)); n != 1 {
		t.Errorf("%d objects were delivered", n)
	}
}

func TestDelivery_withheld(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	registry := prometheus.NewRegistry()
	l := open(t, accesslog.Config{Dir: t.TempDir(), Metrics: registry})
	d := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory})
	source, logs := f.bucket("source"), f.bucket("logs")
	f.logging(source, &tenancy.BucketLogging{Target: "logs"})
	n := 0
	pass := func(withheld float64) {
		t.Helper()
		n++
		l.Add(f.about(source, n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := d.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := metric(t, registry, "withheld_lines_total"); got != withheld {
			t.Errorf("pass %d: %v lines withheld, want %v", n, got, withheld)
		}
		if got := metric(t, registry, "undelivered_bytes"); got != 0 {
			t.Errorf("pass %d: %v bytes are left", n, got)
		}
	}
	pass(0)
	// An object that would hide what is delivered, and what a delete of it leaves.
	f.logging(source, &tenancy.BucketLogging{Target: "logs", Prefix: "in/the/way/"})
	pass(0)
	if err := f.client.EnableVersioning(t.Context(), logs.BackendName); err != nil {
		t.Fatal(err)
	}
	f.logging(source, &tenancy.BucketLogging{Target: "logs", Prefix: "in/a/way/"})
	if _, err := f.client.PutObject(t.Context(), logs.BackendName, "in/a", strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	pass(1)
	if err := f.client.RemoveObject(t.Context(), logs.BackendName, "in/a", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	pass(2)
	f.logging(source, &tenancy.BucketLogging{Target: "logs"})
	pass(2)
	if err := f.directory.BeginDeleteBucket(t.Context(), logs); err != nil {
		t.Fatal(err)
	}
	pass(2) // an attempt to delete the target loses nothing
	if err := f.directory.RemoveBucket(t.Context(), logs); err != nil {
		t.Fatal(err)
	}
	pass(3)
	if b, err := f.directory.Bucket(t.Context(), f.account.ID, []byte("source")); err != nil || b.Logging == nil || b.Logging.Target != "logs" {
		t.Errorf("the source still says where to: %+v, %v", b, err)
	}
	again := f.bucket("logs")
	pass(3)
	if got := f.delivered(again); len(got) != 1 || got["0000000000000008"] != 1 {
		t.Errorf("delivered %v", got)
	}
	// Gone in the backend only.
	if err := f.client.RemoveBucketWithOptions(t.Context(), again.BackendName, minio.RemoveBucketOptions{ForceDelete: true}); err != nil {
		t.Fatal(err)
	}
	pass(4)
	if err := f.client.MakeBucket(t.Context(), again.BackendName, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	pass(4)
	if err := tenancy.SetStatus(t.Context(), f.owner, f.account.ID, tenancy.Suspended); err != nil {
		t.Fatal(err)
	}
	pass(5)
	// The source's row goes with the source.
	if err := f.directory.BeginDeleteBucket(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if err := f.directory.RemoveBucket(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if list, err := f.directory.LoggedBuckets(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// gate is a way to a backend that can be shut, whole or for one bucket, or lose
// the answers to uploads.
type gate struct {
	*httputil.ReverseProxy
	shut, deaf atomic.Bool
	bucket     atomic.Pointer[string] // nil: shut for all
	asked      atomic.Int64
	mu         sync.Mutex
	uploads    []string // paths
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	if b := g.bucket.Load(); g.shut.Load() && (b == nil || strings.HasPrefix(r.URL.Path, "/"+*b+"/")) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPut {
		g.mu.Lock()
		g.uploads = append(g.uploads, r.URL.Path)
		g.mu.Unlock()
		if g.deaf.Load() {
			g.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	g.ReverseProxy.ServeHTTP(w, r)
}

func newGate(t testing.TB) (*gate, string) {
	t.Helper()
	to, err := url.Parse(testenv.MinIO(t).Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ReverseProxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
		r.Out.Host = r.In.Host
	}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return g, "http://" + l.Addr().String()
}

// While a backend refuses, its lines wait, files with them are not swept, and
// the rest goes on; afterwards each line is there once. Beyond the folder's
// bound the oldest file goes, and that is said.
func TestDelivery_backendAway(t *testing.T) {
	t.Parallel()
	g, endpoint := newGate(t)
	f := newFixture(t, endpoint)
	dir, c, registry := t.TempDir(), testenv.NewClock(time.Now().UTC().Truncate(time.Second)), prometheus.NewRegistry()
	var logs strings.Builder
	source, target := f.bucket("source"), f.bucket("target")
	f.logging(source, &tenancy.BucketLogging{Target: "target"})
	line := int64(len(f.about(source, 1).AppendLine(nil)))
	cfg := accesslog.Config{Dir: dir, Now: c.Now, Metrics: registry, RotateSize: line, KeepSize: 2 * line, MaxSize: 5*line + line/2, Logger: slog.New(slog.NewTextHandler(&logs, nil))}
	l := open(t, cfg)
	d := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory, Retry: time.Minute})
	pass := func(ids ...int) {
		t.Helper()
		for _, n := range ids {
			l.Add(f.about(source, n))
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Sweep()
	}
	g.shut.Store(true)
	pass(1, 2, 3, 4)
	if got := metric(t, registry, "delivery_failures_total"); got != 4 {
		t.Errorf("%v failures", got)
	}
	if n := len(files(t, dir)); n != 4 {
		t.Errorf("%d files: what is not delivered stays", n)
	}
	if got := metric(t, registry, "undelivered_bytes"); got != float64(4*line) {
		t.Errorf("%v bytes are left of %d", got, 4*line)
	}
	asked := g.asked.Load()
	pass()
	if g.asked.Load() != asked {
		t.Error("tried again at once")
	}
	g.shut.Store(false)
	c.Advance(2 * time.Minute)
	pass(5)
	if got := f.delivered(target); len(got) != 5 {
		t.Errorf("delivered %v", got)
	}
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files after the delivery", n)
	}
	g.shut.Store(true)
	pass(6, 7, 8, 9, 10, 11, 12)
	if lost := metric(t, registry, "lost_files_total"); lost != 2 || !strings.Contains(logs.String(), "not delivered whole") {
		t.Errorf("%v lost files; the log:\n%s", lost, logs.String())
	}
	g.shut.Store(false)
	c.Advance(2 * time.Hour)
	pass()
	got := f.delivered(target)
	for id, n := range got {
		if n != 1 {
			t.Errorf("%s: %d times", id, n)
		}
	}
	if len(got) != 10 || got["0000000000000006"]+got["0000000000000007"] != 0 {
		t.Errorf("delivered %v", got)
	}
}

// logForEver logs requests about a bucket, flushes and delivers until killed,
// and says "line" for each line that is in the file, "pass" for each delivery.
func logForEver(dir string) error {
	keyring, err := os.ReadFile(os.Getenv("ACCESSLOG_CRASH_KEYRING"))
	if err != nil {
		return err
	}
	k, err := secret.Parse(keyring)
	if err != nil {
		return err
	}
	ctx := context.Background()
	pool, err := pg.Open(ctx, os.Getenv("ACCESSLOG_CRASH_URL"))
	if err != nil {
		return err
	}
	directory, err := tenancy.NewDirectory(tenancy.DirectoryConfig{Pool: pool, Keyring: k})
	if err != nil {
		return err
	}
	go func() { _ = directory.Run(ctx) }()
	<-directory.Ready()
	list, err := directory.LoggedBuckets(ctx)
	if err != nil || len(list) == 0 {
		return fmt.Errorf("%d buckets, %w", len(list), err)
	}
	l, err := accesslog.Open(accesslog.Config{Dir: dir, RotateSize: 50 << 10})
	if err != nil {
		return err
	}
	d := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: directory})
	go func() {
		for {
			if err := d.Deliver(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println("pass")
		}
	}()
	b := list[0]
	for range time.Tick(3 * time.Millisecond) { // not faster than it can deliver
		r := typical()
		r.RequestID = accesslog.Text(fmt.Sprintf("%016X", rand.Uint64()))
		r.Time, r.BucketID = time.Now().Add(time.Second), b.ID
		l.Add(r)
		if err := l.Flush(); err != nil {
			return err
		}
		fmt.Println("line")
	}
	return nil
}

// A node that is killed at random moments, again and again, delivers each line
// of its files once: no holes, no doubles.
func TestDelivery_kill(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	dir := t.TempDir()
	source, target := f.bucket("source"), f.bucket("target")
	f.logging(source, &tenancy.BucketLogging{Target: "target", Prefix: "p-"})
	text, err := f.keyring.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	keyring := filepath.Join(t.TempDir(), "keyring")
	if err := os.WriteFile(keyring, text, 0o600); err != nil {
		t.Fatal(err)
	}
	const kills, least = 8, 20 // least: lines before each of them
	for range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "ACCESSLOG_CRASH_DIR="+dir, "ACCESSLOG_CRASH_KEYRING="+keyring, "ACCESSLOG_CRASH_URL="+f.db.URL(pg.RoleGateway))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Wherever the next pass is when the last of so many lines is written.
		lines, passes := least+rand.IntN(40), 1+rand.IntN(4)
		for r := bufio.NewReader(out); lines > 0 || passes > 0; {
			switch word, err := r.ReadString('\n'); {
			case err != nil:
				t.Fatal(err)
			case word == "line\n":
				lines--
			default:
				passes--
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	l := open(t, accesslog.Config{Dir: dir})
	if err := accesslog.NewDelivery(accesslog.DeliveryConfig{Log: l, Directory: f.directory}).Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	logged, torn := map[string]int{}, 0
	for e, err := range accesslog.Read(dir) {
		if errors.Is(err, accesslog.ErrTorn) {
			torn++
		} else if err != nil {
			t.Fatal(err)
		} else {
			logged[e.Record.RequestID.String()]++
		}
	}
	got := f.delivered(target)
	holes, doubles := 0, 0
	for id := range logged {
		switch got[id] {
		case 0:
			holes++
		case 1:
		default:
			doubles++
		}
	}
	if holes > 0 || doubles > 0 || len(got) != len(logged) || len(got) < kills*least {
		t.Errorf("%d lines logged, %d delivered: %d holes, %d doubles", len(logged), len(got), holes, doubles)
	}
	t.Logf("%d lines, %d torn, %d objects", len(logged), torn, len(f.objects(target)))
}
