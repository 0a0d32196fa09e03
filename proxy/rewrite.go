package proxy

import (
	"bytes"
	"errors"
	"io"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/sigv4"
)

// maxAnswerDocument bounds a document that is held whole: 1,000 keys of 1,024
// escaped bytes, twice over.
const maxAnswerDocument = 16 << 20

// maxErrorDocument bounds an error document of the backend's.
const maxErrorDocument = 64 << 10

// rewrite turns the backend's answer into the client's.
func rewrite(x *exchange) error {
	if x.answered {
		return nil
	}
	if !x.ownStatus(x.resp.Status) {
		return x.backendError()
	}
	if err := x.recheckAt(x.srv.cfg.now(), limits.Download); err != nil {
		return err // the backend may have taken minutes
	}
	r := &x.ctx.Response
	x.copyHeaders()
	x.setStatus(x.resp.Status)
	if x.reading.ranged && x.status != 206 {
		r.Header.Del("Content-Range") // what was a 206 at the backend
	}
	switch {
	case x.resp.Status == 204, x.resp.Status == 304:
		x.finish()
		return nil
	case x.ctx.IsHead():
		if n := x.resp.ContentLength; n >= 0 {
			r.Header.SetContentLength(int(n))
		}
		r.SkipBody = true
		x.finish()
		return nil
	}
	switch x.op.Answer {
	case s3op.Bytes:
		x.tally.DeclaredEgress(max(x.resp.ContentLength, 0))
		r.SetBodyStream(&x.stream, int(x.resp.ContentLength))
		return nil
	case s3op.XML:
		return x.rewriteXML()
	case s3op.JSON:
		return x.rewritePolicy()
	}
	x.finish()
	return nil
}

// rewriteXML maps the names of a document. An answer of unknown length is
// streamed: the backend sends white space while a long Complete or copy works,
// and the client must see it to stay on the line (S3-RULES.md E8).
func (x *exchange) rewriteXML() error {
	x.ctx.Response.Header.SetContentType("application/xml")
	switch x.op.Name {
	case "ListMultipartUploads":
		return x.rewriteUploads()
	case "GetBucketLifecycleConfiguration":
		return x.rewriteWhole("application/xml", s3xml.LifecycleOut)
	}
	if x.resp.ContentLength < 0 && !x.op.Idempotent {
		x.stream.names = x.names3()
		x.ctx.Response.SetBodyStream(&x.stream, -1)
		return nil
	}
	doc := x.newDoc(&x.held.answer, x.local)
	result, err := s3xml.Rewrite(&doc, io.LimitReader(&x.resp, maxAnswerDocument), x.names3())
	x.local = doc.b
	switch {
	case errors.Is(err, errForeignID), errors.Is(err, opaque.ErrBackendText):
		return &s3Error{code: "InternalError", cause: err}
	case err != nil:
		return unreadable(err)
	}
	x.finish()
	if result.Error != nil {
		// An error in a 200 or 206 (S3-RULES.md E8, F7).
		return x.documentError(result.Error, x.resp.Status)
	}
	x.tally.DeclaredEgress(int64(len(x.local)))
	x.ctx.Response.SetBodyRaw(x.local)
	return nil
}

func (x *exchange) rewritePolicy() error {
	return x.rewriteWhole("application/json", func(doc []byte) ([]byte, error) {
		return s3xml.PolicyOut(doc, x.bucket.Name, x.bucket.BackendName)
	})
}

// rewriteWhole answers with a document that is made of the backend's.
func (x *exchange) rewriteWhole(contentType string, out func(doc []byte) ([]byte, error)) error {
	doc, err := x.readAnswer(maxAnswerDocument)
	if err != nil {
		return err
	}
	x.finish()
	if err := x.roomToUnderstand(doc); err != nil {
		return err
	}
	if x.local, err = out(doc); err != nil {
		return &s3Error{code: "InternalError", cause: err}
	}
	x.ctx.Response.Header.SetContentType(contentType)
	x.tally.DeclaredEgress(int64(len(x.local)))
	x.ctx.Response.SetBodyRaw(x.local)
	return nil
}

// names3 is what names in an answer are mapped to.
func (x *exchange) names3() *s3xml.Names {
	n := &s3xml.Names{
		Owner:     x.account.CanonicalID,
		OwnerName: x.account.DisplayName,
		Resource:  string(x.target.Path),
		RequestID: string(x.id[:]),
		HostID:    x.srv.hostID,
		Location:  x.location(string(x.key)),
	}
	if x.bucket != nil {
		n.Bucket, n.BackendBucket = x.bucket.Name, x.bucket.BackendName
	}
	n.Seal, n.Blames = x.sealed, x.blames
	if v, ok := x.param("uploadId"); ok {
		n.UploadID = string(v)
	}
	if v, ok := x.param("continuation-token"); ok {
		n.Token = string(v)
	}
	return n
}

// location is an object's address as the client reached it.
func (x *exchange) location(key string) string {
	raw, _ := x.header("host")
	b := append([]byte(x.publicScheme()), "://"...)
	b = append(b, raw...)
	if x.host.bucket == nil {
		b = append(b, '/')
		b = append(b, x.bucketNm...)
	}
	b = append(b, '/')
	return string(sigv4.AppendEscape(b, []byte(key), true))
}

// passed are the answer headers that reach the client, in AWS's spelling.
// Everything else stays behind: the backend's server name, deployment id,
// rate-limit state, CORS answers (S3-RULES.md F2, F6).
var passed = map[string]string{
	"accept-ranges":                       "Accept-Ranges",
	"cache-control":                       "Cache-Control",
	"content-disposition":                 "Content-Disposition",
	"content-encoding":                    "Content-Encoding",
	"content-language":                    "Content-Language",
	"content-range":                       "Content-Range",
	"content-type":                        "Content-Type",
	"etag":                                "ETag",
	"expires":                             "Expires",
	"last-modified":                       "Last-Modified",
	"retry-after":                         "Retry-After",
	"x-amz-abort-date":                    "x-amz-abort-date",
	"x-amz-abort-rule-id":                 "x-amz-abort-rule-id",
	"x-amz-checksum-crc32":                "x-amz-checksum-crc32",
	"x-amz-checksum-crc32c":               "x-amz-checksum-crc32c",
	"x-amz-checksum-crc64nvme":            "x-amz-checksum-crc64nvme",
	"x-amz-checksum-sha1":                 "x-amz-checksum-sha1",
	"x-amz-checksum-sha256":               "x-amz-checksum-sha256",
	"x-amz-checksum-type":                 "x-amz-checksum-type",
	"x-amz-checksum-algorithm":            "x-amz-checksum-algorithm",
	"x-amz-copy-source-version-id":        "x-amz-copy-source-version-id",
	"x-amz-delete-marker":                 "x-amz-delete-marker",
	"x-amz-expiration":                    "x-amz-expiration",
	"x-amz-missing-meta":                  "x-amz-missing-meta",
	"x-amz-mp-parts-count":                "x-amz-mp-parts-count",
	"x-amz-object-lock-legal-hold":        "x-amz-object-lock-legal-hold",
	"x-amz-object-lock-mode":              "x-amz-object-lock-mode",
	"x-amz-object-lock-retain-until-date": "x-amz-object-lock-retain-until-date",
	"x-amz-storage-class":                 "x-amz-storage-class",
	"x-amz-tagging-count":                 "x-amz-tagging-count",
	"x-amz-version-id":                    "x-amz-version-id",
	"x-amz-server-side-encryption":        "x-amz-server-side-encryption",
	"x-amz-server-side-encryption-customer-algorithm": "x-amz-server-side-encryption-customer-algorithm",
	"x-amz-server-side-encryption-customer-key-md5":   "x-amz-server-side-encryption-customer-key-MD5",
}

// ofBytes are those of them that describe an object's bytes. A document is made
// here: it is not encoded, cut or kept as the backend says of its own.
var ofBytes = map[string]bool{
	"cache-control": true, "content-disposition": true, "content-encoding": true,
	"content-language": true, "content-range": true, "expires": true,
}

// transitionDefault is what S3 answers of every lifecycle that was not given
// another minimum: Terraform puts it and waits until it is answered
// (docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html).
// There are no transitions here, so that it is true of every bucket, and nothing is kept.
const transitionDefault = "all_storage_classes_128K"

func (x *exchange) copyHeaders() {
	x.setCommonHeaders()
	h := &x.ctx.Response.Header
	object := x.op.Answer == s3op.Bytes || x.op.Method == "HEAD"
	x.resp.VisitHeaders(func(name, value []byte) {
		// The response copies it: names of metadata may be as long as all of it.
		n := len(x.arena)
		x.arena = appendLower(x.arena, name)
		key := x.arena[n:]
		x.arena = x.arena[:n]
		switch wire, ok := passed[string(key)]; {
		case string(key) == "content-type":
			h.SetContentTypeBytes(value)
		case !object && ofBytes[string(key)]:
		case ok:
			h.AddBytesV(wire, value)
		case object && bytes.HasPrefix(key, metaPrefix):
			h.AddBytesKV(key, value)
		}
	})
	if x.op.Name == "GetBucketLifecycleConfiguration" || x.op.Name == "PutBucketLifecycleConfiguration" {
		h.Set("x-amz-transition-default-minimum-object-size", transitionDefault)
	}
	if x.op.Answer == s3op.Bytes {
		// Objects are the account's, not ours: no guessing of types (F5).
		h.Set("X-Content-Type-Options", "nosniff")
	}
}

// finish gives the backend's connection back.
func (x *exchange) finish() {
	x.endLook()
	if x.responded {
		x.resp.Close()
		x.responded = false
	}
}
