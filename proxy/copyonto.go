package proxy

import (
	"bytes"
	"strings"

	"github.com/primecloudpro/primecloud/sigv4"
)

// A copy of an object onto itself, with a storage class and no other change, is
// how tools make an object young again: "aws s3 cp s3://b/k s3://b/k
// --storage-class STANDARD". S3 writes the object anew. MinIO refuses when it is of
// that class already, unless the source is named by its version; so it is, and the
// checksum that it has is asked for, which MinIO would not make again.

var (
	hdrChecksumAlgorithm = []byte("x-amz-checksum-algorithm")
	hdrChecksumMode      = []byte("x-amz-checksum-mode")
	valueEnabled         = []byte("ENABLED")
	defaultAlgorithm     = []byte("CRC64NVME") // S3's own for what has none
	nullVersion          = []byte("null")
)

// onto reports whether the copy is one of those.
func (x *exchange) onto() bool {
	if !x.op.CopySource || !x.op.Creates || x.source.bucket.ID != x.bucket.ID || !bytes.Equal(x.source.key, x.key) || x.source.versionID != nil || !x.minio() {
		return false
	}
	directive, _ := x.header("x-amz-metadata-directive")
	class, _ := x.header("x-amz-storage-class")
	return len(class) > 0 && string(directive) != "REPLACE"
}

// prepareOnto asks what the object is now. What keeps it from being answered is for
// the copy itself to say.
func (x *exchange) prepareOnto() error {
	if !x.onto() {
		return nil
	}
	x.prepareHead()
	x.out.header(hdrChecksumMode, valueEnabled)
	if err := x.send(nil); err != nil {
		return err
	}
	if x.resp.Status == 200 {
		if x.source.versionID = x.keep(x.resp.Header("x-amz-version-id")); len(x.source.versionID) == 0 {
			x.source.versionID = nullVersion
		}
		if _, chosen := x.header("x-amz-checksum-algorithm"); !chosen {
			x.sum = defaultAlgorithm
			x.resp.VisitHeaders(x.noteAlgorithm)
		}
	}
	x.finish()
	return nil
}

func (x *exchange) noteAlgorithm(name, _ []byte, _ bool) {
	if sum, ok := sigv4.ParseChecksum(strings.ToLower(string(name))); ok {
		x.sum = x.keepString(strings.ToUpper(strings.TrimPrefix(sum.HeaderName(), "x-amz-checksum-")))
	}
}
