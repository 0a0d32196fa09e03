package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/tenancy"
)

// flood sends n requests of one head on one connection after the other, as fast
// as they are answered.
func flood(t *testing.T, addr, head string, n int) {
	t.Helper()
	var c net.Conn
	var br *bufio.Reader
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for range n {
		if c == nil {
			var err error
			if c, err = net.Dial("tcp", addr); err != nil {
				t.Error(err)
				return
			}
			br = bufio.NewReader(c)
		}
		if _, err := io.WriteString(c, head); err != nil {
			t.Error(err)
			return
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.Close {
			_ = c.Close()
			c = nil
		}
	}
}

// strangersHeads are the largest that one can send, at what can be reached
// without a key.
func strangersHeads(account string) []string {
	large := strings.Repeat("\xff", 13<<10)
	host := account + ".tenants.example.test"
	return []string{
		"GET /data/k HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: " + large + "\r\n\r\n", // its lines are the tenant's
		"GET /data/k HTTP/1.1\r\nHost: " + host + "\r\nReferer: " + large + "\r\n\r\n",
		"GET /data/" + strings.Repeat("%01", 1000) + "?a=" + strings.Repeat("%41", 2000) + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		"GET /data?x-amz-meta-" + strings.Repeat("\xc3\xa9", 3000) + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + large[:4<<10] + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + large[:8<<10] + "\r\n\r\n",
		"GET /x?torrent HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + large + "\r\n\r\n",
		"BREW" + strings.Repeat("W", 8<<10) + " /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
	}
}

// TestAccessLog_flood: while nothing is delivered, strangers send all they can.
// Their lines are bounded and sampled, the numbers of what is left out are there,
// and afterwards every line of the tenant's own requests is delivered.
func TestAccessLog_flood(t *testing.T) {
	t.Parallel()
	const own, each, second = 120, 400, 512 << 10
	began := time.Now()
	g := newGateway(t, options{lines: accesslog.Config{
		Now:        func() time.Time { return began },                // no second passes: what is saved of a rate is all
		RotateSize: 32 << 10, KeepSize: 64 << 10, MaxSize: 256 << 10, // the tenant's lines are half of it
		UnprovenSize: 1 << 20, UnprovenRate: second, BucketRate: second / 2,
	}})
	tn := g.tenant()
	for _, name := range []string{"data", "logs"} {
		if r := tn.raw().do(t, &request{method: "PUT", path: "/" + name}); r.status != 200 {
			t.Fatal(r.status)
		}
	}
	if _, err := tn.s3().PutBucketLogging(t.Context(), &s3.PutBucketLoggingInput{Bucket: aws.String("data"), BucketLoggingStatus: &types.BucketLoggingStatus{
		LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String("logs"), TargetPrefix: aws.String("")}}}); err != nil {
		t.Fatal(err)
	}
	heads := strangersHeads(tn.account.Name)
	var strangers sync.WaitGroup
	for _, head := range heads {
		strangers.Go(func() { flood(t, g.addr, head, each) })
	}
	ids := map[string]bool{}
	for i := range own {
		r := tn.raw().do(t, &request{method: "PUT", path: fmt.Sprintf("/data/k%d", i), body: []byte("x")})
		if r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
		ids[r.header.Get("X-Amz-Request-Id")] = true
		g.lines.Sweep()
	}
	strangers.Wait()
	var requests, leftOut, lines int64
	largest, proven := 0, 0
	testenv.WaitFor(t, "every request in the sums", func() bool {
		if err := g.lines.Flush(); err != nil {
			t.Fatal(err)
		}
		requests, leftOut, lines, proven = 0, 0, 0, 0
		for e, err := range accesslog.Read(g.logDir) {
			switch {
			case err != nil:
				t.Fatal(err)
			case e.Sum != nil:
				requests += e.Sum.Lines
				leftOut += e.Sum.LeftOut
			case e.Summed:
				lines++
				largest = max(largest, int(e.End-e.Offset))
			case ids[e.Record.RequestID.String()]:
				proven++
			}
		}
		return requests == int64(len(heads)*each) && proven == own // the last is over after its answer
	})
	g.lines.Sweep()
	if leftOut < requests/2 || leftOut+lines > requests || g.metric(t, "primecloud_accesslog_left_out_lines_total") != float64(leftOut) {
		t.Errorf("%d of %d are left out, %d lines, the metric says %v", leftOut, requests, lines, g.metric(t, "primecloud_accesslog_left_out_lines_total"))
	}
	if largest > 8<<10 {
		t.Errorf("a stranger's line of %d bytes", largest)
	}
	var unproven int64
	names, err := filepath.Glob(filepath.Join(g.logDir, "unproven-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			unproven += info.Size()
		}
	}
	if unproven > 1<<20 || unproven < 256<<10 {
		t.Errorf("%d bytes of strangers' files", unproven)
	}
	t.Logf("%d requests of strangers, %d left out, %d bytes of their lines, the largest %d", requests, leftOut, unproven, largest)

	if err := g.deliver.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := tn.s3().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("logs")})
	if err != nil {
		t.Fatal(err)
	}
	var delivered bytes.Buffer
	for _, o := range list.Contents {
		out, err := tn.s3().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("logs"), Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(&delivered, out.Body)
		out.Body.Close()
	}
	missing := 0
	for id := range ids {
		if !bytes.Contains(delivered.Bytes(), []byte(" "+id+" ")) {
			missing++
		}
	}
	if missing > 0 || len(ids) != own {
		t.Errorf("%d of %d lines of the tenant's own requests are not delivered", missing, len(ids))
	}
	if lost := g.metric(t, "primecloud_accesslog_lost_files_total"); lost != 0 {
		t.Errorf("%v files were lost", lost)
	}
}

// A stranger's request makes no line for the operator, whatever it is: neither
// what is wrong with it nor what nobody has made.
func TestLogs_strangers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	for _, head := range malformedHeads {
		rawSocket(t, g.addr, head)
	}
	for _, head := range strangersHeads(tn.account.Name) {
		rawSocket(t, g.addr, head)
	}
	for _, line := range strings.Split(g.log.String(), "\n") {
		if line != "" && !strings.Contains(line, "level=DEBUG") {
			t.Errorf("%.300s", line)
		}
	}
}

// What a stranger does make the gateway say, of a backend that is away or out of
// its mind, is said up to a rate, in lines of a bounded size.
func TestLogs_rate(t *testing.T) {
	t.Parallel()
	m := echo(t)
	for name, endpoint := range map[string]string{"out of its mind": m.Endpoint, "away": "http://127.0.0.1:1"} {
		g := newGateway(t, options{minio: &devstack.MinIO{Endpoint: endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey}})
		tn := g.tenant()
		made, err := tenancy.ReserveBucket(t.Context(), g.owner, tn.account.ID, "data", false, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.dir.ActivateBucket(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		const n = 600
		flood(t, g.addr, "GET /data/"+strings.Repeat("k/", 500)+" HTTP/1.1\r\nHost: "+tn.account.Name+".tenants.example.test\r\nRange: bytes=0-"+strings.Repeat("1", 10<<10)+"\r\n\r\n", n)
		// Its owner is no better: the key is his.
		r := tn.raw().do(t, &request{method: "PUT", path: "/data", query: query("lifecycle", ""), body: []byte("<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter><Expiration><Days>" +
			strings.Repeat("1", 60<<10) + "</Days></Expiration></Rule></LifecycleConfiguration>")})
		errors, longest := 0, 0
		for _, line := range strings.Split(g.log.String(), "\n") {
			longest = max(longest, len(line))
			if strings.Contains(line, "level=ERROR") {
				errors++
			}
		}
		if left := g.metric(t, "primecloud_oplog_left_out_lines_total"); errors == 0 || left == 0 || errors+int(left) < n/3 {
			t.Errorf("%s: %d errors, %v left out", name, errors, left)
		}
		if longest > 4<<10 {
			t.Errorf("%s: a line of %d bytes", name, longest)
		}
		t.Logf("%s: %d errors, the longest line %d, the document was answered %d", name, errors, longest, r.status)
	}
}
