package s3op

import (
	"bytes"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// Values of parameters and headers that the backend would decode. What is not
// spelled as S3 spells it is refused here, so that the backend has nothing left
// to interpret: MinIO takes "+1" and " null " and "{uuid}", answers 500 to a
// part number "x", and ignores an encoding that it does not know.

// number is a value that counts: decimal digits and nothing else.
type number struct {
	min, max int64
	page     int64 // a larger one asks for as much as S3 gives: this; 0: no bound
	optional bool  // an empty value asks for nothing
	refusal  *s3err.Error
	argument string       // S3's name of it in refusal; "": the parameter's own
	text     *s3err.Error // for what is no number of 32 bits; nil: refusal
}

const (
	maxInt  = 1<<31 - 1 // S3's bound on numbers in requests
	maxPage = 1000
)

func invalidArgument(message string) *s3err.Error { return s3err.New("InvalidArgument", message) }

// count is a number that may be left empty, and of which page, when it is not 0,
// is all that S3 gives. S3 has two sentences: for what is no number of 32 bits,
// and for a negative one, where it spells max-keys in its own way.
func count(name, argument string, page int64) number {
	return number{max: maxInt, page: page, optional: true, argument: argument,
		refusal: invalidArgument("Argument " + argument + " must be an integer between 0 and 2147483647"),
		text:    invalidArgument("Provided " + name + " not an integer or within integer range")}
}

var numbers = map[string]number{
	"partNumber":               {min: 1, max: 10_000, refusal: invalidArgument("Part number must be an integer between 1 and 10000, inclusive")},
	"max-keys":                 count("max-keys", "maxKeys", maxPage),
	"max-parts":                count("max-parts", "max-parts", maxPage),
	"max-uploads":              count("max-uploads", "max-uploads", maxPage),
	"part-number-marker":       count("part-number-marker", "part-number-marker", 0),
	"x-amz-max-parts":          count("x-amz-max-parts", "x-amz-max-parts", maxPage),
	"x-amz-part-number-marker": count("x-amz-part-number-marker", "x-amz-part-number-marker", 0),
	"x-amz-mp-object-size":     {max: 1<<62 - 1, refusal: invalidArgument("Value for x-amz-mp-object-size header is invalid.")},
}

var (
	errEncoding       = invalidArgument("Invalid Encoding Method specified in Request")
	errVersionID      = invalidArgument("Invalid version id specified")
	errEmptyVersion   = invalidArgument("Version id cannot be the empty string")
	errMetadataChoice = invalidArgument("Unknown metadata directive.")
	errTaggingChoice  = invalidArgument("Unknown tagging directive.")
	errLockEnabled    = invalidArgument("The value of x-amz-bucket-object-lock-enabled must be true or false.")
	errLockMode       = invalidArgument("Unknown wormMode directive.")
	errLegalHold      = invalidArgument("Legal Hold must be either of 'ON' or 'OFF'")
	errCopyRange      = invalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last " +
		"are the zero-based offsets of the first and last bytes to copy")
)

// CheckValue refuses a value that is not spelled as S3 spells it, of a query
// parameter or of a header by its lower-case name. Names that it does not know
// are nobody's to check here.
func CheckValue(name, value []byte) *s3err.Error {
	if n, ok := numbers[string(name)]; ok {
		if len(value) == 0 && n.optional {
			return nil
		}
		if v, ok := Decimal(value); !ok || v < n.min || v > n.max {
			return n.refuse(name, value)
		}
		return nil
	}
	if r := checkWord(name, value); r != nil {
		return r.WithArgument(string(name), value)
	}
	return nil
}

func (n *number) refuse(name, value []byte) *s3err.Error {
	argument := n.argument
	if argument == "" {
		argument = string(name)
	}
	if n.text != nil {
		digits, negative := bytes.CutPrefix(value, []byte{'-'})
		if v, ok := Decimal(digits); !negative || !ok || v > maxInt+1 {
			return n.text.WithArgument(string(name), value)
		}
	}
	return n.refusal.WithArgument(argument, value)
}

func checkWord(name, value []byte) *s3err.Error {
	switch string(name) {
	case "encoding-type":
		if len(value) > 0 && !strings.EqualFold(string(value), "url") {
			return errEncoding
		}
	case "versionId":
		if len(value) == 0 {
			return errEmptyVersion
		}
		return CheckVersionID(value)
	case "version-id-marker":
		// MinIO gives an empty one out, behind a common prefix.
		if len(value) > 0 {
			return CheckVersionID(value)
		}
	case "x-amz-metadata-directive":
		return word(value, errMetadataChoice, "COPY", "REPLACE") // MinIO has a third of its own, ACCESS
	case "x-amz-tagging-directive":
		return word(value, errTaggingChoice, "COPY", "REPLACE")
	case "x-amz-bucket-object-lock-enabled":
		return word(bytes.ToLower(value), errLockEnabled, "true", "false")
	case "x-amz-object-lock-mode": // MinIO takes them in lower case, too
		return word(value, errLockMode, "GOVERNANCE", "COMPLIANCE")
	case "x-amz-object-lock-legal-hold":
		return word(value, errLegalHold, "ON", "OFF")
	case "x-amz-copy-source-range":
		if _, ok := CopyLength(value); !ok {
			return errCopyRange
		}
	}
	return nil
}

// CopyLength is how many bytes x-amz-copy-source-range asks for: bytes=first-last,
// both given (docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
// It is the one reading of it: a quota is taken by what the backend will copy.
func CopyLength(value []byte) (int64, bool) {
	value, ok := bytes.CutPrefix(value, []byte("bytes="))
	first, last, _ := bytes.Cut(value, []byte{'-'})
	a, okFirst := Decimal(first)
	b, okLast := Decimal(last)
	return b - a + 1, ok && okFirst && okLast && b >= a
}

// Number is the value that goes to the backend for one that CheckValue let
// through: as much as S3 gives at most. ok is false for what is no number, and
// for an empty one.
func Number(name, value []byte) (n int64, ok bool) {
	row, ok := numbers[string(name)]
	if !ok || len(value) == 0 {
		return 0, false
	}
	n, ok = Decimal(value)
	if row.page > 0 {
		n = min(n, row.page)
	}
	return n, ok
}

// word refuses what is none of the words; an empty value asks for nothing.
func word(value []byte, refusal *s3err.Error, words ...string) *s3err.Error {
	if len(value) > 0 && !slices.Contains(words, string(value)) {
		return refusal
	}
	return nil
}

const maxVersionID = 64

// CheckVersionID refuses what no version id looks like: 1 to 64 characters of
// A-Z, a-z, 0-9, ".", "_" and "-". "null" is one of them.
func CheckVersionID(id []byte) *s3err.Error {
	if len(id) == 0 || len(id) > maxVersionID {
		return errVersionID
	}
	for _, c := range id {
		if !letterOrDigit(c) && c != '.' && c != '_' && c != '-' {
			return errVersionID
		}
	}
	return nil
}

// nullUUID is how MinIO itself spells "null".
const nullUUID = "00000000-0000-0000-0000-000000000000"

// CheckUUIDVersion refuses what MinIO does not give out: "null", or a UUID in
// its usual form and in lower case. It takes others for the same version.
func CheckUUIDVersion(id []byte) *s3err.Error {
	if string(id) == "null" {
		return nil
	}
	if len(id) != len(nullUUID) || string(id) == nullUUID {
		return errVersionID
	}
	for i, c := range id {
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && c == '-':
		case !dash && ('0' <= c && c <= '9' || 'a' <= c && c <= 'f'):
		default:
			return errVersionID
		}
	}
	return nil
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Decimal reads a number of decimal digits and nothing else, up to 18 of them.
func Decimal(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
