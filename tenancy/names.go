package tenancy

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"github.com/primecloudpro/primecloud/internal/secret"
)

var (
	accountName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	hostName    = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)
	// keyIDForm leaves out what ends an id in an Authorization header or a
	// presigned query: slash, comma, equals sign and ampersand.
	keyIDForm   = regexp.MustCompile(`^[!-%'-+.0-<>-~-]{3,128}$`)
	issuedForm  = regexp.MustCompile(`^PC[A-Z2-7]{18}$`)
	ipv4        = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)
	base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	base32Upper = base32.StdEncoding.WithPadding(base32.NoPadding)
)

// Beginnings and endings that AWS keeps for itself; xn-- also means another
// script to DNS.
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// CheckAccountName wants a DNS label, since it becomes one.
func CheckAccountName(name string) error {
	if !accountName.MatchString(name) {
		return fmt.Errorf("%w: an account's name is 1 to 63 lower-case letters, digits and hyphens, not beginning or ending with a hyphen", ErrInvalidName)
	}
	return nil
}

// CheckBucketName holds a name to S3's rules for general purpose buckets
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
func CheckBucketName(name string) error {
	switch {
	case !bucketName.MatchString(name):
		return fmt.Errorf("%w: a bucket's name is 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at both ends", ErrInvalidName)
	case strings.Contains(name, "..") || strings.Contains(name, ".-") || strings.Contains(name, "-."):
		return fmt.Errorf("%w: between the dots of a bucket's name stand DNS labels", ErrInvalidName)
	case ipv4.MatchString(name):
		return fmt.Errorf("%w: a bucket's name is no IP address", ErrInvalidName)
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return fmt.Errorf("%w: the prefix %s is reserved", ErrInvalidName, p)
		}
	}
	for _, e := range reservedSuffixes {
		if strings.HasSuffix(name, e) {
			return fmt.Errorf("%w: the suffix %s is reserved", ErrInvalidName, e)
		}
	}
	return nil
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
