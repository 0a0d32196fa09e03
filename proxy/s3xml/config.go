package s3xml

import (
	"encoding/xml"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// Config reads a client's configuration document and builds the backend's.
type Config func(doc []byte) ([]byte, error)

// Versioning takes VersioningConfiguration; MFA delete is refused, and may be
// said to be off.
func Versioning(doc []byte) ([]byte, error) {
	var v struct {
		XMLName   xml.Name
		Status    string `xml:",omitempty"`
		MfaDelete string `xml:",omitempty"`
	}
	seen, err := decode(doc, "VersioningConfiguration", &v)
	if err != nil {
		return nil, err
	}
	if err := checks(oneOf("Status", &v.Status, "Enabled", "Suspended"), oneOf("MfaDelete", &v.MfaDelete, "", "Disabled", "Enabled")); err != nil {
		return nil, err
	}
	if v.MfaDelete == "Enabled" {
		return nil, unsupported("MFA delete is not supported.")
	}
	off(&v.MfaDelete, "MfaDelete", seen)
	return named(&v.XMLName, "VersioningConfiguration", &v, seen)
}

// off takes away an element that says of something which is not there that it is
// off, so that the backend is not told.
func off(text *string, element string, seen map[string]int) {
	*text = ""
	delete(seen, element)
}

// named encodes v under its root in S3's name space.
func named(name *xml.Name, root string, v any, seen map[string]int) ([]byte, error) {
	*name = xml.Name{Space: namespace, Local: root}
	return encode(v, seen)
}

type tagSet struct {
	Tags []tag `xml:"Tag"`
}

// tag has a value, which may be empty
// (docs.aws.amazon.com/AmazonS3/latest/API/API_Tag.html).
type tag struct {
	Key   string
	Value *string
}

type tagging struct {
	XMLName xml.Name
	TagSet  *tagSet
}

// BucketTagging takes a bucket's Tagging of up to 50 tags.
func BucketTagging(doc []byte) ([]byte, error) { return tags(doc, 50) }

// ObjectTagging takes an object's Tagging of up to 10 tags.
func ObjectTagging(doc []byte) ([]byte, error) { return tags(doc, 10) }

// TaggingQuery takes an object's Tagging and returns it as x-amz-tagging has
// it: the query of a URL.
func TaggingQuery(doc []byte) (string, error) {
	t, seen, err := readTags(doc, 10)
	if err != nil {
		return "", err
	}
	if _, err := named(&t.XMLName, "Tagging", t, seen); err != nil {
		return "", err // it has what is no tag
	}
	query := make([]byte, 0, len(doc))
	for _, one := range t.TagSet.Tags {
		if len(query) > 0 {
			query = append(query, '&')
		}
		query = append(query, url.QueryEscape(one.Key)+"="+url.QueryEscape(*one.Value)...)
	}
	return string(query), nil
}

func tags(doc []byte, limit int) ([]byte, error) {
	t, seen, err := readTags(doc, limit)
	if err != nil {
		return nil, err
	}
	return named(&t.XMLName, "Tagging", t, seen)
}

func readTags(doc []byte, limit int) (*tagging, map[string]int, error) {
	t := &tagging{}
	seen, err := decode(doc, "Tagging", t)
	if err != nil {
		return nil, nil, err
	}
	if t.TagSet == nil {
		return nil, nil, malformed("A Tagging has a TagSet.")
	}
	if len(t.TagSet.Tags) > limit {
		return nil, nil, s3err.New("InvalidTag", "There are too many tags.")
	}
	if err := distinct(t.TagSet.Tags); err != nil {
		return nil, nil, err
	}
	return t, seen, nil
}

// distinct wants tags of different keys.
func distinct(tags []tag) error {
	used := map[string]bool{}
	for i := range tags {
		if err := tags[i].check(); err != nil {
			return err
		}
		if used[tags[i].Key] {
			return s3err.New("InvalidTag", "A tag's key occurs twice.")
		}
		used[tags[i].Key] = true
	}
	return nil
}

func (t *tag) check() error {
	switch {
	case t.Value == nil:
		return malformed("A Tag has a Key and a Value.")
	case t.Key == "" || utf8.RuneCountInString(t.Key) > 128:
		return s3err.New("InvalidTag", "A tag's key has 1 to 128 characters.")
	case utf8.RuneCountInString(*t.Value) > 256:
		return s3err.New("InvalidTag", "A tag's value has at most 256 characters.")
	case strings.ContainsFunc(t.Key+*t.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return s3err.New("InvalidTag", "A tag has a control character.")
	}
	return nil
}

func (t *tag) complete() {
	if t.Value == nil {
		t.Value = new(string)
	}
}

type retention struct {
	XMLName         xml.Name
	Mode            string `xml:",omitempty"`
	RetainUntilDate string `xml:",omitempty"`
}

// Retention takes an object's Retention; an empty one takes it away.
func Retention(doc []byte) ([]byte, error) {
	var r retention
	seen, err := decode(doc, "Retention", &r)
	if err != nil {
		return nil, err
	}
	if err := checks(oneOf("Mode", &r.Mode, "", "GOVERNANCE", "COMPLIANCE"), moment("RetainUntilDate", &r.RetainUntilDate, false)); err != nil {
		return nil, err
	}
	return named(&r.XMLName, "Retention", &r, seen)
}

// LegalHold takes an object's LegalHold.
func LegalHold(doc []byte) ([]byte, error) {
	var h struct {
		XMLName xml.Name
		Status  string
	}
	seen, err := decode(doc, "LegalHold", &h)
	if err != nil {
		return nil, err
	}
	if err := oneOf("Status", &h.Status, "ON", "OFF")(); err != nil {
		return nil, err
	}
	return named(&h.XMLName, "LegalHold", &h, seen)
}

type objectLock struct {
	XMLName           xml.Name
	ObjectLockEnabled string          `xml:",omitempty"`
	Rule              *objectLockRule `xml:",omitempty"`
}

type objectLockRule struct {
	DefaultRetention struct {
		Mode  string
		Days  string `xml:",omitempty"`
		Years string `xml:",omitempty"`
	}
}

// ObjectLock takes a bucket's ObjectLockConfiguration.
func ObjectLock(doc []byte) ([]byte, error) {
	var o objectLock
	seen, err := decode(doc, "ObjectLockConfiguration", &o)
	if err != nil {
		return nil, err
	}
	if err := oneOf("ObjectLockEnabled", &o.ObjectLockEnabled, "", "Enabled")(); err != nil {
		return nil, err
	}
	if o.Rule != nil {
		r := &o.Rule.DefaultRetention
		if err := checks(oneOf("Mode", &r.Mode, "GOVERNANCE", "COMPLIANCE"), count("Days", &r.Days), count("Years", &r.Years)); err != nil {
			return nil, err
		}
	}
	return named(&o.XMLName, "ObjectLockConfiguration", &o, seen)
}

// DefaultRetention reports whether a bucket's ObjectLockConfiguration, a client's
// or a backend's, holds every new object back from being deleted.
func DefaultRetention(doc []byte) (bool, error) {
	var o objectLock
	if _, err := decode(doc, "ObjectLockConfiguration", &o); err != nil {
		return false, err
	}
	return o.Rule != nil, nil
}

type encryption struct {
	XMLName xml.Name
	Rules   []struct {
		Default struct {
			SSEAlgorithm   string
			KMSMasterKeyID string `xml:",omitempty"`
		} `xml:"ApplyServerSideEncryptionByDefault"`
		BucketKeyEnabled string `xml:",omitempty"`
		Blocked          *struct {
			EncryptionType []string
		} `xml:"BlockedEncryptionTypes,omitempty"`
	} `xml:"Rule"`
}

// Encryption takes a bucket's default encryption with AES256.
func Encryption(doc []byte) ([]byte, error) {
	var e encryption
	seen, err := decode(doc, "ServerSideEncryptionConfiguration", &e)
	if err != nil {
		return nil, err
	}
	if len(e.Rules) != 1 {
		return nil, malformed("There must be one Rule.")
	}
	r := &e.Rules[0]
	if r.Default.SSEAlgorithm != "AES256" || r.Default.KMSMasterKeyID != "" {
		return nil, unsupported("Keys of a key management service are not supported; use AES256.")
	}
	if err := truth("BucketKeyEnabled", &r.BucketKeyEnabled)(); err != nil {
		return nil, err
	}
	if r.BucketKeyEnabled == "true" {
		return nil, unsupported("Bucket keys belong to a key management service, which is not supported.")
	}
	off(&r.BucketKeyEnabled, "BucketKeyEnabled", seen)
	if r.Blocked != nil {
		if len(r.Blocked.EncryptionType) != 1 || r.Blocked.EncryptionType[0] != "NONE" {
			return nil, unsupported("Encryption types cannot be blocked.")
		}
		r.Blocked = nil
		delete(seen, "BlockedEncryptionTypes")
		delete(seen, "EncryptionType")
	}
	return named(&e.XMLName, "ServerSideEncryptionConfiguration", &e, seen)
}

// ParseCreateBucket reads CreateBucketConfiguration and returns its location.
func ParseCreateBucket(doc []byte) (string, error) {
	var c struct {
		XMLName            xml.Name
		LocationConstraint string `xml:",omitempty"`
		Location           *struct{ Name, Type string }
		Bucket             *struct{ DataRedundancy, Type string }
	}
	if _, err := decode(doc, "CreateBucketConfiguration", &c); err != nil {
		return "", err
	}
	if c.Location != nil || c.Bucket != nil {
		return "", unsupported("Directory buckets are not supported.")
	}
	return strings.TrimSpace(c.LocationConstraint), nil
}
