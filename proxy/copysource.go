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

// admitCopy finds the length of a copy's source, which counts against a hard
// storage quota as an upload does (S3-RULES.md D2). What was looked at is what
// is copied: the copy is bound to the source's ETag, so that an object which is
// put in its place in between is none; when the look found nothing to copy, to
// one that nothing has, so that the backend says why.
func (x *exchange) admitCopy() error {
	if !x.op.CopySource || !x.grant.Hard(tenancy.Storage) {
		return nil
	}
	if v, ok := x.header("x-amz-copy-source-range"); ok { // of parts only, and well-formed: parse
		n, _ := s3op.CopyLength(v)
		return x.grant.Store(x.srv.ctx, n)
	}
	x.prepareHead()
	if err := x.send(nil); err != nil {
		return err
	}
	status, n, etag := x.resp.Status, x.resp.ContentLength, x.keep(x.resp.Header("etag"))
	x.finish()
	if status >= 500 || status == 429 || status == 408 || status == 499 {
		return x.statusError(status) // it has not looked
	}
	x.copyOf = noETag
	if status != 200 || n < 0 || len(etag) == 0 {
		return nil
	}
	x.copyOf = etag
	return x.grant.Store(x.srv.ctx, n)
}

// prepareHead asks about the source of a copy.
func (x *exchange) prepareHead() {
	x.out.set("HEAD", x.source.bucket.BackendName, x.source.key)
	x.out.payload = emptySHA256
	if x.source.versionID != nil {
		x.out.param(paramVersionID, x.source.versionID)
	}
	for i := range x.headers {
		h := &x.headers[i]
		if rest, ok := bytes.CutPrefix(h.Name, copySourceCustomerKey); ok {
			x.out.header(append(x.keepString("x-amz-server-side-encryption-customer-"), rest...), h.Value)
		}
		if rest, ok := bytes.CutPrefix(h.Name, copySourceCondition); ok {
			x.out.header(append(x.keepString("if-"), rest...), h.Value)
		}
	}
}

// errChanged is told when the source of a copy was replaced while it was copied.
var errChanged error = &s3err.Error{Code: "OperationAborted"}

// copied looks at the response to a copy that was bound to an ETag the client
// has not asked for. What the client has asked for held when its source was
// looked at, or that look found something else than an object.
func (x *exchange) copied() error {
	if x.resp.Status != 412 || x.copyOf == nil {
		return nil
	}
	nothing := bytes.Equal(x.copyOf, noETag) // and then the client's own conditions may be why
	for i := range x.headers {
		name := x.headers[i].Name
		if bytes.Equal(name, hdrCopySourceIfMatch) || nothing && bytes.HasPrefix(name, copySourceCondition) {
			return nil
		}
	}
	x.finish()
	return errChanged
}

var (
	paramVersionID        = []byte("versionId")
	copySourceCondition   = []byte("x-amz-copy-source-if-")
	hdrCopySourceIfMatch  = []byte("x-amz-copy-source-if-match")
	noETag                = []byte(`"none"`)
	copySourceCustomerKey = []byte("x-amz-copy-source-server-side-encryption-customer-")
)
