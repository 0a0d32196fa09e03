package proxy

import (
	"cmp"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// maxUploadsResponse is against a backend whose list has no end. MinIO, which
// gives all uploads of a bucket at once, holds them in memory, makes the
// document there, and forgets uploads after a day: this is a million uploads
// with the longest of keys, seven million with short ones. It costs no memory here.
const maxUploadsResponse = 4 << 30

// rewriteUploads builds the response to ListMultipartUploads anew: each id is
// sealed for the key that stands beside it. The backend was asked for encoded
// keys, whatever the client wants: XML cannot hold every key, and a token for a
// key that was changed on the way would not open.
//
// What is held is one page, however many uploads the backend lists.
func rewriteUploads(x *exchange) error {
	x.ctx.Response.Header.SetContentType("application/xml")
	page := x.uploadsPage()
	list, err := x.readUploads(page)
	if err == nil {
		err = x.askKeysUploads(page)
	}
	if err != nil {
		return err
	}
	if err = page.fill(list); err == nil {
		err = x.sealUploads(list)
	}
	if err != nil {
		return &s3err.Error{Code: "InternalError", Cause: err}
	}
	x.local = list.Append(x.local[:0], x.account.CanonicalID, x.account.DisplayName)
	x.tally.DeclaredEgress(int64(len(x.local)))
	x.ctx.Response.SetBodyRaw(x.local)
	return nil
}

// readUploads reads one list of the backend's into the page.
func (x *exchange) readUploads(page *uploadsPage) (*s3xml.Uploads, error) {
	list, failed, err := s3xml.ReadUploads(io.LimitReader(&x.resp, maxUploadsResponse), page.take)
	switch {
	case page.err != nil && !errors.Is(page.err, errBusy):
		return nil, &s3err.Error{Code: "InternalError", Cause: page.err}
	case err != nil:
		return nil, unreadable(cmp.Or(page.err, err))
	}
	x.finish()
	if failed != nil {
		return nil, x.documentError(failed, x.resp.Status)
	}
	if err := page.endList(list); err != nil {
		return nil, &s3err.Error{Code: "InternalError", Cause: err}
	}
	return list, nil
}

// askKeysUploads adds the uploads of the key that the prefix is. MinIO takes a
// prefix for a whole key, and then it looks on its disks, where uploads are of
// which its memory has nothing: those from before its last start, and those that
// were begun on another of its nodes.
func (x *exchange) askKeysUploads(page *uploadsPage) error {
	if !page.sorted || page.prefix == "" || checkKey([]byte(page.prefix)) != nil {
		return nil
	}
	x.out.set(x.op.Method, x.bucket.BackendName, nil)
	x.out.payload = emptySHA256
	x.out.param(paramUploads, nil)
	x.out.param(paramPrefix, x.keepString(page.prefix))
	x.out.param(paramEncoding, valueURL)
	x.out.param(paramMaxUploads, x.keepNumber(maxKeysUploads))
	if err := x.send(nil); err != nil {
		return err
	}
	if x.resp.Status != 200 {
		return x.backendError()
	}
	_, err := x.readUploads(page)
	return err
}

// maxKeysUploads is the most that MinIO gives of one key.
const maxKeysUploads = 10_000

// sealUploads turns the backend's ids and names into the client's. The keys are
// plain ones, and so are they before they are encoded for the client.
func (x *exchange) sealUploads(l *s3xml.Uploads) (err error) {
	l.Bucket = x.bucket.Name
	for i := range l.Uploads {
		u := &l.Uploads[i]
		token, serr := x.sealUpload([]byte(u.Key), u.UploadID)
		err = errors.Join(err, serr)
		u.UploadID = token
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
	marker, _ := x.param("upload-id-marker")
	l.UploadIDMarker, l.EncodingType = string(marker), ""
	if x.urlEncoded() {
		l.EachName(func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") })
		l.EncodingType = "url"
	}
	return err
}

// uploadsPage is the page that was asked for. MinIO makes none.
func (x *exchange) uploadsPage() *uploadsPage {
	p := &uploadsPage{limit: maxUploadsPage, hold: func(n int) error { return x.held.asked.grow(x.srv.documents, x.holder(), int64(n)) }}
	if !x.minio() {
		return p
	}
	text := func(name string) string {
		v, _ := x.param(name)
		return string(v)
	}
	p.sorted, p.limit = true, int(x.maxUploads())
	p.prefix, p.delimiter = text("prefix"), text("delimiter")
	p.marker.Key, p.marker.UploadID = text("key-marker"), string(x.ids.marker)
	p.marker.begun = begun(p.marker.UploadID)
	return p
}

// uploadsQuery asks for what sealUploads needs, whatever the client wants: keys
// as they are, and S3's page where none is said (MinIO's has 10,000). MinIO makes
// no pages: it is asked for everything, see uploadsPage.
func uploadsQuery(x *exchange) {
	for i := range x.target.Query {
		p := &x.target.Query[i]
		name := string(p.Name)
		if !x.op.Takes(p.Name) || name == "encoding-type" || name == "max-uploads" || x.minio() && name != x.op.Selector {
			continue
		}
		if value, ok := x.backendValue(p); ok {
			x.out.param(p.Name, value)
		}
	}
	x.out.param(paramEncoding, valueURL)
	x.out.param(paramMaxUploads, x.keepNumber(x.maxUploads()))
}

func (x *exchange) maxUploads() int64 {
	v, _ := x.param("max-uploads")
	if n, ok := s3op.Number(paramMaxUploads, v); ok {
		return n
	}
	return maxUploadsPage
}

const maxUploadsPage = 1000

var (
	paramEncoding   = []byte("encoding-type")
	paramMaxUploads = []byte("max-uploads")
	paramUploads    = []byte("uploads")
	paramPrefix     = []byte("prefix")
	valueURL        = []byte("url")
)
