package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// openSilent opens connections that say nothing, and returns what closes them.
func openSilent(t *testing.T, addr string, n int) func() {
	t.Helper()
	return openSaying(t, addr, n, nil)
}

// openUploads opens connections that are in the middle of an upload each, so that
// each has one to the backend beside its own.
func openUploads(t *testing.T, addr string, n int, k tenancy.Key) func() {
	t.Helper()
	signed, err := s3.NewPresignClient(client(addr, k)).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("half")})
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(signed.URL, "http://"+addr)
	return openSaying(t, addr, n, append(fmt.Appendf(nil, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1048576\r\n\r\n", target, addr), make([]byte, 300<<10)...))
}

// openSaying opens connections that say so much and no more.
func openSaying(t *testing.T, addr string, n int, said []byte) func() {
	t.Helper()
	var all []net.Conn
	closeAll := func() {
		for _, c := range all {
			_ = c.Close()
		}
		all = nil
	}
	t.Cleanup(closeAll)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(said) // one that is refused does not take it
		all = append(all, c)
	}
	return closeAll
}

// scraped is a metric's value.
func scraped(t *testing.T, p *process, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+p.addrs.Admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	_, rest, _ := strings.Cut(string(text), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// With few descriptors a node lets fewer clients in and has what it needs for
// itself; when something else has eaten them up, it waits and goes on.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	const files = "760"
	p := in.serveWithin(files, t.TempDir(), "PRIMECLOUD_S3_CONNECTIONS_PER_ADDRESS=0", "PRIMECLOUD_S3_CONCURRENT_PER_ACCOUNT=1000")
	if !strings.Contains(p.log.String(), "max_connections is lowered") {
		t.Errorf("the log does not say so: %s", p.log)
	}
	kept := client(p.addrs.S3, k)
	put := func(c *s3.Client) error {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("k"), Body: bytes.NewReader([]byte("x"))})
		return err
	}
	if err := put(kept); err != nil {
		t.Fatal(err)
	}

	// More uploads than there may be descriptors: each has one or two to the backend, and
	// PostgreSQL, journal and log have theirs.
	closeAll := openUploads(t, p.addrs.S3, 400, k)
	testenv.WaitFor(t, "refusals", func() bool {
		v := scraped(t, p, `primecloud_proxy_refused_connections_total{reason="connections"}`)
		return v != "" && v != "0"
	})
	late := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	kept2 := client(p.addrs.S3, late)
	if err := put(kept); err != nil {
		t.Errorf("a client that was there: %v", err)
	}
	if v := scraped(t, p, "primecloud_proxy_accept_errors_total"); v != "0" {
		t.Errorf("%q accept errors", v)
	}
	closeAll()
	testenv.WaitFor(t, "a place for a key that has to be looked up", func() bool { return put(kept2) == nil })

	// The operator's listener eats up every descriptor.
	eaten := scraped(t, p, "primecloud_admin_accept_errors_total")
	closeAll = openSilent(t, p.addrs.Admin, 800)
	closeMore := openSilent(t, p.addrs.S3, 20)
	testenv.WaitFor(t, "every descriptor to be taken", func() bool {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		return err == nil && strconv.Itoa(len(open)) == files
	})
	closeAll()
	closeMore()
	testenv.WaitFor(t, "the node", func() bool { return put(client(p.addrs.S3, k)) == nil })
	testenv.WaitFor(t, "the figure", func() bool {
		v := scraped(t, p, "primecloud_admin_accept_errors_total")
		return v != "" && v != eaten
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the node ended with %v: %s", err, p.log)
	}
}
