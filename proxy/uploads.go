package proxy

import (
	"errors"
	"io"
	"net/url"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// rewriteUploads builds the answer to ListMultipartUploads anew: each id is
// sealed for the key that stands beside it. The backend was asked for encoded
// keys, whatever the client wants: XML cannot hold every key, and a token for a
// key that was bent on the way would not open.
func (x *exchange) rewriteUploads() error {
	doc, err := io.ReadAll(io.LimitReader(&x.resp, maxAnswerDocument+1))
	if err == nil && len(doc) > maxAnswerDocument {
		err = errors.New("the list of uploads is too long")
	}
	if err != nil {
		return &s3Error{code: "ServiceUnavailable", cause: err}
	}
	x.finish()
	list, err := s3xml.ParseUploads(doc)
	if err != nil {
		if e, perr := s3xml.ParseError(doc); perr == nil {
			return x.documentError(e)
		}
		return &s3Error{code: "ServiceUnavailable", cause: err}
	}
	if err := x.sealUploads(list); err != nil {
		return &s3Error{code: "InternalError", cause: err}
	}
	x.local = list.Append(x.local[:0])
	x.tally.DeclaredEgress(int64(len(x.local)))
	x.ctx.Response.SetBodyRaw(x.local)
	return nil
}

func (x *exchange) sealUploads(l *s3xml.Uploads) (err error) {
	decode := func(s string) string { return s }
	if l.EncodingType == "url" {
		decode = func(s string) string {
			plain, derr := url.QueryUnescape(s)
			err = errors.Join(err, derr)
			return plain
		}
	}
	seal := func(key, text string) string {
		if text == "" {
			return ""
		}
		token, serr := x.sealUpload([]byte(decode(key)), text)
		err = errors.Join(err, serr)
		return token
	}
	l.Bucket = x.bucket.Name
	for i := range l.Uploads {
		u := &l.Uploads[i]
		if u.UploadID == "" {
			return errForeignID
		}
		u.UploadID = seal(u.Key, u.UploadID)
		u.Initiator = s3xml.Person{ID: x.account.CanonicalID, DisplayName: x.account.DisplayName}
		u.Owner = u.Initiator
	}
	if l.IsTruncated && l.NextKeyMarker == "" && len(l.Uploads) > 0 {
		// MinIO leaves it out; without it S3 ignores the id beside it.
		l.NextKeyMarker = l.Uploads[len(l.Uploads)-1].Key
	}
	l.NextUploadIDMarker = seal(l.NextKeyMarker, l.NextUploadIDMarker)
	marker, _ := x.target.Get("upload-id-marker")
	l.UploadIDMarker = string(marker)
	if !x.urlEncoded() {
		l.EachName(decode)
		l.EncodingType = ""
	}
	return err
}
