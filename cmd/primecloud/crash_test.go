package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

// The most that a transfer cut by a kill may miss, by direction, and the
// moment before a kill from which on an answer is exact (docs/METERING.md).
const (
	stepOut = 1 << 20
	stepIn  = 256 << 10
	settled = 100 * time.Millisecond
)

// account is what the clients of one access key know of what they moved.
type account struct {
	name     string
	key      tenancy.Key
	requests int64 // complete, and answered before the moment
	low      int64 // what the ledger must have
	high     int64 // what it may have
	exact    int64 // bytes of transfers that have no play
	cut      int
	open     int // complete within the moment
}

// transfer is one request as its client saw it.
type transfer struct {
	of       *account // nil: refused before it was known whose it is
	node     int
	in       bool
	complete bool
	bytes    int64
	ended    time.Time
}

// TestCrash loads two gateways that share a database, kills one or the other at
// random moments, takes PostgreSQL away in every third round, and compares what
// clients counted with the ledger. CRASH_KILLS says how often (make crash: 100).
func TestCrash(t *testing.T) {
	t.Parallel()
	kills := 8
	if s := os.Getenv("CRASH_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "crash")
	accounts := make([]*account, 3)
	for i, name := range []string{"GET", "PUT", "abort"} {
		accounts[i] = &account{name: name, key: decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))}
	}
	journals := []string{t.TempDir(), t.TempDir()}
	objects := []int{0, 1000, 300_000, 5 << 20, 40 << 20}
	nodes := []*process{in.serveOn(journals[0]), in.serveOn(journals[1])}
	superuser := testenv.EmptyPostgres(t).Pool(t, "")
	setup := client(nodes[0].addrs.S3, decode[tenancy.Key](t, in.must("key", "create", "acme", "--json")))
	for _, size := range objects {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		if _, err := setup.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("crash"), Key: aws.String(strconv.Itoa(size)), Body: bytes.NewReader(data)}); err != nil {
			t.Fatal(err)
		}
	}
	for round := range kills {
		var mu sync.Mutex
		var all []transfer
		stop := make(chan struct{})
		var working sync.WaitGroup
		for w := range 2 * len(accounts) {
			working.Go(func() {
				a, node := accounts[w%3], w/3
				for {
					select {
					case <-stop:
						return
					default:
					}
					tr, ok := a.once(t, nodes[node].addrs.S3, objects)
					if !ok {
						return
					}
					tr.node = node
					mu.Lock()
					all = append(all, tr)
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Duration(100+mrand.IntN(500)) * time.Millisecond) // of load, to a random moment
		away := round%3 == 2
		if away {
			in.database(superuser, false)
			<-time.After(time.Duration(mrand.IntN(300)) * time.Millisecond) // of load without it
		}
		killed, victim := time.Now(), mrand.IntN(len(nodes))
		_ = nodes[victim].cmd.Process.Kill()
		close(stop)
		working.Wait()
		_ = nodes[victim].cmd.Wait()
		if away {
			in.database(superuser, true)
		}
		if len(all) == 0 {
			t.Errorf("round %d: no transfer", round)
		}
		for _, tr := range all {
			if tr.of != nil {
				tr.of.add(tr, tr.node == victim, killed)
			}
		}
		nodes[victim] = in.serveOn(journals[victim])
	}
	for _, p := range nodes {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the last process: %v: %s", err, p.log)
		}
	}
	if open := decode[[]nodeRow](t, in.must("node", "list", "--json")); len(open) != 0 {
		t.Errorf("nodes that hold figures open: %+v", open)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "\nclients\tcomplete\tcut\texact bytes\tmust have\tledger\tmay have\trequests\tledger\t\n")
	rows := decode[[]usageRow](t, in.must("usage", "show", "--by", "key", "--json"))
	for _, a := range accounts {
		var got usageRow
		for _, r := range rows {
			if r.Key == a.key.KeyID {
				got = r
			}
		}
		moved := got.Egress
		if a.name == "PUT" {
			moved = got.Ingress
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d…%d\t%d\t\n", a.name, a.requests, a.cut, a.exact, a.low, moved, a.high, a.requests, a.requests+int64(a.cut+a.open), got.Requests)
		if moved < a.low || moved > a.high {
			t.Errorf("%s: the ledger has %d bytes, the clients say %d to %d", a.name, moved, a.low, a.high)
		}
		if got.Requests < a.requests || got.Requests > a.requests+int64(a.cut+a.open) {
			t.Errorf("%s: the ledger has %d requests, the clients say %d to %d", a.name, got.Requests, a.requests, a.requests+int64(a.cut+a.open))
		}
	}
	_ = w.Flush()
	t.Logf("%d kills:%s", kills, table.String())
}

// database takes the installation's database away, or brings it back.
func (in *installation) database(superuser *pgxpool.Pool, there bool) {
	in.t.Helper()
	_, err := superuser.Exec(in.t.Context(), fmt.Sprintf(`ALTER DATABASE %s ALLOW_CONNECTIONS %v`, in.db.Name, there))
	if err == nil && !there {
		_, err = superuser.Exec(in.t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, in.db.Name)
	}
	if err != nil {
		in.t.Error(err)
	}
}

// add takes a transfer into what the ledger must and may have.
func (a *account) add(tr transfer, hit bool, killed time.Time) {
	step := int64(stepOut)
	if tr.in {
		step = stepIn
	}
	switch {
	case a.name == "abort":
		// Complete here means that the client left before the kill: it knows
		// what it took, its kernel may have taken up to all of the object.
		a.high += 40 << 20
		a.cut++
		if tr.complete {
			a.low += tr.bytes
		} else {
			a.low += max(0, tr.bytes-step)
		}
	case tr.complete && (!hit || killed.Sub(tr.ended) > settled):
		a.requests++
		a.exact += tr.bytes
		a.low, a.high = a.low+tr.bytes, a.high+tr.bytes
	case tr.complete:
		a.open++
		a.low, a.high = a.low+max(0, tr.bytes-step), a.high+tr.bytes
	case tr.in:
		a.cut++
		a.high += tr.bytes // what the gateway's socket took is between
	default:
		// A killed process's kernel still delivers what its socket took: the
		// client that reads to the end has all of it.
		a.cut++
		a.low, a.high = a.low+max(0, tr.bytes-step), a.high+tr.bytes
	}
}

// once makes one transfer; ok is false when no connection could be made.
func (a *account) once(t *testing.T, addr string, objects []int) (transfer, bool) {
	size := objects[mrand.IntN(len(objects))]
	tr := transfer{of: a, in: a.name == "PUT"}
	method, target := http.MethodGet, fmt.Sprintf("http://%s/crash/%d", addr, size)
	var body io.Reader
	sent := &countReader{left: int64(size)}
	if tr.in {
		method, target, body = http.MethodPut, fmt.Sprintf("http://%s/crash/put-%d", addr, mrand.IntN(4)), sent
	}
	if a.name == "abort" {
		target = fmt.Sprintf("http://%s/crash/%d", addr, 40<<20)
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, target, body)
	if err != nil {
		t.Error(err)
		return tr, false
	}
	if tr.in {
		r.ContentLength = int64(size)
		if size == 0 {
			r.Body = http.NoBody
		}
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(t.Context(), aws.Credentials{AccessKeyID: a.key.KeyID, SecretAccessKey: a.key.Secret}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		t.Error(err)
		return tr, false
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		tr.bytes, tr.ended = sent.n.Load(), time.Now()
		return tr, true
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable: // PostgreSQL is away and the key not in memory
		return transfer{}, true
	default:
		t.Errorf("%s answers %d", a.name, resp.StatusCode)
	}
	switch a.name {
	case "PUT":
		_, err = io.Copy(io.Discard, resp.Body)
		tr.bytes = sent.n.Load()
	case "abort":
		tr.bytes, err = io.CopyN(io.Discard, resp.Body, int64(mrand.IntN(20<<20)))
	default:
		tr.bytes, err = io.Copy(io.Discard, resp.Body)
	}
	tr.complete, tr.ended = err == nil, time.Now()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%s: %v", a.name, err)
	}
	return tr, true
}

// TestNode: a node is killed and never comes back. It holds the figures open
// until its journal is handed in; twice is as good as once.
func TestNode(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	journal := t.TempDir()
	p := in.serveOn(journal)
	testenv.WaitFor(t, "the node to be known", func() bool { return len(decode[[]nodeRow](t, in.must("node", "list", "--json"))) == 1 })
	const size = 12345
	if _, err := client(p.addrs.S3, k).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("k"), Body: bytes.NewReader(make([]byte, size))}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(journal, "*.journal"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if _, err := in.run("usage", "import-journal", files[0]); !errors.Is(err, metering.ErrLocked) {
		t.Errorf("a journal in use: %v", err)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	nodes := decode[[]nodeRow](t, in.must("node", "list", "--json"))
	if len(nodes) != 1 || nodes[0].ClosedAt != nil {
		t.Fatalf("after the kill: %+v", nodes)
	}
	for range 2 {
		in.must("usage", "import-journal", files[0])
		if rows := decode[[]usageRow](t, in.must("usage", "show", "--json")); len(rows) != 1 || rows[0].Ingress != size || rows[0].Requests != 1 {
			t.Errorf("usage: %+v", rows)
		}
	}
	if nodes := decode[[]nodeRow](t, in.must("node", "list", "--json")); len(nodes) != 0 {
		t.Errorf("after the import: %+v", nodes)
	}
	if all := decode[[]nodeRow](t, in.must("node", "list", "--all", "--json")); len(all) != 1 || all[0].ClosedAt == nil {
		t.Errorf("all: %+v", all)
	}
	if _, err := in.run("node", "retire", nodes[0].Epoch.String()); !errors.Is(err, metering.ErrNodeUnknown) {
		t.Errorf("retiring what is over: %v", err)
	}
	// An hour that every node has passed is final, the present one is not.
	if _, err := in.db.Pool(t, "").Exec(t.Context(), `INSERT INTO usage_readings SELECT epoch, account_id, bucket_id, key_id, class, '2026-01-02T03:00Z', 1, 2, 3, 2, 3 FROM usage_readings`); err != nil {
		t.Fatal(err)
	}
	hours, err := csv.NewReader(strings.NewReader(in.must("usage", "show", "--by", "hour", "--csv"))).ReadAll()
	if err != nil || len(hours) != 3 || !slices.Equal(hours[1], []string{"acme", "2026-01-02T03:00:00Z", "1", "2", "3", "true"}) || hours[2][5] != "false" {
		t.Errorf("hours: %q, %v", hours, err)
	}
	lost := in.serveOn(t.TempDir())
	testenv.WaitFor(t, "the second node", func() bool { return len(decode[[]nodeRow](t, in.must("node", "list", "--json"))) == 1 })
	_ = lost.cmd.Process.Kill()
	in.must("node", "retire", decode[[]nodeRow](t, in.must("node", "list", "--json"))[0].Epoch.String())
	if nodes := decode[[]nodeRow](t, in.must("node", "list", "--json")); len(nodes) != 0 {
		t.Errorf("after it was given up: %+v", nodes)
	}
}

// countReader gives zeros and counts what was taken of them.
type countReader struct {
	left int64
	n    atomic.Int64
}

func (c *countReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.left))
	clear(p[:n])
	c.left -= int64(n)
	c.n.Add(int64(n))
	return n, nil
}
