package sigv4

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// Checksum is an algorithm of x-amz-checksum-*
// (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
type Checksum uint8

// The algorithms that open-source MinIO stores. The zero Checksum is none.
const (
	NoChecksum Checksum = iota
	CRC32
	CRC32C
	CRC64NVME
	SHA1
	SHA256
)

var checksums = [...]struct {
	header string
	size   int
	make   func() hash.Hash
}{
	NoChecksum: {},
	CRC32:      {"x-amz-checksum-crc32", 4, func() hash.Hash { return crc32.NewIEEE() }},
	CRC32C:     {"x-amz-checksum-crc32c", 4, func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	CRC64NVME:  {"x-amz-checksum-crc64nvme", 8, func() hash.Hash { return crc64nvme.New() }},
	SHA1:       {"x-amz-checksum-sha1", sha1.Size, sha1.New},
	SHA256:     {"x-amz-checksum-sha256", sha256.Size, sha256.New},
}

// ParseChecksum finds the algorithm of a lower-case header name.
func ParseChecksum(header string) (Checksum, bool) {
	for c := CRC32; c <= SHA256; c++ {
		if checksums[c].header == header {
			return c, true
		}
	}
	return NoChecksum, false
}

// New starts a checksum.
func (c Checksum) New() hash.Hash { return checksums[c].make() }

// HeaderName is the lower-case header that carries it.
func (c Checksum) HeaderName() string { return checksums[c].header }

// EncodedLen is the length of its base64 form.
func (c Checksum) EncodedLen() int { return base64.StdEncoding.EncodedLen(checksums[c].size) }
