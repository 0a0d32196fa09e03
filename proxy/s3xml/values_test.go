package s3xml_test

import (
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

const (
	rule    = "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
	ruleEnd = "</Rule></LifecycleConfiguration>"
)

// valued are documents with a place for a value, and what may stand there:
// what is no value of S3's schema is the client's mistake, whichever words a
// backend would have for it.
var valued = []struct {
	name   string
	read   s3xml.Config
	doc    string // %: the value
	fine   []string
	made   string // of the first, if it is not what was sent
	bounds []string
	broken []string
}{
	{"Days", s3xml.Lifecycle, rule + "<Expiration><Days>%</Days></Expiration>" + ruleEnd, []string{" 1 ", "2147483647", "007", "+1"}, "<Days>1</Days>", []string{"0", "-1", "2147483648", "9999999999999999"}, numbers},
	{"NoncurrentDays", s3xml.Lifecycle, rule + "<NoncurrentVersionExpiration><NoncurrentDays>%</NoncurrentDays></NoncurrentVersionExpiration>" + ruleEnd, []string{"1"}, "", []string{"0", "-1"}, numbers},
	{"NewerNoncurrentVersions", s3xml.Lifecycle, rule + "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>%</NewerNoncurrentVersions></NoncurrentVersionExpiration>" + ruleEnd, []string{"1"}, "", []string{"0", "-1"}, numbers},
	{"ObjectSizeGreaterThan", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><ObjectSizeGreaterThan>%</ObjectSizeGreaterThan></Filter></Rule></LifecycleConfiguration>", []string{"1", "5497558138880"}, "", []string{"-1"}, numbers},
	{"ObjectSizeLessThan", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><ObjectSizeLessThan>%</ObjectSizeLessThan></Filter></Rule></LifecycleConfiguration>", []string{"1"}, "", []string{"0", "-1"}, numbers},
	{"And/ObjectSizeGreaterThan", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><ObjectSizeGreaterThan>%</ObjectSizeGreaterThan></And></Filter></Rule></LifecycleConfiguration>", []string{"1"}, "", []string{"-1"}, numbers},
	{"And/ObjectSizeLessThan", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><ObjectSizeLessThan>%</ObjectSizeLessThan></And></Filter></Rule></LifecycleConfiguration>", []string{"1"}, "", []string{"0"}, numbers},
	{"ExpiredObjectDeleteMarker", s3xml.Lifecycle, rule + "<Expiration><ExpiredObjectDeleteMarker>%</ExpiredObjectDeleteMarker></Expiration>" + ruleEnd, []string{"1", "true", "false", "0", " true "}, "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>", nil, words},
	{"Date", s3xml.Lifecycle, rule + "<Expiration><Date>%</Date></Expiration>" + ruleEnd, []string{"2030-01-02", "2030-01-02T00:00:00Z", "2030-01-02T00:00:00.000Z", "2030-01-02T03:00:00+03:00"}, "<Date>2030-01-02T00:00:00Z</Date>", []string{"2030-01-02T00:00:01Z", "2030-01-02T00:00:00+03:00"}, dates},
	{"Status of a rule", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>%</Status><Prefix></Prefix></Rule></LifecycleConfiguration>", []string{"Enabled", "Disabled"}, "", nil, words},
	{"Status of versioning", s3xml.Versioning, "<VersioningConfiguration><Status>%</Status></VersioningConfiguration>", []string{"Enabled", "Suspended"}, "", nil, words},
	{"MfaDelete", s3xml.Versioning, "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>%</MfaDelete></VersioningConfiguration>", []string{"Disabled"}, "<Status>Enabled</Status></VersioningConfiguration>", nil, words[1:]},
	{"Mode of a retention", s3xml.Retention, "<Retention><Mode>%</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>", []string{"GOVERNANCE", "COMPLIANCE"}, "", nil, words},
	{"RetainUntilDate", s3xml.Retention, "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>%</RetainUntilDate></Retention>", []string{"2030-01-01T00:00:00+01:00", "2030-01-01T00:00:00.123Z"}, "<RetainUntilDate>2029-12-31T23:00:00Z</RetainUntilDate>", nil, dates},
	{"Status of a legal hold", s3xml.LegalHold, "<LegalHold><Status>%</Status></LegalHold>", []string{"ON", "OFF"}, "", nil, words},
	{"ObjectLockEnabled", s3xml.ObjectLock, "<ObjectLockConfiguration><ObjectLockEnabled>%</ObjectLockEnabled></ObjectLockConfiguration>", []string{"Enabled"}, "", nil, words},
	{"Mode of a lock", s3xml.ObjectLock, "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>%</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>", []string{"GOVERNANCE"}, "", nil, words},
	{"Days of a lock", s3xml.ObjectLock, "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>%</Days></DefaultRetention></Rule></ObjectLockConfiguration>", []string{"1"}, "", []string{"0", "-1"}, numbers},
	{"Years of a lock", s3xml.ObjectLock, "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Years>%</Years></DefaultRetention></Rule></ObjectLockConfiguration>", []string{"1"}, "", []string{"0", "-1"}, numbers},
	{"BucketKeyEnabled", s3xml.Encryption, "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>%</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
		[]string{"false", "0"}, "</ApplyServerSideEncryptionByDefault></Rule>", nil, words[1:]},
}

var (
	numbers = []string{"", " ", "x", "1x", "1.5", "0x10", "1e3", "one", "--1", "1 2", "\u0661", "99999999999999999999", "NaN"}
	words   = []string{"", "x", "enabled", "TRUE", "yes", "on", "2"}
	dates   = []string{"", "x", "tomorrow", "2030", "2030-13-01", "2030-02-30T00:00:00Z", "2030-01-01T00:00:00", "01/02/2030", "1", "20300101T000000Z", "0001-01-01T00:00:00Z"}
)

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range valued {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, value := range c.fine {
				out, err := c.read([]byte(strings.Replace(c.doc, "%", value, 1)))
				if err != nil {
					t.Errorf("%q: %v", value, err)
				} else if i == 0 && !strings.Contains(string(out), c.made) {
					t.Errorf("%q became %s", value, out)
				}
			}
			for value, want := range codesOf(c.bounds, c.broken) {
				_, err := c.read([]byte(strings.Replace(c.doc, "%", value, 1)))
				if value == "" && err == nil {
					continue // where it may be left out it asks for nothing: TestConfig_empty
				}
				if code(err) != want {
					t.Errorf("%q: %v, wanted %s", value, err, want)
				}
			}
		})
	}
}

func codesOf(bounds, broken []string) map[string]string {
	all := map[string]string{}
	for _, v := range bounds {
		all[v] = "InvalidArgument"
	}
	for _, v := range broken {
		all[v] = "MalformedXML"
	}
	return all
}
