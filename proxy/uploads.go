package proxy

import (
	"cmp"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3op"
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

// sealUploads turns the backend's list into the client's.
func (x *exchange) sealUploads(l *s3xml.Uploads) (err error) {
	if l.EncodingType == "url" {
		l.EachName(func(s string) string {
			plain, derr := url.QueryUnescape(s)
			err = errors.Join(err, derr)
			return plain
		})
	}
	if prefix, _ := x.target.Get("prefix"); len(prefix) == 0 && x.minio() {
		x.pageUploads(l)
	}
	l.Bucket = x.bucket.Name
	for i := range l.Uploads {
		u := &l.Uploads[i]
		token, serr := x.sealUpload([]byte(u.Key), u.UploadID)
		err = errors.Join(err, serr)
		u.UploadID = token
		u.Initiator = s3xml.Person{ID: x.account.CanonicalID, DisplayName: x.account.DisplayName}
		u.Owner = u.Initiator
	}
	if l.IsTruncated && l.NextKeyMarker == "" && len(l.Uploads) > 0 {
		// MinIO leaves it out; without it S3 ignores the id beside it.
		l.NextKeyMarker = l.Uploads[len(l.Uploads)-1].Key
	}
	if l.NextUploadIDMarker != "" {
		token, serr := x.sealUpload([]byte(l.NextKeyMarker), l.NextUploadIDMarker)
		err = errors.Join(err, serr)
		l.NextUploadIDMarker = token
	}
	marker, _ := x.target.Get("upload-id-marker")
	l.UploadIDMarker, l.EncodingType = string(marker), ""
	if x.urlEncoded() {
		l.EachName(func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") })
		l.EncodingType = "url"
	}
	return err
}

// pageUploads makes the page that was asked for: MinIO gives the uploads of a
// whole bucket at once, in no order, whatever the markers are. Uploads of one
// key are in the order of their ids, so that one which was aborted meanwhile
// still has its place: clients clean up while they list.
func (x *exchange) pageUploads(l *s3xml.Uploads) {
	limit := x.maxUploads()
	after, _ := x.target.Get("key-marker")
	key, id := string(after), string(x.ids.marker)
	l.Uploads = slices.DeleteFunc(l.Uploads, func(u s3xml.Upload) bool {
		return key != "" && (u.Key < key || u.Key == key && (id == "" || u.UploadID <= id))
	})
	slices.SortFunc(l.Uploads, func(a, b s3xml.Upload) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.UploadID, b.UploadID))
	})
	l.KeyMarker, l.NextKeyMarker, l.NextUploadIDMarker, l.IsTruncated = key, "", "", false
	if int64(len(l.Uploads)) <= limit {
		return
	}
	l.Uploads = l.Uploads[:limit]
	if limit > 0 {
		last := l.Uploads[limit-1]
		l.IsTruncated, l.NextKeyMarker, l.NextUploadIDMarker = true, last.Key, last.UploadID
	}
}

// prepareUploads asks for what sealUploads needs, whatever the client wants: keys
// as they are, and S3's page where none is said (MinIO's has 10,000).
func (x *exchange) prepareUploads() {
	x.out.param(paramEncoding, valueURL)
	x.out.param(paramMaxUploads, x.keepNumber(x.maxUploads()))
}

func (x *exchange) maxUploads() int64 {
	v, _ := x.target.Get("max-uploads")
	if n, ok := s3op.Number(paramMaxUploads, v); ok {
		return n
	}
	return maxUploadsPage
}

const maxUploadsPage = 1000

var (
	paramEncoding   = []byte("encoding-type")
	paramMaxUploads = []byte("max-uploads")
	valueURL        = []byte("url")
)
