package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
)

// formHead is the head of a form that announces n bytes.
func formHead(bucket string, n int64, lines string) string {
	return fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n%s\r\n", bucket, n, lines)
}

func formField(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// endless repeats its text.
func endless(text string) func(int) string { return func(int) string { return text } }

// endlessForms are forms that a stranger can send: what comes first, and the
// n-th piece of what goes on for as long as anybody reads it.
var endlessForms = map[string]struct {
	first string
	then  func(n int) string
	code  string
}{
	"fields of 20 kB":            {"", func(n int) string { return formField(fmt.Sprint("f", n), strings.Repeat("v", 20_000)) }, "MaxPostPreDataLengthExceededError"},
	"one field of 20 kB and one": {"", func(n int) string { return formField(fmt.Sprint("f", n), strings.Repeat("v", 20<<10-2-n)) }, "MaxPostPreDataLengthExceededError"},
	"small fields":               {"", func(n int) string { return formField(fmt.Sprint("f", n), "") }, "MaxPostPreDataLengthExceededError"},
	"fields with long heads": {"", func(n int) string {
		return "--b\r\nx: " + strings.Repeat("h", 4<<10) + "\r\nContent-Disposition: form-data; name=\"f" + fmt.Sprint(n) + "\"\r\n\r\n\r\n"
	}, "MaxPostPreDataLengthExceededError"},
	"names alone":               {"", func(n int) string { return formField(fmt.Sprint(strings.Repeat("n", 5000), n), "") }, "MaxPostPreDataLengthExceededError"},
	"a value without an end":    {strings.TrimSuffix(formField("f", ""), "\r\n"), endless("vvvvvvvv"), "MaxPostPreDataLengthExceededError"},
	"a head without an end":     {"--b\r\n", endless("x: y\r\n"), "MaxPostPreDataLengthExceededError"},
	"a line without an end":     {"--b\r\nx: ", endless("yyyyyyyy"), "MaxPostPreDataLengthExceededError"},
	"a name without an end":     {"--b\r\nContent-Disposition: form-data; name=\"", endless("nnnnnnnn"), "MaxPostPreDataLengthExceededError"},
	"a boundary without an end": {"--b", endless("        "), "MaxPostPreDataLengthExceededError"},
	"no boundary":               {"", endless("--a\r\n"), "MaxPostPreDataLengthExceededError"},
	"a file of nobody's":        {"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n", endless("ffffffff"), "InvalidArgument"},
}

// TestPostForm_strangersAreBounded: whatever a stranger's form is, it is refused
// after a bounded number of bytes, and no more than 72 KiB of memory are held
// for it meanwhile: that is all that one address may have here, and it is enough for each.
func TestPostForm_strangersAreBounded(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{limits: proxy.Limits{Unverified: 8 * 72 << 10}})
	for name, form := range endlessForms {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		answered := make(chan *http.Response, 1)
		go func() {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			answered <- resp
		}()
		_, err = io.WriteString(c, formHead("strangers", 1<<30, "")+form.first)
		var resp *http.Response
		for n, sent := 0, 0; resp == nil && sent < 64<<20; n++ {
			piece := form.then(n)
			if len(piece) < 1<<10 && !strings.Contains(piece, "form-data") {
				piece = strings.Repeat(piece, 1<<10)
			}
			if err == nil {
				_, err = io.WriteString(c, piece)
			}
			sent += len(piece)
			select {
			case resp = <-answered:
			default:
			}
		}
		if resp == nil {
			resp = <-answered
		}
		if resp == nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		if r := (&reply{body: body}); resp.StatusCode != 400 || r.code() != form.code {
			t.Errorf("%s: %d %s, wanted %s", name, resp.StatusCode, body, form.code)
		}
	}
}

// Fields up to the bounds are taken.
func TestPostForm_boundsAreTaken(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	if r := tn.raw().do(t, &request{method: "PUT", path: "/form-bounds"}); r.status != 200 {
		t.Fatal(r.status)
	}
	size := func(fields map[string]string) (n int) {
		for name, value := range fields {
			n += len(name) + len(value)
		}
		return n
	}
	own := signForm(t, tn.key.KeyID, tn.key.Secret, map[string]string{"key": "k"}, "form-bounds")
	for n, want := range map[int]int{20 << 10: 204, 20<<10 + 1: 400} {
		fields := map[string]string{"x-ignore-a": strings.Repeat("v", n-size(own)-len("x-ignore-a"))}
		for name, value := range own {
			fields[name] = value
		}
		if r := sendForm(t, tn, "form-bounds", fields, "x"); r.status != want {
			t.Errorf("%d bytes of fields: %d %s", size(fields), r.status, r.body)
		}
	}
	for n, want := range map[int]int{200: 204, 201: 400} {
		fields := map[string]string{}
		for i := range n - len(own) {
			fields[fmt.Sprint("x-ignore-", i)] = ""
		}
		for name, value := range own {
			fields[name] = value
		}
		if r := sendForm(t, tn, "form-bounds", fields, "x"); r.status != want {
			t.Errorf("%d fields: %d %s", len(fields), r.status, r.body)
		}
	}
	// A file's end and what may stand behind it, around the window that is looked at.
	const window = 1 << 20
	e := tn.raw()
	for _, n := range []int{0, 1, window - 6, window - 5, window - 4, window - 1, window, window + 1, window + 5, 2*window + 1, 5 << 20} {
		file := strings.Repeat("0123456789abcde", n/15+1)[:n]
		if r := postForm(t, tn, "form-bounds", map[string]string{"key": "file"}, "form-bounds", file); r.status != 204 {
			t.Errorf("a file of %d bytes: %d %s", n, r.status, r.body)
		}
		if got := e.do(t, &request{method: "GET", path: "/form-bounds/file"}); string(got.body) != file {
			t.Errorf("a file of %d bytes is stored as one of %d", n, len(got.body))
		}
		q := formRequest(t, "form-bounds", signForm(t, tn.key.KeyID, tn.key.Secret, map[string]string{"key": "followed"}, "form-bounds"), file)
		boundary := q.body[:bytes.Index(q.body, []byte("\r\n"))]
		q.body = append(bytes.TrimSuffix(q.body, []byte("--\r\n")), "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\n\r\n"+string(boundary)+"--\r\n"...)
		r := e.do(t, &q)
		got := e.do(t, &request{method: "GET", path: "/form-bounds/followed"})
		if r.status == 204 && string(got.body) != file || n <= window && r.status != 204 || n > window+64<<10 && r.status != 400 {
			t.Errorf("a file of %d bytes with a field behind it: %d, stored are %d bytes", n, r.status, len(got.body))
		}
		e.do(t, &request{method: "DELETE", path: "/form-bounds/followed"})
	}
}

// TestPostForm_strangersShareABudget: when the strangers at one address hold all
// that those may hold, the next one there is sent away and told when to come
// again, and others' forms and requests go on. When all addresses hold what there
// is, that is so for everybody. When they have gone, however that was, nothing is held.
func TestPostForm_strangersShareABudget(t *testing.T) {
	t.Parallel()
	const ofAddress, most = 256 << 10, 8 * 256 << 10
	g := newGateway(t, options{limits: proxy.Limits{Unverified: most}})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/shared"}); r.status != 200 {
		t.Fatal(r.status)
	}
	held := func() float64 { return g.metric(t, "primecloud_proxy_buffered_bytes") }
	var strangers []net.Conn
	fill := func(network byte, bound float64) {
		before := g.metric(t, "primecloud_proxy_buffer_refusals_total")
		for range ofAddress / (20 << 10) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, network, 1)}}
			c, err := d.Dial("tcp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			strangers = append(strangers, c)
			if _, err := io.WriteString(c, formHead("shared", 1<<30, "")+formField("f", strings.Repeat("v", 19<<10))+"--b\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		testenv.WaitFor(t, "strangers to be refused", func() bool {
			if now := held(); now > bound || now < 0 {
				t.Fatalf("%v bytes are held of %v", now, bound)
			}
			return g.metric(t, "primecloud_proxy_buffer_refusals_total") > before
		})
	}
	fill(1, ofAddress)
	if r := postForm(t, tn, "shared", map[string]string{"key": "k", "x-ignore-a": strings.Repeat("v", 5<<10)}, "shared", "x"); r.status != 204 {
		t.Errorf("a form from elsewhere: %d %s", r.status, r.body)
	}
	for network := byte(2); network <= 9; network++ {
		fill(network, most)
	}
	var r *reply
	testenv.WaitFor(t, "the budget to be all taken", func() bool {
		r = postForm(t, tn, "shared", map[string]string{"key": "k", "x-ignore-a": strings.Repeat("v", 15<<10)}, "shared", "x")
		return r.status == 503
	})
	if r.code() != "SlowDown" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s, Retry-After %q", r.status, r.body, r.header.Get("Retry-After"))
	}
	if r := e.do(t, &request{method: "PUT", path: "/shared/k", body: []byte("x")}); r.status != 200 {
		t.Errorf("another request meanwhile: %d", r.status)
	}
	for i, c := range strangers {
		if i%2 == 0 {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset
		}
		_ = c.Close()
	}
	testenv.WaitFor(t, "all of it to be given back", func() bool { return held() == 0 })
	if r := postForm(t, tn, "shared", map[string]string{"key": "k"}, "shared", "x"); r.status != 204 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// TestPostForm_continue: a client that asks whether to go on is told so when its
// form is verified, and not before.
func TestPostForm_continue(t *testing.T) {
	t.Parallel()
	const expects = "Expect: 100-continue\r\n"
	g := newGateway(t, options{limits: proxy.Limits{ContinueWait: time.Hour}})
	tn := g.tenant()
	if r := tn.raw().do(t, &request{method: "PUT", path: "/continue"}); r.status != 200 {
		t.Fatal(r.status)
	}
	file := strings.Repeat("f", 2<<20)
	good := formRequest(t, "continue", signForm(t, tn.key.KeyID, tn.key.Secret, map[string]string{"key": "k"}, "continue"), file)
	forged := formRequest(t, "continue", signForm(t, tn.key.KeyID, "another secret", map[string]string{"key": "k"}, "continue"), file)
	dial := func(g *gateway) (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		return c, bufio.NewReader(c)
	}
	head := func(q request, lines string) string {
		return fmt.Sprintf("POST /continue HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", q.header.Get("Content-Type"), len(q.body), lines)
	}
	first := func(c net.Conn, br *bufio.Reader, q request, n int) string {
		t.Helper()
		if _, err := io.WriteString(c, head(q, expects)+string(q.body[:n])); err != nil {
			t.Fatal(err)
		}
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	rest := func(name string, c net.Conn, br *bufio.Reader, q request, from int) {
		t.Helper()
		if _, err := br.ReadString('\n'); err != nil { // the blank line
			t.Fatal(err)
		}
		if _, err := c.Write(q.body[from:]); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 204 {
			t.Errorf("%s: %v %v", name, resp, err)
		}
		if got := tn.raw().do(t, &request{method: "GET", path: "/continue/k"}); string(got.body) != file {
			t.Errorf("%s: stored are %d bytes", name, len(got.body))
		}
		tn.raw().do(t, &request{method: "DELETE", path: "/continue/k"})
	}
	fields := bytes.Index(good.body, []byte("fff"))
	c, br := dial(g)
	if got := first(c, br, forged, bytes.Index(forged.body, []byte("fff"))); !strings.Contains(got, " 403 ") {
		t.Errorf("a forged form is told %q", got)
	}
	c, br = dial(g)
	if got := first(c, br, good, fields); !strings.Contains(got, " 100 ") {
		t.Fatalf("a good form is told %q", got)
	}
	rest("after the fields", c, br, good, fields)
	// What is wrong by its head is not asked for its body.
	c, br = dial(g)
	bad := good
	bad.header = headers("Content-Type", "text/plain")
	if got := first(c, br, bad, 0); !strings.Contains(got, " 412 ") {
		t.Errorf("what is no form is told %q", got)
	}
	// A client that waits for as long as it takes is told in the end.
	patient := newGateway(t, options{beside: g, limits: proxy.Limits{ContinueWait: time.Millisecond}})
	c, br = dial(patient)
	if got := first(c, br, good, 0); !strings.Contains(got, " 100 ") {
		t.Fatalf("a client that waits is told %q", got)
	}
	rest("a client that waits", c, br, good, 0)
}
