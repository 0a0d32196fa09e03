package proxy

import (
	"bytes"
	"unicode/utf8"
)

const maxKey = 1024 // bytes, docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html

// checkKey refuses keys that MinIO would refuse or would take for another
// name (S3-RULES.md D8): it drops a leading slash and resolves dot segments,
// so that prefix rules, ledger and backend would see different objects.
func checkKey(key []byte) error {
	switch {
	case len(key) > maxKey:
		return &s3Error{code: "KeyTooLongError"}
	case !utf8.Valid(key):
		return refuse("InvalidURI", "Object keys are UTF-8.")
	case bytes.IndexByte(key, 0) >= 0:
		return refuse("InvalidArgument", "An object key must not have a NUL character.")
	case key[0] == '/':
		return refuse("InvalidArgument", "An object key must not begin with a slash.")
	case bytes.Contains(key, []byte("//")):
		return refuse("InvalidArgument", "An object key must not have two slashes in a row.")
	case dotSegment(key):
		return refuse("InvalidArgument", "An object key must not have a segment \".\" or \"..\".")
	}
	return nil
}

// dotSegment reports whether a segment between slashes, of either kind, is "." or "..".
func dotSegment(key []byte) bool {
	for len(key) > 0 {
		i := bytes.IndexAny(key, `/\`)
		segment := key
		if i >= 0 {
			segment, key = key[:i], key[i+1:]
		} else {
			key = nil
		}
		if string(segment) == "." || string(segment) == ".." {
			return true
		}
	}
	return false
}

// validBucketName holds a name to the rules for general purpose buckets
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
func validBucketName(name []byte) bool {
	if len(name) < 3 || len(name) > 63 || !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return false
	}
	digits := true
	for i, c := range name {
		switch {
		case alphanumeric(c), c == '-':
		case c == '.':
			if name[i-1] == '.' {
				return false
			}
		default:
			return false
		}
		digits = digits && (c == '.' || '0' <= c && c <= '9')
	}
	// Formatted as an IPv4 address.
	return !digits || bytes.Count(name, []byte{'.'}) != 3
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
