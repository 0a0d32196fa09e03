package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/dev"
	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

const root = "../.."

// documented are the lines of the fenced blocks of a document, joined where a
// backslash goes on.
func documented(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, block := range strings.Split(string(b), "```") {
		if i%2 == 1 {
			for line := range strings.SplitSeq(strings.ReplaceAll(block, "\\\n", " "), "\n") {
				if line, _, _ = strings.Cut(line, " # "); strings.TrimSpace(line) != "" {
					lines = append(lines, strings.Join(strings.Fields(line), " "))
				}
			}
		}
	}
	return lines
}

// between are the commands from the first that begins with one text to the first
// that begins with another.
func between(t *testing.T, list []string, from, to string) []string {
	t.Helper()
	begins := func(text string) func(string) bool {
		return func(line string) bool { return strings.HasPrefix(line, text) }
	}
	i, j := slices.IndexFunc(list, begins(from)), slices.IndexFunc(list, begins(to))
	if i < 0 || j < i {
		t.Fatalf("the document has no commands from %q to %q", from, to)
	}
	return list[i : j+1]
}

// shell runs a document's commands as a reader would, in dir, where `primecloud`
// and `bin/primecloud` are this test's binary.
func shell(t *testing.T, dir string, env, lines []string) *exec.Cmd {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexport PRIMECLOUD_CHILD_COMMAND=1\nexec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "bin", "primecloud"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", strings.Join(lines, "\n"))
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PRIMECLOUD_") && !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "PATH=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")), env...)
	return cmd
}

// begin starts commands that go on until they are stopped.
func begin(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, out.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := devstack.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// README's commands for a real installation, as they are written but for what
// only their reader can know: his servers, and the credential of one. Afterwards
// every host that they name answers.
func TestREADME_installation(t *testing.T) {
	t.Parallel()
	db, m := testenv.EmptyPostgres(t), testenv.MinIO(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"id": m.AccessKey, "secret": m.SecretKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const serving = "primecloud serve --s3-hosts"
	lines := between(t, documented(t, "README.md"), "export PRIMECLOUD_OWNER_DATABASE_URL", serving)
	for i := range lines {
		lines[i] = strings.NewReplacer("postgres://primecloud_gateway@…", db.URL(pg.RoleGateway), "postgres://primecloud_worker@…", db.URL(pg.RoleWorker),
			"postgres://…", db.URL(""), "https://minio-1:9000,https://minio-2:9000", m.Endpoint,
			"primecloud key create acme", "primecloud key create acme | tee key").Replace(lines[i])
	}
	s3Addr, admin := freeAddr(t), freeAddr(t)
	cmd := shell(t, dir, []string{"PRIMECLOUD_S3_ADDR=" + s3Addr, "PRIMECLOUD_ADMIN_ADDR=" + admin,
		"PRIMECLOUD_JOURNAL_DIR=" + filepath.Join(dir, "journal"), "PRIMECLOUD_ACCESS_LOG_DIR=" + filepath.Join(dir, "log")}, lines)
	stop := begin(t, cmd)
	testenv.WaitFor(t, "the gateway to be ready", func() bool {
		resp, err := http.Get("http://" + admin + "/readyz") //nolint:noctx // a test
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})

	b, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	table := strings.Split(strings.TrimSpace(string(b)), "\n")
	head, row := strings.Fields(table[0]), strings.Fields(table[len(table)-1])
	column := func(name string) string { return row[slices.Index(head, name)] }
	serve := strings.Fields(lines[len(lines)-1])
	value := func(flag string) string { return serve[slices.Index(serve, flag)+1] }
	var d net.Dialer
	dialer := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, s3Addr)
	}}
	for _, host := range []string{value("--s3-hosts"), "acme." + value("--s3-tenant-domain")} {
		c := s3.New(s3.Options{BaseEndpoint: aws.String("http://" + host), Region: "us-east-1", Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Transport: dialer},
			Credentials: credentials.NewStaticCredentialsProvider(column("ACCESS_KEY_ID"), column("SECRET_ACCESS_KEY"), "")})
		bucket := aws.String("of-" + strings.ReplaceAll(host, ".", "-"))
		if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil { // virtual-host style
			t.Errorf("%s: %v", host, err)
		}
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x")}, pathStyle); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if _, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	stop()
}

func pathStyle(o *s3.Options) { o.UsePathStyle = true }

// README's first steps, on what `make run` runs.
func TestREADME_firstSteps(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"aws", "rclone"} {
		if _, err := exec.LookPath(client); err != nil {
			testenv.Unavailable(t, client, err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"README.md", "docs"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Join(root, name), dir).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
	}
	stop := begin(t, shell(t, dir, nil, []string{"exec bin/primecloud dev --s3-addr 127.0.0.1:0 --tls-addr 127.0.0.1:0 --admin-addr 127.0.0.1:0"}))
	testenv.WaitFor(t, "dev.env", func() bool {
		_, err := os.Stat(filepath.Join(dir, dev.DefaultDir, "dev.env"))
		return err == nil
	})
	list := documented(t, "README.md")
	lines := append(between(t, list, "source ", "bin/primecloud usage show"), between(t, list, "rclone ", "rclone ")...)
	out, err := shell(t, dir, []string{"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null"}, append([]string{"set -x"}, lines...)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "README.md\n") {
		t.Errorf("%v: %s", err, out)
	}
	stop()
}

// Both languages give the same commands.
func TestREADME_languages(t *testing.T) {
	t.Parallel()
	english := documented(t, "README.md")
	for _, line := range documented(t, "README.pt-BR.md") {
		if !slices.Contains(english, line) {
			t.Errorf("README.md has no %q", line)
		}
	}
}
