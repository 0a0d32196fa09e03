package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a backend that keeps what it is sent. It reads by the letter of
// RFC 9112 and shares no code with the gateway: what it does not take as one
// request, with nothing behind it, is a fault of the gateway's. Each connection
// serves one request.
type recorder struct {
	l net.Listener

	mu       sync.Mutex
	requests []*recorded
	open     int // connections that were accepted and are not over
	over     *sync.Cond
	barriers map[string]chan struct{}
	answer   func(q *recorded) string // "": the plausible one
}

// recorded is one request as it arrived.
type recorded struct {
	method, target string
	names          []string // of the header lines, in order
	header         map[string]string
	body           []byte
	fault          error // it is no request, or there is something behind it
	cut            bool  // the body ended early
}

const barrierLine = "BARRIER "

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{l: l, barriers: map[string]chan struct{}{}}
	r.over = sync.NewCond(&r.mu)
	t.Cleanup(func() { _ = l.Close() })
	go r.accept()
	return r
}

// answers makes f the one that answers from here on.
func (r *recorder) answers(f func(q *recorded) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *recorder) accept() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		r.count(1) // here, so that a barrier speaks for all that came before it
		go r.begin(c)
	}
}

func (r *recorder) begin(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(exchangeTime))
	br := bufio.NewReaderSize(c, 64<<10)
	if first, _ := br.Peek(len(barrierLine)); string(first) == barrierLine {
		line, _ := br.ReadString('\n')
		r.mu.Lock()
		done := r.barriers[line]
		r.mu.Unlock()
		r.count(-1)
		close(done)
		return
	}
	defer r.count(-1)
	r.serve(c, br)
}

func (r *recorder) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open += n; r.open == 0 {
		r.over.Broadcast()
	}
}

// take returns the requests that were begun since the last take, each read to
// the end of its connection.
func (r *recorder) take(t testing.TB) []*recorded {
	t.Helper()
	c, err := net.Dial("tcp", r.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line := barrierLine + c.LocalAddr().String() + "\n"
	passed := make(chan struct{})
	r.mu.Lock()
	r.barriers[line] = passed
	r.mu.Unlock()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	<-passed
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.over.Wait()
	}
	delete(r.barriers, line)
	taken := r.requests
	r.requests = nil
	return taken
}

func (r *recorder) serve(c net.Conn, br *bufio.Reader) {
	q := &recorded{header: map[string]string{}}
	if _, err := br.Peek(1); err != nil {
		return // opened for an upload of which nothing was fit to be sent
	}
	q.fault = q.read(br)
	if q.fault == nil && string(q.target) == "/minio/health/live" && len(q.names) == 1 {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
		return
	}
	if q.fault == nil && !q.cut {
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		text := ""
		if answer != nil {
			text = answer(q)
		}
		if text == "" {
			text = answerOf(q)
		}
		_, _ = io.WriteString(c, text)
	}
	// Whatever else comes on this connection, nobody asked for it.
	rest, _ := io.ReadAll(br)
	if q.fault == nil && len(rest) > 0 {
		q.fault = fmt.Errorf("%d bytes stand behind the request: %.200q", len(rest), rest)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, q)
}

func (q *recorded) read(br *bufio.Reader) error {
	line, err := headLine(br)
	if err != nil {
		return err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" || parts[0] == "" || strings.Trim(parts[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("request line %q", line)
	}
	q.method, q.target = parts[0], parts[1]
	if q.target[0] != '/' {
		return fmt.Errorf("target %q", q.target)
	}
	for {
		line, err := headLine(br)
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") != "" {
			return fmt.Errorf("header line %q", line)
		}
		if _, twice := q.header[name]; twice {
			return fmt.Errorf("header %s stands there twice", name)
		}
		q.names = append(q.names, name)
		q.header[name] = strings.Trim(value, " \t")
	}
	length, given := q.header["content-length"]
	if !given {
		return nil
	}
	n, err := strconv.ParseUint(length, 10, 32)
	if err != nil {
		return fmt.Errorf("content-length %q", length)
	}
	q.body, err = io.ReadAll(io.LimitReader(br, int64(n)))
	q.cut = err != nil || uint64(len(q.body)) < n
	return nil
}

// headLine reads a line that ends in CR LF, with no control character in it.
func headLine(br *bufio.Reader) (string, error) {
	raw, err := br.ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("a head that ends in %.100q: %w", raw, err)
	}
	line, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok {
		return "", fmt.Errorf("a line without CR LF: %.100q", raw)
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", fmt.Errorf("a control character in a head: %.100q", line)
		}
	}
	return string(line), nil
}

// answerOf is a plausible answer to q, after which the connection ends.
func answerOf(q *recorded) string {
	answer := func(status, header, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\netag: \"e\"\r\nconnection: close\r\n%scontent-length: %d\r\n\r\n%s", status, header, len(body), body)
	}
	path, query, _ := strings.Cut(q.target, "?")
	object := strings.Count(path, "/") > 1
	xml := func(root, text string) string {
		return answer("200 OK", "content-type: application/xml\r\n", `<?xml version="1.0" encoding="UTF-8"?><`+root+` xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`+text+`</`+root+`>`)
	}
	switch {
	case q.method == "HEAD":
		return "HTTP/1.1 200 OK\r\netag: \"e\"\r\nx-amz-version-id: of-the-head\r\ncontent-length: 3\r\nconnection: close\r\n\r\n"
	case q.method == "DELETE" && !object && query == "":
		return answer("409 Conflict", "", "<Error><Code>BucketNotEmpty</Code></Error>")
	case q.method == "DELETE":
		return "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
	case q.method == "GET" && object && !slices.ContainsFunc([]string{"attributes=", "tagging=", "retention=", "legal-hold=", "uploadId="}, func(s string) bool { return strings.Contains(query, s) }):
		return answer("200 OK", "", "abc")
	case q.method == "GET" && strings.Contains(query, "uploads="):
		return xml("ListMultipartUploadsResult", "<EncodingType>url</EncodingType><Upload><Key>dir/k</Key><UploadId>"+rawUploadID+"</UploadId></Upload>")
	case q.method == "GET" && strings.Contains(query, "prefix=large"):
		return xml("ListBucketResult", strings.Repeat("<Contents><Key>large</Key></Contents>", largeListing/36))
	case q.method == "GET" && strings.Contains(query, "policy="):
		bucket, _, _ := strings.Cut(path[1:], "/")
		return answer("200 OK", "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::`+bucket+`/*"]}]}`)
	case q.method == "GET":
		for _, other := range [][2]string{
			{"versions=", "ListVersionsResult"}, {"versioning=", "VersioningConfiguration"}, {"tagging=", "Tagging"}, {"lifecycle=", "LifecycleConfiguration"},
			{"object-lock=", "ObjectLockConfiguration"}, {"encryption=", "ServerSideEncryptionConfiguration"}, {"attributes=", "GetObjectAttributesResponse"},
			{"retention=", "Retention"}, {"legal-hold=", "LegalHold"}, {"uploadId=", "ListPartsResult"},
		} {
			if strings.HasPrefix(query, other[0]) || strings.Contains(query, "&"+other[0]) {
				return xml(other[1], "")
			}
		}
		return xml("ListBucketResult", "<IsTruncated>false</IsTruncated>")
	case q.method == "POST" && strings.Contains(query, "uploads"):
		return xml("InitiateMultipartUploadResult", "<UploadId>"+rawUploadID+"</UploadId>")
	case q.method == "POST" && strings.Contains(query, "delete"):
		return xml("DeleteResult", "")
	case q.method == "POST":
		return xml("CompleteMultipartUploadResult", "<ETag>&#34;e&#34;</ETag>")
	case q.header["x-amz-copy-source"] != "" && strings.Contains(query, "uploadId="):
		return xml("CopyPartResult", "<ETag>&#34;e&#34;</ETag>")
	case q.header["x-amz-copy-source"] != "":
		return xml("CopyObjectResult", "<ETag>&#34;e&#34;</ETag>")
	}
	return answer("200 OK", "", "")
}

// largeListing is how long an answer to a listing of the prefix large is: more
// than the sockets between gateway and client hold.
const largeListing = 12 << 20

// rawUploadID has the form of MinIO's.
var rawUploadID = "ZGVwbG95bWVudC5mMGY4NTM0Ni0yZjYzLTRiOTgtOTYxYS1kZDU0ZjY2OGQ4OTE"
