package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// The most that a transfer cut by a kill may miss, by direction (docs/METERING.md).
const (
	stepOut = 1 << 20
	stepIn  = 256 << 10
)

const (
	largest    = 40 << 20
	readBuffer = 128 << 10 // of a client that leaves
)

// kind is what a client does.
type kind int

const (
	get   kind = iota
	put        // of new objects
	leave      // in the middle of a download of the largest object
)

var kinds = [...]string{"GET", "PUT", "abort"}

// transfer is one request as its client saw it.
type transfer struct {
	kind     kind
	of       string // access key
	node     int
	refused  bool // PostgreSQL is away and the key, or what else is needed, not in memory
	complete bool // for leave: the client left before its connection did
	mark     string
	bytes    int64 // of the body, that the client has read or handed to its kernel
	received int64 // of a download, that the client's kernel has taken
	most     int64 // of a download that the client left: what the gateway's kernel can have taken
	// proven is when the next answer came on the same connection: a gateway
	// settles a request before it reads another.
	proven time.Time
}

// happening is what is done to the node that is killed in a round.
type happening int

const (
	comesBack happening = iota
	neverComesBack
	losesItsMachine // and the journal is what was synced last
)

// outages of PostgreSQL, in turn; the network's is without a word.
const (
	noOutage = iota
	stopped
	silent
	outages
)

// round is one kill.
type round struct {
	what      happening
	victim    int
	killed    time.Time
	synced    time.Time // the copy of the journal that is put back was begun
	transfers []*transfer
	keys      [len(kinds)]tenancy.Key
}

// TestCrash loads two gateways that share a database, kills one or the other
// at random moments, and compares what clients counted with the ledger. In
// every third round PostgreSQL is stopped, in every third its network falls
// silent; one node never comes back until its journal is handed in, and every
// tenth loses its machine. Each round has access keys of its own, so that no
// round can make up for another. CRASH_KILLS says how often (make crash: 100).
func TestCrash(t *testing.T) {
	t.Parallel()
	kills := 6
	if s := os.Getenv("CRASH_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	c := newCrash(t)
	rounds := make([]*round, kills)
	for n := range rounds {
		r := &round{victim: mrand.IntN(len(c.nodes))}
		switch {
		case n == kills/2:
			r.what = neverComesBack
		case n%10 == 5:
			r.what = losesItsMachine
		}
		c.play(r, n%outages)
		rounds[n] = r
	}
	c.end()
	c.compare(rounds)
}

// crash is the installation that is killed.
type crash struct {
	*installation
	database *database
	uploads  *uploads
	journals [2]string
	nodes    [2]*process
	objects  []int
	buffers  int64 // that the kernel gives a sending socket at most
}

func newCrash(t *testing.T) *crash {
	t.Helper()
	c := &crash{objects: []int{0, 1000, 300_000, 5 << 20, largest}, journals: [2]string{t.TempDir(), t.TempDir()}}
	wmem, err := os.ReadFile("/proc/sys/net/ipv4/tcp_wmem")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(wmem), new(int), new(int), &c.buffers); err != nil {
		t.Fatal(err)
	}
	c.database = newDatabase(t)
	c.uploads = newUploads(t, strings.TrimPrefix(testenv.MinIO(t).Endpoint, "http://"))
	c.installation = installOn(t, c.database.url, "http://"+c.uploads.addr())
	superuser, err := pgx.Connect(t.Context(), c.url(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{pg.RoleGateway, pg.RoleWorker} {
		if _, err := superuser.Exec(t.Context(), c.database.server.LoginSQL(role)); err != nil {
			t.Fatal(err)
		}
	}
	_ = superuser.Close(t.Context())
	c.must("account", "create", "acme")
	c.must("bucket", "create", "acme", "crash")
	for n := range c.nodes {
		c.start(n)
	}
	setup := client(c.nodes[0].addrs.S3, c.key())
	for _, size := range c.objects {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		if _, err := setup.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("crash"), Key: aws.String(strconv.Itoa(size)), Body: bytes.NewReader(data)}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *crash) key() tenancy.Key {
	c.t.Helper()
	return decode[tenancy.Key](c.t, c.must("key", "create", "acme", "--json"))
}

// start starts a node on its journal. The second one flushes many times in
// every round, so that flushes are cut too.
func (c *crash) start(n int) {
	c.t.Helper()
	c.nodes[n] = c.serveOn(c.journals[n], "PRIMECLOUD_JOURNAL_FLUSH_INTERVAL="+[...]string{"2s", "50ms"}[n])
}

// play loads both nodes, kills one, and does with it what the round says.
func (c *crash) play(r *round, outage int) {
	c.t.Helper()
	for i := range r.keys {
		r.keys[i] = c.key()
	}
	if r.what == neverComesBack {
		testenv.WaitFor(c.t, "both nodes to be known", func() bool { return len(c.open()) == len(c.nodes) })
	}
	var mu sync.Mutex
	stop := make(chan struct{})
	var working sync.WaitGroup
	for w := range len(kinds) * len(c.nodes) {
		working.Go(func() {
			k, node := kind(w%len(kinds)), w/len(kinds)
			l := &line{crash: c, addr: c.nodes[node].addrs.S3}
			defer l.drop()
			for {
				select {
				case <-stop:
					return
				default:
				}
				tr := &transfer{kind: k, of: r.keys[k].KeyID, node: node, mark: rand.Text()}
				if !l.once(tr, r.keys[k]) {
					return
				}
				mu.Lock()
				r.transfers = append(r.transfers, tr)
				mu.Unlock()
			}
		})
	}
	<-time.After(time.Duration(100+mrand.IntN(500)) * time.Millisecond) // of load, to a random moment
	back := c.outage(outage)
	journal := map[string][]byte{}
	if r.what == losesItsMachine {
		r.synced = time.Now()
		journal = c.readJournals(r.victim)
	}
	if outage != noOutage || r.what == losesItsMachine {
		<-time.After(time.Duration(mrand.IntN(300)) * time.Millisecond) // of load without it
	}
	r.killed = time.Now()
	_ = c.nodes[r.victim].cmd.Process.Kill()
	close(stop)
	working.Wait()
	_ = c.nodes[r.victim].cmd.Wait()
	back()
	if len(r.transfers) == 0 {
		c.t.Error("a round without a transfer")
	}
	switch r.what {
	case neverComesBack:
		c.handIn(r.victim)
		c.journals[r.victim] = c.t.TempDir()
	case losesItsMachine:
		for path := range c.readJournals(r.victim) {
			if err := os.Remove(path); err != nil {
				c.t.Fatal(err)
			}
		}
		for path, data := range journal {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				c.t.Fatal(err)
			}
		}
	case comesBack:
	}
	c.start(r.victim)
}

// outage takes PostgreSQL away in one of the ways, and returns the way back.
func (c *crash) outage(which int) (back func()) {
	switch which {
	case stopped:
		if err := c.database.server.Stop(); err != nil {
			c.t.Error(err)
		}
		return c.database.start
	case silent:
		c.database.network.silent.Lock()
		return c.database.network.silent.Unlock
	}
	return func() {}
}

// readJournals reads a node's journals. What is in the page cache while this
// runs is what a sync begun at the same moment would bring to the disk.
func (c *crash) readJournals(node int) map[string][]byte {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.journals[node], "*.journal"))
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		if all[path], err = os.ReadFile(path); err != nil && !os.IsNotExist(err) { // one that was taken over meanwhile
			c.t.Fatal(err)
		}
		if err != nil {
			delete(all, path)
		}
	}
	return all
}

// handIn accounts for the journal of a node that does not come back. Until
// then it holds the figures open.
func (c *crash) handIn(node int) {
	c.t.Helper()
	if open := c.open(); len(open) != len(c.nodes) {
		c.t.Errorf("a node is away, and %d hold the figures open: %+v", len(open), open)
	}
	for path := range c.readJournals(node) {
		for range 2 {
			c.must("usage", "import-journal", path)
		}
	}
	if open := c.open(); len(open) != len(c.nodes)-1 {
		c.t.Errorf("its journal was handed in, and %d hold the figures open: %+v", len(open), open)
	}
}

func (c *crash) open() []nodeRow {
	c.t.Helper()
	return decode[[]nodeRow](c.t, c.must("node", "list", "--json"))
}

// end stops the nodes as an operator does.
func (c *crash) end() {
	c.t.Helper()
	for _, p := range c.nodes {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			c.t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			c.t.Errorf("the last process: %v: %s", err, p.log)
		}
	}
	c.uploads.end()
	if open := c.open(); len(open) != 0 {
		c.t.Errorf("nodes that hold figures open: %+v", open)
	}
}

// line is a client's connection, made when there is none.
type line struct {
	*crash
	addr string
	conn *net.TCPConn
	in   *countConn
	br   *bufio.Reader
	last *transfer // complete, on this connection
}

func (l *line) drop() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn, l.last = nil, nil
}

func (l *line) dial(k kind) error {
	if l.conn != nil {
		return nil
	}
	d := net.Dialer{}
	if k == leave {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var serr error
			err := raw.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer) })
			return errors.Join(err, serr)
		}
	}
	nc, err := d.DialContext(context.WithoutCancel(l.t.Context()), "tcp", l.addr)
	if err != nil {
		return err
	}
	l.conn = nc.(*net.TCPConn)
	l.in = &countConn{Reader: l.conn}
	l.br = bufio.NewReader(l.in)
	return nil
}

// once makes one transfer; it is false when no connection could be made.
func (l *line) once(tr *transfer, key tenancy.Key) bool {
	if l.dial(tr.kind) != nil {
		return false
	}
	size := l.objects[mrand.IntN(len(l.objects))]
	method, object := http.MethodGet, strconv.Itoa(size)
	var body io.Reader
	sent := &countReader{left: int64(size)}
	switch tr.kind {
	case put:
		method, object, body = http.MethodPut, fmt.Sprintf("put-%d", mrand.IntN(4)), sent
	case leave:
		object = strconv.Itoa(largest)
	case get:
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(l.t.Context()), method, "http://"+l.addr+"/crash/"+object, body)
	if err != nil {
		l.t.Error(err)
		return false
	}
	if tr.kind == put {
		r.ContentLength = int64(size)
		r.Header.Set(markHeader, tr.mark)
		if size == 0 {
			r.Body = http.NoBody
		}
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(l.t.Context(), aws.Credentials{AccessKeyID: key.KeyID, SecretAccessKey: key.Secret}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		l.t.Error(err)
		return false
	}
	err = l.converse(tr, r)
	if tr.kind == put && !tr.refused {
		tr.bytes = sent.n.Load()
	}
	tr.complete = err == nil
	if err != nil || tr.refused || tr.kind == leave {
		l.drop()
	} else {
		l.last = tr
	}
	return true
}

// converse sends r and reads the answer, or as much of it as the client stays for.
func (l *line) converse(tr *transfer, r *http.Request) error {
	before := l.in.n
	if err := r.Write(l.conn); err != nil {
		return err
	}
	head, status, length, err := readAnswer(l.br)
	if err != nil {
		return err
	}
	if l.last != nil {
		l.last.proven = time.Now()
	}
	switch {
	case status == http.StatusServiceUnavailable:
		tr.refused = true
	case status != http.StatusOK:
		l.t.Errorf("%s answers %d", kinds[tr.kind], status)
	case tr.kind == leave:
		return l.leave(tr, before+head)
	}
	tr.bytes, err = io.CopyN(io.Discard, l.br, length)
	return err
}

// leave reads a part of the body, which began at a byte of the connection, and
// asks the kernel what it has.
func (l *line) leave(tr *transfer, began int64) (err error) {
	tr.bytes, err = io.CopyN(io.Discard, l.br, int64(mrand.IntN(largest/2)))
	var info *unix.TCPInfo
	var buffer int
	if raw, rerr := l.conn.SyscallConn(); rerr == nil {
		_ = raw.Control(func(fd uintptr) {
			info, _ = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			buffer, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		})
	}
	if info == nil || buffer == 0 {
		l.t.Error("the kernel does not tell what it has")
		return err
	}
	tr.received = min(int64(info.Bytes_received)-began, largest) // a FIN counts as one more
	// Beyond what was read at most the two sockets' buffers can be full, and
	// one piece more than the sender's.
	tr.most = min(l.in.n-began+int64(buffer)+l.buffers+64<<10, largest)
	return err
}

// readAnswer reads an answer's head and tells how long it was.
func readAnswer(br *bufio.Reader) (head int64, status int, length int64, err error) {
	for {
		line, err := br.ReadString('\n')
		head += int64(len(line))
		if err != nil {
			return head, 0, 0, err
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case status == 0:
			if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
				return head, 0, 0, err
			}
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return head, 0, 0, err
			}
		case line == "\r\n":
			return head, status, length, nil
		}
	}
}

// countConn counts what was read of a connection.
type countConn struct {
	io.Reader
	n int64
}

func (c *countConn) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
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

// bounds are what the ledger must and may have of some transfers.
type bounds struct {
	complete, cut int
	exact         int64 // bytes of transfers that have no play
	low, high     int64
	requests      [2]int64
	widest        int64 // play of one transfer that was cut
	moved, asked  int64 // what the ledger has
}

// add takes a transfer into the bounds.
func (b *bounds) add(r *round, tr *transfer, written func(mark string) int64) {
	b.requests[1]++
	if tr.refused { // recorded, when it was known whose it is, with the refusal's document
		if tr.kind != put {
			b.high += tr.bytes
		}
		return
	}
	hit := tr.node == r.victim
	open := hit && tr.proven.IsZero() // it may have been in the kill's way
	low, high := tr.bytes, tr.bytes
	switch {
	case tr.kind == put && tr.complete: // counted before it was answered
	case tr.kind == put:
		low = written(tr.mark)
		high = min(low+stepIn, tr.bytes)
	case tr.kind == leave && tr.complete:
		low, high = tr.received, tr.most
	}
	// Of a download that the kill has cut the client still gets all that the
	// gateway's kernel took.
	if tr.kind != put && (open || !tr.complete) {
		low = max(0, low-stepOut)
	}
	certain := tr.complete && !open
	if r.what == losesItsMachine && hit && (!certain || !tr.proven.Before(r.synced)) {
		low, certain = 0, false // counted after the sync, or may be
	}
	if certain {
		b.complete++
		b.requests[0]++
	} else {
		b.cut++
	}
	if low == high {
		b.exact += low
	}
	b.low, b.high = b.low+low, b.high+high
	b.widest = max(b.widest, high-low)
}

// compare holds the ledger to the clients, round by round.
func (c *crash) compare(rounds []*round) {
	c.t.Helper()
	ledger := map[string]usagereport.Usage{}
	for _, row := range decode[[]usagereport.Usage](c.t, c.must("usage", "show", "--by", "key", "--json")) {
		ledger[row.Key] = row
	}
	var sums [2][len(kinds)]bounds // of usual rounds, and of those that lost a machine
	for n, r := range rounds {
		for k, key := range r.keys {
			var b bounds
			for i := range r.transfers {
				if tr := r.transfers[i]; tr.of == key.KeyID {
					b.add(r, tr, c.uploads.written)
				}
			}
			row := ledger[key.KeyID]
			b.moved, b.asked = row.Egress, row.Requests
			if kind(k) == put {
				b.moved = row.Ingress
			}
			if b.moved < b.low || b.moved > b.high {
				c.t.Errorf("round %d, %s: the ledger has %d bytes, the clients say %d to %d", n, kinds[k], b.moved, b.low, b.high)
			}
			if b.asked < b.requests[0] || b.asked > b.requests[1] {
				c.t.Errorf("round %d, %s: the ledger has %d requests, the clients say %d to %d", n, kinds[k], b.asked, b.requests[0], b.requests[1])
			}
			lost := 0
			if r.what == losesItsMachine {
				lost = 1
			}
			sums[lost][k].join(b)
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "\nclients\tcomplete\tcut\texact bytes\tmust have\tledger\tmay have\twidest play\trequests\tledger\t\n")
	for lost, of := range sums {
		for k, b := range of {
			_, _ = fmt.Fprintf(w, "%s%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d…%d\t%d\t\n", kinds[k], [...]string{"", ", machine lost"}[lost], b.complete, b.cut, b.exact, b.low, b.moved, b.high, b.widest,
				b.requests[0], b.requests[1], b.asked)
		}
	}
	_ = w.Flush()
	c.t.Logf("%d kills:%s", len(rounds), table.String())
}

func (b *bounds) join(o bounds) {
	b.complete, b.cut = b.complete+o.complete, b.cut+o.cut
	b.exact, b.low, b.high = b.exact+o.exact, b.low+o.low, b.high+o.high
	b.requests[0], b.requests[1] = b.requests[0]+o.requests[0], b.requests[1]+o.requests[1]
	b.widest = max(b.widest, o.widest)
	b.moved, b.asked = b.moved+o.moved, b.asked+o.asked
}
