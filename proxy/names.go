package proxy

import (
	"bytes"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/tenancy"
)

const maxKey = 1024 // bytes, docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html

// checkKey refuses keys that MinIO would refuse or would take for another
// name (S3-RULES.md D8): it drops a leading slash and resolves dot segments,
// so that prefix rules, ledger and backend would see different objects.
func checkKey(key []byte) error {
	switch {
	case len(key) > maxKey:
		return &s3err.Error{Code: "KeyTooLongError"}
	case !utf8.Valid(key):
		return s3err.New("InvalidURI", "Object keys are UTF-8.")
	case bytes.IndexByte(key, 0) >= 0:
		return s3err.New("InvalidArgument", "An object key must not have a NUL character.")
	case key[0] == '/':
		return s3err.New("InvalidArgument", "An object key must not begin with a slash.")
	case bytes.Contains(key, []byte("//")):
		return s3err.New("InvalidArgument", "An object key must not have two slashes in a row.")
	case dotSegment(key):
		return s3err.New("InvalidArgument", "An object key must not have a segment \".\" or \"..\".")
	}
	return reserved(key, true)
}

var (
	// dirObject is how MinIO spells the slash at the end of a key: "k__XLDIR__"
	// and "k/" are one object there, and what is written below the first is in
	// no listing.
	dirObject = []byte("__XLDIR__")
	// metaFile is the name of the file that makes a folder an object: nobody
	// can write "k" any more when "k/xl.meta" is there.
	metaFile = []byte("xl.meta")
	// cacheDirective in a marker is an order to MinIO's listing cache.
	cacheDirective = []byte("[minio_cache:")
)

// reserved refuses names that MinIO spells something of its own with. whole
// says that name is a key and ends with its last segment; a prefix or a marker
// may end in the middle of one. The sentence says what the client itself has
// sent, and no more.
func reserved(name []byte, whole bool) error {
	if bytes.Contains(name, cacheDirective) {
		return errCacheText
	}
	for len(name) > 0 {
		segment, rest, more := bytes.Cut(name, []byte{'/'})
		switch {
		case !more && !whole:
		case bytes.HasSuffix(segment, dirObject):
			return errDirObject
		case bytes.Equal(segment, metaFile):
			return errMetaFile
		}
		name = rest
	}
	return nil
}

var (
	errCacheText = s3err.New("InvalidArgument", "The text \"[minio_cache:\" is reserved: no object key has it.")
	errDirObject = s3err.New("InvalidArgument", "Segments that end in \"__XLDIR__\" are reserved: no object key has one.")
	errMetaFile  = s3err.New("InvalidArgument", "Segments of the name \"xl.meta\" are reserved: no object key has one.")
)

// dotSegment reports whether a segment between slashes, of either kind, is "." or "..".
func dotSegment(key []byte) bool {
	start, dots := 0, 0 // of the segment
	for i, c := range key {
		switch c {
		case '/', '\\':
			if dots == i-start && 1 <= dots && dots <= 2 {
				return true
			}
			start, dots = i+1, 0
		case '.':
			dots++
		}
	}
	return dots == len(key)-start && 1 <= dots && dots <= 2
}

func validBucketName(name []byte) bool { return tenancy.CheckBucketName(name) == nil }

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
