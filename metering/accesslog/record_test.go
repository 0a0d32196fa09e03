package accesslog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/metering/accesslog"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

func typical() *accesslog.Record {
	at := time.Date(2026, 2, 6, 0, 0, 38, 123456000, time.UTC)
	r := &accesslog.Record{
		Time: at, RequestID: accesslog.Text("3E57427F3EEXAMPLE"), Node: "gateway-1", HostID: "s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuN",
		Remote: netip.MustParseAddr("192.0.2.3"), Operation: "GetObject", Method: accesslog.Text("GET"), Protocol: accesslog.Text("HTTP/1.1"), Status: 200,
		OwnerID: tenancy.ID{1}, Owner: "acme", Bucket: accesslog.Text("photos"), Key: accesslog.Text("2026/02/a b.jpg"),
		Requester: "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", AccessKey: "PC7Q2EXAMPLE", Auth: "header",
		Target: accesslog.Text("/photos/2026/02/a%20b.jpg"), Host: accesslog.Text("s3.example.test"), UserAgent: accesslog.Text("aws-sdk-go-v2/1.30.3 os/linux lang/go#1.26"),
		TLS: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ObjectSize: 1 << 20, Elapsed: 12 * time.Millisecond, Backend: 3 * time.Millisecond,
	}
	r.SetCounted(usage.Key{Account: tenancy.ID{1}, Bucket: tenancy.ID{2}, AccessKey: tenancy.ID{3}, Class: usage.ClassB},
		[]usage.Delta{{Class: usage.ClassB, Hour: at.Truncate(time.Hour), Requests: 1, Egress: 1 << 20, DeclaredEgress: 1 << 20}})
	return r
}

// The oracle: encoding/json without HTML escapes.
func plainJSON(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bounds are in bytes of the line, by the field's name.
var bounds = map[string]int{"Target": 2 << 10, "UserAgent": 512, "Referer": 512, "Key": 3 << 10, "Host": 272}

func bound(field string) int {
	if most, ok := bounds[field]; ok {
		return most
	}
	return 256
}

// textFields are all fields of a record that are texts.
func textFields(r *accesslog.Record, f func(name string, v reflect.Value)) {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		switch v.Field(i).Interface().(type) {
		case string, accesslog.Text:
			f(v.Type().Field(i).Name, v.Field(i))
		}
	}
}

// shortened cuts the record's texts as a line of it may have them: an oracle
// that encodes character by character.
func shortened(t testing.TB, r *accesslog.Record) {
	t.Helper()
	textFields(r, func(name string, v reflect.Value) {
		s, most := fmt.Sprint(v.Interface()), bound(name)
		if len(plainJSON(t, s))-3 <= most { // quotes and a line feed
			return
		}
		end, size := 0, len("...[cut]")
		for end < len(s) {
			_, width := utf8.DecodeRuneInString(s[end:])
			if size += len(plainJSON(t, s[end:end+width])) - 3; size > most {
				break
			}
			end += width
		}
		if i := strings.LastIndexByte(s[:end], '%'); i >= 0 && end-i < 3 {
			end = i
		}
		v.Set(reflect.ValueOf(s[:end] + "...[cut]").Convert(v.Type()))
	})
}

// worstTexts are what costs a line most, by what it is made of.
var worstTexts = map[string]string{
	"letters": "a", "quotes": `"`, "controls": "\x01", "no UTF-8": "\xff", "half a character": "\xe2\x82", "surrogates": "\xed\xa0\x80", "letters of two bytes": "é",
	"of four": "\U0001f600", "line separators": "\u2028", "escapes": "%41", "a mixture": "a\"\x00\xffé%4\u2028",
}

var halfEscape = regexp.MustCompile(`%[0-9A-Fa-f]?\.\.\.\[cut\]`)

// No text costs more bytes of a line than its bound, in the node's files and in
// the delivered ones, whatever it is made of and however long it is; what is
// cut says so, and what is left is the beginning, in whole characters.
func TestRecord_bounds(t *testing.T) {
	t.Parallel()
	fields := 0
	textFields(typical(), func(string, reflect.Value) { fields++ })
	if fields < 18 {
		t.Fatalf("%d texts are not all", fields)
	}
	for kind, unit := range worstTexts {
		for _, size := range []int{1, 200, 240, 255, 256, 257, 500, 512, 513, 1 << 10, 2 << 10, 3 << 10, 3<<10 + 1, 64 << 10} {
			text := strings.Repeat(unit, size/len(unit)+1)[:max(size, len(unit))]
			r := typical()
			textFields(r, func(_ string, v reflect.Value) { v.Set(reflect.ValueOf(text).Convert(v.Type())) })
			line := r.AppendLine(nil)
			if len(line) > 12<<10 {
				t.Fatalf("%s, %d bytes each: a line of %d", kind, size, len(line))
			}
			var back accesslog.Record
			if err := json.Unmarshal(line, &back); err != nil {
				t.Fatalf("%s, %d bytes each: %v", kind, size, err)
			}
			textFields(&back, func(name string, v reflect.Value) {
				s := fmt.Sprint(v.Interface())
				begin, cut := strings.CutSuffix(s, "...[cut]")
				if got := len(plainJSON(t, s)) - 3; got > bound(name) {
					t.Errorf("%s, %d bytes: %s takes %d", kind, size, name, got)
				}
				if cut && size < bound(name)/6 {
					t.Errorf("%s, %d bytes: %s is cut", kind, size, name)
				}
				if !strings.HasPrefix(coerced(text), begin) || !cut && begin != coerced(text) {
					t.Errorf("%s, %d bytes: %s is not the beginning of it: %q", kind, size, name, begin)
				}
				if i := strings.LastIndexByte(begin, '%'); cut && i >= 0 && len(begin)-i < 3 {
					t.Errorf("%s, %d bytes: %s ends in half an escape: %q", kind, size, name, begin[i:])
				}
			})
			if again := string(back.AppendLine(nil)); len(again) > 12<<10 {
				t.Errorf("%s, %d bytes: written again it is %d bytes", kind, size, len(again))
			}
			delivered := accesslog.AppendS3Line(nil, &back, &tenancy.LoggedBucket{Name: "b"}, "eu-1")
			if len(delivered) > 12<<10 || !utf8.Valid(delivered) {
				t.Errorf("%s, %d bytes: the delivered line is %d bytes", kind, size, len(delivered))
			}
			if m := halfEscape.Find(delivered); m != nil {
				t.Errorf("%s, %d bytes: half an escape: %q", kind, size, m)
			}
		}
	}
}

// A key that can exist is whole in a delivered line.
func TestRecord_keysAreWhole(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"a", "é", "\U0001f600", " "} {
		r := typical()
		r.Key = accesslog.Text(strings.Repeat(unit, 1024/len(unit)))
		line := accesslog.AppendS3Line(nil, r, &tenancy.LoggedBucket{}, "eu-1")
		if want := strings.ReplaceAll(url.QueryEscape(r.Key.String()), "+", "%20"); !bytes.Contains(line, []byte(" "+want+" ")) {
			t.Errorf("%d times %q is cut: %s", 1024/len(unit), unit, line)
		}
	}
}

// coerced is what JSON makes of what is not UTF-8.
func coerced(s string) string { return string([]rune(s)) }

func FuzzRecord_AppendLine(f *testing.F) {
	f.Add([]byte("GET"), []byte(`/b/k"\`+"\x00\x1f\x7f\u2028\u2029\xff\xc3"), []byte("<html>&'"), "node", int64(-1), uint8(0))
	f.Add([]byte("\xff"), bytes.Repeat([]byte("%4\xff"), 1200), bytes.Repeat([]byte("\u2028"), 90), "n", int64(1), uint8(2))
	f.Add([]byte(""), []byte("\b\f\n\r\t"), []byte("\xed\xa0\x80"), "né\xffd", int64(1<<62), uint8(3))
	f.Fuzz(func(t *testing.T, method, key, agent []byte, node string, n int64, parts uint8) {
		r := typical()
		r.Method, r.Key, r.Target, r.UserAgent, r.Referer, r.Node, r.ObjectSize, r.Elapsed = method, key, key, agent, agent, node, n, time.Duration(n)
		var counted []usage.Delta
		for i := range int64(parts % 4) {
			counted = append(counted, usage.Delta{Class: usage.Class(1 + i), Hour: r.Time.Truncate(time.Hour).Add(time.Duration(i) * time.Hour), Requests: i, Egress: n})
		}
		r.SetCounted(usage.Key{Account: tenancy.ID{9}, Class: usage.ClassFree}, counted)
		line := string(r.AppendLine(nil))
		shortened(t, r)
		if want := plainJSON(t, r); line != want {
			t.Fatalf("line %q\njson %q", line, want)
		}
		var back, oracle accesslog.Record
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(plainJSON(t, r)), &oracle); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(oracle, back, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
		replaced := func(s string) string { return strings.ReplaceAll(s, "\ufffd", `\ufffd`) }
		if again := string(back.AppendLine(nil)); replaced(again) != replaced(line) {
			t.Fatalf("read and written again %q, was %q", again, line)
		}
	})
}

func TestRecord_Cells(t *testing.T) {
	t.Parallel()
	r := typical()
	if got := r.Cells(); len(got) != 1 || got[0] != r.Delta || r.Egress != 1<<20 {
		t.Errorf("one cell: %+v", got)
	}
	two := []usage.Delta{{Class: usage.ClassA, Hour: r.Hour, Ingress: 5}, {Class: usage.ClassUnbilled, Hour: r.Hour.Add(time.Hour), Requests: 1, Egress: 7}}
	r.SetCounted(usage.Key{Class: usage.ClassUnbilled}, two)
	if diff := cmp.Diff(two, r.Cells()); diff != "" || r.Ingress != 5 || r.Egress != 7 || r.Requests != 1 || r.Class != usage.ClassUnbilled {
		t.Errorf("two cells: %+v\n%s", r.Delta, diff)
	}
}

// What a stranger's line costs who sends as much as a head may hold, of the
// bytes that cost most.
func BenchmarkRecord_AppendLine_worst(b *testing.B) {
	r := typical()
	r.Requester, r.AccessKey = "", ""
	r.UserAgent = bytes.Repeat([]byte{0xff}, 15<<10)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendLine(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "line-bytes")
}

// A line costs about a microsecond at most, and no allocation.
func BenchmarkRecord_AppendLine(b *testing.B) {
	r, buf := typical(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendLine(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
