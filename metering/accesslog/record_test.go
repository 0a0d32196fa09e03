package accesslog_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/accesslog"
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
	r.SetCounted(metering.Key{Account: tenancy.ID{1}, Bucket: tenancy.ID{2}, AccessKey: tenancy.ID{3}, Class: metering.ClassB},
		[]metering.Counted{{Class: metering.ClassB, Hour: at.Truncate(time.Hour), Requests: 1, Egress: 1 << 20, DeclaredEgress: 1 << 20}})
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

func FuzzRecord_AppendLine(f *testing.F) {
	f.Add([]byte("GET"), []byte(`/b/k"\`+"\x00\x1f\x7f\u2028\u2029\xff\xc3"), []byte("<html>&'"), "node", int64(-1), uint8(0))
	f.Add([]byte(""), []byte("\b\f\n\r\t"), []byte("\xed\xa0\x80"), "né\xffd", int64(1<<62), uint8(3))
	f.Fuzz(func(t *testing.T, method, key, agent []byte, node string, n int64, parts uint8) {
		r := typical()
		r.Method, r.Key, r.Target, r.UserAgent, r.Referer, r.Node, r.ObjectSize, r.Elapsed = method, key, key, agent, agent, node, n, time.Duration(n)
		var counted []metering.Counted
		for i := range int64(parts % 4) {
			counted = append(counted, metering.Counted{Class: metering.Class(1 + i), Hour: r.Time.Truncate(time.Hour).Add(time.Duration(i) * time.Hour), Requests: i, Egress: n})
		}
		r.SetCounted(metering.Key{Account: tenancy.ID{9}, Class: metering.ClassFree}, counted)
		line := string(r.AppendLine(nil))
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
	if got := r.Cells(); len(got) != 1 || got[0] != r.Counted || r.Egress != 1<<20 {
		t.Errorf("one cell: %+v", got)
	}
	two := []metering.Counted{{Class: metering.ClassA, Hour: r.Hour, Ingress: 5}, {Class: metering.ClassUnbilled, Hour: r.Hour.Add(time.Hour), Requests: 1, Egress: 7}}
	r.SetCounted(metering.Key{Class: metering.ClassUnbilled}, two)
	if diff := cmp.Diff(two, r.Cells()); diff != "" || r.Ingress != 5 || r.Egress != 7 || r.Requests != 1 || r.Class != metering.ClassUnbilled {
		t.Errorf("two cells: %+v\n%s", r.Counted, diff)
	}
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
