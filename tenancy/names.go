package tenancy

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"regexp"

	"github.com/primecloudpro/primecloud/internal/secret"
)

var (
	accountName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostName    = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)
	// keyIDForm leaves out what ends an id in an Authorization header or a
	// presigned query: slash, comma, equals sign and ampersand.
	keyIDForm   = regexp.MustCompile(`^[!-%'-+.0-<>-~-]{3,128}$`)
	issuedForm  = regexp.MustCompile(`^PC[A-Z2-7]{18}$`)
	base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	base32Upper = base32.StdEncoding.WithPadding(base32.NoPadding)
)

// CheckAccountName wants a DNS label, since it becomes one.
func CheckAccountName(name string) error {
	if !accountName.MatchString(name) {
		return fmt.Errorf("%w: an account's name is 1 to 63 lower-case letters, digits and hyphens, not beginning or ending with a hyphen", ErrInvalidName)
	}
	return nil
}

// CheckBucketName holds a name to S3's rules for general purpose buckets
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html). It
// is asked about every request: a good name costs no allocation.
func CheckBucketName[T string | []byte](name T) error {
	if len(name) < 3 || len(name) > 63 || !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return errBucketForm
	}
	digits, dots := true, 0
	for i := range len(name) {
		switch c := name[i]; {
		case '0' <= c && c <= '9':
		case c == '.':
			dots++
			fallthrough
		case c == '-':
			if last := name[i-1]; last == '.' || last == '-' && c == '.' {
				return errBucketLabel
			}
			digits = digits && c == '.'
		case alphanumeric(c):
			digits = false
		default:
			return errBucketForm
		}
	}
	if digits && dots == 3 {
		return errBucketAddress
	}
	for i := range reserved {
		r := &reserved[i]
		at := 0
		if !r.front {
			at = len(name) - len(r.text)
		}
		if len(name) >= len(r.text) && holdsAt(name, at, r.text) {
			return r.err
		}
	}
	return nil
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

var (
	errBucketForm    = fmt.Errorf("%w: a bucket's name is 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at both ends", ErrInvalidName)
	errBucketLabel   = fmt.Errorf("%w: between the dots of a bucket's name stand DNS labels", ErrInvalidName)
	errBucketAddress = fmt.Errorf("%w: a bucket's name is no IP address", ErrInvalidName)
)

// affix is a beginning or an ending of bucket names.
type affix struct {
	text  string
	front bool
	err   error
}

func holdsAt[T string | []byte](name T, at int, text string) bool {
	for i := range len(text) {
		if name[at+i] != text[i] {
			return false
		}
	}
	return true
}

// reserved are beginnings and endings that AWS keeps for itself; xn-- also
// means another script to DNS.
var reserved = [...]affix{
	reservedAffix("xn--", true), reservedAffix("sthree-", true), reservedAffix("amzn-s3-demo-", true),
	reservedAffix("-s3alias", false), reservedAffix("--ol-s3", false), reservedAffix(".mrap", false),
	reservedAffix("--x-s3", false), reservedAffix("--table-s3", false),
}

func reservedAffix(text string, front bool) affix {
	where := "end"
	if front {
		where = "begin"
	}
	return affix{text, front, fmt.Errorf("%w: no bucket's name may %s with %s, which is reserved", ErrInvalidName, where, text)}
}

// backendName is a bucket's name in the backend: injective in the id, within
// the 63 characters, and telling nothing (S3-RULES.md D9).
func backendName(id ID) string { return "pc-" + base32Lower.EncodeToString(id[:]) }

// Issued key ids are PC, twelve random characters and six of a MAC, so that all
// but one in 2^30 invented ones are refused from memory instead of from the database.
const (
	keyIDPrefix = "PC"
	keyIDRandom = 12
	keyIDMAC    = 6
	keyIDLen    = len(keyIDPrefix) + keyIDRandom + keyIDMAC
)

func keyMAC(k *secret.Keyring, random string) string {
	return base32Upper.EncodeToString(k.MAC("access key id", []byte(random)))[:keyIDMAC]
}

func newKeyID(k *secret.Keyring) string {
	random := rand.Text()[:keyIDRandom]
	return keyIDPrefix + random + keyMAC(k, random)
}

// newSecret has the length of AWS's, without the characters that break
// configuration files and URLs.
func newSecret() string { return (rand.Text() + rand.Text())[:40] }

// issued says whether an id has the form of issued ones, and whether its MAC
// is right.
func issued(k *secret.Keyring, id string) (form, genuine bool) {
	if !issuedForm.MatchString(id) {
		return false, false
	}
	random, mac := id[len(keyIDPrefix):len(keyIDPrefix)+keyIDRandom], id[keyIDLen-keyIDMAC:]
	return true, subtle.ConstantTimeCompare([]byte(keyMAC(k, random)), []byte(mac)) == 1
}
