package proxy

import (
	"bytes"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

var metaPrefix = []byte("x-amz-meta-")

// maxMetadata bounds user metadata: the bytes of all names, without the prefix,
// and values (docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
// MinIO counts the prefixes too and refuses with the same code, before the body.
const maxMetadata = 2 << 10

func metadataSize(lower, value []byte) int {
	if !bytes.HasPrefix(lower, metaPrefix) {
		return 0
	}
	return len(lower) - len(metaPrefix) + len(value)
}

func checkMetadata(size int) error {
	if size > maxMetadata {
		return errMetadata
	}
	return nil
}

var errMetadata = &s3err.Error{Code: "MetadataTooLarge"}

// admitMetadata holds the headers of an object to be to the bound. Those that a
// presigner moved into the query are among them (hoist).
func (x *exchange) admitMetadata() error {
	if x.op.Headers&s3op.Metadata == 0 {
		return nil
	}
	size := 0
	for i := range x.headers {
		size += metadataSize(x.headers[i].Name, x.headers[i].Value)
	}
	return checkMetadata(size)
}
