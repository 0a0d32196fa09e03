package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// span is what a figure of the ledger may be.
type span struct{ low, high int64 }

func exactly(n int64) span          { return span{n, n} }
func (s span) has(n int64) bool     { return s.low <= n && n <= s.high }
func (s span) plus(o span) span     { return span{s.low + o.low, s.high + o.high} }
func (s span) only(moves bool) span { return map[bool]span{true: s}[moves] }
func (s span) String() string       { return fmt.Sprintf("%d…%d", s.low, s.high) }
func (l line) plus(o line) line {
	return line{l.requests.plus(o.requests), l.in.plus(o.in), l.out.plus(o.out)}
}
func (l line) has(f [3]int64) bool { return l.requests.has(f[0]) && l.in.has(f[1]) && l.out.has(f[2]) }

// line is what the ledger must say of a place: requests, bytes in, bytes out.
type line struct{ requests, in, out span }

// place is where a request counts.
type place struct {
	account, bucket, key tenancy.ID
	class                usage.Class
}

// A mode is a way to ask, and who is asked for it.
type mode struct {
	name    string
	key     tenancy.Key // what the case's own key is like
	presign bool
	frame   string // of the body: "signed" chunks, "trailer"
	refused string // why the gateway refuses it
	aborts  []abort
	applies func(o *s3op.Operation) bool
}

func signable(o *s3op.Operation) bool { return o.Body != s3op.Form }
func streams(o *s3op.Operation) bool  { return o.Body == s3op.Stream }
func forwards(o *s3op.Operation) bool { return o.Action == s3op.Forward && signable(o) }
func touches(o *s3op.Operation) bool  { return o.Level > s3op.Service && o.Name != "CreateBucket" }
func each(*s3op.Operation) bool       { return true }

var modes = []mode{
	{name: "header or form", aborts: []abort{inHead, inBody, beforeAnswer, inAnswer}, applies: each},
	{name: "query", presign: true, aborts: []abort{inBody, beforeAnswer, inAnswer}, applies: signable},
	{name: "signed chunks", frame: "signed", aborts: []abort{inBody, beforeAnswer}, applies: streams},
	{name: "unsigned chunks with a trailer", frame: "trailer", aborts: []abort{inBody, beforeAnswer}, applies: streams},
	{name: "nobody", aborts: []abort{beforeAnswer, inAnswer}, applies: func(o *s3op.Operation) bool { return o.Anonymous }},
	{name: "portal", key: tenancy.Key{Kind: tenancy.KindPortal}, aborts: []abort{inBody, beforeAnswer, inAnswer}, applies: each},
	{name: "portal's URL", key: tenancy.Key{Kind: tenancy.KindPortal}, presign: true, applies: signable},
	{name: "SFTP", key: tenancy.Key{Kind: tenancy.KindSFTP}, applies: each},
	{name: "job", key: tenancy.Key{Kind: tenancy.KindJob}, applies: each},
	{name: "wrong signature", refused: "signature", aborts: []abort{inBody, beforeAnswer}, applies: each},
	{name: "wrong signature of a URL", refused: "signature", presign: true, applies: signable},
	{name: "unknown key", refused: "unknown", applies: each},
	{name: "another network", refused: "network", key: tenancy.Key{CIDRs: prefixes("10.0.0.0/8")}, applies: each},
	{name: "another account's host", refused: "host", applies: signable},
	{name: "another account's bucket", refused: "bucket", applies: touches},
	{name: "backend away", refused: "away", applies: forwards},
}

// abort is where the client leaves.
type abort string

const (
	inHead       abort = "in the head"
	inBody       abort = "in its body"
	beforeAnswer abort = "before the answer"
	inAnswer     abort = "in the answer's body"
	never        abort = "never"
)

// absent are the operations that answer an error to everybody: the gateway
// has no such configuration, or an earlier case of the matrix removed it.
var absent = map[string]bool{"GetBucketCors": true, "GetBucketWebsite": true, "GetBucketReplication": true, "GetBucketPolicyStatus": true}

type matrix struct {
	t           *testing.T
	g           *gateway
	tn, other   *tenant
	away        string // an upload of dir/up, begun while the backend was there
	cases, seen int
	want        map[place]line
	names       map[place]string
}

// TestCounting holds the ledger to the counting table: every operation, in
// every way it can be asked for, left by the client at every point. Each case
// has an access key of its own, by which its line is found; anonymous ones a
// bucket of their own. A new operation is in the matrix with its row.
func TestCounting(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	m := &matrix{t: t, g: g, tn: g.tenant(), other: g.tenant(), want: map[place]line{}, names: map[place]string{}}
	m.furnish(isolated, true)
	for _, o := range s3op.Operations {
		for _, md := range modes {
			if !md.applies(o) || md.refused == "away" {
				continue
			}
			m.run(o, md, never)
			for _, at := range md.aborts {
				m.run(o, md, at)
			}
		}
	}
	m.away, _ = m.upload("dir/up")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := g.store.RotateBackend(t.Context(), g.owner, g.backend.Name, g.minio.AccessKey, g.minio.SecretKey, []string{"http://" + l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the backend to be away", func() bool {
		return m.tn.raw().do(t, &request{method: "HEAD", path: "/" + isolated + "/dir/k0"}).status == http.StatusServiceUnavailable
	})
	for _, o := range s3op.Operations {
		for _, md := range modes {
			if md.refused == "away" && md.applies(o) {
				m.run(o, md, never)
			}
		}
	}
	m.compare()
	t.Logf("%d cases, %d lines of the ledger", m.cases, m.seen)
}

// furnish makes a bucket in which every operation finds something.
func (m *matrix) furnish(bucket string, lock bool) {
	m.t.Helper()
	must := func(q request) {
		m.t.Helper()
		if r := m.tn.raw().do(m.t, &q); r.status >= 300 {
			m.t.Fatalf("%s %s?%s: %d %s", q.method, q.path, q.query.Encode(), r.status, r.body)
		}
	}
	must(request{method: "PUT", path: "/" + bucket, header: map[bool]http.Header{true: headers("x-amz-bucket-object-lock-enabled", "true")}[lock]})
	must(request{method: "PUT", path: "/" + bucket + "/dir/k0", body: make([]byte, 1000)})
	must(request{method: "PUT", path: "/" + bucket, query: query("policy", ""), body: []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + bucket + `/*"},` +
			`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + bucket + `"}]}`)})
	if !lock {
		return
	}
	for _, name := range []string{"PutBucketLifecycleConfiguration", "PutBucketTagging", "PutBucketEncryption", "PutObjectTagging", "PutObjectRetention", "PutObjectLegalHold"} {
		must(attempts(&victim{}, s3op.ByName(name))[0])
	}
	must(request{method: "PUT", path: "/" + bucket + "/dir/k1", body: make([]byte, 1000)})
}

// fresh is a name that no case before had.
func (m *matrix) fresh(prefix string) string { return fmt.Sprintf("%s-%d", prefix, m.cases) }

// upload begins a multipart upload with one part.
func (m *matrix) upload(key string) (id, etag string) {
	m.t.Helper()
	e := m.tn.raw()
	r := e.do(m.t, &request{method: "POST", path: "/" + isolated + "/" + key, query: query("uploads", "")})
	_, rest, _ := strings.Cut(string(r.body), "<UploadId>")
	id, _, _ = strings.Cut(rest, "</UploadId>")
	r = e.do(m.t, &request{method: "PUT", path: "/" + isolated + "/" + key, query: query("uploadId", id, "partNumber", "1"), body: []byte("part")})
	if r.status != 200 {
		m.t.Fatalf("upload: %d %s", r.status, r.body)
	}
	return id, r.header.Get("Etag")
}

const (
	bodySize  = 300_000
	chunkSize = 100_000
	largeSize = 24 << 20 // more than two sockets hold
)

// prepare is the operation's request from its row, on something of its own
// where it would spoil the next case.
func (m *matrix) prepare(o *s3op.Operation, md mode, at abort) request {
	m.t.Helper()
	v := &victim{tn: m.tn, upload: m.away}
	if md.refused == "away" {
		q := attempts(v, o)[0]
		if o.Name == "CreateBucket" {
			q.path = "/" + m.fresh("created")
		}
		return q
	}
	var etag string
	if o.Selector == "uploadId" {
		v.upload, etag = m.upload("dir/up")
	}
	q := attempts(v, o)[0]
	switch {
	case o.Name == "CreateBucket":
		q.path = "/" + m.fresh("created")
	case o.Name == "DeleteBucket":
		q.path = "/" + m.fresh("deleted")
		if r := m.tn.raw().do(m.t, &request{method: "PUT", path: q.path}); r.status != 200 {
			m.t.Fatal(r.status, string(r.body))
		}
	case o.Name == "DeleteObjects":
		q.body = []byte(`<Delete><Object><Key>dir/gone</Key></Object></Delete>`)
		q.header = headers("Content-Md5", contentMD5(q.body))
	case o.Name == "DeleteObject":
		q.path = "/" + isolated + "/dir/gone"
	case o.Name == "CompleteMultipartUpload":
		q.body = []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + etag + `</ETag></Part></CompleteMultipartUpload>`)
	case o.Body == s3op.Stream:
		q.body = bytes.Repeat([]byte("0123456789"), bodySize/10)
	}
	if o.Level == s3op.Object && o.Selector == "" && o.Writes() && o.Name != "DeleteObject" {
		q.path = "/" + isolated + "/dir/written"
	}
	if o.Response == s3op.Bytes && at == inAnswer {
		q.path = "/" + isolated + "/dir/large"
	}
	return q
}

// wire is a request as the client will send it: head and body, and how many
// bytes of what is billed are in the first half of the body.
type wire struct {
	head, body string
	decoded    int64
	half       span // of decoded bytes
	isHead     bool
}

func (m *matrix) wire(o *s3op.Operation, md mode, q request, k *tenancy.Key) wire {
	m.t.Helper()
	e := &endpoint{m.g.addr, k.KeyID, k.Secret}
	if md.refused == "signature" {
		e.secret = "wrong" + e.secret[5:]
	}
	w := wire{decoded: int64(len(q.body)), isHead: q.method == "HEAD"}
	w.half = exactly(w.decoded / 2)
	q.presign, q.header = md.presign, q.header.Clone()
	if q.header == nil {
		q.header = http.Header{}
	}
	switch {
	case o.Body == s3op.Form:
		file := strings.Repeat("f", bodySize)
		q = formRequest(m.t, isolated, signForm(m.t, e.id, e.secret, map[string]string{"key": "dir/form", "success_action_status": "201"}, isolated), file)
		w.decoded, w.half = bodySize, span{0, bodySize}
	case md.name == "nobody":
		q.anonymous, q.host = true, m.tn.account.Name+".tenants.example.test"
	case md.refused == "host":
		q.host = m.other.account.Name + ".tenants.example.test"
	case md.frame != "":
		frame(&q, e, md.frame)
		w.half = span{chunkSize, bodySize} // a chunk counts when it was verified
	}
	r := e.build(m.t, &q)
	if md.frame == "signed" {
		_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		framed := signChunks(bytes.Repeat([]byte("0123456789"), bodySize/10), e.secret, r.Header.Get("X-Amz-Date"), seed)
		r.Body = io.NopCloser(strings.NewReader(framed))
	}
	r.Header.Set("Connection", "close")
	head, body, _ := strings.Cut(wireOf(m.t, r), "\r\n\r\n")
	w.head, w.body = head+"\r\n\r\n", body
	return w
}

// frame puts a body into one of the aws-chunked framings; the signatures of
// signed chunks come when the head is signed.
func frame(q *request, e *endpoint, how string) {
	q.header.Set("x-amz-decoded-content-length", strconv.Itoa(len(q.body)))
	if how == "signed" {
		q.payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		q.body = []byte(signChunks(q.body, e.secret, time.Now().UTC().Format("20060102T150405Z"), "")) // for its length
		return
	}
	q.payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	q.header.Set("x-amz-trailer", "x-amz-checksum-crc32")
	sum := crc(string(q.body))
	var framed []byte
	for rest := q.body; len(rest) > 0; rest = rest[chunkSize:] {
		framed = append(append(fmt.Appendf(framed, "%x\r\n", chunkSize), rest[:chunkSize]...), "\r\n"...)
	}
	q.body = fmt.Appendf(framed, "0\r\nx-amz-checksum-crc32:%s\r\n\r\n", sum)
}

// signChunks frames data in signed chunks
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html).
func signChunks(data []byte, secret, date, previous string) string {
	key := sigv4.NewSigningKey(secret, date[:8], "us-east-1")
	scope := date[:8] + "/us-east-1/s3/aws4_request"
	empty := sha256.Sum256(nil)
	var b strings.Builder
	for last := false; !last; {
		n := min(chunkSize, len(data))
		last = n == 0
		sum := sha256.Sum256(data[:n])
		previous = sigv4.SignPolicy("AWS4-HMAC-SHA256-PAYLOAD\n"+date+"\n"+scope+"\n"+previous+"\n"+hex.EncodeToString(empty[:])+"\n"+hex.EncodeToString(sum[:]), key)
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", n, previous, data[:n])
		data = data[n:]
	}
	return b.String()
}

// run makes the request of a case, leaves where the case says, and notes what
// the ledger must have.
func (m *matrix) run(o *s3op.Operation, md mode, at abort) {
	m.t.Helper()
	m.cases++
	in, out := o.Transfers()
	spec := md.key
	if spec.Kind != "" {
		soon := time.Now().Add(30 * time.Minute)
		spec.ExpiresAt = &soon
	}
	owner := m.tn
	if md.refused == "bucket" {
		owner = m.other
	}
	q := m.prepare(o, md, at)
	k := owner.newKey(spec)
	to := place{account: owner.account.ID, key: k.ID}
	by := s3op.Customer
	switch {
	case spec.Kind != "":
		by = s3op.Internal
	case md.refused == "unknown":
		k = &tenancy.Key{KeyID: "AKIANOBODY" + strconv.Itoa(m.cases), Secret: strings.Repeat("s", 40)}
		to, by = place{}, s3op.Nobody
	case md.name == "nobody":
		bucket := m.fresh("public")
		m.furnish(bucket, false)
		q.path = strings.Replace(q.path, isolated, bucket, 1)
		b, err := tenancy.BucketByName(m.t.Context(), m.g.owner, m.tn.account.ID, bucket)
		if err != nil {
			m.t.Fatal(err)
		}
		to, by = place{account: m.tn.account.ID, bucket: b.ID}, s3op.Anonymous
	}
	if strings.HasSuffix(q.path, "/dir/large") {
		if r := m.tn.raw().do(m.t, &request{method: "PUT", path: q.path, body: make([]byte, largeSize)}); r.status != 200 {
			m.t.Fatal(r.status, string(r.body))
		}
	}
	w := m.wire(o, md, q, k)
	if at == inBody && w.body == "" || at == inAnswer && (o.Response == s3op.Empty || md.refused != "") {
		return // there is none to leave in
	}
	status, egress := m.converse(w, at, md.refused != "" || o.Body == s3op.NoBody)
	name := fmt.Sprintf("%s, %s, the client leaves %s (%d)", o.Name, md.name, at, status)
	l := line{requests: exactly(1), in: exactly(w.decoded).only(in != ""), out: egress}
	switch at {
	case inHead:
		to, by, l = place{}, s3op.Nobody, line{requests: span{0, 1}, out: span{0, 4096}}
	case inBody:
		l.in = w.half.only(in != "")
	case never:
		m.checkStatus(name, o, md, status)
	case beforeAnswer, inAnswer:
	}
	if status == 0 && md.refused != "" {
		status = map[string]int{"bucket": 404}[md.refused]
		if status == 0 {
			status = 403
		}
	}
	if out == "" && status < 400 && egress.low > 0 {
		m.t.Errorf("%s: %v bytes out, the table knows of none", name, egress)
	}
	to.class = priced(o, by, status)
	if md.refused != "" && at != inHead {
		l.in = span{}
		if md.refused == "away" && (o.Body == s3op.Document) {
			// The document was read before the backend was asked.
			before := to
			before.class = o.Class
			m.note(before, name, line{in: exactly(w.decoded)})
		}
	}
	m.note(to, name, l)
}

// priced is the class of a request as docs/METERING.md says it in words, not as the
// product computes it: S3's own price list, and who pays nothing.
func priced(o *s3op.Operation, by s3op.Caller, status int) usage.Class {
	switch {
	case by == s3op.Nobody, status == 401, status == 403, status >= 500:
		return usage.ClassUnbilled
	case by == s3op.Internal && !slices.Contains([]string{"GetObject", "PutObject", "UploadPart", "PostObject"}, o.Name):
		return usage.ClassUnbilled
	case o.Method == "DELETE", o.Name == "DeleteObjects":
		return usage.ClassFree
	case o.Method == "PUT", o.Method == "POST", strings.HasPrefix(o.Name, "List"):
		return usage.ClassA
	}
	return usage.ClassB
}

func (m *matrix) checkStatus(name string, o *s3op.Operation, md mode, status int) {
	m.t.Helper()
	want := map[string]int{"signature": 403, "unknown": 403, "network": 403, "host": 403, "bucket": 404, "away": 503}[md.refused]
	switch {
	case want != 0 && status != want && (md.refused != "bucket" || o.Body != s3op.Form):
		m.t.Errorf("%s: wanted %d", name, want)
	case want == 0 && (status < 200 || status >= 300) != absent[o.Name]:
		m.t.Errorf("%s: the case does not do what it is for", name)
	}
}

func (m *matrix) note(to place, name string, l line) {
	m.want[to] = m.want[to].plus(l)
	m.names[to] = name
}

// converse sends a request and leaves where it is told to. It returns the
// status if it saw one, and what of the answer's body the gateway's socket
// can have taken.
func (m *matrix) converse(w wire, at abort, small bool) (status int, egress span) {
	m.t.Helper()
	d := net.Dialer{}
	c, err := d.DialContext(m.t.Context(), "tcp", m.g.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	send := w.head + w.body
	switch at {
	case inHead:
		send = w.head[:len(w.head)/2]
	case inBody:
		send = w.head + w.body[:len(w.body)/2]
	case beforeAnswer, inAnswer, never:
	}
	if _, err := io.WriteString(c, send); err != nil && !small {
		m.t.Fatal(err)
	}
	if at == inHead || at == inBody || at == beforeAnswer {
		return 0, span{0, 64 << 10}
	}
	br := bufio.NewReader(c)
	if status, err = skipHead(br); err != nil {
		m.t.Fatalf("%s: %v", w.head, err)
	}
	if at == inAnswer {
		n, err := io.CopyN(io.Discard, br, 1)
		if err != nil {
			m.t.Fatalf("%s: %v", w.head, err)
		}
		return status, span{n, largeSize - 1}
	}
	n, err := io.Copy(io.Discard, br)
	if err != nil {
		m.t.Fatalf("%s: %v", w.head, err)
	}
	return status, exactly(n)
}

// skipHead reads an answer up to its body.
func skipHead(br *bufio.Reader) (status int, err error) {
	for first := true; ; first = false {
		s, err := br.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if first {
			if _, err := fmt.Sscanf(s, "HTTP/1.1 %d", &status); err != nil {
				return 0, err
			}
		}
		if s == "\r\n" {
			return status, nil
		}
	}
}

// ledger is what PostgreSQL has of the matrix: of anonymous requests by
// bucket, of all others by key.
func (m *matrix) ledger() map[place][3]int64 {
	m.t.Helper()
	if err := m.g.meter.Flush(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	rows, err := m.g.owner.Query(m.t.Context(), `SELECT account_id, CASE WHEN key_id = '00000000-0000-0000-0000-000000000000' THEN bucket_id ELSE '00000000-0000-0000-0000-000000000000' END,
		key_id, class, sum(requests)::bigint, sum(ingress_bytes)::bigint, sum(egress_bytes)::bigint FROM usage_hourly GROUP BY 1, 2, 3, 4`)
	if err != nil {
		m.t.Fatal(err)
	}
	got := map[place][3]int64{}
	var p place
	var class string
	var f [3]int64
	if _, err := pgx.ForEachRow(rows, []any{&p.account, &p.bucket, &p.key, &class, &f[0], &f[1], &f[2]}, func() error {
		p.class = map[string]usage.Class{"A": usage.ClassA, "B": usage.ClassB, "free": usage.ClassFree, "unbilled": usage.ClassUnbilled}[class]
		got[p] = f
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
	// What prepared the cases.
	for c := usage.ClassA; c <= usage.ClassUnbilled; c++ {
		delete(got, place{account: m.tn.account.ID, key: m.tn.key.ID, class: c})
	}
	return got
}

// compare waits until every request is settled and holds each line of the
// ledger to what its case wants.
func (m *matrix) compare() {
	m.t.Helper()
	var least int64
	for _, l := range m.want {
		least += l.requests.low
	}
	testenv.WaitFor(m.t, "every request to be settled", func() bool {
		var n int64
		for _, f := range m.ledger() {
			n += f[0]
		}
		return n >= least
	})
	got := m.ledger()
	m.seen = len(got)
	for p, l := range m.want {
		if !l.has(got[p]) {
			m.t.Errorf("%s: the ledger has %d requests, %d bytes in, %d out of class %s; wanted %v, %v, %v", m.names[p], got[p][0], got[p][1], got[p][2], p.class, l.requests, l.in, l.out)
		}
	}
	for p, f := range got {
		if _, ok := m.want[p]; !ok && f != [3]int64{} { // declared and never moved
			m.t.Errorf("nobody's case: account %s, bucket %s, key %s, class %s has %v; see %s", p.account, p.bucket, p.key, p.class, f, m.byKey(p.key))
		}
	}
}

func (m *matrix) byKey(key tenancy.ID) string {
	for p, name := range m.names {
		if p.key == key {
			return name
		}
	}
	return "none"
}
