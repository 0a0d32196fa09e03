package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/health"
	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// installation is a database with a keyring and a backend, as an operator sets
// it up with the commands.
type installation struct {
	t       *testing.T
	db      *testenv.DB              // nil: a server of the test's own
	url     func(role string) string // of the database
	keyring string
	env     []string
}

func install(t *testing.T) *installation {
	t.Helper()
	db := testenv.EmptyPostgres(t)
	in := installOn(t, db.URL, testenv.MinIO(t).Endpoint)
	in.db = db
	return in
}

// installOn installs on a given database, and MinIO as it is reached at endpoint.
func installOn(t *testing.T, url func(role string) string, endpoint string) *installation {
	t.Helper()
	in := &installation{t: t, url: url, keyring: filepath.Join(t.TempDir(), "keyring")}
	m := testenv.MinIO(t)
	in.env = []string{"PRIMECLOUD_OWNER_DATABASE_URL=" + url(""), "PRIMECLOUD_KEYRING_FILE=" + in.keyring,
		"BACKEND_ACCESS_KEY=" + m.AccessKey, "BACKEND_SECRET_KEY=" + m.SecretKey}
	in.must("secret", "generate", in.keyring)
	in.must("migrate")
	in.must("backend", "add", "minio", "--endpoints", endpoint)
	return in
}

func (in *installation) run(args ...string) (string, error) {
	var out, errs bytes.Buffer
	c := &cli{out: &out, err: &errs, environ: in.env}
	err := c.run(in.t.Context(), args)
	return out.String(), err
}

func (in *installation) must(args ...string) string {
	in.t.Helper()
	out, err := in.run(args...)
	if err != nil {
		in.t.Fatalf("primecloud %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// process is `primecloud serve` as a process of its own.
type process struct {
	cmd   *exec.Cmd
	addrs node.Addresses
	log   *testenv.Buffer
}

// serveProcess starts this test binary as `primecloud serve`.
func (in *installation) serveProcess() *process { return in.serveOn(in.t.TempDir()) }

// serveOn starts one on a journal folder, with further settings.
func (in *installation) serveOn(journal string, settings ...string) *process {
	in.t.Helper()
	return in.serveWithin("", journal, settings...)
}

// serveWithin starts one that may have so many open files; "": as many as this process.
func (in *installation) serveWithin(files, journal string, settings ...string) *process {
	in.t.Helper()
	ready := filepath.Join(in.t.TempDir(), "ready")
	p := &process{cmd: exec.CommandContext(in.t.Context(), os.Args[0], "-test.run=^$"), log: &testenv.Buffer{}}
	p.cmd.Env = append(os.Environ(), "PRIMECLOUD_CHILD_READY="+ready, "PRIMECLOUD_CHILD_DATABASE_URL="+in.url(pg.RoleGateway), "PRIMECLOUD_CHILD_WORKER_DATABASE_URL="+in.url(pg.RoleWorker),
		"PRIMECLOUD_CHILD_KEYRING_FILE="+in.keyring, "PRIMECLOUD_CHILD_JOURNAL="+journal, "PRIMECLOUD_CHILD_SETTINGS="+strings.Join(settings, " "), "PRIMECLOUD_CHILD_NOFILE="+files)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	testenv.WaitFor(in.t, "the gateway process", func() bool {
		b, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(b, &p.addrs) == nil
	})
	return p
}

// accessLogOf is where the process with that journal folder writes its log.
func accessLogOf(journal string) string { return journal + "-access-log" }

// TestMain is the gateway, or any command, when a test has started this binary
// as one.
func TestMain(m *testing.M) {
	if os.Getenv("PRIMECLOUD_CHILD_COMMAND") != "" {
		_ = os.Unsetenv("PRIMECLOUD_CHILD_COMMAND")
		main()
		os.Exit(0)
	}
	ready := os.Getenv("PRIMECLOUD_CHILD_READY")
	if ready == "" {
		os.Exit(m.Run())
	}
	if files := os.Getenv("PRIMECLOUD_CHILD_NOFILE"); files != "" {
		n, _ := strconv.ParseUint(files, 10, 32)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	load := func() (cfg node.Config, err error) {
		err = settings.Load(&cfg, "", append(append([]string{"PRIMECLOUD_DRAIN_DELAY=0s"}, strings.Fields(os.Getenv("PRIMECLOUD_CHILD_SETTINGS"))...), "PRIMECLOUD_DATABASE_URL="+os.Getenv("PRIMECLOUD_CHILD_DATABASE_URL"),
			"PRIMECLOUD_WORKER_DATABASE_URL="+os.Getenv("PRIMECLOUD_CHILD_WORKER_DATABASE_URL"), "PRIMECLOUD_KEYRING_FILE="+os.Getenv("PRIMECLOUD_CHILD_KEYRING_FILE"),
			"PRIMECLOUD_S3_ADDR=127.0.0.1:0", "PRIMECLOUD_ADMIN_ADDR=127.0.0.1:0", "PRIMECLOUD_JOURNAL_DIR="+os.Getenv("PRIMECLOUD_CHILD_JOURNAL"),
			"PRIMECLOUD_ACCESS_LOG_DIR="+accessLogOf(os.Getenv("PRIMECLOUD_CHILD_JOURNAL")), "PRIMECLOUD_DRAIN_TIMEOUT=20s"))
		return cfg, err
	}
	cfg, err := load()
	if err == nil {
		ctx, stop := node.SignalContext()
		defer stop()
		cfg.Output, cfg.Reread, cfg.Files = os.Stderr, load, []string{os.Getenv("PRIMECLOUD_CHILD_KEYRING_FILE")}
		cfg.OnReady = func(a node.Addresses) {
			b, merr := json.Marshal(a)
			if merr == nil {
				_ = disk.WriteFile(ready, b)
			}
		}
		err = node.Run(ctx, cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func client(addr string, k tenancy.Key) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: aws.String("http://" + addr), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.KeyID, k.Secret, "")})
}

// TestCommands walks an operator's first day: every command, with JSON.
func TestCommands(t *testing.T) {
	t.Parallel()
	in := install(t)
	a := decode[tenancy.Account](t, in.must("account", "create", "acme", "--display-name", "Acme", "--json"))
	if a.Name != "acme" || a.DisplayName != "Acme" || a.Status != tenancy.Active {
		t.Errorf("account create: %+v", a)
	}
	if _, err := in.run("account", "create", "acme"); err == nil {
		t.Error("a second account of the same name")
	}
	if _, err := in.run("account", "create", "Not A Label"); err == nil || !strings.Contains(err.Error(), "lower-case") {
		t.Errorf("a bad name: %v", err)
	}
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json", "--permissions", "read,write,list,manage,delete", "--description", "first"))
	b := decode[tenancy.Bucket](t, in.must("bucket", "create", "acme", "backups", "--json"))
	if b.Name != "backups" || b.BackendName == "backups" {
		t.Errorf("bucket create: %+v", b)
	}
	p := in.serveProcess()
	c := client(p.addrs.S3, k)
	body := strings.Repeat("x", 100_000)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("k"), Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out.Body)
	_ = out.Body.Close()
	for by, want := range map[string]string{"bucket": "backups", "key": k.KeyID, "class": "A"} {
		testenv.WaitFor(t, "usage by "+by, func() bool {
			for _, row := range decode[[]map[string]any](t, in.must("usage", "show", "--by", by, "--account", "acme", "--json")) {
				if row[by] == want && row["ingress_bytes"] == float64(len(body)) && (by == "class" || row["egress_bytes"] == float64(len(body))) {
					return true
				}
			}
			return false
		})
	}
	// Rotation: both work, then the old one ends.
	next := decode[tenancy.Key](t, in.must("key", "rotate", k.KeyID, "--overlap", "1h", "--json"))
	for _, one := range []tenancy.Key{k, next} {
		if _, err := client(p.addrs.S3, one).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")}); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	in.must("key", "revoke", k.KeyID)
	if list := decode[[]tenancy.Key](t, in.must("key", "list", "acme", "--json")); len(list) != 2 || list[0].RevokedAt == nil || list[1].RevokedAt != nil {
		t.Errorf("key list: %+v", list)
	}
	in.must("backend", "add", "other", "--endpoints", testenv.MinIO(t).Endpoint, "--kind", "s3")
	if list := in.must("backend", "list", "--json"); !strings.Contains(list, `"kind": "minio"`) || !strings.Contains(list, `"kind": "s3"`) {
		t.Errorf("backend list does not say the kinds: %s", list)
	}
	if text := in.must("key", "list", "acme") + in.must("backend", "list", "--json") + in.must("account", "show", "acme"); strings.Contains(text, next.Secret) || strings.Contains(text, testenv.MinIO(t).SecretKey) {
		t.Error("a secret is shown a second time")
	}
	// Secrets move to a new key, and everything still works.
	rotated := in.rotateKeyring()
	if rotated.Moved != 3 {
		t.Errorf("secret rotate: %v", rotated)
	}
	if _, err := client(p.addrs.S3, next).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")}); err != nil {
		t.Errorf("a process that runs, after the keyring's rotation: %v", err)
	}
	testenv.WaitFor(t, "the process to seal with the new key", func() bool {
		for _, h := range decode[[]keyring.Holder](t, in.must("secret", "status", "--json")) {
			if h.Live && h.Seals != rotated.Key {
				return false
			}
		}
		return true
	})
	if moved := decode[map[string]int](t, in.must("secret", "retire", in.keyring, "--json")); moved["moved"] != 0 {
		t.Errorf("secret retire: %v", moved)
	}
	p = in.serveProcess()
	if _, err := client(p.addrs.S3, next).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")}); err != nil {
		t.Errorf("after the keyring's rotation: %v", err)
	}
	in.must("account", "suspend", "acme")
	testenv.WaitFor(t, "the suspension", func() bool {
		_, err := client(p.addrs.S3, next).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")})
		return err != nil
	})
	in.must("account", "resume", "acme")
	in.must("account", "close", "acme")
	if _, err := in.run("account", "resume", "acme"); err == nil {
		t.Error("a closed account was opened again")
	}
	for _, f := range decode[[]finding.Finding](t, in.must("doctor", "--json")) {
		if f.Result == "failure" {
			t.Errorf("doctor: %+v", f)
		}
	}
}

// TestBucketImport takes over a bucket with objects in it.
func TestBucketImport(t *testing.T) {
	t.Parallel()
	in := install(t)
	m := testenv.MinIO(t)
	name := "import-" + strings.ToLower(in.db.Name[2:])
	direct := client(strings.TrimPrefix(m.Endpoint, "http://"), tenancy.Key{KeyID: m.AccessKey, Secret: m.SecretKey})
	if _, err := direct.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(name), Key: aws.String("old"), Body: strings.NewReader("old data")}); err != nil {
		t.Fatal(err)
	}
	in.must("account", "create", "acme")
	in.must("account", "create", "other")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	in.must("bucket", "import", "acme", name, "--name", "taken-over")
	if _, err := in.run("bucket", "import", "other", name); err == nil {
		t.Error("two accounts own one bucket")
	}
	if _, err := in.run("bucket", "import", "acme", "there-is-none"); err == nil {
		t.Error("a bucket that is not there was imported")
	}
	out, err := client(in.serveProcess().addrs.S3, k).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("taken-over"), Key: aws.String("old")})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(out.Body); string(b) != "old data" {
		t.Errorf("got %q", b)
	}
}

// TestRevocation: a revoked key is refused by every process that has heard of that moment.
func TestRevocation(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	first, second := in.serveProcess(), in.serveProcess()
	for range 10 {
		k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
		for _, p := range []*process{first, second} {
			if _, err := client(p.addrs.S3, k).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")}); err != nil {
				t.Fatal(err)
			}
		}
		in.must("key", "revoke", k.KeyID)
		// A node says up to when it has heard of every change, about once a second:
		// a key that was revoked before is refused from then on.
		revoked := float64(time.Now().Add(time.Second).Unix())
		for _, p := range []*process{first, second} {
			testenv.WaitFor(t, "the node to have heard", func() bool {
				heard, err := strconv.ParseFloat(scraped(t, p, "primecloud_tenancy_directory_heard_timestamp_seconds"), 64)
				return err == nil && heard >= revoked
			})
			_, err := client(p.addrs.S3, k).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("backups")})
			var refused smithy.APIError
			if !errors.As(err, &refused) || refused.ErrorCode() != "InvalidAccessKeyId" {
				t.Errorf("a revoked key: %v", err)
			}
		}
	}
}

// TestReadyz_database: a node without its database serves what it has in memory, for as
// long as that may be used, and says so; then it is not ready, and is again when the database is back. A
// worker has nothing without it.
func TestReadyz_database(t *testing.T) {
	t.Parallel()
	for roles, keeps := range map[string]bool{node.RoleGateway: true, node.RoleWorker: false, node.RoleGateway + "," + node.RoleWorker: true} {
		for stale, ends := range map[string]bool{"1h": false, "3s": true} {
			t.Run(roles+" "+stale, func(t *testing.T) {
				t.Parallel()
				in := install(t)
				p := in.serveOn(t.TempDir(), "PRIMECLOUD_ROLES="+roles, "PRIMECLOUD_DATABASE_MAX_STALE="+stale)
				testenv.WaitFor(t, "the node", func() bool { return status(t, p, "/readyz") == http.StatusOK })
				back := in.db.TakeAway(t)
				if keeps {
					testenv.WaitFor(t, "the node to say what it does without", func() bool {
						r := readyz(t, p)
						return r.Status == health.Ready && strings.Contains(reasons(r), "PostgreSQL has told nothing for")
					})
				}
				if ends || !keeps {
					testenv.WaitFor(t, "the node to say what it has lost", func() bool {
						return status(t, p, "/readyz") == http.StatusServiceUnavailable && strings.Contains(adminPage(t, p, "/readyz"), "PostgreSQL")
					})
				}
				if status(t, p, "/healthz") != http.StatusOK || status(t, p, "/livez") != http.StatusOK {
					t.Error("a node without its database is to be restarted")
				}
				back()
				testenv.WaitFor(t, "the node", func() bool { r := readyz(t, p); return r.Status == health.Ready && reasons(r) == "" })
			})
		}
	}
}

func readyz(t *testing.T, p *process) health.Report {
	t.Helper()
	return decode[health.Report](t, adminPage(t, p, "/readyz"))
}

// reasons are all that a report gives.
func reasons(r health.Report) string {
	var all []string
	for _, c := range r.Checks {
		if c.Reason != "" {
			all = append(all, c.Name+": "+c.Reason)
		}
	}
	return strings.Join(all, "\n")
}

// TestDrain: SIGTERM lets a download in flight finish, and the node says that
// it is not ready meanwhile.
func TestDrain(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	p := in.serveProcess()
	c := client(p.addrs.S3, k)
	body := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("big"), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String("big")})
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1<<20)
	if _, err := io.ReadFull(out.Body, head); err != nil {
		t.Fatal(err)
	}
	if status(t, p, "/readyz") != http.StatusOK {
		t.Error("not ready before the signal")
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the node to say that it drains", func() bool { return status(t, p, "/readyz") == http.StatusServiceUnavailable })
	rest, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(append(head, rest...), body) {
		t.Fatalf("the download in flight: %d bytes, %v", len(head)+len(rest), err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v: %s", err, p.log)
	}
	if sums := decode[[]usagereport.Usage](t, in.must("usage", "show", "--json")); len(sums) == 0 || sums[0].Egress != int64(len(body)) {
		t.Errorf("usage after the drain: %+v", sums)
	}
}

func status(t *testing.T, p *process, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+p.addrs.Admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestAdmin looks at what an operator scrapes.
func TestAdmin(t *testing.T) {
	t.Parallel()
	in := install(t)
	p := in.serveProcess()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/nothing": 404} {
		if got := status(t, p, path); got != want {
			t.Errorf("%s: %d, wanted %d", path, got, want)
		}
	}
}

// A second signal ends a node that drains at once.
func TestServe_secondSignal(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	p := in.serveProcess()
	openUploads(t, p.addrs.S3, 1, k) // which ends by itself long after the test
	testenv.WaitFor(t, "the upload to begin", func() bool { return scraped(t, p, "primecloud_proxy_connections") == "1" })
	interrupt := func() {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	interrupt()
	testenv.WaitFor(t, "the node to drain", func() bool { return status(t, p, "/readyz") == http.StatusServiceUnavailable })
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	var err error
	testenv.WaitFor(t, "the end of the process", func() bool {
		interrupt() // one that comes with the first is not a second one
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if code := p.cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGINT) {
		t.Errorf("it ended with %v: %s", err, p.log)
	}
}
