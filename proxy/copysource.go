package proxy

import (
	"bytes"
	"errors"
	"net/url"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/tenancy"
)

// copySource is the object that CopyObject and UploadPartCopy read, resolved
// in the same account as the target.
type copySource struct {
	bucket    *tenancy.Bucket
	key       []byte
	versionID []byte // nil: the current one
}

// authorizeSource resolves x-amz-copy-source: [/]bucket/key[?versionId=v],
// percent-decoded once, split at the first slash, through the same checks as
// a GET of it (S3-RULES.md D1, D2, A11).
func (x *exchange) authorizeSource() error {
	raw, _ := x.header("x-amz-copy-source")
	bucket, key, version, err := parseCopySource(raw)
	if errors.Is(err, errCopySource) {
		return s3err.InvalidArgument(copySourceSentence, "x-amz-copy-source", raw)
	}
	if err != nil {
		return err
	}
	if x.identity.Permission&tenancy.Read == 0 {
		return errRight
	}
	if err := x.mayTouch(bucket, key); err != nil {
		return err
	}
	b, err := x.srv.cfg.Directory.Bucket(x.srv.ctx, x.account.ID, bucket)
	if err != nil {
		return err
	}
	if b.BackendID != x.bucket.BackendID {
		return s3err.New("NotImplemented", "Copies between buckets on different storage are not supported; download and upload instead.")
	}
	x.source = copySource{bucket: b, key: key, versionID: version}
	return x.expectedOwner("x-amz-source-expected-bucket-owner")
}

const copySourceSentence = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"

var errCopySource = s3err.New("InvalidArgument", copySourceSentence)

func parseCopySource(raw []byte) (bucket, key, version []byte, err error) {
	// The query begins at a literal question mark: one inside a key is encoded.
	path, query, _ := bytes.Cut(raw, []byte{'?'})
	if len(query) > 0 {
		v, ok := bytes.CutPrefix(query, []byte("versionId="))
		if ok && len(v) == 0 {
			return nil, nil, nil, s3op.CheckValue([]byte("versionId"), nil)
		}
		if !ok || bytes.ContainsAny(v, "?&=") {
			return nil, nil, nil, errCopySource
		}
		decoded, err := url.PathUnescape(string(v))
		if err != nil {
			return nil, nil, nil, errCopySource
		}
		version = []byte(decoded)
		if refusal := s3op.CheckVersionID(version); refusal != nil {
			return nil, nil, nil, refusal
		}
	} else if bytes.IndexByte(raw, '?') >= 0 {
		return nil, nil, nil, errCopySource
	}
	decoded, uerr := url.PathUnescape(string(path))
	if uerr != nil {
		return nil, nil, nil, errCopySource
	}
	name := bytes.TrimPrefix([]byte(decoded), []byte{'/'})
	bucket, key, ok := bytes.Cut(name, []byte{'/'})
	if !ok || len(key) == 0 || !validBucketName(bucket) {
		return nil, nil, nil, errCopySource
	}
	if err := checkKey(key); err != nil {
		return nil, nil, nil, err
	}
	return bucket, key, version, nil
}
