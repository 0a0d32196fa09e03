package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy"
)

// orderedForm is a form whose parts stand in an order: fields, then the file
// with the lines of its part's head.
func orderedForm(bucket string, fields [][2]string, fileHead, file string) *request {
	var b bytes.Buffer
	for _, f := range fields {
		fmt.Fprintf(&b, "--b\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n%s\r\n%s\r\n--b--\r\n", fileHead, file)
	return &request{method: "POST", path: "/" + bucket, anonymous: true, header: headers("Content-Type", "multipart/form-data; boundary=b"), body: b.Bytes()}
}

// signedForm signs the fields and puts more behind them, which the policy does not have.
func signedForm(t *testing.T, tn *tenant, bucket string, fields map[string]string, more ...[2]string) [][2]string {
	t.Helper()
	all := signForm(t, tn.key.KeyID, tn.key.Secret, fields, bucket)
	var list [][2]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, [2]string{name, all[name]})
	}
	return append(list, more...)
}

// putFields are fields that are headers of a PutObject: the form does with each
// what the PutObject does with the header.
var putFields = [][]string{
	{"Cache-Control", "no-cache"},
	{"Content-Type", "text/x-form"},
	{"Content-Disposition", `attachment; filename="a b"`},
	{"Content-Encoding", "gzip"},
	{"Content-Encoding", "aws-chunked,gzip"},
	{"Content-Language", "pt-BR"},
	{"Expires", "Wed, 21 Oct 2065 07:28:00 GMT"},
	{"Content-MD5", contentMD5([]byte("the file"))},
	{"Content-MD5", contentMD5([]byte("another file"))},
	{"Content-MD5", "x"},
	{"X-Amz-Storage-Class", "STANDARD"},
	{"X-Amz-Storage-Class", "REDUCED_REDUNDANCY"},
	{"X-Amz-Storage-Class", "GLACIER"},
	{"X-Amz-Meta-One", "1"},
	{"x-amz-meta-One_two.three", "a b"},
	{"x-amz-meta-" + strings.Repeat("n", 300), strings.Repeat("v", 300)},
	{"x-amz-meta-a", strings.Repeat("v", 2048)},
	{"x-amz-meta-empty", ""},
	{"X-Amz-Server-Side-Encryption", "AES256"},
	{"X-Amz-Server-Side-Encryption", "aws:kms"},
	{"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "k"},
	{"X-Amz-Server-Side-Encryption-Context", "e30="},
	{"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true"},
	{"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256", "X-Amz-Server-Side-Encryption-Customer-Key", b64(strings.Repeat("k", 32)),
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5", contentMD5([]byte(strings.Repeat("k", 32)))},
	{"X-Amz-Checksum-Crc32", crc("the file")},
	{"X-Amz-Checksum-Crc32", crc("another file")},
	{"X-Amz-Checksum-Crc32", "x"},
	{"X-Amz-Checksum-Sha256", "K1yBFxMmgWXMiKuSnaZfQUIP9F2DSNkSyd/FAXTevOs="},
	{"X-Amz-Checksum-Sha1", "x"},
	{"X-Amz-Checksum-Crc32c", "AAAAAA=="},
	{"X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA="},
	{"X-Amz-Checksum-Sha512", "x"},
	{"X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Checksum-Crc32", crc("the file")},
	{"X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", "2065-01-01T00:00:00Z"},
	{"X-Amz-Object-Lock-Mode", "GOVERNANCE"},
	{"X-Amz-Object-Lock-Legal-Hold", "ON"},
	{"X-Amz-Website-Redirect-Location", "/other"},
	{"X-Amz-Acl", "private"},
	{"X-Amz-Acl", "public-read"},
	{"X-Amz-Grant-Read", "id=1"},
	{"X-Amz-Mfa", "1 2"},
	{"X-Amz-Write-Offset-Bytes", "1"},
	{"X-Amz-Meta-Snowball-Auto-Extract", "true"},
	{"X-Amz-Meta-Minio-Snowball-Prefix", "x"},
	{"X-Amz-Expected-Bucket-Owner", "somebody"},
	{"X-Amz-Security-Token", "t"},
	{"X-Amz-Unknown", "x"},
}

// TestPostForm_asPutObject: what a field of a form asks for is done as a
// PutObject's header does it and told by HEAD, or refused as that is, and then
// nothing is stored.
func TestPostForm_asPutObject(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/as-put", header: headers("x-amz-bucket-object-lock-enabled", "true")}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	head := func(key string) http.Header {
		r := e.do(t, &request{method: "HEAD", path: "/as-put/" + key, header: headers("x-amz-checksum-mode", "ENABLED")})
		if r.status != 200 {
			return nil
		}
		for _, name := range []string{"X-Amz-Request-Id", "X-Amz-Version-Id", "Date", "Last-Modified"} {
			r.header.Del(name)
		}
		return r.header
	}
	kept := 0
	for i, field := range putFields {
		fields, header := map[string]string{"key": fmt.Sprintf("form-%d", i)}, http.Header{}
		for j := 0; j < len(field); j += 2 {
			fields[field[j]], header[field[j]] = field[j+1], []string{field[j+1]}
		}
		put := e.do(t, &request{method: "PUT", path: fmt.Sprintf("/as-put/put-%d", i), body: []byte("the file"), header: header})
		form := postForm(t, tn, "as-put", fields, "as-put", "the file")
		if put.status < 300 != (form.status == 204) || put.code() != form.code() {
			t.Errorf("%.60q: a PutObject is answered %d %s, a form %d %s", field, put.status, put.code(), form.status, form.body)
		}
		if form.status >= 500 && form.status != 501 {
			t.Errorf("%.60q: a client's mistake is answered %d %s", field, form.status, form.body)
		}
		want, got := head(fmt.Sprintf("put-%d", i)), head(fmt.Sprintf("form-%d", i))
		if !maps.EqualFunc(want, got, slices.Equal) {
			t.Errorf("%.60q: HEAD of the PutObject's says\n%v\nof the form's\n%v", field, want, got)
		}
		if got != nil {
			kept++
		}
	}
	if kept < 15 {
		t.Errorf("only %d forms were taken", kept)
	}
}

// Fields of a form that are no headers of a PutObject.
func TestPostForm_fields(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/form-fields"}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	tagging := func(tags ...string) string {
		var b strings.Builder
		for i := 0; i < len(tags); i += 2 {
			fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", tags[i], tags[i+1])
		}
		return "<Tagging><TagSet>" + b.String() + "</TagSet></Tagging>"
	}
	var eleven []string
	for i := range 11 {
		eleven = append(eleven, fmt.Sprint("k", i), "v")
	}
	for i, c := range []struct {
		fields []string
		status int
		code   string
		tags   string // what GetObjectTagging says
	}{
		{fields: []string{"tagging", tagging("a", "b")}, status: 204, tags: "a=b"},
		{fields: []string{"tagging", tagging("a b+c", "d=-._:/@", "second", "")}, status: 204, tags: "a b+c=d=-._:/@ second="},
		{fields: []string{"tagging", tagging("a", "é")}, status: 400, code: "InvalidTag"}, // MinIO has fewer characters than S3
		{fields: []string{"tagging", "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\r\n <TagSet>\r\n</TagSet></Tagging>"}, status: 204},
		{fields: []string{"tagging", tagging(eleven[:20]...)}, status: 204, tags: "k0=v k1=v k2=v k3=v k4=v k5=v k6=v k7=v k8=v k9=v"},
		{fields: []string{"tagging", tagging(eleven...)}, status: 400, code: "InvalidTag"},
		{fields: []string{"tagging", tagging("a", "b", "a", "c")}, status: 400, code: "InvalidTag"},
		{fields: []string{"tagging", tagging(strings.Repeat("a", 129), "b")}, status: 400, code: "InvalidTag"},
		{fields: []string{"tagging", "a=b"}, status: 400, code: "MalformedXML"},
		{fields: []string{"tagging", "<!DOCTYPE a><Tagging/>"}, status: 400, code: "MalformedXML"},
		{fields: []string{"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value><Other/></Tag></TagSet></Tagging>"}, status: 501, code: "NotImplemented"},
		{fields: []string{"tagging", ""}, status: 204},
		{fields: []string{"x-amz-tagging", "a=b"}, status: 501, code: "NotImplemented"},

		{fields: []string{"acl", "private"}, status: 204},
		{fields: []string{"acl", "bucket-owner-full-control"}, status: 204},
		{fields: []string{"acl", ""}, status: 204},
		{fields: []string{"acl", "public-read"}, status: 501, code: "NotImplemented"},

		{fields: []string{"x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-crc32", crc("the file")}, status: 204},
		{fields: []string{"x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-crc32", crc("another")}, status: 400, code: "XAmzContentChecksumMismatch"},
		{fields: []string{"x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-crc32", crc("the file")}, status: 400, code: "InvalidRequest"},
		{fields: []string{"x-amz-checksum-algorithm", "CRC32"}, status: 400, code: "InvalidRequest"},
		{fields: []string{"x-amz-checksum-crc32", crc("the file"), "x-amz-checksum-sha1", "x"}, status: 400, code: "InvalidRequest"},

		{fields: []string{"success_action_status", "200"}, status: 200},
		{fields: []string{"success_action_status", "201"}, status: 201},
		{fields: []string{"success_action_status", "999"}, status: 204},
		{fields: []string{"success_action_redirect", "https://example.test/done?a=b"}, status: 303},
		{fields: []string{"redirect", "https://example.test/done"}, status: 303},
		{fields: []string{"success_action_redirect", "javascript:alert(1)"}, status: 204},
		{fields: []string{"success_action_redirect", "//example.test"}, status: 204},
		{fields: []string{"success_action_redirect", "ht tp://", "success_action_status", "200"}, status: 200},

		{fields: []string{"if-none-match", "*"}, status: 501, code: "NotImplemented"},
		{fields: []string{"x-amz-expected-bucket-owner", tn.account.CanonicalID}, status: 204},
		{fields: []string{"x-amz-expected-bucket-owner", "somebody"}, status: 403, code: "AccessDenied"},
		{fields: []string{"x-amz-content-sha256", "x"}, status: 501, code: "NotImplemented"},
		{fields: []string{"x-amz-copy-source", "form-fields/k"}, status: 501, code: "NotImplemented"},
		{fields: []string{"x-minio-fanout-list", "[]"}, status: 501, code: "NotImplemented"},
		{fields: []string{"submit", "Upload", "content-length", "1", "host", "h", "range", "bytes=0-1"}, status: 204}, // S3 ignores what it does not know
		{fields: []string{"x-ignore-this", "x"}, status: 204},
	} {
		key := fmt.Sprint("k", i)
		fields := map[string]string{"key": key}
		for j := 0; j < len(c.fields); j += 2 {
			fields[c.fields[j]] = c.fields[j+1]
		}
		r := postForm(t, tn, "form-fields", fields, "form-fields", "the file")
		if r.status != c.status || c.code != r.code() {
			t.Errorf("%.80q: %d %s, wanted %d %s", c.fields, r.status, r.body, c.status, c.code)
		}
		got := e.do(t, &request{method: "GET", path: "/form-fields/" + key})
		if stored := got.status == 200; stored != (c.status < 400) || stored && string(got.body) != "the file" {
			t.Errorf("%.80q: answered %d, and GET says %d", c.fields, c.status, got.status)
		}
		if c.status < 400 {
			tags := e.do(t, &request{method: "GET", path: "/form-fields/" + key, query: query("tagging", "")})
			_, set, _ := strings.Cut(string(tags.body), "<TagSet>")
			set, _, _ = strings.Cut(set, "</TagSet>")
			set = strings.TrimSpace(strings.NewReplacer("<Tag><Key>", "", "</Key><Value>", "=", "</Key><Value/>", "=", "</Value></Tag>", " ").Replace(set))
			if set != c.tags {
				t.Errorf("%.80q: the tags are %q, wanted %q", c.fields, set, c.tags)
			}
		}
	}
}

// TestPostForm_A7_noNameIsOurs: a field that the policy does not have is
// refused, whatever its name is, and one that it has and S3 does not know has no
// effect: no name of the gateway's own is among them.
func TestPostForm_A7_noNameIsOurs(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/form-names"}); r.status != 200 {
		t.Fatal(r.status, string(r.body))
	}
	ours := []string{"file-content-type", "filename", "file-name", "filetype", "content_type", "boundary", "length", "account", "etag", "location"}
	free := []string{"policy", "bucket", "x-amz-signature", "key", "x-amz-algorithm", "x-amz-credential", "x-amz-date"} // the form needs them, or they need no condition
	for _, name := range slices.Concat(ours, proxy.FormFieldNames()) {
		if slices.Contains(free, name) {
			continue
		}
		fields := signedForm(t, tn, "form-names", map[string]string{"key": "uncovered"}, [2]string{name, "text/html"})
		if r := e.do(t, orderedForm("form-names", fields, "", "x")); r.status != 403 || r.code() != "AccessDenied" {
			t.Errorf("an uncovered field %s: %d %s", name, r.status, r.code())
		}
	}
	if r := e.do(t, &request{method: "GET", path: "/form-names/uncovered"}); r.status != 404 {
		t.Errorf("a form that was refused is stored: %d", r.status)
	}
	typeOf := func(name string, fields [][2]string, fileHead string) string {
		t.Helper()
		if r := e.do(t, orderedForm("form-names", fields, fileHead, "x")); r.status != 204 {
			t.Fatalf("%s: %d %s", name, r.status, r.body)
		}
		return e.do(t, &request{method: "HEAD", path: "/form-names/covered"}).header.Get("Content-Type")
	}
	plain := typeOf("no type", signedForm(t, tn, "form-names", map[string]string{"key": "covered"}), "")
	for _, name := range ours {
		if got := typeOf(name, signedForm(t, tn, "form-names", map[string]string{"key": "covered", name: "text/html"}), ""); got != plain {
			t.Errorf("the field %s made the type %q", name, got)
		}
	}
	// The type that stands with the file is the client's to choose where the
	// policy says that a type is.
	const html = "Content-Type: text/html\r\n"
	if got := typeOf("a file's type", signedForm(t, tn, "form-names", map[string]string{"key": "covered"}), html); got != plain {
		t.Errorf("a type that the policy does not have: %q", got)
	}
	fields := signedForm(t, tn, "form-names", map[string]string{"key": "covered", "Content-Type": ""})
	fields = slices.DeleteFunc(fields, func(f [2]string) bool { return f[0] == "Content-Type" })
	if got := typeOf("a file's type that may be any", fields, html); got != "text/html" {
		t.Errorf("a type that the policy has left to the client: %q", got)
	}
}

// A customer's key in a form is taken over TLS on both hops, and needed to read.
func TestPostForm_D17_customerKeys(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"key": "k", "x-amz-server-side-encryption-customer-algorithm": "AES256",
		"x-amz-server-side-encryption-customer-key": b64(strings.Repeat("k", 32)), "x-amz-server-side-encryption-customer-key-md5": contentMD5([]byte(strings.Repeat("k", 32)))}
	for _, secureBackend := range []bool{true, false} {
		o := options{tls: true}
		if secureBackend {
			o.minio = testenv.MinIOTLS(t)
		}
		g := newGateway(t, o)
		tn := g.tenant()
		e := tn.raw()
		if r := e.do(t, &request{method: "PUT", path: "/form-keys"}); r.status != 200 {
			t.Fatal(r.status, string(r.body))
		}
		q := formRequest(t, "form-keys", signForm(t, tn.key.KeyID, tn.key.Secret, fields, "form-keys"), "sealed")
		if r := e.do(t, &q); r.status != 400 || r.code() != "InvalidRequest" {
			t.Errorf("in plain text: %d %s", r.status, r.body)
		}
		client := &http.Client{Transport: g.transport()}
		do := func(q *request) int {
			e := &endpoint{g.tlsAddr, tn.key.KeyID, tn.key.Secret}
			r := e.build(t, q)
			r.URL.Scheme = "https"
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode
		}
		if got, want := do(&q), map[bool]int{true: 204, false: 400}[secureBackend]; got != want {
			t.Errorf("over TLS, to a backend over TLS: %v: %d", secureBackend, got)
		}
		if !secureBackend {
			continue
		}
		if got := do(&request{method: "GET", path: "/form-keys/k"}); got < 400 {
			t.Errorf("read without the key: %d", got)
		}
		withKey := headers()
		for name, value := range fields {
			if name != "key" {
				withKey.Set(name, value)
			}
		}
		if got := do(&request{method: "GET", path: "/form-keys/k", header: withKey}); got != 200 {
			t.Errorf("read with the key: %d", got)
		}
	}
}
