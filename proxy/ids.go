package proxy

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/opaque"
	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// ids are what the tokens of a request opened to: the backend's own spelling,
// which goes nowhere but to the backend (docs/decisions/0017).
type ids struct {
	upload []byte // uploadId
	marker []byte // upload-id-marker
	token  []byte // continuation-token
}

var (
	errNoUpload = &s3err.Error{Code: "NoSuchUpload"}
	errToken    = s3err.InvalidArgument("The continuation token provided is incorrect", "continuation-token", nil)

	// errForeignID: what the backend calls an id is none that we know how to
	// send back. It stays here.
	errForeignID = errors.New("the backend gave out an id of a form that is not known")
)

// openIDs opens the ids of the request for the bucket and key that were
// authorised. What is not ours, or was made for another place, does not exist;
// the backend is not asked.
func (x *exchange) openIDs() error {
	for i := range x.target.Query {
		p := &x.target.Query[i]
		if !x.op.Takes(p.Name) {
			continue
		}
		var err error
		switch string(p.Name) {
		case "uploadId":
			x.ids.upload, err = x.openUpload(x.key, p.Value)
		case "upload-id-marker":
			// Without a key-marker S3 ignores it.
			if key, _ := x.param("key-marker"); len(key) > 0 && len(p.Value) > 0 {
				x.ids.marker, err = x.openUpload(key, p.Value)
			}
		case "continuation-token":
			var ok bool
			if x.ids.token, ok = x.srv.cfg.MAC.Open(opaque.ContinuationToken, x.place(nil), p.Value); !ok {
				err = errToken
			}
		case "versionId", "version-id-marker":
			if len(p.Value) > 0 {
				err = x.checkVersion(p.Value)
			}
		}
		if err != nil {
			return err
		}
	}
	if x.source.versionID != nil {
		return x.checkVersion(x.source.versionID) // the source is on the same backend
	}
	return nil
}

func (x *exchange) place(key []byte) opaque.Place {
	return opaque.Place{Backend: x.bucket.BackendID, Bucket: x.bucket.ID, Key: key}
}

func (x *exchange) openUpload(key, token []byte) ([]byte, error) {
	text, ok := x.srv.cfg.MAC.Open(opaque.UploadID, x.place(key), token)
	if !ok || !x.knownUploadID(text) {
		return nil, errNoUpload
	}
	return text, nil
}

func (x *exchange) sealUpload(key []byte, text string) (string, error) {
	if !x.knownUploadID([]byte(text)) {
		return "", errForeignID
	}
	return x.srv.cfg.MAC.Seal(opaque.UploadID, x.place(key), text)
}

// knownUploadID looks at an id of the backend's, coming and going, so that the
// MAC is not all that stands between a client and MinIO's paths: there, an id
// is base64url of "<deployment>.<upload>", two names of letters, digits and
// hyphens.
func (x *exchange) knownUploadID(text []byte) bool {
	if !x.minio() {
		return true
	}
	raw, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil {
		return false
	}
	dots := 0
	for _, c := range raw {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', c == '-':
		case c == '.':
			dots++
		default:
			return false
		}
	}
	return dots == 1
}

// sealed is what becomes of an element of a response that holds an id or a
// marker of the backend's.
func (x *exchange) sealed(element, text string) (string, error) {
	switch element {
	case "UploadId":
		return x.sealUpload(x.key, text)
	case "NextContinuationToken":
		return x.srv.cfg.MAC.Seal(opaque.ContinuationToken, x.place(nil), text)
	case "NextMarker", "NextKeyMarker":
		return x.plainMarker(text), nil
	}
	return "", errForeignID
}

// plainMarker is the key that a marker stands for: MinIO puts an order to its
// listing cache behind it. S3's markers are keys, and clients compare them with
// keys; listings go on from a key as well.
func (x *exchange) plainMarker(text string) string {
	if !x.minio() {
		return text
	}
	begin, end := "[minio_cache:", "]"
	if x.urlEncoded() {
		begin, end = "%5Bminio_cache%3A", "%5D"
	}
	if i := strings.LastIndex(text, begin); i >= 0 && strings.HasSuffix(text, end) {
		return text[:i]
	}
	return text
}

func (x *exchange) urlEncoded() bool {
	v, _ := x.param("encoding-type")
	return equalFold(v, "url")
}
