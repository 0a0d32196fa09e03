package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// The ways in which a client's bytes are put together to one request.
const (
	byHeader = iota // the body's hash is signed
	byHeaderUnsigned
	byQuery
	byForm
	byTrailer // header lines that begin with "trailer!" stand behind the body
	byNobody  // on the host that names the account
	ways
)

// exchangeTime bounds what would never end: a backend that was promised more
// than it gets.
const exchangeTime = 5 * time.Second

const (
	boundaryBucket = "boundary"
	boundaryKey    = "dir/k"
)

// boundary is a gateway between a client whose bytes somebody else chooses and
// a backend that keeps what it is sent.
type boundary struct {
	g       *gateway
	tn      *tenant
	rec     *recorder
	records chan accesslog.Record
	key     *sigv4.SigningKey
	day     string
	backend string      // the bucket's name there
	keys    []string    // of the requests, the newest last
	asks    atomic.Bool // the request is a HEAD
	upload  string      // id of an upload of boundaryKey, as clients have it

	conn net.Conn // kept
	br   *bufio.Reader
}

// recordTap hands every record on.
type recordTap chan accesslog.Record

func (c recordTap) Add(r *accesslog.Record) {
	kept := *r
	for _, text := range []*accesslog.Text{&kept.RequestID, &kept.Bucket, &kept.Key, &kept.VersionID, &kept.Target} {
		*text = slices.Clone(*text)
	}
	c <- kept
}

// newBoundary makes one that does not look at the names around a key.
func newBoundary(t testing.TB) *boundary { return newBoundaryOf(t, true) }

func newBoundaryOf(t testing.TB, anyNames bool) *boundary {
	t.Helper()
	b := &boundary{rec: newRecorder(t), records: make(chan accesslog.Record, 64)}
	b.g = newGateway(t, options{
		names:  anyNames,
		minio:  &devstack.MinIO{Endpoint: "http://" + b.rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"},
		record: recordTap(b.records), quiet: true,
	})
	b.rec.answers(func(q *recorded) string {
		switch {
		case anyNames:
		case q.method == "HEAD" && !b.asks.Load() && q.header["x-amz-checksum-mode"] == "": // a look
			return "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n"
		case q.method == "GET" && strings.Contains(q.target, "?versions=") && strings.Contains(q.target, "max-keys=1&"):
			return "HTTP/1.1 200 OK\r\ncontent-length: 43\r\nconnection: close\r\n\r\n<ListVersionsResult></ListVersionsResult>  "
		}
		return ""
	})
	b.tn = b.g.tenant()
	if r := b.tn.raw().do(t, &request{method: "PUT", path: "/" + boundaryBucket}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	created, err := b.g.dir.Bucket(t.Context(), b.tn.account.ID, []byte(boundaryBucket))
	if err != nil {
		t.Fatal(err)
	}
	b.backend = created.BackendName
	r := b.tn.raw().do(t, &request{method: "POST", path: "/" + boundaryBucket + "/" + boundaryKey, query: query("uploads", "")})
	_, rest, _ := strings.Cut(string(r.body), "<UploadId>")
	if b.upload, _, _ = strings.Cut(rest, "<"); b.upload == "" {
		t.Fatal(r.status, string(r.body))
	}
	// It may do everything here and nothing anywhere else: no bucket comes or goes.
	b.tn.key = b.tn.newKey(tenancy.Key{Buckets: []string{boundaryBucket}})
	b.rec.take(t)
	for range 2 {
		<-b.records
	}
	return b
}

// sent is what the client's side of one request is made of.
type sent struct {
	way    int
	method string
	target string // raw
	lines  []string
	body   []byte
}

var ownHeaders = []string{"host", "content-length", "transfer-encoding", "expect", "connection", "authorization", "x-amz-date", "x-amz-content-sha256"}

// newSent makes a request of bytes that anybody may have chosen. One request
// is sent, whatever they are: what would make it two on the client's side is
// left out, since that is the client's right.
func newSent(way uint8, method uint8, target, lines string, body []byte) *sent {
	c := &sent{way: int(way) % ways, body: body}
	c.method = []string{"GET", "HEAD", "PUT", "POST", "DELETE"}[int(method)%5]
	c.target = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, "/"+strings.TrimPrefix(target, "/"))
	for line := range strings.SplitSeq(lines, "\n") {
		name, _, ok := strings.Cut(line, ":")
		if line = strings.TrimRight(line, "\r"); !ok || slices.Contains(ownHeaders, strings.ToLower(strings.TrimSpace(name))) {
			continue
		}
		c.lines = append(c.lines, line)
	}
	switch c.way {
	case byForm:
		c.method = "POST"
	case byTrailer:
		c.method = "PUT"
	}
	return c
}

// wire signs the request, correctly for what the gateway will make of it, and
// is its bytes.
func (b *boundary) wire(t *testing.T, c *sent) []byte {
	t.Helper()
	now := time.Now().UTC()
	if day := now.Format("20060102"); day != b.day {
		b.day, b.key = day, sigv4.NewSigningKey(b.tn.key.Secret, day, "us-east-1")
	}
	host := "localhost"
	payload := "UNSIGNED-PAYLOAD"
	var trailer []string
	lines := c.lines
	switch c.way {
	case byNobody:
		host = b.tn.account.Name + ".tenants.example.test"
	case byHeader:
		sum := sha256.Sum256(c.body)
		payload = hex.EncodeToString(sum[:])
	case byForm:
		return b.formWire(c, now)
	case byTrailer:
		payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		lines = nil
		for _, line := range c.lines {
			if rest, ok := strings.CutPrefix(line, "trailer!"); ok {
				trailer = append(trailer, rest)
			} else {
				lines = append(lines, line)
			}
		}
		lines = append(lines, fmt.Sprintf("x-amz-decoded-content-length: %d", len(c.body)))
		framed := fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n", len(c.body), c.body)
		if len(c.body) == 0 {
			framed = []byte("0\r\n")
		}
		for _, line := range trailer {
			framed = append(framed, line+"\r\n"...)
		}
		c = &sent{way: c.way, method: c.method, target: c.target, body: append(framed, "\r\n"...)}
	}
	signed := []sigv4.Header{{Name: []byte("host"), Value: []byte(host)}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		signed = append(signed, sigv4.Header{Name: []byte(strings.ToLower(name)), Value: []byte(strings.Trim(value, " \t"))})
	}
	head := "Host: " + host + "\r\n"
	var target sigv4.Target
	raw := c.target
	good := target.Parse([]byte(raw)) == nil
	r := &sigv4.Request{Method: []byte(c.method), Target: &target, Headers: signed}
	switch {
	case !good || c.way == byNobody:
	case c.way == byQuery:
		path, _, _ := strings.Cut(raw, "?")
		raw = path + "?" + string(sigv4.Presign(r, b.tn.key.KeyID, b.key, 5*time.Minute, now))
	default:
		date := string(sigv4.AppendTime(nil, now))
		r.Headers = append(r.Headers, sigv4.Header{Name: []byte("x-amz-date"), Value: []byte(date)}, sigv4.Header{Name: []byte("x-amz-content-sha256"), Value: []byte(payload)})
		authorization := sigv4.AppendAuthorization(nil, r, b.tn.key.KeyID, b.key, []byte(payload), now)
		head += "x-amz-date: " + date + "\r\nx-amz-content-sha256: " + payload + "\r\nauthorization: " + string(authorization) + "\r\n"
	}
	for _, line := range lines {
		head += line + "\r\n"
	}
	if len(c.body) > 0 || c.method == "PUT" || c.method == "POST" {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(c.body))
	}
	return append([]byte(c.method+" "+raw+" HTTP/1.1\r\n"+head+"\r\n"), c.body...)
}

// formWire makes a form whose fields are the header lines, under a policy that
// allows each of them, and whose file is the body. A line "file!name: type"
// names the file. Names are sent percent-encoded, so that any byte arrives.
func (b *boundary) formWire(c *sent, now time.Time) []byte {
	var form bytes.Buffer
	conditions := []any{map[string]string{"bucket": boundaryBucket}}
	part := func(name, value string) {
		fmt.Fprintf(&form, "--boundary\r\nContent-Disposition: form-data; name*=utf-8''%s\r\n\r\n%s\r\n", escaped(name), value)
		conditions = append(conditions, []string{"starts-with", "$" + name, ""})
	}
	fileName, fileType := "f", ""
	for _, line := range c.lines {
		name, value, _ := strings.Cut(line, ":")
		if rest, ok := strings.CutPrefix(name, "file!"); ok {
			fileName, fileType = rest, value
			continue
		}
		part(decoded(name), strings.Trim(value, " \t"))
	}
	credential := b.tn.key.KeyID + "/" + b.day + "/us-east-1/s3/aws4_request"
	part("x-amz-algorithm", "AWS4-HMAC-SHA256")
	part("x-amz-credential", credential)
	part("x-amz-date", string(sigv4.AppendTime(nil, now)))
	policy, _ := json.Marshal(map[string]any{"expiration": now.Add(time.Hour).Format("2006-01-02T15:04:05Z"), "conditions": conditions})
	text := base64.StdEncoding.EncodeToString(policy)
	key := []byte("AWS4" + b.tn.key.Secret)
	for _, step := range []string{b.day, "us-east-1", "s3", "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(step))
		key = h.Sum(nil)
	}
	part("policy", text)
	part("x-amz-signature", hex.EncodeToString(key))
	fmt.Fprintf(&form, "--boundary\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%s\r\n", escaped(decoded(fileName)))
	if fileType != "" {
		fmt.Fprintf(&form, "Content-Type: %s\r\n", fileType)
	}
	fmt.Fprintf(&form, "\r\n%s\r\n--boundary--\r\n", c.body)
	path, _, _ := strings.Cut(c.target, "?")
	return append(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=boundary\r\nContent-Length: %d\r\n\r\n", path, form.Len()), form.Bytes()...)
}

// escaped is s with every byte percent-encoded that RFC 8187 does not let stand.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// decoded is s with its percent-escapes undone, so that a line can name any byte.
func decoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// exchange sends one request and returns the status of its answer and what the
// gateway says it was.
func (b *boundary) exchange(t *testing.T, method string, wire []byte) (int, *accesslog.Record) {
	t.Helper()
	if b.conn == nil {
		conn, err := net.Dial("tcp", b.g.addr)
		if err != nil {
			t.Fatal(err)
		}
		b.conn, b.br = conn, bufio.NewReader(conn)
	}
	b.asks.Store(method == "HEAD")
	_ = b.conn.SetDeadline(time.Now().Add(2 * exchangeTime))
	_, werr := b.conn.Write(wire)
	resp, err := http.ReadResponse(b.br, &http.Request{Method: method})
	if err != nil {
		_ = b.conn.Close()
		b.conn = nil
		t.Fatalf("no answer: %v, %v", werr, err)
	}
	_, rerr := io.Copy(io.Discard, resp.Body)
	if resp.Close || rerr != nil || werr != nil {
		_ = b.conn.Close()
		b.conn = nil
	}
	id := resp.Header.Get("x-amz-request-id")
	select {
	case r := <-b.records:
		if r.RequestID.String() != id {
			t.Fatalf("one request of the client's was two: %s, answered %s: %s %q", r.RequestID, id, r.Operation, r.Target)
		}
		return resp.StatusCode, &r
	case <-time.After(2 * exchangeTime):
		t.Fatalf("no record of the request %s", id)
		return 0, nil
	}
}

// check holds what arrived at the backend against what was authorised.
func (b *boundary) check(c *sent, status int, r *accesslog.Record, arrived []*recorded) error {
	if status >= 500 && status != http.StatusNotImplemented {
		// The backend answers everything: this was let in and could not be sent
		// on, or it is a client's mistake that is told as one of ours.
		return fmt.Errorf("answered %d", status)
	}
	if len(arrived) == 0 {
		b.keys = append(b.keys, string(r.Key))
		if r.Backend > 0 {
			return errors.New("the gateway has an answer, and nothing arrived")
		}
		return nil
	}
	b.keys = append(b.keys, string(r.Key))
	arrived, err := b.withoutLooks(arrived)
	if err != nil || len(arrived) == 0 {
		return err
	}
	if asked := arrived[0]; len(arrived) == 2 && r.Operation == "CopyObject" && asked.method == "HEAD" && asked.target == "/"+b.backend+"/"+(&url.URL{Path: string(r.Key)}).EscapedPath() {
		arrived = arrived[1:] // the object is asked about before it is copied onto itself
	}
	if len(arrived) > mostRequests(r.Operation) {
		return fmt.Errorf("%d requests arrived", len(arrived))
	}
	for _, q := range arrived {
		if err := b.checkOne(c, status, r, q); err != nil {
			return err
		}
	}
	return nil
}

// withoutLooks takes out the looks at the names around the keys: that of the
// request, and those of the ones before, whose looks may have outlived them.
func (b *boundary) withoutLooks(arrived []*recorded) (rest []*recorded, err error) {
	for _, q := range arrived {
		if !slices.ContainsFunc(b.keys[max(0, len(b.keys)-32):], func(key string) bool { return b.isLook(key, q) }) {
			rest = append(rest, q)
			continue
		}
		for _, name := range q.names {
			if !slices.Contains(own, name) {
				return nil, fmt.Errorf("a look at names carries %s", name)
			}
		}
		if q.fault != nil || len(q.body) > 0 {
			return nil, fmt.Errorf("a look at names: %q, %w", q.body, q.fault)
		}
	}
	return rest, nil
}

func (b *boundary) isLook(key string, q *recorded) bool {
	u, err := url.ParseRequestURI(q.target)
	switch {
	case err != nil || key == "":
		return false
	case q.method == "HEAD":
		name, ours := strings.CutPrefix(u.Path, "/"+b.backend+"/")
		return ours && name != "" && strings.HasPrefix(key, name+"/") && u.RawQuery == "" && q.header["x-amz-checksum-mode"] == ""
	}
	return q.method == "GET" && u.Path == "/"+b.backend && maps.EqualFunc(u.Query(), query("versions", "", "prefix", key+"/", "key-marker", key+"/", "max-keys", "1", "encoding-type", "url"), slices.Equal)
}

// mostRequests is how many requests an operation may make of one: a read whose
// answer is not what its conditions say is asked again, and uploads are listed of
// the bucket and of the key that the prefix is.
func mostRequests(operation string) int {
	switch operation {
	case "GetObject", "HeadObject":
		return 6
	case "ListMultipartUploads":
		return 2
	}
	return 1
}

// checkOne holds one request against what was authorised.
func (b *boundary) checkOne(c *sent, status int, r *accesslog.Record, q *recorded) error {
	if q.fault != nil {
		return q.fault
	}
	if q.cut && status < 400 {
		return fmt.Errorf("half a body arrived, and the answer is %d", status)
	}
	op := s3op.ByName(r.Operation)
	switch {
	case op == nil:
		return fmt.Errorf("no operation was authorised, and %s %s arrived", q.method, q.target)
	case op.Action != s3op.Forward:
		return fmt.Errorf("%s is answered by the gateway, and %s %s arrived", op.Name, q.method, q.target)
	case r.Requester == "" && (!op.Anonymous || c.way != byNobody):
		return fmt.Errorf("%s of nobody arrived", op.Name)
	case c.way == byNobody && q.header["authorization"] != "":
		return fmt.Errorf("a request of nobody was signed")
	}
	if err := b.checkTarget(c, op, r, q); err != nil {
		return err
	}
	for _, name := range q.names {
		if !b.mayCarry(op, name) {
			return fmt.Errorf("header %s: %s arrived, which the row of %s lacks", name, q.header[name], op.Name)
		}
	}
	if source := q.header["x-amz-copy-source"]; source != "" {
		path, err := url.PathUnescape(strings.SplitN(source, "?", 2)[0])
		if err != nil || !strings.HasPrefix(path, b.backend+"/") || dirty(path) {
			return fmt.Errorf("copy source %q", source)
		}
	}
	if op.Name == "DeleteObjects" {
		return b.checkDelete(c, q)
	}
	return nil
}

func (b *boundary) checkTarget(c *sent, op *s3op.Operation, r *accesslog.Record, q *recorded) error {
	method := op.Method
	if op.Body == s3op.Form {
		method = "PUT"
	}
	u, err := url.ParseRequestURI(q.target)
	if err != nil {
		return err
	}
	if q.method != method {
		return fmt.Errorf("%s %s arrived for %s", q.method, q.target, op.Name)
	}
	want := "/" + b.backend
	if op.Level == s3op.Object || op.Body == s3op.Form {
		want += "/" + string(r.Key)
	}
	if u.Path != want || r.Bucket.String() != boundaryBucket || dirty(u.Path) {
		return fmt.Errorf("path %q arrived, authorised was %s of key %q in bucket %q", u.Path, op.Name, r.Key, r.Bucket)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("query %q: %w", u.RawQuery, err)
	}
	selector := op.Selector
	if op.Name == "GetBucketPolicyStatus" {
		selector = "policy"
	}
	for name, all := range values {
		if len(all) > 1 || name != selector && !slices.Contains(op.Params, name) {
			return fmt.Errorf("parameter %q arrived, which the row of %s lacks", name, op.Name)
		}
	}
	if selector != "" && !values.Has(selector) {
		return fmt.Errorf("%s arrived without %s", op.Name, selector)
	}
	_, asked, _ := strings.Cut(c.target, "?")
	sent, _ := url.ParseQuery(asked)
	if got := values.Get("versionId"); got != sent.Get("versionId") {
		return fmt.Errorf("version %q arrived, version %q was asked for", got, sent.Get("versionId"))
	}
	return nil
}

// own are the header lines of the gateway's own.
var own = []string{"host", "content-length", "x-forwarded-for", "accept-encoding", "x-amz-date", "x-amz-content-sha256", "authorization"}

// mayCarry says whether the operation's row has the header.
func (b *boundary) mayCarry(op *s3op.Operation, name string) bool {
	if strings.HasPrefix(name, "x-minio-") || strings.HasPrefix(name, "x-amz-meta-minio-snowball-") || name == "x-amz-meta-snowball-auto-extract" {
		return false
	}
	groups := op.Headers
	if op.Body == s3op.Form {
		groups |= s3op.FormFields
	}
	h := s3op.LookupHeader([]byte(name))
	switch {
	case slices.Contains(own, name), h.Group&groups != 0 && h.Treatment != s3op.Decline:
		return true
	case name == "x-amz-trailer", name == "x-amz-decoded-content-length":
		return op.Body == s3op.Stream
	case name == "content-md5":
		return op.Body == s3op.Document || op.Body == s3op.Form
	}
	return false
}

// checkDelete wants no key in the backend's document that is not in the
// client's, read by another parser.
func (b *boundary) checkDelete(c *sent, q *recorded) error {
	type document struct {
		Object []struct{ Key, VersionId string } //nolint:revive // S3's spelling
	}
	var asked, arrived document
	if err := xml.Unmarshal(q.body, &arrived); err != nil {
		return fmt.Errorf("document %q: %w", q.body, err)
	}
	_ = xml.Unmarshal(c.body, &asked)
	for _, o := range arrived.Object {
		if dirty(o.Key) || !slices.Contains(asked.Object, o) {
			return fmt.Errorf("delete of %q %q arrived, which was not asked for in %q", o.Key, o.VersionId, c.body)
		}
	}
	return nil
}

// dirty is what MinIO would take for another name.
func dirty(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return strings.Contains(path, "//") || strings.ContainsRune(path, 0)
}

const (
	mGET, mHEAD, mPUT, mPOST, mDELETE uint8 = 0, 1, 2, 3, 4

	crlf    = "%0D%0Acontent-length: 1200%0D%0A%0D%0A"
	deleted = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>dir/k</Key><VersionId>null</VersionId></Object></Delete>`
)

// boundarySeeds are requests for every place in which a client's text goes to
// the backend: first those that do, which must arrive, then those that were
// seen to do harm, or would.
var boundarySeeds = []struct {
	arrives     bool
	way, method uint8
	target      string
	lines, body string
}{
	// Key, parameters, headers.
	{true, byHeader, mGET, "boundary/dir/a%20b+c;d=e&f%25%3F%23%C3%A9", "range: bytes=0-1\nif-match: \"e\"", ""},
	{true, byHeader, mGET, "boundary/dir/k?versionId=null&response-content-type=text/plain&partNumber=1", "x-amz-checksum-mode: ENABLED", ""},
	{true, byHeader, mHEAD, "boundary/dir/k?x-id=HeadObject", "if-modified-since: Mon, 02 Jan 2006 15:04:05 GMT", ""},
	{true, byHeader, mPUT, "boundary/dir/k", "content-type: a/b\ncache-control: no-cache\ncontent-encoding: gzip\nx-amz-meta-a: b\nx-amz-meta-a: c\nx-amz-tagging: a=b&c=d\nx-amz-storage-class: STANDARD", "abc"},
	{true, byHeaderUnsigned, mPUT, "boundary/dir/k", "content-md5: kAFQmDzST7DWlj99KOF/cg==\nx-amz-checksum-crc32: NSRBwg==\nif-none-match: *", "abc"},
	{true, byHeader, mDELETE, "boundary/dir/k?versionId=null", "", ""},
	{true, byHeader, mPUT, "boundary/dir/k", "x-amz-copy-source: /boundary/dir/a%20b?versionId=null\nx-amz-metadata-directive: REPLACE\nx-amz-copy-source-if-match: e", ""},
	{true, byHeader, mPUT, "boundary/dir/k?partNumber=1&uploadId={upload}", "", "abc"},
	{true, byHeader, mPUT, "boundary/dir/k?partNumber=1&uploadId={upload}", "x-amz-copy-source: boundary/dir/k\nx-amz-copy-source-range: bytes=0-1", ""},
	{true, byHeader, mPOST, "boundary/dir/k?uploadId={upload}", "", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag></Part></CompleteMultipartUpload>"},
	{true, byHeader, mGET, "boundary/dir/k?uploadId={upload}&max-parts=2&part-number-marker=1", "", ""},
	{true, byHeader, mDELETE, "boundary/dir/k?uploadId={upload}", "", ""},
	{true, byHeader, mPOST, "boundary/dir/k?uploads", "x-amz-meta-a: b", ""},
	{true, byHeader, mGET, "boundary/dir/k?attributes", "x-amz-object-attributes: ETag,ObjectSize", ""},
	{true, byHeader, mGET, "boundary/dir/k?tagging&versionId=null", "", ""},
	{true, byHeader, mDELETE, "boundary/dir/k?tagging&versionId=null", "", ""},
	{true, byHeader, mGET, "boundary/dir/k?retention&versionId=null", "", ""},
	{true, byHeader, mGET, "boundary/dir/k?legal-hold&versionId=null", "", ""},
	{true, byHeader, mGET, "boundary?prefix=dir/&delimiter=/&marker=a&max-keys=2&encoding-type=url", "", ""},
	{true, byHeader, mGET, "boundary?list-type=2&start-after=a&fetch-owner=true", "", ""},
	{true, byHeader, mGET, "boundary?versions&key-marker=a&prefix=d", "", ""},
	{true, byHeader, mGET, "boundary?uploads&prefix=dir/k", "", ""},
	// Documents.
	{true, byHeader, mPOST, "boundary?delete", "", deleted},
	{true, byHeader, mPUT, "boundary/dir/k?tagging", "", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
	{true, byHeader, mPUT, "boundary?tagging", "", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
	{true, byHeader, mPUT, "boundary?versioning", "", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"},
	{true, byHeader, mPUT, "boundary?lifecycle", "", "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"},
	{true, byHeader, mPUT, "boundary?policy", "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::boundary/*"}]}`},
	{true, byHeader, mPUT, "boundary/dir/k?retention", "", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>"},
	{true, byHeader, mPUT, "boundary/dir/k?legal-hold", "", "<LegalHold><Status>ON</Status></LegalHold>"},
	{true, byHeader, mPUT, "boundary?encryption", "", "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"},
	{true, byHeader, mPUT, "boundary?object-lock", "", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"},
	// Hoisted headers.
	{true, byQuery, mPUT, "boundary/dir/k?x-amz-meta-a=b&X-Amz-Tagging=a%3Db&x-amz-storage-class=STANDARD", "", "abc"},
	{true, byQuery, mGET, "boundary/dir/k?versionId=null&x-amz-checksum-mode=ENABLED", "", ""},
	// Trailers.
	{true, byTrailer, mPUT, "boundary/dir/k", "x-amz-trailer: x-amz-checksum-crc32\ntrailer!x-amz-checksum-crc32: NSRBwg==", "abc"},
	// Forms.
	{true, byForm, mPOST, "boundary", "key: dir/${filename}\nx-amz-meta-a: b\ncontent-type: a/b\nfile!name%20x: text/plain", "abc"},
	{true, byForm, mPOST, "boundary", "key: k\nx-amz-storage-class: STANDARD\nsuccess_action_status: 201", "abc"},
	// Nobody.
	{true, byNobody, mGET, "boundary/dir/k?versionId=null", "range: bytes=0-1", ""},
	{true, byNobody, mGET, "boundary?list-type=2&prefix=dir/", "", ""},

	// Line ends in the names and values of parameters.
	{false, byQuery, mGET, "boundary/dir/k?x-amz-meta-a%3A1%0D%0Acontent-length%3A1200%0D%0A%0D%0Ax=v", "", ""},
	{false, byQuery, mPUT, "boundary/dir/k?x-amz-meta-a%3A1%0D%0Acontent-length%3A1200%0D%0A%0D%0Ax=v", "", "abc"},
	{false, byHeader, mPUT, "boundary/dir/k?x-amz-meta-a%3A1%0D%0Atransfer-encoding%3Achunked%0D%0A%0D%0Ax=v", "", "abc"},
	{false, byQuery, mPUT, "boundary/dir/k?x-amz-meta-a=1" + crlf, "", "abc"},
	{false, byQuery, mPUT, "boundary/dir/k?x-amz-meta-a%20b=1", "", "abc"},
	{false, byQuery, mPUT, "boundary/dir/k?x-amz-meta-a%00=1", "", "abc"},
	{false, byQuery, mPUT, "boundary/dir/k?x-amz-meta-%C3%A9=1", "", "abc"},
	{false, byHeader, mGET, "boundary/dir/k?versionId=null" + crlf, "", ""},
	{false, byHeader, mGET, "boundary/dir/k?response-content-type=a" + crlf, "", ""},
	{true, byHeader, mGET, "boundary/dir/k%0D%0Ahost:%20x%0D%0A%0D%0A", "", ""},
	{true, byHeader, mGET, "boundary?prefix=" + crlf, "", ""},
	// In forms.
	{false, byForm, mPOST, "boundary", "key: k\nx-amz-meta-a%3A1%0D%0Acontent-length%3A1200%0D%0A%0D%0Ax: v", "abc"},
	{false, byForm, mPOST, "boundary", "key: k\nx-amz-meta-a%20b: v", "abc"},
	{false, byForm, mPOST, "boundary", "key: k\nx-amz-meta-%E2%84%AA: v", "abc"},
	{false, byForm, mPOST, "boundary", "%E2%84%AAey: k", "abc"},
	{true, byForm, mPOST, "boundary", "key: a/${filename}\nfile!x%0D%0Ahost%3A%20y: text/plain", "abc"},
	// In headers, copy sources, trailers, documents.
	{false, byHeader, mPUT, "boundary/dir/k", "x-amz-meta-a: b\x01c", "abc"},
	{false, byHeader, mPUT, "boundary/dir/k", "x-amz-copy-source: boundary/../other/k", ""},
	{true, byHeader, mPUT, "boundary/dir/k", "x-amz-copy-source: boundary/a%0D%0Ahost:%20x", ""},
	{false, byHeader, mPUT, "boundary/dir/k", "x-amz-copy-source: boundary/k?versionId=a%0D%0Ahost:%20x", ""},
	{false, byTrailer, mPUT, "boundary/dir/k", "x-amz-trailer: x-amz-checksum-crc32\ntrailer!x-amz-checksum-crc32: NSRBwg==\ntrailer!host: x", "abc"},
	{false, byTrailer, mPUT, "boundary/dir/k", "x-amz-trailer: x-amz-checksum-crc32\r\ntrailer!x-amz-checksum-crc32: NSRBwg==\rhost: x", "abc"},
	{true, byHeader, mPOST, "boundary?delete", "", "<Delete><Object><Key>a&#13;&#10;host: x</Key></Object></Delete>"},
	{false, byHeader, mPOST, "boundary?delete", "", "<Delete><Object><Key>../other/k</Key></Object></Delete>"},
	// Paths, sub-resources, headers with a meaning of their own.
	{false, byHeader, mGET, "boundary/%2e%2e/other/k", "", ""},
	{false, byHeader, mGET, "boundary//k", "", ""},
	{false, byHeader, mDELETE, "boundary?abac", "", ""},
	{true, byHeader, mPUT, "boundary/dir/k", "x-minio-source-etag: e\nx-minio-force-delete: true\nx-forwarded-for: 1.2.3.4\nte: trailers\nconnection : close", "abc"},
	{false, byHeader, mPUT, "boundary/dir/k", "x-amz-meta-snowball-auto-extract: true", "abc"},
	{false, byHeader, mPUT, "boundary/dir/k?partNumber=1&uploadId=Li4vLi4vb3RoZXI", "", "abc"},
	{false, byHeader, mGET, "boundary?list-type=2&continuation-token=YV14W21pbmlvX2NhY2hlOnYyLHJldHVybjpd", "", ""},
	{false, byHeader, mGET, "minio/admin/v3/info", "", ""},
	{false, byNobody, mPUT, "boundary/dir/k", "", "abc"},
}

// The seeds that are everybody's right arrive: what FuzzBoundary finds nothing
// wrong with is not what never got there.
func TestBoundary_seeds(t *testing.T) {
	t.Parallel()
	b := newBoundaryOf(t, false)
	operations := map[string]bool{}
	for _, s := range boundarySeeds {
		c := newSent(s.way, s.method, strings.ReplaceAll(s.target, "{upload}", b.upload), s.lines, []byte(s.body))
		status, record := b.exchange(t, c.method, b.wire(t, c))
		arrived := b.rec.take(t)
		if err := b.check(c, status, record, arrived); err != nil {
			t.Errorf("%s %q %q\n%v", c.method, s.target, c.lines, err)
		}
		if (len(arrived) > 0 && status < 300) != s.arrives {
			t.Errorf("%s %q %q: answered %d, %d requests arrived", c.method, s.target, c.lines, status, len(arrived))
		}
		if s.arrives {
			operations[record.Operation] = true
		}
	}
	for _, op := range s3op.Operations {
		writes := op.Body != s3op.NoBody || len(op.Params) > 0 || op.Headers != 0
		if op.Action == s3op.Forward && writes && op.Name != "CreateBucket" && !operations[op.Name] {
			t.Errorf("no seed of %s arrives, and it carries a client's text", op.Name)
		}
	}
}

// FuzzBoundary: whatever a client sends, signed or not, what arrives at the
// backend is exactly one request, of the operation that was authorised, for the
// bucket, key and version that were authorised, with no parameter or header
// that the operation's row lacks; and nothing is answered as a failure of ours.
func FuzzBoundary(f *testing.F) {
	b := newBoundaryOf(f, false)
	for _, s := range boundarySeeds {
		f.Add(s.way, s.method, s.target, s.lines, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, way, method uint8, target, lines string, body []byte) {
		if len(target)+len(lines)+len(body) > 12<<10 {
			return
		}
		c := newSent(way, method, strings.ReplaceAll(target, "{upload}", b.upload), lines, body)
		status, record := b.exchange(t, c.method, b.wire(t, c))
		arrived := b.rec.take(t)
		if err := b.check(c, status, record, arrived); err != nil {
			t.Errorf("%s %q %q\n%v", c.method, c.target, c.lines, err)
		}
	})
}
