package s3op_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/product"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

var update = flag.Bool("update", false, "write the pages of docs/")

const pageFile = "../../docs/S3-COMPATIBILITY.md"

// TestCompatibilityPage keeps the page true to the table.
func TestCompatibilityPage(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	_, conformance, _, _ := conformancePart.Cut(string(got))
	want := page() + conformanceSection(conformance) + requestsPage(t)
	if *update {
		if err := os.WriteFile(pageFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		got = []byte(want)
	}
	if string(got) != want {
		t.Error("docs/S3-COMPATIBILITY.md is not what the table says; run `make docs`")
	}
}

// conformancePart is what `make conformance` writes: this page's test leaves it as
// it is.
var conformancePart = product.WrittenBy("make conformance")

func conformanceSection(inside string) string {
	return "\n## Clients and suites\n\n`make conformance` runs stock clients against the gateway, makes each call of a script of MinIO and of the gateway and compares the answers,\n" +
		"and runs minio-go's functional tests against the whole product. It fails when anything differs that is not named below, and when something\n" +
		"named does not differ; it takes some minutes.\n\n" + conformancePart.With(inside)
}

func page() string {
	var b strings.Builder
	b.WriteString("# S3 compatibility\n\n" +
		"Made from the operation table (`proxy/s3op/table.go`) by `make docs`; a test keeps it true.\n\n" +
		"*Forwarded* operations are rebuilt for the backend, *local* ones are answered by the gateway. The class is what billing reads: A writes and\n" +
		"lists, B reads. The right is what an access key needs; an operation without one works with every key of the account.\n\n")
	for _, section := range []struct {
		level s3op.Level
		title string
	}{{s3op.Service, "Service"}, {s3op.Bucket, "Buckets"}, {s3op.Object, "Objects"}} {
		fmt.Fprintf(&b, "## %s\n\n| Operation | Request | Answered | Right | Class | Notes |\n|---|---|---|---|---|---|\n", section.title)
		for _, o := range s3op.Operations {
			if o.Level == section.level {
				fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", o.Name, call(o), answered(o), o.Permission, o.Class, o.Note)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("## Refused\n\nThese sub-resources answer 501 NotImplemented on every method that has no row above, with and without a value. Another parameter that\n" +
		"the operation does not take is ignored on GET and HEAD (`?v=1`), and refused on everything else; a presigned URL may carry `x-` parameters.\n\n| Sub-resource | What the client is told |\n|---|---|\n")
	s3op.Refused(func(selector, sentence string) { fmt.Fprintf(&b, "| `?%s` | %s |\n", selector, sentence) })
	b.WriteString("\nRequest headers that begin with `x-amz-` and that nobody knows are refused, never dropped; so are those of another operation, unless S3 reads\n" +
		"over them (metadata with a GET). What says who asks is ignored: `x-amz-api-version`, `x-amz-id-2`, `x-amz-request-id`, `x-amz-sdk-*`,\n" +
		"`x-amz-cf-*`; so are offers of another protocol (`Upgrade`). `x-minio-` headers have no effect. A refused header asks for nothing when it is empty,\n" +
		"or says that what is not there is off (`x-amz-server-side-encryption-bucket-key-enabled: false`).\n" +
		"Signature Version 2, Version 4A and session tokens are refused with a sentence. Customer-provided keys (SSE-C) need TLS on both hops.\n" +
		"An account that is read-only may read and delete.\n\n" +
		"Upload ids and continuation tokens are good for their bucket (and key) only, on every node: anything else is NoSuchUpload or InvalidArgument.\n" +
		"Markers are plain keys. Version ids are `null` or what the storage gave out. A page has at most 1,000 entries; numbers are digits.\n" +
		"Keys are up to 1,024 bytes of UTF-8, without a leading slash, two slashes in a row, a segment `.` or `..`, or NUL; segments that end in\n" +
		"`__XLDIR__`, segments `xl.meta` and the text `[minio_cache:` are reserved. What is refused is refused with a sentence.\n" +
		"A name is an object or a folder, since MinIO lists nothing below an object: beside an object `a`, or what is left of one in its versions, no\n" +
		"`a/b` is made, and beside `a/b` no `a`: InvalidArgument. `a/` goes with both. Of two that are made at once one is OperationAborted.\n" +
		"User metadata is at most 2 KiB of names and values; MinIO counts the prefix `x-amz-meta-` of each name too. More is MetadataTooLarge.\n" +
		"What is answered 200 was kept, and is read back as it was sent: an `Expires` that is no HTTP-date, which MinIO does not tell, is 501. Times are told to the\n" +
		"millisecond. A bucket policy whose statements differ in their `Sid` alone is 501.\n\n" +
		"ListMultipartUploads pages as in S3. A MinIO lists what the node that is asked remembers since it was started; with a whole key as prefix, what there is.\n" +
		"An empty `versionId` or `partNumber` is InvalidArgument, an empty `uploadId` NoSuchUpload, an empty `<VersionId>` of a batch NoSuchVersion for that entry.\n\n" +
		"## Ranges and conditions\n\nGetObject and HeadObject follow RFC 9110, sections 13 and 14, whatever the backend makes of a header:\n\n" +
		"- One range of bytes is given, also to HEAD, which S3's page on HeadObject promises. Several ranges, other units, and what is not well-formed\n" +
		"  or ends before it begins (`bytes=8-3`), are ignored: 200 and the whole object. Positions have as many digits as they like. Behind the end: 416.\n" +
		"- `If-Range` is compared strongly. A date is current when it is exactly Last-Modified, and the second of that is over. Stale: 200 and the whole object.\n" +
		"- `If-Match`, then `If-Unmodified-Since` if there is no If-Match; `If-None-Match`, then `If-Modified-Since` if there is no If-None-Match; then the range.\n" +
		"  Entity tags come in lists, weak and `*`; without quotes they are taken, too. A date that is no HTTP-date, and an empty header, ask for nothing.\n" +
		"- `partNumber` with `Range` is InvalidRequest, as in S3. Each of these headers comes once.\n\n" +
		"## Fields of a browser's form\n\nBefore the file: at most 20 KiB of names and values, and 200 fields. An empty field asks for nothing, except as metadata.\n\n" +
		"| Field | |\n|---|---|\n")
	for _, row := range [][2]string{
		{"`key`, `bucket`, `policy`, `x-amz-algorithm`, `x-amz-credential`, `x-amz-date`, `x-amz-signature`", "as in S3; `bucket` must be the bucket of the URL"},
		{"`Cache-Control`, `Content-Type`, `Content-Disposition`, `Content-Encoding`, `Content-Language`, `Expires`", "stored"},
		{"`x-amz-meta-*`, `x-amz-storage-class`, `x-amz-object-lock-*`", "stored, as a PutObject's headers are"},
		{"`tagging`", "a Tagging document of up to 10 tags; stored"},
		{"`acl`, `x-amz-acl`", "`private` and `bucket-owner-full-control`; others 501"},
		{"`x-amz-server-side-encryption`", "`AES256`; others, and fields about keys of a key management service, 501"},
		{"`x-amz-server-side-encryption-customer-*`", "used; TLS on both hops"},
		{"`Content-MD5`, `x-amz-checksum-<algorithm>`, `x-amz-checksum-type`", "verified; one checksum at most"},
		{"`x-amz-checksum-algorithm`, `x-amz-sdk-checksum-algorithm`", "must name the checksum that is there; 400"},
		{"`success_action_redirect`, `redirect`, `success_action_status`", "as in S3; a redirect that is no http or https URL is ignored"},
		{"`x-amz-expected-bucket-owner`", "compared"},
		{"`x-amz-security-token`", "403 InvalidToken"},
		{"`if-match`, `if-none-match`, `x-amz-website-redirect-location`, `x-amz-grant-*`, `x-amz-tagging`, any other `x-amz-*` or `x-minio-*`", "501"},
		{"`x-ignore-*`", "ignored; needs no condition in the policy"},
		{"any other", "ignored; needs a condition in the policy"},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	return b.String()
}

func call(o *s3op.Operation) string {
	s := o.Method + " /"
	if o.Level >= s3op.Bucket {
		s += "bucket"
	}
	if o.Level == s3op.Object {
		s += "/key"
	}
	if o.Selector != "" {
		s += "?" + o.Selector
	}
	if o.CopySource {
		s += " + x-amz-copy-source"
	}
	return s
}

func answered(o *s3op.Operation) string {
	if o.Action == s3op.Local {
		return "local"
	}
	return "forwarded"
}
