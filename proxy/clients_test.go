package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// client is a stock S3 client, run with nothing but endpoint and keys.
type client struct {
	name string
	need string // a command that succeeds where it is installed, and prints its version; or the module that it is
	did  string // what it does here, for docs/S3-COMPATIBILITY.md
	run  func(t *testing.T, c *clientRun)
}

type clientRun struct {
	endpoint, ca   string // ca is "" over http
	id, secret     string
	bucket         string
	dir            string
	file           string // 9 MiB of random bytes
	tree           string // a folder with small, empty and oddly named files
	env            []string
	certificateDir string
}

// must runs a program and returns its output.
func (c *clientRun) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

var clients = []client{
	{"aws-cli", "/usr/bin/aws --version", "multipart copies, sync both ways, server-side copy and move, versioning, tags, lists", awscli},
	{"boto3", "/usr/bin/python3 testdata/boto.py --installed", "multipart, ranges, copies, versions, tags, presigned URLs, pages of versions, deletes of many", func(t *testing.T, c *clientRun) { c.must(t, "/usr/bin/python3", abs(t, "testdata/boto.py")) }},
	{"rclone", "rclone version", "copy, check, sync, move, multipart, purge", rclone},
	{"s3cmd", "s3cmd --version", "multipart, sync both ways, copy, info, deletes", s3cmd},
	{"restic", "restic version", "two backups, check of all data, restore, prune", restic},
	{"s3fs", "s3fs --version", "mount: files written, read, renamed and removed, multipart", s3fs},
	{"aws-sdk-js-v3", "node testdata/js/client.mjs --installed", "buffers and streams with each kind of checksum, multipart, copy, deletes of many", func(t *testing.T, c *clientRun) { c.must(t, "node", abs(t, "testdata/js/client.mjs")) }},
	{"aws-sdk-go-v2", "github.com/aws/aws-sdk-go-v2/service/s3", "small and multipart uploads, ranges, copies, conditions, pages, odd names, checksums, versions, locks, tags, rules, policy, presigned URLs, deletes of many", awsSDK},
	{"minio-go", "github.com/minio/minio-go/v7", "buckets, streams of known and unknown length, composing, conditions, pages, odd names, checksums, versions, locks, tags, rules, policy, presigned URLs", minioGo},
	{"minio-js", "node testdata/js/minio.mjs --installed", "buffers, streams and files, composing, conditions, lists, odd names, versions, locks, tags, rules, policy, presigned URLs and forms", func(t *testing.T, c *clientRun) { c.must(t, "node", abs(t, "testdata/js/minio.mjs")) }},
	{"duplicity", "duplicity --version", "full and incremental backup, verify, restore, cleanup", duplicity},
}

// version finds the client on this machine, or says what is missing.
func (c *client) version(ctx context.Context) (string, error) {
	if strings.HasPrefix(c.need, "github.com/") {
		out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", c.need).Output()
		return strings.TrimSpace(string(out)), err
	}
	need := strings.Fields(c.need)
	out, err := exec.CommandContext(ctx, need[0], need[1:]...).CombinedOutput()
	return versionNumber.FindString(string(out)), err
}

var versionNumber = regexp.MustCompile(`v?\d+\.\d+(\.\d+)?`)

// forConformance says what `make conformance` writes into its table.
func forConformance(t *testing.T, fields ...string) {
	t.Helper()
	t.Log(strings.Join(append([]string{"conformance"}, fields...), "\t"))
}

// TestClients runs each client over http and https: SDKs frame uploads
// differently over TLS (S3-RULES.md, table E).
func TestClients(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{tls: true})
	for _, cl := range clients {
		for _, scheme := range []string{"http", "https"} {
			t.Run(cl.name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				version, err := cl.version(t.Context())
				if err != nil {
					testenv.Unavailable(t, cl.need, err)
				}
				forConformance(t, "client", cl.name, version, cl.did)
				tn := g.tenant()
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(g.log.of(tn.account.Name))
					}
				})
				cl.run(t, g.clientRun(t, tn, scheme))
				waitForUsage(t, g, tn)
			})
		}
	}
}

func (g *gateway) clientRun(t *testing.T, tn *tenant, scheme string) *clientRun {
	t.Helper()
	dir := t.TempDir()
	c := &clientRun{endpoint: "http://" + g.addr, id: tn.key.KeyID, secret: tn.key.Secret, bucket: "stock-client", dir: dir}
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "PATH=") || strings.HasPrefix(kv, "LANG=") {
			c.env = append(c.env, kv)
		}
	}
	if scheme == "https" {
		c.endpoint, c.ca = "https://"+strings.Replace(g.tlsAddr, "127.0.0.1", "localhost", 1), g.caFile
		c.certificateDir = filepath.Dir(g.caFile)
	}
	if c.ca != "" {
		c.env = append(c.env, "AWS_CA_BUNDLE="+c.ca)
	}
	c.file, c.tree = filepath.Join(dir, "file.bin"), filepath.Join(dir, "tree")
	data := make([]byte, 9<<20)
	_, _ = rand.Read(data)
	write(t, c.file, data)
	for i, name := range []string{"empty", "a b+c", "sub/ünïcode ☃", "sub/deep/er/x", "100%", "semi;colon=1&2"} {
		write(t, filepath.Join(c.tree, name), bytes.Repeat([]byte{byte('a' + i)}, i*1000))
	}
	c.env = append(c.env, "HOME="+dir, "AWS_ACCESS_KEY_ID="+c.id, "AWS_SECRET_ACCESS_KEY="+c.secret, "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "ENDPOINT="+c.endpoint, "BUCKET="+c.bucket, "FILE="+c.file,
		"NODE_EXTRA_CA_CERTS="+c.ca, "PYTHONDONTWRITEBYTECODE=1")
	return c
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func abs(t *testing.T, file string) string {
	t.Helper()
	a, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c *clientRun) same(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Fatalf("%s and %s differ", a, b)
	}
}

func (c *clientRun) sameTree(t *testing.T, other string) {
	t.Helper()
	if out := c.must(t, "diff", "-r", c.tree, other); out != "" {
		t.Fatalf("the tree came back changed: %s", out)
	}
}

func awscli(t *testing.T, c *clientRun) {
	aws := func(args ...string) string {
		return c.must(t, "/usr/bin/aws", append([]string{"--endpoint-url", c.endpoint}, args...)...)
	}
	b := "s3://" + c.bucket
	aws("s3", "mb", b)
	aws("s3", "cp", "--quiet", c.file, b+"/multi part.bin")
	aws("s3", "cp", "--quiet", b+"/multi part.bin", "back.bin")
	c.same(t, c.file, filepath.Join(c.dir, "back.bin"))
	aws("s3", "sync", "--quiet", c.tree, b+"/tree")
	aws("s3", "sync", "--quiet", b+"/tree", "tree2")
	c.sameTree(t, filepath.Join(c.dir, "tree2"))
	aws("s3", "cp", "--quiet", b+"/multi part.bin", b+"/copy")
	aws("s3", "mv", "--quiet", b+"/copy", b+"/moved")
	aws("s3api", "put-bucket-versioning", "--bucket", c.bucket, "--versioning-configuration", "Status=Enabled")
	aws("s3api", "put-object-tagging", "--bucket", c.bucket, "--key", "moved", "--tagging", "TagSet=[{Key=a,Value=b}]")
	if out := aws("s3api", "get-object-tagging", "--bucket", c.bucket, "--key", "moved"); !strings.Contains(out, `"a"`) {
		t.Errorf("tags: %s", out)
	}
	if out := aws("s3api", "list-object-versions", "--bucket", c.bucket); !strings.Contains(out, "moved") {
		t.Errorf("versions: %s", out)
	}
	if out := aws("s3", "ls", "--recursive", b); strings.Count(out, "\n") != 8 {
		t.Errorf("list: %s", out)
	}
	aws("s3", "rm", "--quiet", "--recursive", b)
}

func rclone(t *testing.T, c *clientRun) {
	// It takes --ca-cert and refuses to start when this is set as well.
	c.env = append(c.env, "AWS_CA_BUNDLE=")
	rc := func(args ...string) string {
		base := []string{"--s3-provider", "Minio", "--s3-endpoint", c.endpoint, "--s3-access-key-id", c.id, "--s3-secret-access-key", c.secret}
		if c.ca != "" {
			base = append(base, "--ca-cert", c.ca)
		}
		return c.must(t, "rclone", append(base, args...)...)
	}
	b := ":s3:" + c.bucket
	rc("mkdir", b)
	rc("copy", c.tree, b+"/tree")
	rc("copy", b+"/tree", "tree2")
	c.sameTree(t, filepath.Join(c.dir, "tree2"))
	rc("copyto", "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi", c.file, b+"/big")
	rc("check", c.tree, b+"/tree")
	rc("copyto", b+"/big", "back.bin")
	c.same(t, c.file, filepath.Join(c.dir, "back.bin"))
	rc("moveto", b+"/big", b+"/bigger")
	if out := rc("lsf", "-R", b); !strings.Contains(out, "bigger") {
		t.Errorf("list: %s", out)
	}
	rc("sync", c.tree, b)
	rc("purge", b)
}

func s3cmd(t *testing.T, c *clientRun) {
	host := strings.TrimPrefix(strings.TrimPrefix(c.endpoint, "https://"), "http://")
	config := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = %v\nca_certs_file = %s\n",
		c.id, c.secret, host, host, c.ca != "", c.ca)
	write(t, filepath.Join(c.dir, ".s3cfg"), []byte(config))
	s := func(args ...string) string { return c.must(t, "s3cmd", args...) }
	b := "s3://" + c.bucket
	s("mb", b)
	s("--quiet", "put", "--multipart-chunk-size-mb=5", c.file, b+"/big")
	s("--quiet", "get", b+"/big", "back.bin")
	c.same(t, c.file, filepath.Join(c.dir, "back.bin"))
	s("--quiet", "sync", c.tree+"/", b+"/tree/")
	s("--quiet", "sync", b+"/tree/", "tree2/")
	c.sameTree(t, filepath.Join(c.dir, "tree2"))
	s("cp", b+"/big", b+"/copy")
	s("ls", b)
	s("info", b+"/big")
	s("del", "--recursive", "--force", b)
	s("rb", b)
}

func restic(t *testing.T, c *clientRun) {
	c.env = append(c.env, "RESTIC_PASSWORD=test", "RESTIC_REPOSITORY=s3:"+c.endpoint+"/"+c.bucket+"/repo")
	r := func(args ...string) string {
		if c.ca != "" {
			args = append([]string{"--cacert", c.ca}, args...)
		}
		return c.must(t, "restic", append([]string{"--no-cache", "--quiet"}, args...)...)
	}
	r("init")
	r("backup", c.tree, c.file)
	write(t, filepath.Join(c.tree, "new"), []byte("new"))
	r("backup", c.tree, c.file)
	r("check", "--read-data")
	r("restore", "latest", "--target", "restored")
	c.sameTree(t, filepath.Join(c.dir, "restored", c.tree))
	r("forget", "--keep-last", "1", "--prune")
}

// duplicity does a full and an incremental backup, restores both states and
// compares.
func duplicity(t *testing.T, c *clientRun) {
	c.must(t, "/usr/bin/aws", "--endpoint-url", c.endpoint, "s3", "mb", "s3://"+c.bucket)
	url := "boto3+s3://" + c.bucket + "/backup"
	d := func(args ...string) string {
		return c.must(t, "duplicity", append([]string{"--no-encryption", "--s3-endpoint-url", c.endpoint, "--s3-use-multiprocessing", "--s3-multipart-chunk-size", "5",
			"--archive-dir", filepath.Join(c.dir, "archive"), "--tempdir", c.dir, "--volsize", "20", "--verbosity", "warning"}, args...)...)
	}
	before := filepath.Join(c.dir, "before")
	c.must(t, "cp", "-r", c.tree, before)
	c.must(t, "cp", c.file, filepath.Join(c.tree, "big"))
	d("full", c.tree, url)
	c.must(t, "cp", "-r", c.tree, before)
	write(t, filepath.Join(c.tree, "new"), []byte("new"))
	d("incremental", c.tree, url)
	d("verify", "--compare-data", url, c.tree)
	d("restore", url, "restored")
	c.sameTree(t, filepath.Join(c.dir, "restored"))
	d("cleanup", "--force", url)
	d("remove-all-but-n-full", "1", "--force", url)
	if out := d("collection-status", url); !strings.Contains(out, "Incremental") {
		t.Errorf("the backups are %s", out)
	}
}

func s3fs(t *testing.T, c *clientRun) {
	c.must(t, "/usr/bin/aws", "--endpoint-url", c.endpoint, "s3", "mb", "s3://"+c.bucket)
	mount := filepath.Join(c.dir, "mount")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(c.dir, "passwd"), []byte(c.id+":"+c.secret+"\n"))
	opts := "url=" + c.endpoint + ",use_path_request_style,passwd_file=" + filepath.Join(c.dir, "passwd") + ",multipart_size=5,retries=1,endpoint=us-east-1"
	if c.ca != "" {
		opts += ",no_check_certificate" // Debian's s3fs trusts the system's CAs only
	}
	c.must(t, "s3fs", c.bucket, mount, "-o", opts)
	testenv.WaitFor(t, "the mount", func() bool { return exec.CommandContext(t.Context(), "mountpoint", "-q", mount).Run() == nil })
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			_ = exec.Command("fusermount3", "-u", "-z", mount).Run()
		}
	}
	defer unmount()
	c.must(t, "cp", c.file, filepath.Join(mount, "big"))
	c.must(t, "cp", "-r", c.tree, mount)
	c.must(t, "cp", filepath.Join(mount, "big"), "back.bin")
	c.same(t, c.file, filepath.Join(c.dir, "back.bin"))
	c.sameTree(t, filepath.Join(mount, "tree"))
	c.must(t, "mv", filepath.Join(mount, "big"), filepath.Join(mount, "moved"))
	c.must(t, "rm", "-r", filepath.Join(mount, "tree"), filepath.Join(mount, "moved"))
	unmount()
}
