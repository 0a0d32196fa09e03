package proxy

import (
	"bytes"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

var (
	errControl     = s3err.New("InvalidArgument", "A parameter has a control character.")
	errListingDots = s3err.New("InvalidArgument", "The parameter has a segment \".\" or \"..\", which no key has.")
)

// checkValues refuses values of query parameters that the backend would take
// for something else than S3 does: listing parameters that MinIO would resolve
// as paths or as orders to its cache, numbers, ids and encodings.
func (x *exchange) checkValues() error {
	for i := range x.target.Query {
		p := &x.target.Query[i]
		if !x.op.Takes(p.Name) {
			continue // of another operation, or nobody's: it asks for nothing
		}
		if refusal := s3op.CheckValue(p.Name, p.Value); refusal != nil {
			return refusal
		}
		// They come back as headers (S3-RULES.md C9).
		if bytes.HasPrefix(p.Name, responsePrefix) && hasControl(p.Value) {
			return errControl
		}
		if x.level != s3op.Bucket {
			continue
		}
		switch string(p.Name) {
		case "prefix", "marker", "start-after", "key-marker", "delimiter":
			if err := checkListingText(p.Value); err != nil {
				return err
			}
		}
	}
	if v, ok := x.param("version-id-marker"); ok && len(v) > 0 {
		if key, _ := x.param("key-marker"); len(key) == 0 {
			return s3err.InvalidArgument("A version-id marker cannot be specified without a key marker.", "version-id-marker", v)
		}
	}
	return nil
}

func checkListingText(text []byte) error {
	if dotSegment(text) || bytes.IndexByte(text, 0) >= 0 {
		return errListingDots
	}
	return reserved(text, false)
}

// checkVersion holds a version id to what the backend gives out.
func (x *exchange) checkVersion(id []byte) error {
	check := s3op.CheckVersionID
	if x.minio() {
		check = s3op.CheckUUIDVersion
	}
	if refusal := check(id); refusal != nil {
		return refusal
	}
	return nil
}

// minio reports whether the request's backend is a MinIO. The zero kind is
// that of a backend which was not read from the database.
func (x *exchange) minio() bool { return x.backend.of.Kind != tenancy.BackendS3 }

// backendValue is what the backend gets of a parameter that the operation
// takes: ids in its own spelling, numbers in ours. ok is false when it gets
// none.
func (x *exchange) backendValue(p *sigv4.Param) (value []byte, ok bool) {
	switch string(p.Name) {
	case "uploadId":
		return x.ids.upload, true
	case "continuation-token":
		return x.ids.token, true
	case "upload-id-marker":
		return x.ids.marker, len(x.ids.marker) > 0
	case "version-id-marker":
		return p.Value, len(p.Value) > 0
	case "encoding-type":
		return p.Value, len(p.Value) > 0
	case "partNumber", "max-keys", "max-parts", "part-number-marker":
		n, ok := s3op.Number(p.Name, p.Value)
		return x.keepNumber(n), ok
	}
	return p.Value, true
}
