package proxy_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// asking are headers of S3 and of those around it that ask for nothing where they
// are sent: what says who asks, what only another operation has a use for, and
// what says of something that is not there that it is off.
var asking = http.Header{
	"X-Amz-Api-Version":                {"2006-03-01"},
	"X-Amz-Id-2":                       {"eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran"},
	"X-Amz-Request-Id":                 {"318BC8BC148832E5"},
	"X-Amz-Sdk-Invocation-Id":          {"4d4f1c3b"},
	"X-Amz-Sdk-Request":                {"attempt=2; max=3"},
	"X-Amz-Cf-Id":                      {"C7xV1o"},
	"X-Amz-Cf-Pop":                     {"FRA2-C1"},
	"X-Amz-User-Agent":                 {"aws-sdk-js/3"},
	"X-Amz-Te":                         {"append-md5"},
	"X-Amz-Optional-Object-Attributes": {"RestoreStatus"},
	"X-Amz-Request-Payer":              {"requester"},
	"Expect":                           {""},
	"Connection":                       {"Upgrade, HTTP2-Settings, keep-alive"},
	"Upgrade":                          {"h2c"},
	"Http2-Settings":                   {"AAMAAABkAAQCAAAAAAIAAAAA"},
	"Origin":                           {"https://www.example.test"},
	"X-Minio-Force-Delete":             {"true"},
}

// ofOthers are headers of operations, with a value that would do something there.
var ofOthers = http.Header{
	"X-Amz-Checksum-Mode":                          {"ENABLED"},
	"X-Amz-Storage-Class":                          {"REDUCED_REDUNDANCY"},
	"X-Amz-Tagging":                                {"a=b"},
	"X-Amz-Meta-Other":                             {"x"},
	"X-Amz-Object-Lock-Mode":                       {"COMPLIANCE"},
	"X-Amz-Object-Lock-Retain-Until-Date":          {"2099-01-01T00:00:00Z"},
	"X-Amz-Object-Lock-Legal-Hold":                 {"ON"},
	"X-Amz-Checksum-Crc32":                         {"AAAAAA=="},
	"X-Amz-Checksum-Algorithm":                     {"SHA256"},
	"X-Amz-Checksum-Type":                          {"FULL_OBJECT"},
	"X-Amz-Metadata-Directive":                     {"REPLACE"},
	"X-Amz-Tagging-Directive":                      {"REPLACE"},
	"X-Amz-Bypass-Governance-Retention":            {"true"},
	"X-Amz-Bucket-Object-Lock-Enabled":             {"true"},
	"X-Amz-Object-Ownership":                       {"ObjectWriter"},
	"X-Amz-Object-Attributes":                      {"ETag"},
	"X-Amz-Max-Parts":                              {"x"},
	"X-Amz-Part-Number-Marker":                     {"-1"},
	"X-Amz-Mp-Object-Size":                         {"x"},
	"X-Amz-Confirm-Remove-Self-Bucket-Access":      {"true"},
	"X-Amz-Server-Side-Encryption":                 {"AES256"},
	"X-Amz-Transition-Default-Minimum-Object-Size": {"varies_by_storage_class"},
}

// theirs are headers that are refused on the operations that have no use for them.
var theirs = http.Header{
	"X-Amz-Copy-Source-If-Match":                      {"e"},
	"X-Amz-Copy-Source-Range":                         {"bytes=0-1"},
	"X-Amz-Server-Side-Encryption-Customer-Algorithm": {"AES256"},
}

// byTarget orders requests that arrived on connections of their own.
func byTarget(arrived []*recorded) []*recorded {
	slices.SortFunc(arrived, func(a, b *recorded) int { return strings.Compare(a.target, b.target) })
	return arrived
}

// The whole table: each operation with each header of another. Where S3 reads over
// it, it arrives nowhere; where it would change what is done, nothing arrives.
func TestNothing_headersOfOthers(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	for _, s := range boundarySeeds[:40] { // one of each operation at least
		if !s.arrives || s.way != byHeader {
			continue
		}
		target := strings.ReplaceAll(s.target, "{upload}", b.upload)
		plain := newSent(s.way, s.method, target, s.lines, []byte(s.body))
		_, record := b.exchange(t, plain.method, b.wire(t, plain))
		want := byTarget(b.rec.take(t))
		op := s3op.ByName(record.Operation)
		for _, list := range []http.Header{ofOthers, asking, theirs} {
			for _, name := range slices.Sorted(maps.Keys(list)) {
				h := s3op.LookupHeader([]byte(strings.ToLower(name)))
				if h.Group&op.Headers != 0 || slices.Contains(ownHeaders, strings.ToLower(name)) {
					continue
				}
				reads := op.Method == "GET" || op.Method == "HEAD"
				refused := theirs[name] != nil && strings.HasPrefix(name, "X-Amz") || name == "X-Amz-Server-Side-Encryption" && reads
				c := newSent(s.way, s.method, target, s.lines+"\n"+name+": "+list[name][0], []byte(s.body))
				status, record := b.exchange(t, c.method, b.wire(t, c))
				arrived := byTarget(b.rec.take(t))
				if err := b.check(c, status, record, arrived); err != nil {
					t.Errorf("%s with %s: %v", op.Name, name, err)
				}
				switch {
				case refused:
					if len(arrived) != 0 || status != 400 {
						t.Errorf("%s with %s: %d, %d requests arrived", op.Name, name, status, len(arrived))
					}
				case len(arrived) != len(want) || status >= 300:
					t.Errorf("%s with %s: %d, %d requests arrived", op.Name, name, status, len(arrived))
				case arrived[0].header[strings.ToLower(name)] != want[0].header[strings.ToLower(name)] || arrived[0].target != want[0].target || string(arrived[0].body) != string(want[0].body):
					t.Errorf("%s with %s is another request: %s %v", op.Name, name, arrived[0].target, arrived[0].header)
				}
			}
		}
	}
}

// A header that is refused, or acted on, when it asks for something is read over when
// it asks for nothing: when it is empty, or says of what is not there that it is off.
// The whole table, and a name that nobody knows, with each operation.
func TestNothing_emptyOrOff(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	// Empty ones are no mistake that is read over, or say something.
	mistakes := s3op.Conditions | s3op.IfRange | s3op.Checksums | s3op.ChecksumChoice | s3op.MD5 | s3op.CustomerKey | s3op.CopyFrom | s3op.CopyRange | s3op.ObjectSize | s3op.Content | s3op.Range |
		s3op.ChecksumMode | s3op.Directives | s3op.Bypass | s3op.Attributes | s3op.Policy
	type said struct{ name, value string }
	nothing := []said{{"x-amz-heard-of-by-nobody", ""}, {"x-amz-acl", ""}, {"x-amz-server-side-encryption-bucket-key-enabled", "false"}, {"x-amz-server-side-encryption-bucket-key-enabled", "False"}}
	something := []said{{"x-amz-heard-of-by-nobody", "x"}, {"x-amz-acl", "public-read"}}
	s3op.Headers(func(name string, h s3op.Header) {
		switch {
		case h.Treatment == s3op.Decline:
			nothing, something = append(nothing, said{name, ""}), append(something, said{name, "true"})
		case h.Group != 0 && h.Group&mistakes == 0:
			nothing = append(nothing, said{name, ""})
		}
	})
	if len(nothing) < 20 {
		t.Fatal(nothing)
	}
	tried := map[string]bool{}
	for _, s := range boundarySeeds {
		if !s.arrives || s.way != byHeader {
			continue
		}
		target := strings.ReplaceAll(s.target, "{upload}", b.upload)
		plain := newSent(s.way, s.method, target, s.lines, []byte(s.body))
		status, record := b.exchange(t, plain.method, b.wire(t, plain))
		want := byTarget(b.rec.take(t))
		if tried[record.Operation] || len(want) == 0 || status >= 300 {
			continue
		}
		tried[record.Operation] = true
		for _, one := range nothing {
			if strings.Contains(strings.ToLower(s.lines), one.name) {
				continue
			}
			c := newSent(s.way, s.method, target, s.lines+"\n"+one.name+": "+one.value, []byte(s.body))
			status, _ := b.exchange(t, c.method, b.wire(t, c))
			arrived := byTarget(b.rec.take(t))
			if len(arrived) != len(want) || status >= 300 {
				t.Errorf("%s with %s: %q: %d, %d requests arrived", record.Operation, one.name, one.value, status, len(arrived))
				continue
			}
			for i := range arrived {
				if _, is := arrived[i].header[one.name]; is || arrived[i].target != want[i].target || string(arrived[i].body) != string(want[i].body) {
					t.Errorf("%s with %s: %q is another request: %s %v", record.Operation, one.name, one.value, arrived[i].target, arrived[i].header)
				}
			}
		}
		for _, one := range something {
			c := newSent(s.way, s.method, target, s.lines+"\n"+one.name+": "+one.value, []byte(s.body))
			status, _ := b.exchange(t, c.method, b.wire(t, c))
			if arrived := b.rec.take(t); len(arrived) != 0 || status != 501 {
				t.Errorf("%s with %s: %q: %d, %d requests arrived", record.Operation, one.name, one.value, status, len(arrived))
			}
		}
	}
	if len(tried) < 30 {
		t.Errorf("only %d operations were tried", len(tried))
	}
}

// Against MinIO, what is sent besides makes no difference: the answer and what is
// stored are those of the request without it.
func TestNothing_makesNoDifference(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/nothing"})
	e.must(t, &request{method: "PUT", path: "/nothing/k", body: []byte("hello"), header: headers("x-amz-meta-a", "b")})
	with := func(q request, name, value string) *request {
		h := http.Header{}
		maps.Copy(h, q.header)
		h[name] = []string{value}
		q.header = h
		return &q
	}
	for _, q := range []request{
		{method: "GET", path: "/nothing/k"},
		{method: "HEAD", path: "/nothing/k"},
		{method: "GET", path: "/nothing"},
		{method: "GET", path: "/nothing", query: query("list-type", "2")},
		{method: "GET", path: "/"},
		{method: "HEAD", path: "/nothing"},
		{method: "GET", path: "/nothing", query: query("acl", "")},
		{method: "GET", path: "/nothing/k", query: query("tagging", "")},
		{method: "GET", path: "/nothing/k", presign: true},
		{method: "HEAD", path: "/nothing/k", presign: true},
		{method: "PUT", path: "/nothing/put", body: []byte("hello")},
		{method: "PUT", path: "/nothing/put", body: []byte("hello"), presign: true},
		{method: "DELETE", path: "/nothing/none"},
	} {
		plain := e.do(t, &q)
		for name := range asking {
			if q.presign && (name == "Connection" || name == "Upgrade" || name == "Expect" || name == "Http2-Settings") {
				continue // the signer would move them
			}
			if r := e.do(t, with(q, name, asking[name][0])); r.status != plain.status || string(r.body) != string(plain.body) {
				t.Errorf("%s %s %v with %s: %d %s", q.method, q.path, q.query, name, r.status, r.body)
			}
		}
		reads := q.method == "GET" || q.method == "HEAD"
		for _, p := range []string{"v", "utm_source", "x-user", "X-Custom", "_", "fbclid", "versionid", "Restore", "max-buckets-of", "x-minio-extract", "%zz", "a b", ""} {
			for _, value := range []string{"", "1", "a/b c"} {
				asked := q
				asked.query = query("x-id", "y")
				maps.Copy(asked.query, q.query)
				asked.query.Set(p, value)
				r := e.do(t, &asked)
				if reads || q.presign && strings.HasPrefix(strings.ToLower(p), "x-") {
					if r.status != plain.status || string(r.body) != string(plain.body) {
						t.Errorf("%s %s?%s: %d %s", q.method, q.path, asked.query.Encode(), r.status, r.body)
					}
					if p == "utm_source" && value == "1" && !strings.Contains(g.lineOf(t, r).Target.String(), "utm_source=1") {
						t.Errorf("the line has not what was sent: %s", g.lineOf(t, r).Target)
					}
				} else if r.status != 501 {
					t.Errorf("%s %s?%s changes something and is answered %d %s", q.method, q.path, asked.query.Encode(), r.status, r.body)
				}
			}
		}
	}
	if r := e.must(t, &request{method: "GET", path: "/nothing/put"}); string(r.body) != "hello" || r.header.Get("X-Amz-Storage-Class") != "" {
		t.Errorf("%s %v", r.body, r.header)
	}
}

// The parameters by which MinIO finds routes of its own have no effect, alone and
// beside what is asked for.
func TestNothing_D6_minioRoutes(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/routes"})
	e.must(t, &request{method: "PUT", path: "/routes/k", body: []byte("x")})
	g.asked()
	for _, name := range []string{"metadata", "events", "lambdaArn", "replication", "replication-reset", "replication-reset-status", "replication-metrics", "replication-check", "select", "select-type"} {
		for _, value := range []string{"", "true", "2", "x"} {
			for _, path := range []string{"/", "/routes", "/routes/k"} {
				for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
					q := &request{method: method, path: path, query: query(name, value)}
					r := e.do(t, q)
					local := name == "replication" && method == "GET" && path == "/routes" // NoSuchReplication
					if seen := g.asked(); len(seen) > 0 || !local && r.status != 501 && r.status != 405 {
						t.Errorf("%s %s?%s=%s: %d %s; the backend was asked %q", method, path, name, value, r.status, r.body, seen)
					}
				}
			}
		}
	}
}

// Documents in which something that is not there is said to be off.
func TestNothing_off(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/off"})
	e.must(t, &request{method: "PUT", path: "/off", query: query("versioning", ""), body: []byte("<VersioningConfiguration><MfaDelete>Disabled</MfaDelete><Status>Enabled</Status></VersioningConfiguration>")})
	if r := e.must(t, &request{method: "GET", path: "/off", query: query("versioning", "")}); textOf(t, r.body, "Status") != "Enabled" {
		t.Errorf("%s", r.body)
	}
	r := e.do(t, &request{method: "PUT", path: "/off", query: query("versioning", ""), body: []byte("<VersioningConfiguration><MfaDelete>Enabled</MfaDelete><Status>Suspended</Status></VersioningConfiguration>")})
	if r.status != 501 || r.code() != "NotImplemented" {
		t.Errorf("MFA delete: %d %s", r.status, r.body)
	}
}

// minio-go sends the encryption that the upload has with every part of it.
func TestNothing_encryptionOfParts(t *testing.T) {
	t.Parallel()
	b := newBoundary(t)
	for _, lines := range []string{"x-amz-server-side-encryption: AES256", "x-amz-server-side-encryption: aws:kms"} {
		for name, c := range map[string]*sent{
			"UploadPart":     newSent(byHeader, mPUT, "boundary/dir/k?partNumber=1&uploadId="+b.upload, lines, []byte("abc")),
			"UploadPartCopy": newSent(byHeader, mPUT, "boundary/dir/k?partNumber=1&uploadId="+b.upload, lines+"\nx-amz-copy-source: boundary/dir/k", nil),
		} {
			status, _ := b.exchange(t, c.method, b.wire(t, c))
			arrived := b.rec.take(t)
			if strings.HasSuffix(lines, "kms") {
				if status != 501 || len(arrived) != 0 {
					t.Errorf("%s with %s: %d, %d arrived", name, lines, status, len(arrived))
				}
			} else if status != 200 || len(arrived) != 1 || arrived[0].header["x-amz-server-side-encryption"] != "" {
				t.Errorf("%s with %s: %d, %v", name, lines, status, arrived)
			}
		}
	}
}

// TestCopyOnto: an object is copied onto itself with a storage class, its own or
// another, and is what it was, only younger.
func TestCopyOnto(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/onto"})
	for i, sums := range []http.Header{{}, headers("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="), headers("x-amz-checksum-crc32", "NhCmhg==")} {
		h := headers("x-amz-meta-a", "b", "content-type", "a/b", "x-amz-tagging", "c=d")
		maps.Copy(h, sums)
		path := fmt.Sprintf("/onto/k%d", i)
		e.must(t, &request{method: "PUT", path: path, body: []byte("hello"), header: h})
		for _, class := range []string{"STANDARD", "STANDARD", "REDUCED_REDUNDANCY", "REDUCED_REDUNDANCY", "STANDARD"} {
			e.must(t, &request{method: "PUT", path: path, header: headers("x-amz-copy-source", "onto"+path[len("/onto"):], "x-amz-storage-class", class)})
			r := e.must(t, &request{method: "GET", path: path, header: headers("x-amz-checksum-mode", "ENABLED")})
			if got := r.header.Get("X-Amz-Storage-Class"); got != class && (got != "" || class != "STANDARD") {
				t.Errorf("asked for %s, is %s", class, got)
			}
			if string(r.body) != "hello" || r.header.Get("X-Amz-Meta-A") != "b" || r.header.Get("Content-Type") != "a/b" || r.header.Get("X-Amz-Tagging-Count") != "1" {
				t.Errorf("%s %v", r.body, r.header)
			}
			for name := range sums {
				if r.header.Get(name) != sums.Get(name) {
					t.Errorf("its checksum is lost: %v", r.header)
				}
			}
		}
	}
	// Without a change it is a mistake, and S3's own sentence says which.
	r := e.do(t, &request{method: "PUT", path: "/onto/k0", header: headers("x-amz-copy-source", "onto/k0")})
	if r.status != 400 || r.code() != "InvalidRequest" || !strings.HasPrefix(textOf(t, r.body, "Message"), "This copy request is illegal") {
		t.Errorf("a copy that changes nothing: %d %s", r.status, r.body)
	}
	if r := e.do(t, &request{method: "PUT", path: "/onto/none", header: headers("x-amz-copy-source", "onto/none", "x-amz-storage-class", "STANDARD")}); r.status != 404 || r.code() != "NoSuchKey" {
		t.Errorf("a copy of nothing: %d %s", r.status, r.body)
	}
}

// What Terraform puts with a lifecycle, and waits to read.
func TestLifecycle_transitionDefault(t *testing.T) {
	t.Parallel()
	const name = "X-Amz-Transition-Default-Minimum-Object-Size"
	g := newGateway(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/minimum"})
	put := request{method: "PUT", path: "/minimum", query: query("lifecycle", ""),
		body: []byte("<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>")}
	for _, h := range []http.Header{{}, headers(name, "all_storage_classes_128K")} {
		put.header = h
		if r := e.must(t, &put); r.header.Get(name) != "all_storage_classes_128K" {
			t.Errorf("put: %v", r.header)
		}
		if r := e.must(t, &request{method: "GET", path: "/minimum", query: query("lifecycle", "")}); r.header.Get(name) != "all_storage_classes_128K" {
			t.Errorf("get: %v", r.header)
		}
	}
	for _, other := range []string{"varies_by_storage_class", "x"} {
		put.header = http.Header{name: {other}}
		if r := e.do(t, &put); r.status != 501 || textOf(t, r.body, "Message") == "" {
			t.Errorf("%q: %d %s", other, r.status, r.body)
		}
	}
}

// In a form, too: a field that is refused when it asks for something is read over
// when it asks for nothing.
func TestNothing_emptyFields(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	tn.raw().must(t, &request{method: "PUT", path: "/nothing-form"})
	n := 0
	try := func(name, value string, want int) {
		n++
		if r := postForm(t, tn, "nothing-form", map[string]string{"key": fmt.Sprint("k", n), name: value}, "nothing-form", "x"); r.status != want {
			t.Errorf("%s: %q: %d %s", name, value, r.status, r.body)
		}
	}
	s3op.Headers(func(name string, h s3op.Header) {
		if h.Treatment == s3op.Decline && !strings.HasPrefix(name, "x-amz-meta-") {
			try(name, "", 204)
			try(name, "true", 501)
			if h.Off != "" {
				try(name, h.Off, 204)
			}
		}
	})
	if n < 20 {
		t.Errorf("only %d fields were tried", n)
	}
}
