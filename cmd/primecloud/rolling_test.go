package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
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

// haproxyConfig is the one of README.md, with shorter times. It tries nothing again: a
// connection that a node refuses or cuts is the client's error.
const haproxyConfig = `global
	maxconn 1000
defaults
	mode http
	retries 0
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend s3
	bind %s
	default_backend nodes
backend nodes
	option httpchk GET /.primecloud/readyz
	default-server check inter 100ms fall 2 rise 2
`

// startHAProxy starts one in front of nodes, which follows their health.
func startHAProxy(t *testing.T, nodes []*process) (addr string) {
	t.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/haproxy"); err != nil {
			testenv.Unavailable(t, "HAProxy", err)
		}
	}
	addr = fixedAddr(t)
	config := fmt.Sprintf(haproxyConfig, addr)
	for i, p := range nodes {
		config += fmt.Sprintf("\tserver node-%d %s\n", i, p.addrs.S3)
	}
	file := filepath.Join(t.TempDir(), "haproxy.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-db", "-f", file)
	var log testenv.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Logf("HAProxy: %s", &log)
	})
	return addr
}

// load is clients that write and read until they are told to stop.
type load struct {
	stop            atomic.Bool
	running         sync.WaitGroup
	requests, wrong atomic.Int64
}

// client writes an object, reads it, and compares; each request that fails is an error. Its
// connections are kept, or new for each request.
func (l *load) client(t *testing.T, addr string, k tenancy.Key, key string, kept bool) {
	c := s3.New(client(addr, k).Options(), func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: !kept}}
	})
	body := make([]byte, 100<<10)
	_, _ = rand.Read(body)
	failed := func(what string, err error) {
		if l.wrong.Add(1) <= 10 {
			t.Errorf("%s, connections kept: %v: %v", what, kept, err)
		}
	}
	for !l.stop.Load() {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String(key), Body: bytes.NewReader(body)})
		l.requests.Add(2)
		if err != nil {
			failed("PUT", err)
			continue
		}
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("backups"), Key: aws.String(key)})
		if err != nil {
			failed("GET", err)
			continue
		}
		got, err := io.ReadAll(out.Body)
		_ = out.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			failed("GET", fmt.Errorf("%d bytes of %d: %w", len(got), len(body), err))
		}
	}
}

// Nodes behind a balancer that follows their health are restarted one after the other
// under load, and no client sees it: nothing is refused, and nothing cut.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	nodes := make([]*process, 3)
	start := make([]func(), len(nodes))
	for i := range nodes {
		nodes[i] = &process{addrs: node.Addresses{S3: fixedAddr(t), Admin: fixedAddr(t)}}
		journal, lines := t.TempDir(), t.TempDir()
		start[i] = func() {
			in.serveCommand(nodes[i], "--drain-delay", "1s", "--s3-trusted-proxies", "127.0.0.1/32", "--journal-dir", journal, "--access-log-dir", lines)
		}
		start[i]()
	}
	var l load
	addr := startHAProxy(t, nodes)
	testenv.WaitFor(t, "HAProxy", func() bool {
		_, err := client(addr, k).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("backups")})
		return err == nil
	})
	for i := range 6 {
		l.running.Go(func() { l.client(t, addr, k, fmt.Sprint("object-", i), i%2 == 0) })
	}
	began := time.Now()
	serving := func(p *process) bool {
		sent := scraped(t, p, "primecloud_proxy_sent_bytes_total")
		return sent != "" && sent != "0"
	}
	for i, p := range nodes {
		testenv.WaitFor(t, "the node to have requests", func() bool { return serving(p) })
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("node %d ended with %v: %s", i, err, p.log)
		}
		if log := p.log.String(); strings.Contains(log, "requests were cut") {
			t.Errorf("node %d: %s", i, log)
		}
		start[i]()
		testenv.WaitFor(t, "the node to have requests again", func() bool { return serving(p) })
	}
	l.stop.Store(true)
	l.running.Wait()
	t.Logf("%d requests in %s, %d refused or cut", l.requests.Load(), time.Since(began).Round(time.Second), l.wrong.Load())
	if l.requests.Load() < 100 {
		t.Errorf("%d requests are no load", l.requests.Load())
	}
}
