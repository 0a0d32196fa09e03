package proxy_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestEmptyIDs: an id that is there and empty names nothing. It is no way to say
// that there is none, and nothing is read, written or deleted for it. What was
// seen: a batch with an empty VersionId deleted the current object.
func TestEmptyIDs(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	e := g.tenant().raw()
	for _, bucket := range []string{"plain-ids", "versioned-ids"} {
		e.must(t, &request{method: "PUT", path: "/" + bucket})
		if bucket == "versioned-ids" {
			e.must(t, &request{method: "PUT", path: "/" + bucket, query: query("versioning", ""),
				body: []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")})
		}
		k := "/" + bucket + "/k"
		e.must(t, &request{method: "PUT", path: k, body: []byte("kept")})
		upload := e.begin(t, "/"+bucket+"/up")
		tags := []byte("<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
		batch := func(object string) []byte { return []byte("<Delete><Object>" + object + "</Object></Delete>") }
		complete := func(parts string) []byte {
			return []byte("<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>")
		}
		for i, c := range []struct {
			q    request
			want string // status and code, or for a batch the code of the entry
		}{
			{request{method: "DELETE", path: k, query: query("versionId", "")}, "400 InvalidArgument"},
			{request{method: "GET", path: k, query: query("versionId", "")}, "400 InvalidArgument"},
			{request{method: "HEAD", path: k, query: query("versionId", "")}, "400 "},
			{request{method: "GET", path: k, query: query("tagging", "", "versionId", "")}, "400 InvalidArgument"},
			{request{method: "PUT", path: k, query: query("tagging", "", "versionId", ""), body: tags}, "400 InvalidArgument"},
			{request{method: "DELETE", path: k, query: query("tagging", "", "versionId", "")}, "400 InvalidArgument"},
			{request{method: "GET", path: k, query: query("retention", "", "versionId", "")}, "400 InvalidArgument"},
			{request{method: "GET", path: k, query: query("legal-hold", "", "versionId", "")}, "400 InvalidArgument"},
			{request{method: "GET", path: k, query: query("acl", "", "versionId", "")}, "400 InvalidArgument"},
			{request{method: "GET", path: k, query: query("attributes", "", "versionId", ""), header: headers("x-amz-object-attributes", "ETag")}, "400 InvalidArgument"},
			{request{method: "PUT", path: "/" + bucket + "/copy", header: headers("x-amz-copy-source", bucket+"/k?versionId=")}, "400 InvalidArgument"},
			{request{method: "PUT", path: "/" + bucket + "/up", query: query("uploadId", upload, "partNumber", "1"), header: headers("x-amz-copy-source", bucket+"/k?versionId=")}, "400 InvalidArgument"},
			{request{method: "POST", path: "/" + bucket, query: query("delete", ""), body: batch("<Key>k</Key><VersionId></VersionId>")}, "200 NoSuchVersion"},
			{request{method: "POST", path: "/" + bucket, query: query("delete", ""), body: batch("<Key>k</Key><VersionId/>")}, "200 NoSuchVersion"},
			{request{method: "GET", path: k, query: query("partNumber", "")}, "400 InvalidArgument"},
			{request{method: "HEAD", path: k, query: query("partNumber", "")}, "400 "},
			{request{method: "PUT", path: "/" + bucket + "/up", query: query("uploadId", upload, "partNumber", ""), body: []byte("x")}, "400 InvalidArgument"},
			{request{method: "PUT", path: k, query: query("uploadId", ""), body: []byte("x")}, "400 InvalidArgument"},
			{request{method: "PUT", path: k, query: query("uploadId", "", "partNumber", "1"), body: []byte("x")}, "404 NoSuchUpload"},
			{request{method: "GET", path: k, query: query("uploadId", "")}, "404 NoSuchUpload"},
			{request{method: "DELETE", path: k, query: query("uploadId", "")}, "404 NoSuchUpload"},
			{request{method: "POST", path: k, query: query("uploadId", ""), body: complete("<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>")}, "404 NoSuchUpload"},
			// Documents that complete nothing, and leave the upload as it is.
			{request{method: "POST", path: "/" + bucket + "/up", query: query("uploadId", upload), body: complete("")}, "400 MalformedXML"},
			{request{method: "POST", path: "/" + bucket + "/up", query: query("uploadId", upload), body: complete("<Part><PartNumber>1</PartNumber></Part>")}, "400 MalformedXML"},
			{request{method: "POST", path: "/" + bucket + "/up", query: query("uploadId", upload), body: complete("<Part><PartNumber>1</PartNumber><ETag/></Part>")}, "400 MalformedXML"},
			{request{method: "POST", path: "/" + bucket + "/up", query: query("uploadId", upload),
				body: complete("<Part><PartNumber>2</PartNumber><ETag>e</ETag></Part><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>")}, "400 InvalidPartOrder"},
		} {
			r := e.do(t, &c.q)
			if got := fmt.Sprintf("%d %s", r.status, r.code()); got != c.want {
				t.Errorf("%s, %d: %s %s %v %s: %s, wanted %s", bucket, i, c.q.method, c.q.path, c.q.query, c.q.body, got, c.want)
			}
			if r := e.do(t, &request{method: "GET", path: k}); string(r.body) != "kept" {
				t.Fatalf("%s, %d: the object is %d %q", bucket, i, r.status, r.body)
			}
		}
		if r := e.must(t, &request{method: "GET", path: "/" + bucket, query: query("versions", "")}); strings.Count(string(r.body), "<Version>") != 1 || strings.Contains(string(r.body), "<DeleteMarker>") {
			t.Errorf("%s: there is more than there was: %s", bucket, r.body)
		}
		if got := walkPages(t, e, bucket, 1000); len(got) != 1 {
			t.Errorf("%s: the uploads are %q", bucket, got)
		}
	}
}
