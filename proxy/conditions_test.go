package proxy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// tenBytes is the object that is read. Its parts are its digits.
const tenBytes = "0123456789"

// wholeObject and the like are what a row wants: the bytes that come, or the status.
const (
	wholeObject   = "200 " + tenBytes
	notModified   = "304"
	failedBefore  = "412 PreconditionFailed"
	unsatisfiable = "416 InvalidRange"
)

// readForms are forms of a request for tenBytes, of which {tag} is the entity tag
// and {at}, {before} and {after} are dates.
var readForms = []struct {
	name   string
	header []string
	want   string
	asks   int // requests to a backend that reads ranges and no conditions; 0: 1
}{
	// RFC 9110 section 14.1.2, and what section 14.2 has ignored.
	{name: "first", header: []string{"Range", "bytes=0-0"}, want: "206 0"},
	{name: "inside", header: []string{"Range", "bytes=2-5"}, want: "206 2345"},
	{name: "open", header: []string{"Range", "bytes=7-"}, want: "206 789"},
	{name: "over the end", header: []string{"Range", "bytes=8-15"}, want: "206 89"},
	{name: "all", header: []string{"Range", "bytes=0-9"}, want: "206 " + tenBytes},
	{name: "suffix", header: []string{"Range", "bytes=-3"}, want: "206 789"},
	{name: "long suffix", header: []string{"Range", "bytes=-11"}, want: "206 " + tenBytes},
	{name: "suffix of 40 digits", header: []string{"Range", "bytes=-" + strings.Repeat("9", 40)}, want: "206 " + tenBytes},
	{name: "empty suffix", header: []string{"Range", "bytes=-0"}, want: unsatisfiable},
	{name: "behind the end", header: []string{"Range", "bytes=10-"}, want: unsatisfiable},
	{name: "behind the end, closed", header: []string{"Range", "bytes=10-12"}, want: unsatisfiable},
	{name: "2^63", header: []string{"Range", "bytes=9223372036854775808-"}, want: unsatisfiable},
	{name: "40 digits", header: []string{"Range", "bytes=" + strings.Repeat("9", 40) + "-"}, want: unsatisfiable},
	{name: "to 2^63", header: []string{"Range", "bytes=8-9223372036854775808"}, want: "206 89"},
	{name: "to 40 digits", header: []string{"Range", "bytes=8-" + strings.Repeat("9", 40)}, want: "206 89"},
	{name: "zeros ahead", header: []string{"Range", "bytes=0000000000000000000000002-0003"}, want: "206 23"},
	{name: "unit in capitals", header: []string{"Range", "Bytes=2-3"}, want: "206 23"},
	{name: "empty elements", header: []string{"Range", "bytes=,2-3 , ,"}, want: "206 23"},
	{name: "backwards", header: []string{"Range", "bytes=8-3"}, want: wholeObject},
	{name: "backwards behind the end", header: []string{"Range", "bytes=12-11"}, want: wholeObject},
	{name: "two", header: []string{"Range", "bytes=0-1,4-5"}, want: wholeObject},
	{name: "two, one behind the end", header: []string{"Range", "bytes=0-1,40-50"}, want: wholeObject},
	{name: "overlapping", header: []string{"Range", "bytes=0-" + strings.Repeat(",0-", 500)}, want: wholeObject},
	{name: "nothing", header: []string{"Range", "bytes="}, want: wholeObject},
	{name: "hyphen", header: []string{"Range", "bytes=-"}, want: wholeObject},
	{name: "commas", header: []string{"Range", "bytes=,,"}, want: wholeObject},
	{name: "no unit", header: []string{"Range", "2-3"}, want: wholeObject},
	{name: "other unit", header: []string{"Range", "items=2-3"}, want: wholeObject},
	{name: "space before the sign", header: []string{"Range", "bytes =2-3"}, want: wholeObject},
	{name: "space behind the sign", header: []string{"Range", "bytes= 2-3"}, want: wholeObject},
	{name: "space inside", header: []string{"Range", "bytes=2 -3"}, want: wholeObject},
	{name: "plus", header: []string{"Range", "bytes=+2-3"}, want: wholeObject},
	{name: "minus", header: []string{"Range", "bytes=2--3"}, want: wholeObject},
	{name: "hexadecimal", header: []string{"Range", "bytes=0x2-0x3"}, want: wholeObject},
	{name: "three positions", header: []string{"Range", "bytes=2-3-4"}, want: wholeObject},
	{name: "of all", header: []string{"Range", "bytes=2-3/10"}, want: wholeObject},
	{name: "one position", header: []string{"Range", "bytes=2"}, want: wholeObject},
	{name: "empty", header: []string{"Range", ""}, want: wholeObject},

	// Section 13.1.5.
	{name: "if-range", header: []string{"Range", "bytes=2-3", "If-Range", `{tag}`}, want: "206 23"},
	{name: "if-range stale", header: []string{"Range", "bytes=2-3", "If-Range", `"stale"`}, want: wholeObject, asks: 2},
	{name: "if-range weak", header: []string{"Range", "bytes=2-3", "If-Range", `W/{tag}`}, want: wholeObject, asks: 2},
	{name: "if-range list", header: []string{"Range", "bytes=2-3", "If-Range", `{tag}, "b"`}, want: wholeObject, asks: 2},
	{name: "if-range any", header: []string{"Range", "bytes=2-3", "If-Range", `*`}, want: wholeObject, asks: 2},
	{name: "if-range without quotes", header: []string{"Range", "bytes=2-3", "If-Range", `{bare}`}, want: "206 23"},
	{name: "if-range date", header: []string{"Range", "bytes=2-3", "If-Range", `{at}`}, want: "206 23"},
	{name: "if-range date, RFC 850", header: []string{"Range", "bytes=2-3", "If-Range", `{850}`}, want: "206 23"},
	{name: "if-range date, asctime", header: []string{"Range", "bytes=2-3", "If-Range", `{asctime}`}, want: "206 23"},
	{name: "if-range earlier date", header: []string{"Range", "bytes=2-3", "If-Range", `{before}`}, want: wholeObject, asks: 2},
	{name: "if-range later date", header: []string{"Range", "bytes=2-3", "If-Range", `{after}`}, want: wholeObject, asks: 2},
	{name: "if-range no date", header: []string{"Range", "bytes=2-3", "If-Range", `yesterday`}, want: wholeObject, asks: 2},
	{name: "if-range empty", header: []string{"Range", "bytes=2-3", "If-Range", ``}, want: "206 23"},
	{name: "if-range without range", header: []string{"If-Range", `"stale"`}, want: wholeObject},
	{name: "if-range with an ignored range", header: []string{"Range", "bytes=8-3", "If-Range", `{tag}`}, want: wholeObject},
	{name: "if-range, behind the end", header: []string{"Range", "bytes=10-", "If-Range", `{tag}`}, want: unsatisfiable, asks: 3},
	{name: "if-range stale, behind the end", header: []string{"Range", "bytes=10-", "If-Range", `"stale"`}, want: wholeObject, asks: 2},
	{name: "if-range stale, suffix", header: []string{"Range", "bytes=-3", "If-Range", `"stale"`}, want: wholeObject, asks: 2},

	// Sections 13.1.1 to 13.1.4.
	{name: "if-match", header: []string{"If-Match", `{tag}`}, want: wholeObject},
	{name: "if-match without quotes", header: []string{"If-Match", `{bare}`}, want: wholeObject},
	{name: "if-match list", header: []string{"If-Match", `"a", {tag} ,,"b"`}, want: wholeObject},
	{name: "if-match list with commas in tags", header: []string{"If-Match", `"a,b",{tag}`}, want: wholeObject},
	{name: "if-match any", header: []string{"If-Match", `*`}, want: wholeObject},
	{name: "if-match stale", header: []string{"If-Match", `"stale"`}, want: failedBefore},
	{name: "if-match stale list", header: []string{"If-Match", `"stale", "a"`}, want: failedBefore},
	{name: "if-match weak", header: []string{"If-Match", `W/{tag}`}, want: failedBefore},
	{name: "if-match tag in another", header: []string{"If-Match", `"a {bare}", "{bare}b"`}, want: failedBefore},
	{name: "if-none-match", header: []string{"If-None-Match", `{tag}`}, want: notModified},
	{name: "if-none-match weak", header: []string{"If-None-Match", `W/{tag}`}, want: notModified},
	{name: "if-none-match list", header: []string{"If-None-Match", `"a", W/"b", {tag}`}, want: notModified},
	{name: "if-none-match any", header: []string{"If-None-Match", `*`}, want: notModified},
	{name: "if-none-match other", header: []string{"If-None-Match", `"stale"`}, want: wholeObject},
	{name: "if-none-match other list", header: []string{"If-None-Match", `"stale", "a"`}, want: wholeObject},
	{name: "if-modified-since", header: []string{"If-Modified-Since", `{at}`}, want: notModified},
	{name: "if-modified-since later", header: []string{"If-Modified-Since", `{after}`}, want: notModified},
	{name: "if-modified-since earlier", header: []string{"If-Modified-Since", `{before}`}, want: wholeObject},
	{name: "if-modified-since, asctime", header: []string{"If-Modified-Since", `{asctime}`}, want: notModified},
	{name: "if-modified-since no date", header: []string{"If-Modified-Since", `2999-01-01T00:00:00Z`}, want: wholeObject},
	{name: "if-unmodified-since", header: []string{"If-Unmodified-Since", `{at}`}, want: wholeObject},
	{name: "if-unmodified-since later", header: []string{"If-Unmodified-Since", `{after}`}, want: wholeObject},
	{name: "if-unmodified-since earlier", header: []string{"If-Unmodified-Since", `{before}`}, want: failedBefore},
	{name: "if-unmodified-since, RFC 850", header: []string{"If-Unmodified-Since", `{850}`}, want: wholeObject},
	{name: "if-unmodified-since no date", header: []string{"If-Unmodified-Since", `1999-01-01T00:00:00Z`}, want: wholeObject},

	// Section 13.2.2, and the same in the words of AWS's page on GetObject.
	{name: "match, modified", header: []string{"If-Match", `{tag}`, "If-Unmodified-Since", `{before}`}, want: wholeObject},
	{name: "no match, unmodified", header: []string{"If-Match", `"stale"`, "If-Unmodified-Since", `{after}`}, want: failedBefore},
	{name: "none match, unmodified", header: []string{"If-None-Match", `"stale"`, "If-Modified-Since", `{after}`}, want: wholeObject},
	{name: "match, modified since", header: []string{"If-None-Match", `{tag}`, "If-Modified-Since", `{before}`}, want: notModified},
	{name: "no match before none match", header: []string{"If-Match", `"stale"`, "If-None-Match", `{tag}`}, want: failedBefore},
	{name: "match and none match", header: []string{"If-Match", `{tag}`, "If-None-Match", `{tag}`}, want: notModified},
	{name: "modified before not modified", header: []string{"If-Unmodified-Since", `{before}`, "If-Modified-Since", `{after}`}, want: failedBefore},
	{name: "conditions before the range", header: []string{"Range", "bytes=2-3", "If-None-Match", `{tag}`}, want: notModified},
	{name: "conditions that hold, and a range", header: []string{"Range", "bytes=2-3", "If-Match", `"a", {tag}`, "If-None-Match", `"a"`}, want: "206 23"},
	{name: "conditions before what is behind the end", header: []string{"Range", "bytes=10-", "If-None-Match", `{tag}`}, want: notModified, asks: 2},
	{name: "failed, behind the end", header: []string{"Range", "bytes=10-", "If-Match", `"stale"`}, want: failedBefore, asks: 2},
	{name: "held, behind the end", header: []string{"Range", "bytes=10-", "If-Match", `{tag}`}, want: unsatisfiable, asks: 3},
	{name: "conditions before if-range", header: []string{"Range", "bytes=2-3", "If-Match", `"stale"`, "If-Range", `{tag}`}, want: failedBefore},
	{name: "all that hold", header: []string{"Range", "bytes=2-3", "If-Match", `{tag}`, "If-None-Match", `"a"`, "If-Modified-Since", `{after}`, "If-Unmodified-Since", `{before}`, "If-Range", `{tag}`}, want: "206 23"},
	{name: "all that hold, but for if-range", header: []string{"Range", "bytes=2-3", "If-Match", `{tag}`, "If-None-Match", `"a"`, "If-Range", `"stale"`}, want: wholeObject, asks: 2},
}

// readResponse is an answer in the words of the table.
func readResponse(r *reply, head bool) string {
	switch {
	case r.status == 304:
		return "304"
	case r.status >= 300 && head:
		return strconv.Itoa(r.status)
	case r.status >= 300:
		return strconv.Itoa(r.status) + " " + r.code()
	}
	body := string(r.body)
	if head {
		body = strings.Repeat("x", max(0, int(numberOf(r.header.Get("Content-Length")))))
	}
	return fmt.Sprintf("%d %s", r.status, body)
}

func numberOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1 // what is compared with it is none
	}
	return n
}

// checkReads tries every form on an object, with GET and with HEAD, and calls
// after behind each of them.
func checkReads(t *testing.T, e *endpoint, path string, q map[string]string, after func(t *testing.T, name string, asks int)) {
	t.Helper()
	head := e.must(t, &request{method: "HEAD", path: path, query: query(flatten(q)...)})
	at, err := http.ParseTime(head.header.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	tag := head.header.Get("Etag")
	fill := strings.NewReplacer("{tag}", tag, "{bare}", strings.Trim(tag, `"`), "{at}", at.Format(http.TimeFormat),
		"{before}", at.Add(-time.Second).Format(http.TimeFormat), "{after}", at.Add(time.Second).Format(http.TimeFormat),
		"{850}", strings.Replace(at.Format(time.RFC850), "UTC", "GMT", 1), "{asctime}", at.Format(time.ANSIC))
	for _, f := range readForms {
		for _, method := range []string{"GET", "HEAD"} {
			r := e.do(t, &request{method: method, path: path, query: query(flatten(q)...), edit: func(r *http.Request) {
				for i := 0; i < len(f.header); i += 2 {
					r.Header[f.header[i]] = []string{fill.Replace(f.header[i+1])}
				}
			}})
			want := f.want
			if method == "HEAD" {
				status, rest, _ := strings.Cut(want, " ")
				if want = status; status < "3" {
					want += " " + strings.Repeat("x", len(rest))
				}
			}
			if got := readResponse(r, method == "HEAD"); got != want {
				t.Errorf("%s %s %q: %s, wanted %s", method, f.name, f.header, got, want)
			}
			if r.status == 206 && f.want != "206 "+tenBytes || r.status == 206 && method == "GET" {
				first := strings.Index(tenBytes, strings.TrimPrefix(f.want, "206 "))
				if got, want := r.header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/10", first, first+len(f.want)-5); got != want {
					t.Errorf("%s %s: Content-Range %q, wanted %q", method, f.name, got, want)
				}
			}
			if r.status != 206 && r.status != 416 && r.header.Get("Content-Range") != "" {
				t.Errorf("%s %s: %d with Content-Range %q", method, f.name, r.status, r.header.Get("Content-Range"))
			}
			if r.status == 304 && r.header.Get("Etag") != tag {
				t.Errorf("%s %s: 304 with the ETag %q", method, f.name, r.header.Get("Etag"))
			}
			if after != nil {
				after(t, method+" "+f.name, max(1, f.asks))
			}
		}
	}
}

func flatten(q map[string]string) (pairs []string) {
	for k, v := range q {
		pairs = append(pairs, k, v)
	}
	return pairs
}

// age waits until the second of an object's Last-Modified is over.
func age(t *testing.T, e *endpoint, path string) {
	t.Helper()
	testenv.WaitFor(t, "the second in which "+path+" was written to be over", func() bool {
		r := e.must(t, &request{method: "HEAD", path: path})
		at, _ := http.ParseTime(r.header.Get("Last-Modified"))
		now, _ := http.ParseTime(r.header.Get("Date"))
		return now.Sub(at) > time.Second
	})
}

// TestReads_rfc9110: ranges and conditions are those of RFC 9110, of an object and
// of a version of it. What was seen with MinIO: If-Range was ignored, so that a
// download that went on was made of two objects.
func TestReads_rfc9110(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/reads"})
	e.must(t, &request{method: "PUT", path: "/reads/k", body: []byte(tenBytes)})
	e.must(t, &request{method: "PUT", path: "/reads", query: query("versioning", ""),
		body: []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)})
	version := e.must(t, &request{method: "PUT", path: "/reads/v", body: []byte(tenBytes)}).header.Get("X-Amz-Version-Id")
	e.must(t, &request{method: "PUT", path: "/reads/v", body: []byte("the version behind it")})
	age(t, e, "/reads/v")
	checkReads(t, e, "/reads/k", nil, nil)
	checkReads(t, e, "/reads/v", map[string]string{"versionId": version}, nil)
	// No byte of an empty object can be named, and there is no Content-Range that
	// says so: RFC 9110 section 14.4.
	e.must(t, &request{method: "PUT", path: "/reads/empty"})
	for value, want := range map[string]int{"bytes=0-": 416, "bytes=0-0": 416, "bytes=-0": 416, "bytes=-1": 200, "bytes=1-0": 200} {
		if r := e.do(t, &request{method: "GET", path: "/reads/empty", header: headers("Range", value)}); r.status != want || r.status == 200 && r.header.Get("Content-Range") != "" {
			t.Errorf("%s of an empty object: %d, Content-Range %q", value, r.status, r.header.Get("Content-Range"))
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		r := e.do(t, &request{method: method, path: "/reads/k", query: query("partNumber", "1"), header: headers("Range", "bytes=0-1")})
		if r.status != 400 || method == "GET" && r.code() != "InvalidRequest" {
			t.Errorf("%s of a part with a range: %d %s", method, r.status, r.code())
		}
		r = e.do(t, &request{method: method, path: "/reads/k", query: query("partNumber", "1"), header: headers("If-Range", `"stale"`)})
		if r.status != 206 && r.status != 200 {
			t.Errorf("%s of a part with If-Range: %d %s", method, r.status, r.body)
		}
	}
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		r := e.do(t, &request{method: "GET", path: "/reads/k", edit: func(r *http.Request) { r.Header[name] = []string{"bytes=0-1", "bytes=0-1"} }})
		if r.status != 400 {
			t.Errorf("%s twice: %d", name, r.status)
		}
	}
}

// A download that is resumed after the object was replaced starts anew.
func TestReads_resumed(t *testing.T) {
	t.Parallel()
	e := newGateway(t, options{}).tenant().raw()
	e.must(t, &request{method: "PUT", path: "/resumed"})
	e.must(t, &request{method: "PUT", path: "/resumed/k", body: []byte("the first object")})
	first := e.must(t, &request{method: "GET", path: "/resumed/k", header: headers("Range", "bytes=0-9")})
	resume := &request{method: "GET", path: "/resumed/k", header: headers("Range", "bytes=10-", "If-Range", first.header.Get("Etag"))}
	if r := e.must(t, resume); r.status != 206 || string(first.body)+string(r.body) != "the first object" {
		t.Errorf("resumed: %d, %q and %q", r.status, first.body, r.body)
	}
	for _, other := range []string{"the other object, which is longer", "short"} {
		e.must(t, &request{method: "PUT", path: "/resumed/k", body: []byte(other)})
		if r := e.do(t, resume); r.status != 200 || string(r.body) != other {
			t.Errorf("resumed after %q was put in its place: %d %q", other, r.status, r.body)
		}
	}
}

// stubborn is a backend that reads ranges as it should, and answers conditions,
// when there are any, with a status of its own liking.
type stubborn struct {
	body  string
	tag   string
	at    time.Time
	likes int // 304 or 412; 0: it ignores conditions
}

func (s *stubborn) answer(q *recorded) string {
	if q.method != "GET" && q.method != "HEAD" || strings.Count(q.target, "/") < 2 {
		return ""
	}
	head := fmt.Sprintf("etag: %s\r\nlast-modified: %s\r\ndate: %s\r\nconnection: close\r\n", s.tag, s.at.Format(http.TimeFormat), time.Now().UTC().Format(http.TimeFormat))
	say := func(status int, lines, body string) string {
		length := len(body)
		if q.method == "HEAD" {
			body = ""
		}
		return fmt.Sprintf("HTTP/1.1 %d X\r\n%s%scontent-length: %d\r\n\r\n%s", status, head, lines, length, body)
	}
	if s.likes != 0 && slices.ContainsFunc(q.names, func(n string) bool { return strings.HasPrefix(n, "if-") }) {
		if s.likes == 304 {
			return say(304, "", "")
		}
		return say(412, "", "<Error><Code>PreconditionFailed</Code></Error>")
	}
	value, ranged := q.header["range"]
	if !ranged {
		return say(200, "", s.body)
	}
	a, b, _ := strings.Cut(strings.TrimPrefix(value, "bytes="), "-")
	first, last := 0, len(s.body)-1
	if a == "" {
		n := numberOf(b)
		first = max(0, len(s.body)-int(n))
	} else {
		first = int(numberOf(a))
		if b != "" {
			last = min(last, int(numberOf(b)))
		}
	}
	if first > last || first < 0 {
		return say(416, "", "<Error><Code>InvalidRange</Code></Error>")
	}
	return say(206, fmt.Sprintf("content-range: bytes %d-%d/%d\r\n", first, last, len(s.body)), s.body[first:last+1])
}

// TestReads_anyBackend: the answers are the same whatever a backend makes of
// conditions, of either kind, and none sees If-Range, or a range that is to be
// ignored. A request without conditions is asked once.
func TestReads_anyBackend(t *testing.T) {
	t.Parallel()
	for _, kind := range []tenancy.BackendKind{tenancy.BackendMinIO, tenancy.BackendS3} {
		for _, likes := range []int{0, 304, 412} {
			rec := newRecorder(t)
			g := newGateway(t, options{names: true, kind: kind, minio: &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}})
			e := g.tenant().raw()
			e.must(t, &request{method: "PUT", path: "/reads"})
			rec.answers((&stubborn{body: tenBytes, tag: `"tag-10"`, at: time.Now().UTC().Add(-time.Hour).Truncate(time.Second), likes: likes}).answer)
			rec.take(t)
			taken := false
			checkReads(t, e, "/reads/k", nil, func(t *testing.T, name string, asks int) {
				got := rec.take(t)
				if !taken { // the look at the object
					got, taken = got[1:], true
				}
				for _, q := range got {
					if _, there := q.header["if-range"]; there || q.fault != nil {
						t.Errorf("%s: the backend was sent %v, %v", name, q.header, q.fault)
					}
				}
				if likes == 0 && len(got) != asks {
					t.Errorf("%s: the backend was asked %d times, wanted %d", name, len(got), asks)
				}
			})
		}
	}
}

// A date is no validator while its second lasts: another object may come that
// has the same one (RFC 9110 section 8.8.2.2). Nor is what the backend does not
// say.
func TestReads_weakDates(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	g := newGateway(t, options{names: true, minio: &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/reads"})
	at := time.Now().UTC().Truncate(time.Second)
	date := at.Format(http.TimeFormat)
	for lines, want := range map[string]int{
		"last-modified: " + date + "\r\ndate: " + date + "\r\n":                                         200,
		"last-modified: " + date + "\r\ndate: " + at.Add(time.Second).Format(http.TimeFormat) + "\r\n":  206,
		"date: " + at.Add(time.Hour).Format(http.TimeFormat) + "\r\n":                                   200,
		"etag: \"" + date + "\"\r\ndate: " + at.Add(time.Hour).Format(http.TimeFormat) + "\r\n":         200,
		"last-modified: yesterday\r\ndate: " + at.Add(time.Hour).Format(http.TimeFormat) + "\r\n":       200,
		"last-modified: " + at.Add(time.Second).Format(http.TimeFormat) + "\r\n":                        200,
		"last-modified: " + at.Add(-time.Second).Format(http.TimeFormat) + "\r\ndate: " + date + "\r\n": 200,
	} {
		rec.answers(func(q *recorded) string {
			if q.header["range"] == "" {
				return "HTTP/1.1 200 OK\r\nconnection: close\r\n" + lines + "content-length: 3\r\n\r\nabc"
			}
			return "HTTP/1.1 206 X\r\nconnection: close\r\n" + lines + "content-range: bytes 1-2/3\r\ncontent-length: 2\r\n\r\nbc"
		})
		if r := e.do(t, &request{method: "GET", path: "/reads/k", header: headers("Range", "bytes=1-", "If-Range", date)}); r.status != want {
			t.Errorf("%q: %d, wanted %d", lines, r.status, want)
		}
	}
}

// A backend that never gives what it is asked for is asked a few times.
func TestReads_restless(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	g := newGateway(t, options{names: true, minio: &devstack.MinIO{Endpoint: "http://" + rec.l.Addr().String(), AccessKey: "backend", SecretKey: "backend-secret"}})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/reads"})
	rec.take(t)
	rec.answers(func(*recorded) string {
		return "HTTP/1.1 206 X\r\nconnection: close\r\netag: \"a\"\r\ncontent-range: bytes 1-2/3\r\ncontent-length: 2\r\n\r\nbc"
	})
	r := e.do(t, &request{method: "GET", path: "/reads/k", header: headers("Range", "bytes=1-", "If-Range", `"b"`)})
	if n := len(rec.take(t)); r.status != 503 || n > 6 {
		t.Errorf("%d after %d requests", r.status, n)
	}
}
