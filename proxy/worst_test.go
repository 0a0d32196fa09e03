package proxy_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
	"github.com/primecloudpro/primecloud/sigv4"
)

var search = flag.Duration("search", 0, "how long TestBeforeVerify_search looks for heads that cost more than those of testdata/worst-heads.txt")

const (
	worstFile = "testdata/worst-heads.txt"
	worstHead = 16 << 10 // Limits.Head
)

// genes make a head: each is a kind of thing, how often it comes, how long it
// is, and how it is varied. A head of few genes is the worst of its kind; the
// search puts them together.
type gene struct{ kind, count, length, vary byte }

// headOf builds the head of genes, of 16 KiB at most, correctly signed as far as
// it can be.
func headOf(genes []gene, host, id string, key *sigv4.SigningKey, now time.Time) []byte {
	method, path, query := "GET", "/photos/k", ""
	var lines []string
	signed := []sigv4.Header{{Name: []byte("host"), Value: []byte(host)}}
	room := worstHead - 700
	line := func(name, value string, sign bool) {
		// A signed name stands in the list too.
		cost := len(name) + len(value) + 4
		if sign && !slices.ContainsFunc(signed, func(h sigv4.Header) bool { return string(h.Name) == name }) {
			cost += len(name) + 1
		}
		if room -= cost; room < 0 {
			return
		}
		lines = append(lines, name+": "+value)
		if sign {
			signed = append(signed, sigv4.Header{Name: []byte(strings.ToLower(name)), Value: []byte(value)})
		}
	}
	param := func(p string) {
		if room -= len(p) + 1; room >= 0 {
			query += "&" + p
		}
	}
	var junk []string
	for _, g := range genes {
		long := int(g.length)
		switch g.kind % 20 {
		case 2, 4, 5, 8, 12, 19:
			method = "PUT" // which takes metadata
		}
		for i := range 1 + int(g.count)*int(1+g.vary%8) {
			pad := strings.Repeat("a", long)
			fill := func(text string) string { return strings.Repeat(text, max(0, min(64*long, room-60))/len(text)) }
			switch g.kind % 20 {
			case 0:
				param(fmt.Sprintf("%s%04d=", pad, i))
			case 1:
				param(fmt.Sprintf("%d=%s", i, strings.Repeat("%ff", long/3)))
			case 2:
				line(fmt.Sprintf("x-amz-meta-%s%04d", pad, i), "", true)
			case 3:
				line(fmt.Sprintf("%s%04d", pad, i), "v", false)
			case 4:
				line("x-amz-meta-a", pad, true)
			case 5:
				line(fmt.Sprintf("x-amz-meta-%d", i), strings.Repeat("b ", long), true)
			case 6:
				param("prefix=" + fill([]string{"/", "a/", "./a", "..a\\", "__XLDIR__a/"}[g.vary%5]))
			case 7:
				path = "/photos/" + strings.Repeat("\xc3\xa9", min(long*2, 500))
			case 8:
				param(fmt.Sprintf("x-amz-meta-%s%04d=%%20", pad, i))
			case 9:
				junk = append(junk, fmt.Sprintf("%s%05d", pad, i))
				room -= long + 6
			case 10:
				line("x-forwarded-for", fill("1.1.1.1,"), false)
			case 11:
				line("connection", fill([]string{", ", ",", "te,", "close, "}[g.vary%4]), false)
			case 12:
				line("x-amz-copy-source", "photos/"+fill("%61"), true)
			case 13:
				line(fmt.Sprintf("%s%04d", pad, i), strings.Repeat("\xe2\x80\x83", long/3), true)
			case 14:
				param(fmt.Sprintf("%cprefix=", 'A'+i%26))
			case 15:
				line("cookie", fill("a=b;"), false)
			case 16:
				param("response-content-disposition=" + fill("%22"))
			case 17:
				line("host", fill("a."), false)
			case 18:
				line("trailer", fill([]string{"a,", ",", "aa, "}[g.vary%3]), false)
			case 19:
				param("X-Amz-Meta-" + pad + "=" + strings.Repeat("+", long))
			}
			if room < 0 {
				break
			}
		}
	}
	target := path
	if query != "" {
		target += "?" + query[1:]
	}
	date := string(sigv4.AppendTime(nil, now))
	signed = append(signed, sigv4.Header{Name: []byte("x-amz-date"), Value: []byte(date)},
		sigv4.Header{Name: []byte("x-amz-content-sha256"), Value: []byte("UNSIGNED-PAYLOAD")})
	var parsed sigv4.Target
	_ = parsed.Parse([]byte(target))
	authorization := string(sigv4.AppendAuthorization(nil, &sigv4.Request{Method: []byte(method), Target: &parsed, Headers: signed}, id, key, []byte("UNSIGNED-PAYLOAD"), now))
	if len(junk) > 0 {
		authorization = strings.Replace(authorization, ",Signature=", ";"+strings.Join(junk, ";")+",Signature=", 1)
	}
	head := method + " " + target + " HTTP/1.1\r\ncontent-length: 0\r\nhost: " + host + "\r\nx-amz-date: " + date + "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nauthorization: " + authorization + "\r\n"
	if len(lines) > 0 {
		head += strings.Join(lines, "\r\n") + "\r\n"
	}
	return []byte(head + "\r\n")
}

// worstHeads are the seeds: the worst of each kind, and what the search found.
func worstHeads(t testing.TB) map[string][]gene {
	t.Helper()
	text, err := os.ReadFile(worstFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]gene{}
	for text := range strings.Lines(string(text)) {
		name, code, ok := strings.Cut(strings.TrimSpace(text), " ")
		if !ok || name == "#" {
			continue
		}
		b, err := hex.DecodeString(code)
		if err != nil || len(b)%4 != 0 {
			t.Fatal(text, err)
		}
		var genes []gene
		for c := range slices.Chunk(b, 4) {
			genes = append(genes, gene{c[0], c[1], c[2], c[3]})
		}
		out[name] = genes
	}
	return out
}

// strangers runs heads through the stages before anybody has proved anything.
type strangers struct {
	a    *proxy.Admission
	tn   *tenant
	key  *sigv4.SigningKey
	now  time.Time
	src  bytes.Reader
	from *bufio.Reader
}

func newStrangers(t testing.TB) *strangers {
	t.Helper()
	g := newGateway(t, options{quiet: true})
	tn := g.tenant()
	conn, _ := testenv.TCPPair(t)
	a, err := g.server.NewAdmission(conn, func(*fasthttp.Request) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	s := &strangers{a: a, tn: tn, now: now, key: sigv4.NewSigningKey(tn.key.Secret, now.Format("20060102"), "us-east-1")}
	s.from = bufio.NewReaderSize(&s.src, worstHead)
	return s
}

func (s *strangers) head(genes []gene) []byte {
	return headOf(genes, "s3.example.test", s.tn.key.KeyID, s.key, s.now)
}

func (s *strangers) run(head []byte) error {
	s.src.Reset(head)
	s.from.Reset(&s.src)
	return s.a.Verify(s.from)
}

// threadTime is the CPU time of this thread: others share the machine.
func threadTime() time.Duration {
	const rusageThread = 1 // RUSAGE_THREAD of getrusage(2)
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBeforeVerify_worst is what a head of 16 KiB can cost before its
// signature was verified: less than a millisecond (docs/decisions/0021).
func BenchmarkBeforeVerify_worst(b *testing.B) {
	s := newStrangers(b)
	heads := worstHeads(b)
	names := make([]string, 0, len(heads))
	for name := range heads {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		head := s.head(heads[name])
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ReportAllocs()
			began := threadTime()
			for b.Loop() {
				_ = s.run(head)
			}
			b.ReportMetric(float64((threadTime()-began).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(len(head)), "head-B")
		})
	}
}

// TestBeforeVerify_search makes heads by chance and from the seeds. None is a
// fault of the gateway's; with -search, the ones that cost most are printed in
// the form of the seeds' file.
func TestBeforeVerify_search(t *testing.T) {
	t.Parallel()
	s := newStrangers(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type found struct {
		genes []gene
		cost  time.Duration
	}
	cost := func(genes []gene) time.Duration {
		head := s.head(genes)
		best := time.Hour
		for range 3 {
			began := threadTime()
			err := s.run(head)
			best = min(best, threadTime()-began)
			if err != nil {
				if status := proxy.StatusOf(err); status >= 500 && status != 501 {
					t.Errorf("%q: %v", head, err)
				}
			}
		}
		return best
	}
	var top []found
	for _, genes := range worstHeads(t) {
		top = append(top, found{genes, cost(genes)})
	}
	r := rand.New(rand.NewPCG(1, 2)) // the same heads each time
	ends := time.Now().Add(*search)
	for n := 0; n < 300 || time.Now().Before(ends); n++ {
		genes := slices.Clone(top[r.IntN(len(top))].genes)
		for range 1 + r.IntN(3) {
			fresh := gene{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
			switch i := r.IntN(len(genes) + 1); {
			case i == len(genes) && len(genes) < 12:
				genes = append(genes, fresh)
			case i < len(genes) && r.IntN(4) == 0 && len(genes) > 1:
				genes = slices.Delete(genes, i, i+1)
			case i < len(genes):
				g := &genes[i]
				*[]*byte{&g.kind, &g.count, &g.length, &g.vary}[r.IntN(4)] = byte(r.Uint32())
			}
		}
		top = append(top, found{genes, cost(genes)})
		slices.SortFunc(top, func(a, b found) int { return int(b.cost - a.cost) })
		top = top[:min(len(top), 40)]
	}
	if *search > 0 {
		for i, f := range top[:8] {
			var code []byte
			for _, g := range f.genes {
				code = append(code, g.kind, g.count, g.length, g.vary)
			}
			t.Logf("found-%d %x %v", i, code, f.cost)
		}
	}
}

// TestBeforeVerify_bounds: what grows with the number of things is bounded by
// the number of things, with a clear answer.
func TestBeforeVerify_bounds(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.do(t, &request{method: "PUT", path: "/bounds"})
	e.do(t, &request{method: "PUT", path: "/bounds/k", body: []byte("x")})
	send := func(params, lines int) *reply {
		q := &request{method: "GET", path: "/bounds/k", query: query(), header: headers(), presign: params > 0}
		own := len([]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"})
		for i := range params - own {
			q.query.Set(fmt.Sprintf("x-amz-meta-%d", i), "")
		}
		r := e.build(t, q)
		own = len([]string{"Host", "User-Agent", "Accept-Encoding"}) + len(r.Header)
		for i := range lines - own {
			r.Header.Set(fmt.Sprintf("Y-%d", i), "v")
		}
		r.Header.Set("Accept-Encoding", "identity")
		resp, err := rawClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		return &reply{resp.StatusCode, resp.Header, body.Bytes()}
	}
	if r := send(0, sigv4.MaxHeaders); r.status != 200 {
		t.Errorf("%d header lines: %d %s", sigv4.MaxHeaders, r.status, r.body)
	}
	if r := send(0, sigv4.MaxHeaders+1); r.status != 400 || r.code() != "RequestHeaderSectionTooLarge" {
		t.Errorf("%d header lines: %d %s", sigv4.MaxHeaders+1, r.status, r.body)
	}
	// Metadata is no business of a GET, and is read over.
	if r := send(sigv4.MaxParams, 0); r.status != 200 {
		t.Errorf("%d parameters: %d %s", sigv4.MaxParams, r.status, r.body)
	}
	if r := send(sigv4.MaxParams+1, 0); r.status != 400 || r.code() != "InvalidArgument" {
		t.Errorf("%d parameters: %d %s", sigv4.MaxParams+1, r.status, r.body)
	}
}
