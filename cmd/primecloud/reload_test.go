package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// reloading is a node that runs `primecloud serve --config`, with TLS.
type reloading struct {
	*process
	in   *installation
	file string // of its settings
	dir  string // of its certificate
	cert testenv.Certificate
}

// config writes the node's settings, and more lines in [log] and [s3].
func (x *reloading) config(t *testing.T, log, s3 string) {
	t.Helper()
	text := fmt.Sprintf("drain_delay = \"0s\"\n[log]\n%s\n[s3]\n%s\n[tls]\naddr = %q\ncert = %q\nkey = %q\n[journal]\ndir = %q\n[access_log]\ndir = %q\n",
		log, s3, x.addrs.TLS, x.dir+"/tls.crt", x.dir+"/tls.key", x.dir+"/journal", x.dir+"/access-log")
	if err := os.WriteFile(x.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	x := &reloading{in: install(t), dir: t.TempDir()}
	x.file = filepath.Join(x.dir, "primecloud.toml")
	x.process = &process{addrs: node.Addresses{S3: fixedAddr(t), Admin: fixedAddr(t), TLS: fixedAddr(t)}}
	x.cert = testenv.WriteCertificate(t, x.dir, -time.Hour, 48*time.Hour)
	x.config(t, "", "")
	x.in.serveCommand(x.process, "--config", x.file, "--node", "from-the-command-line")
	return x
}

func (x *reloading) hangup(t *testing.T) {
	t.Helper()
	if err := x.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// says waits for a line of the log that has all of these.
func (x *reloading) says(t *testing.T, parts ...string) {
	t.Helper()
	testenv.WaitFor(t, fmt.Sprintf("a line with %q; the log has: %s", parts, x.log), func() bool {
	lines:
		for line := range strings.Lines(x.log.String()) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			return true
		}
		return false
	})
}

// shown is the certificate that a new handshake gets.
func (x *reloading) shown() string {
	c, err := tls.Dial("tcp", x.addrs.TLS, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// SIGHUP makes a process take up what it can of its settings, name what needs a
// restart, and keep what it has when the file is wrong; it ends nothing.
func TestReload_settings(t *testing.T) {
	t.Parallel()
	x := newReloading(t)
	// Whom the access log names as a client's address, when the proxy that is this test says so.
	client := func() {
		req := testenv.Must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.addrs.S3+"/nothing", nil))(t)
		req.Header.Set("X-Forwarded-For", "203.0.113.7")
		resp := testenv.Must(http.DefaultClient.Do(req))(t)
		_ = resp.Body.Close()
	}
	client()
	if strings.Contains(x.log.String(), "level=DEBUG") {
		t.Error("it logs at debug level from the start")
	}

	x.config(t, `level = "debug"`, `trusted_proxies = ["127.0.0.1/32"]`)
	x.hangup(t)
	x.says(t, "settings have changed", "s3.trusted_proxies", "log.level")
	client()
	x.says(t, "level=DEBUG", "client=203.0.113.7")

	x.config(t, `level = "debug"`, "region = \"elsewhere\"\nmax_buckets = 3\ntrusted_proxies = [\"127.0.0.1/32\"]")
	x.hangup(t)
	x.says(t, "level=WARN", "need a restart", "s3.region", "s3.max_buckets")
	if strings.Contains(x.log.String(), "elsewhere") {
		t.Error("the log has the value of a setting")
	}

	for said, wrong := range map[string]string{
		"log.level":           `level = "loud"`,
		"there is no setting": `lewel = "info"`,
		"is no TOML":          `level = `,
	} {
		x.config(t, wrong, "")
		x.hangup(t)
		x.says(t, "level=ERROR", "source=settings", said)
		testenv.WaitFor(t, "the metric", func() bool { return scraped(t, x.process, `primecloud_reload_failed{source="settings"}`) == "1" })
	}
	x.config(t, "", "") // seen by itself
	testenv.WaitFor(t, "the metric", func() bool { return scraped(t, x.process, `primecloud_reload_failed{source="settings"}`) == "0" })
	if strings.Contains(x.log.String(), "settings=node") {
		t.Error("what the command line says has changed")
	}
	if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := x.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, x.log)
	}
}

// A certificate is replaced on the disk of a node with connections and load: no
// handshake, request or transfer fails, and new handshakes get the new one, by
// themselves and with SIGHUP; one that does not fit is named, and not used.
func TestReload_certificate(t *testing.T) {
	t.Parallel()
	x := newReloading(t)
	x.in.must("account", "create", "acme")
	x.in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, x.in.must("key", "create", "acme", "--json"))
	over := func(kept bool) *s3.Client {
		return s3.New(client(x.addrs.TLS, k).Options(), func(o *s3.Options) {
			o.BaseEndpoint = aws.String("https://" + x.addrs.TLS)
			o.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: !kept, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		})
	}
	body := strings.Repeat("0123456789abcdef", 1<<20)
	put := &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("big"), Body: strings.NewReader(body)}
	if _, err := over(true).PutObject(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	began := testenv.Must(over(true).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String("big")}))(t) // and is read at the end
	defer began.Body.Close()
	var stop atomic.Bool
	var running sync.WaitGroup
	var requests atomic.Int64
	for i := range 4 {
		running.Go(func() {
			for c := over(i%2 == 0); !stop.Load(); requests.Add(1) {
				if _, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i, tell := range []bool{false, true, true} {
		next := testenv.WriteCertificate(t, x.dir, -time.Hour, time.Duration(i+1)*72*time.Hour)
		if tell {
			x.hangup(t)
		}
		testenv.WaitFor(t, "new handshakes to get the new certificate", func() bool { return x.shown() == next.SerialNumber.String() })
		if got, want := scraped(t, x.process, `primecloud_tls_certificate_expiry_timestamp_seconds{setting="tls.cert"}`), float64(next.NotAfter.Unix()); got != fmt.Sprint(want) {
			t.Errorf("the metric is %s, want %v", got, want)
		}
		x.cert = next
	}
	spare := testenv.WriteCertificate(t, t.TempDir(), -time.Hour, time.Hour)
	if err := os.WriteFile(x.cert.KeyFile, testenv.Must(os.ReadFile(spare.KeyFile))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	x.says(t, "level=ERROR", "source=certificate", x.cert.KeyFile, "does not match")
	if got := x.shown(); got != x.cert.SerialNumber.String() {
		t.Errorf("a pair that does not fit is in use: %s", got)
	}
	stop.Store(true)
	running.Wait()
	got, err := io.ReadAll(bufio.NewReader(began.Body))
	if err != nil || string(got) != body {
		t.Errorf("a download that had begun: %d bytes, %v", len(got), err)
	}
	t.Logf("%d requests over new and kept connections", requests.Load())
}
