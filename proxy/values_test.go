package proxy_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/tenancy"
)

// refusedBeforeBackend: every request is answered with the code, and the
// backend is not asked.
func refusedBeforeBackend(t *testing.T, g *watched, e *endpoint, code string, list map[string]request) {
	t.Helper()
	g.asked()
	for name, q := range list {
		r := e.do(t, &q)
		if r.status != 400 || q.method != "HEAD" && (r.code() != code || textOf(t, r.body, "Message") == "") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if seen := g.asked(); len(seen) > 0 {
			t.Errorf("%s: the backend was asked: %.300q", name, seen)
		}
	}
}

// TestValues_E9_cacheDirectives: text that MinIO takes for an order to its
// listing cache is in no marker and in no key.
func TestValues_E9_cacheDirectives(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/cache-orders"})
	list := map[string]request{}
	for _, text := range []string{"a]x[minio_cache:v2", "a[minio_cache:v2,return:]", "[minio_cache:v2,id:x,p:0,s:0]", "a[minio_cache:v3,", "[minio_cache:"} {
		for _, q := range [][]string{{"marker"}, {"prefix"}, {"delimiter"}, {"start-after", "list-type", "2"}, {"prefix", "list-type", "2"},
			{"key-marker", "versions", ""}, {"prefix", "versions", ""}, {"key-marker", "uploads", ""}, {"prefix", "uploads", ""}, {"delimiter", "uploads", ""}} {
			list[fmt.Sprint(q, text)] = request{method: "GET", path: "/cache-orders", query: query(append([]string{q[0], text}, q[1:]...)...)}
		}
		for name, q := range everyKeyPlace("cache-orders", text) {
			list[name+" "+text] = q
		}
	}
	refusedBeforeBackend(t, g, e, "InvalidArgument", list)
	for _, fine := range []string{"a[minio_cache", "[b]", "a]x["} { // nothing of anybody's
		e.must(t, &request{method: "PUT", path: "/cache-orders/" + fine, body: []byte("x")})
		e.must(t, &request{method: "GET", path: "/cache-orders", query: query("marker", fine)})
	}
}

// everyKeyPlace are the requests that have a key somewhere.
func everyKeyPlace(bucket, key string) map[string]request {
	path := "/" + bucket + "/" + key
	list := map[string]request{
		"put":         {method: "PUT", path: path, body: []byte("x")},
		"get":         {method: "GET", path: path},
		"head":        {method: "HEAD", path: path},
		"delete":      {method: "DELETE", path: path},
		"tags":        {method: "GET", path: path, query: query("tagging", "")},
		"begin":       {method: "POST", path: path, query: query("uploads", "")},
		"copy to":     {method: "PUT", path: path, header: headers("x-amz-copy-source", bucket+"/source")},
		"copy from":   {method: "PUT", path: "/" + bucket + "/copied", header: headers("x-amz-copy-source", bucket+"/"+escapePath(key))},
		"copy part":   {method: "PUT", path: "/" + bucket + "/copied", query: query("uploadId", "x", "partNumber", "1"), header: headers("x-amz-copy-source", bucket+"/"+escapePath(key))},
		"log objects": {method: "PUT", path: "/" + bucket, query: query("logging", ""), body: []byte(`<BucketLoggingStatus><LoggingEnabled><TargetBucket>` + bucket + `</TargetBucket><TargetPrefix>` + key + `/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`)},
	}
	return list
}

// TestValues_D8_reservedNames: names with which MinIO spells something itself
// are no keys, wherever a key can be.
func TestValues_D8_reservedNames(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	tn := g.tenant()
	e := tn.raw()
	e.must(t, &request{method: "PUT", path: "/reserved"})
	e.must(t, &request{method: "PUT", path: "/reserved/k/", body: []byte("the folder")})
	e.must(t, &request{method: "PUT", path: "/reserved/o", body: []byte("the object")})
	list := map[string]request{}
	names := []string{"k__XLDIR__", "k__XLDIR__/below", "__XLDIR__", "__XLDIR__/below", "a/__XLDIR__", "a/b__XLDIR__/c/d", "k__XLDIR__/", "o/xl.meta", "xl.meta", "o/xl.meta/part.1", "xl.meta/"}
	for _, key := range names {
		for name, q := range everyKeyPlace("reserved", key) {
			list[name+" "+key] = q
		}
	}
	for _, p := range []string{"k__XLDIR__/", "k__XLDIR__/below", "o/xl.meta/", "a/b__XLDIR__/c"} {
		for _, q := range [][]string{{"marker"}, {"prefix"}, {"start-after", "list-type", "2"}, {"prefix", "list-type", "2"},
			{"key-marker", "versions", ""}, {"prefix", "versions", ""}, {"key-marker", "uploads", ""}, {"prefix", "uploads", ""}} {
			list[fmt.Sprint(q, p)] = request{method: "GET", path: "/reserved", query: query(append([]string{q[0], p}, q[1:]...)...)}
		}
	}
	refusedBeforeBackend(t, g, e, "InvalidArgument", list)
	for _, key := range names {
		r := e.do(t, &request{method: "POST", path: "/reserved", query: query("delete", ""), body: []byte("<Delete><Object><Key>" + key + "</Key></Object><Object><Key>never</Key></Object></Delete>")})
		if r.status != 200 || !bytes.Contains(r.body, []byte("<Error><Key>"+key+"</Key><Code>InvalidArgument</Code>")) || bytes.Count(r.body, []byte("<Deleted>")) != 1 {
			t.Errorf("batch delete of %s: %d %s", key, r.status, r.body)
		}
		if r := postForm(t, tn, "reserved", map[string]string{"key": key}, "reserved", "x"); r.status != 400 || r.code() != "InvalidArgument" {
			t.Errorf("form for %s: %d %s", key, r.status, r.body)
		}
		if r := postForm(t, tn, "reserved", map[string]string{"key": strings.ReplaceAll(key, "xl.meta", "${filename}")}, "reserved", "x"); strings.Contains(key, "__XLDIR__") && r.code() != "InvalidArgument" {
			t.Errorf("form for %s by its file's name: %d %s", key, r.status, r.body)
		}
	}
	for key, text := range map[string]string{"k/": "the folder", "o": "the object"} {
		if r := e.do(t, &request{method: "GET", path: "/reserved/" + key}); string(r.body) != text {
			t.Errorf("%s is %q", key, r.body)
		}
	}
	// Names that only look alike are the account's own.
	for _, key := range []string{"k__XLDIR__x", "__xldir__", "k__XL_DIR__", "xl.metadata", "my-xl.meta", "a/xl.meta.bkp", "a/xl.json", "a/part.1", ".minio.sys/config/x"} {
		e.must(t, &request{method: "PUT", path: "/reserved/" + key, body: []byte(key)})
		if r := e.do(t, &request{method: "GET", path: "/reserved/" + key}); string(r.body) != key {
			t.Errorf("%s is %q", key, r.body)
		}
		if r := e.must(t, &request{method: "GET", path: "/reserved", query: query("prefix", key)}); textOf(t, r.body, "Key") != key {
			t.Errorf("the listing of %s: %s", key, r.body)
		}
	}
	if r := e.must(t, &request{method: "GET", path: "/reserved", query: query("prefix", "a/xl.meta")}); textOf(t, r.body, "Key") != "a/xl.meta.bkp" {
		t.Errorf("a prefix that ends in the middle of a name: %s", r.body)
	}
}

// withVersion are the requests that name a version.
func withVersion(id string) map[string]request {
	document := func(operation, body string) request {
		return request{method: "PUT", path: "/versioned-b/k", query: query(operation, "", "versionId", id), body: []byte(body)}
	}
	return map[string]request{
		"GetObject":            {method: "GET", path: "/versioned-b/k", query: query("versionId", id)},
		"HeadObject":           {method: "HEAD", path: "/versioned-b/k", query: query("versionId", id)},
		"DeleteObject":         {method: "DELETE", path: "/versioned-b/k", query: query("versionId", id)},
		"GetObjectAttributes":  {method: "GET", path: "/versioned-b/k", query: query("attributes", "", "versionId", id), header: headers("x-amz-object-attributes", "ETag")},
		"GetObjectTagging":     {method: "GET", path: "/versioned-b/k", query: query("tagging", "", "versionId", id)},
		"PutObjectTagging":     document("tagging", `<Tagging><TagSet></TagSet></Tagging>`),
		"DeleteObjectTagging":  {method: "DELETE", path: "/versioned-b/k", query: query("tagging", "", "versionId", id)},
		"GetObjectRetention":   {method: "GET", path: "/versioned-b/k", query: query("retention", "", "versionId", id)},
		"PutObjectRetention":   document("retention", `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2070-01-01T00:00:00Z</RetainUntilDate></Retention>`),
		"GetObjectLegalHold":   {method: "GET", path: "/versioned-b/k", query: query("legal-hold", "", "versionId", id)},
		"PutObjectLegalHold":   document("legal-hold", `<LegalHold><Status>ON</Status></LegalHold>`),
		"CopyObject":           {method: "PUT", path: "/versioned-b/copy", header: headers("x-amz-copy-source", "versioned-b/k?versionId="+strings.ReplaceAll(escapePath(id), "/", "%2F"))},
		"ListObjectVersions":   {method: "GET", path: "/versioned-b", query: query("versions", "", "key-marker", "a", "version-id-marker", id)},
		"GetObject, presigned": {method: "GET", path: "/versioned-b/k", query: query("versionId", id), presign: true},
	}
}

// malformedVersions are ids that MinIO never gave out, some of which it takes
// for others that it did.
func malformedVersions(good string) []string {
	return []string{"nonsense", "00000000-0000-0000-0000-000000000000", "NULL", "Null", " null ", "null ", "null\n", "0", "../x", "{" + good + "}", "urn:uuid:" + good, strings.ReplaceAll(good, "-", ""),
		strings.ToUpper(good) + "F", " " + good, good + "\x00", good + "/../x", good[:35], good + "0", strings.Repeat("a", 65), "a,b", "versionId=" + good, "☃"}
}

// TestValues_D15_versions: a version id is one that the backend can have given
// out, wherever a version can be named.
func TestValues_D15_versions(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/versioned-b", header: headers("x-amz-bucket-object-lock-enabled", "true")})
	put := func() string {
		return e.must(t, &request{method: "PUT", path: "/versioned-b/k", body: []byte("x"), header: headers("Content-Md5", contentMD5([]byte("x")))}).header.Get("X-Amz-Version-Id")
	}
	good := put()
	list := map[string]request{}
	for _, id := range append(malformedVersions(good), strings.ToUpper(good)) {
		for name, q := range withVersion(id) {
			list[fmt.Sprintf("%s %q", name, id)] = q
		}
	}
	list["part by copy"] = request{method: "PUT", path: "/versioned-b/k", query: query("uploadId", e.begin(t, "/versioned-b/k"), "partNumber", "1"), header: headers("x-amz-copy-source", "versioned-b/k?versionId=%7B"+good+"%7D")}
	list["GetObject of nothing"] = request{method: "GET", path: "/versioned-b/k", query: query("versionId", "")}
	list["DeleteObject of nothing"] = request{method: "DELETE", path: "/versioned-b/k", query: query("versionId", "")}
	list["a marker alone"] = request{method: "GET", path: "/versioned-b", query: query("versions", "", "version-id-marker", good)}
	list["GetObjectAcl, answered here"] = request{method: "GET", path: "/versioned-b/k", query: query("acl", "", "versionId", "../x")}
	refusedBeforeBackend(t, g, e, "InvalidArgument", list)

	for _, id := range malformedVersions(good) {
		if strings.ContainsAny(id, "\x00\n") {
			continue // no XML, or white space that a reader drops
		}
		r := e.do(t, &request{method: "POST", path: "/versioned-b", query: query("delete", ""), body: []byte("<Delete><Object><Key>k</Key><VersionId>" + id + "</VersionId></Object></Delete>")})
		if r.status != 200 || !bytes.Contains(r.body, []byte("<Code>InvalidArgument</Code>")) || bytes.Contains(r.body, []byte("<Deleted>")) {
			t.Errorf("batch delete of version %q: %d %s", id, r.status, r.body)
		}
	}
	if seen := g.asked(); len(seen) > 0 {
		t.Errorf("the backend was asked: %.300q", seen)
	}
	for _, id := range []string{good, "null"} {
		want := map[string]int{good: http.StatusOK, "null": http.StatusNotFound}[id]
		if r := e.do(t, &request{method: "GET", path: "/versioned-b/k", query: query("versionId", id)}); r.status != want {
			t.Errorf("version %s: %d %s", id, r.status, r.body)
		}
	}
	e.must(t, &request{method: "GET", path: "/versioned-b", query: query("versions", "", "key-marker", "k", "version-id-marker", good)})
	e.must(t, &request{method: "GET", path: "/versioned-b", query: query("versions", "", "key-marker", "k", "version-id-marker", "")})
}

// TestValues_D15_otherServers: of a backend that is no MinIO only S3's own
// alphabet is known.
func TestValues_D15_otherServers(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{kind: tenancy.BackendS3})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/versioned-b"})
	e.must(t, &request{method: "PUT", path: "/versioned-b/k", body: []byte("x")})
	list := map[string]request{}
	for _, id := range []string{" null ", "null\n", "../x", "{x}", "urn:uuid:x", strings.Repeat("a", 65), "a,b", "☃"} {
		for name, q := range withVersion(id) {
			list[fmt.Sprintf("%s %q", name, id)] = q
		}
	}
	refusedBeforeBackend(t, g, e, "InvalidArgument", list)
	const id = "3HL4kqtJvjVBH40Nrjfkd.-_"
	if e.do(t, &request{method: "GET", path: "/versioned-b/k", query: query("versionId", id)}); !strings.Contains(strings.Join(g.asked(), " "), "versionId="+id) {
		t.Error("a version id of another server is not passed on")
	}
	// Its ids are wrapped all the same.
	up := e.begin(t, "/versioned-b/up")
	part := withUpload("/versioned-b/up", up)["UploadPart"]
	part.body = []byte("x")
	e.must(t, &part)
	complete := withUpload("/versioned-b/up", up)["CompleteMultipartUpload"]
	e.must(t, &complete)
}

// TestValues_numbers: numbers are digits, within S3's bounds, and reach the
// backend as such.
func TestValues_numbers(t *testing.T) {
	t.Parallel()
	g := newWatched(t, options{})
	e := g.tenant().raw()
	e.must(t, &request{method: "PUT", path: "/numbers"})
	e.must(t, &request{method: "PUT", path: "/numbers/k", body: []byte("x")})
	id := e.begin(t, "/numbers/up")
	bad := []string{"-1", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "x", "١", "2147483648", "99999999999999999999", "9223372036854775808"}
	list := map[string]request{}
	for _, n := range bad {
		for name, q := range map[string]request{
			"max-keys":    {method: "GET", path: "/numbers", query: query("max-keys", n)},
			"max-keys v2": {method: "GET", path: "/numbers", query: query("list-type", "2", "max-keys", n)},
			"versions":    {method: "GET", path: "/numbers", query: query("versions", "", "max-keys", n)},
			"uploads":     {method: "GET", path: "/numbers", query: query("uploads", "", "max-uploads", n)},
			"max-parts":   {method: "GET", path: "/numbers/up", query: query("uploadId", id, "max-parts", n)},
			"part marker": {method: "GET", path: "/numbers/up", query: query("uploadId", id, "part-number-marker", n)},
		} {
			list[name+" "+n] = q
		}
		if n != " 1" && n != "1 " && n != "١" { // white space around a header's value is none of it
			list["attributes "+n] = request{method: "GET", path: "/numbers/k", query: query("attributes", ""), header: headers("x-amz-object-attributes", "ObjectParts", "x-amz-max-parts", n)}
			list["attributes marker "+n] = request{method: "GET", path: "/numbers/k", query: query("attributes", ""), header: headers("x-amz-object-attributes", "ObjectParts", "x-amz-part-number-marker", n)}
		}
	}
	for _, n := range append(bad, "", "0", "10001") {
		list["get part "+n] = request{method: "GET", path: "/numbers/k", query: query("partNumber", n)}
		list["head part "+n] = request{method: "HEAD", path: "/numbers/k", query: query("partNumber", n)}
		list["part "+n] = request{method: "PUT", path: "/numbers/up", query: query("uploadId", id, "partNumber", n), body: []byte("x")}
		list["part copy "+n] = request{method: "PUT", path: "/numbers/up", query: query("uploadId", id, "partNumber", n), header: headers("x-amz-copy-source", "numbers/k")}
	}
	for _, encoding := range []string{"base64", "URLx", "none"} {
		list["encoding "+encoding] = request{method: "GET", path: "/numbers", query: query("encoding-type", encoding)}
		list["uploads encoding "+encoding] = request{method: "GET", path: "/numbers", query: query("uploads", "", "encoding-type", encoding)}
		list["parts encoding "+encoding] = request{method: "GET", path: "/numbers/up", query: query("uploadId", id, "encoding-type", encoding)}
	}
	list["MinIO's own directive"] = request{method: "PUT", path: "/numbers/c", header: headers("x-amz-copy-source", "numbers/k", "x-amz-tagging-directive", "ACCESS")}
	list["metadata directive"] = request{method: "PUT", path: "/numbers/c", header: headers("x-amz-copy-source", "numbers/k", "x-amz-metadata-directive", "ACCESS")}
	refusedBeforeBackend(t, g, e, "InvalidArgument", list)

	for _, c := range []struct{ given, sent string }{{"0", "0"}, {"1", "1"}, {"0007", "7"}, {"1000", "1000"}, {"1001", "1000"}, {"2147483647", "1000"}, {"", ""}} {
		e.must(t, &request{method: "GET", path: "/numbers", query: query("max-keys", c.given)})
		want := "max-keys=" + c.sent
		if seen := strings.Join(g.asked(), " "); c.sent == "" && strings.Contains(seen, "max-keys") || !strings.Contains(seen+"&", want+"&") && c.sent != "" {
			t.Errorf("max-keys=%s is sent as %s", c.given, seen)
		}
	}
	for _, n := range []string{"1", "10000"} {
		e.must(t, &request{method: "PUT", path: "/numbers/up", query: query("uploadId", id, "partNumber", n), body: []byte("x")})
	}
	if r := e.do(t, &request{method: "GET", path: "/numbers/k", query: query("partNumber", "1")}); r.status != 206 && r.status != 200 {
		t.Errorf("part 1: %d", r.status)
	}
}
