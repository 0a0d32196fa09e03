package proxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// TestPostForm_minioGo is a form by minio-go's hand, with everything that its
// policies can ask for: the checksum's algorithm is a field of its own.
func TestPostForm_minioGo(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	tn := g.tenant()
	e := tn.raw()
	if r := e.do(t, &request{method: "PUT", path: "/by-minio-go"}); r.status != 200 {
		t.Fatal(r.status)
	}
	c, err := minio.New(g.addr, &minio.Options{Creds: credentials.NewStaticV4(tn.key.KeyID, tn.key.Secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Repeat("0123456789", 3300)
	meta := "user" + strings.Repeat("m", 56)
	for sum, want := range map[string]int{file: 204, "another file": 400} {
		p := minio.NewPostPolicy()
		key := fmt.Sprint("k", want)
		checksum := minio.ChecksumCRC32C.ChecksumBytes([]byte(sum))
		for _, err := range []error{
			p.SetBucket("by-minio-go"), p.SetKey(key), p.SetExpires(time.Now().UTC().Add(time.Hour)), p.SetContentType("binary/octet-stream"),
			p.SetContentLengthRange(10, 1<<20), p.SetUserMetadata(meta, "value"), p.SetContentEncoding("gzip"), p.SetContentDisposition("inline"),
			p.SetTagging("<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"), p.SetChecksum(checksum),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		u, fields, err := c.PresignedPostPolicy(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		r := sendForm(t, tn, strings.Trim(u.Path, "/"), fields, file)
		if r.status != want {
			t.Errorf("%d %s, wanted %d", r.status, r.body, want)
		}
		if got := r.header.Get("X-Amz-Checksum-Crc32c"); want == 204 && (got != checksum.Encoded() || len(r.header["Etag"]) != 1) {
			t.Errorf("the form is answered with %v", r.header)
		}
		// Another sum than the policy's: the answer quotes the condition, as S3 does.
		fields["x-amz-checksum-crc32c"] = minio.ChecksumCRC32C.ChecksumBytes(nil).Encoded()
		condition := fmt.Sprintf(`["eq", "$x-amz-checksum-crc32c", "%s"]`, checksum.Encoded())
		if r := sendForm(t, tn, strings.Trim(u.Path, "/"), fields, file); r.status != 403 || !strings.Contains(string(r.body), condition) {
			t.Errorf("another sum than the policy's: %d %s", r.status, r.body)
		}
		r = e.do(t, &request{method: "GET", path: "/by-minio-go/" + key, header: headers("x-amz-checksum-mode", "ENABLED")})
		if want != 204 {
			if r.status != 404 {
				t.Errorf("a file with another checksum is stored: %d", r.status)
			}
			continue
		}
		if !bytes.Equal(r.body, []byte(file)) || r.header.Get("X-Amz-Checksum-Crc32c") != checksum.Encoded() || r.header.Get("X-Amz-Meta-"+meta) != "value" ||
			r.header.Get("Content-Encoding") != "gzip" || r.header.Get("Content-Disposition") != "inline" || r.header.Get("X-Amz-Tagging-Count") != "1" {
			t.Errorf("stored are %d bytes with %v", len(r.body), r.header)
		}
	}
}
