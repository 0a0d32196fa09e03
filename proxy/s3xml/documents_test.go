package s3xml_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// Configurations that stay as they are, element by element, and what is refused.
var configs = []struct {
	name  string
	parse s3xml.Config
	doc   string
	code  string // "" is accepted
}{
	{"versioning", s3xml.Versioning, "<VersioningConfiguration" + ns + "><Status>Enabled</Status></VersioningConfiguration>", ""},
	{"versioning without name space", s3xml.Versioning, "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", ""},
	{"MFA delete", s3xml.Versioning, "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>", "NotImplemented"},
	{"versioning, other status", s3xml.Versioning, "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", "MalformedXML"},
	{"versioning, MinIO's exclusions", s3xml.Versioning, "<VersioningConfiguration><Status>Enabled</Status><ExcludeFolders>true</ExcludeFolders></VersioningConfiguration>", "NotImplemented"},
	{"expiration", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>p/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>", ""},
	{"old prefix", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix></Prefix><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>", ""},
	{"noncurrent, and", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule><Rule><Status>Disabled</Status><Filter></Filter><Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>", ""},
	{"unfinished uploads", s3xml.Lifecycle, lifecycleOf("<Filter></Filter><Expiration><Days>7</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), ""},
	{"unfinished uploads with a tag", s3xml.Lifecycle, lifecycleOf("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>" + abort), "InvalidRequest"},
	{"unfinished uploads with tags", s3xml.Lifecycle, lifecycleOf("<Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>" + abort), "InvalidRequest"},
	{"unfinished uploads of a size", s3xml.Lifecycle, lifecycleOf("<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>" + abort), "InvalidRequest"},
	{"unfinished uploads without days", s3xml.Lifecycle, lifecycleOf("<Filter></Filter><AbortIncompleteMultipartUpload></AbortIncompleteMultipartUpload>"), "MalformedXML"},
	{"unfinished uploads at once", s3xml.Lifecycle, lifecycleOf("<Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), "InvalidArgument"},
	{"a filter and a prefix", s3xml.Lifecycle, lifecycleOf("<Prefix>p</Prefix><Filter></Filter>"), "MalformedXML"},
	{"two conditions", s3xml.Lifecycle, lifecycleOf("<Filter><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"), "MalformedXML"},
	{"an and of none", s3xml.Lifecycle, lifecycleOf("<Filter><And></And></Filter>"), "MalformedXML"},
	{"an and of one", s3xml.Lifecycle, lifecycleOf("<Filter><And><Prefix>p</Prefix></And></Filter>"), "MalformedXML"},
	{"an and of one key", s3xml.Lifecycle, lifecycleOf("<Filter><And>" + manyTags(1) + manyTags(1) + "</And></Filter>"), "InvalidTag"},
	{"a filter's tag without a key", s3xml.Lifecycle, lifecycleOf("<Filter><Tag><Key></Key><Value>v</Value></Tag></Filter>"), "InvalidTag"},
	{"a filter's tag without a value", s3xml.Lifecycle, lifecycleOf("<Filter><Tag><Key>k</Key></Tag></Filter>"), "MalformedXML"},
	{"a filter's tag with an empty value", s3xml.Lifecycle, lifecycleOf("<Filter><Tag><Key>k</Key><Value></Value></Tag></Filter>"), ""},
	{"more than nothing", s3xml.Lifecycle, lifecycleOf("<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>"), "NotImplemented"},
	{"transition", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter></Filter><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>", "NotImplemented"},
	{"unknown action", s3xml.Lifecycle, "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter></Filter><DelMarkerExpiration><Days>1</Days></DelMarkerExpiration></Rule></LifecycleConfiguration>", "NotImplemented"},
	{"no rule", s3xml.Lifecycle, "<LifecycleConfiguration></LifecycleConfiguration>", "MalformedXML"},
	{"tags", s3xml.ObjectTagging, "<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>&lt;</Value></Tag></TagSet></Tagging>", ""},
	{"eleven tags", s3xml.ObjectTagging, "<Tagging><TagSet>" + manyTags(11) + "</TagSet></Tagging>", "InvalidTag"},
	{"eleven tags of a bucket", s3xml.BucketTagging, "<Tagging><TagSet>" + manyTags(11) + "</TagSet></Tagging>", ""},
	{"fifty-one tags of a bucket", s3xml.BucketTagging, "<Tagging><TagSet>" + manyTags(51) + "</TagSet></Tagging>", "InvalidTag"},
	{"a tag twice", s3xml.ObjectTagging, "<Tagging><TagSet>" + manyTags(1) + manyTags(1) + "</TagSet></Tagging>", "InvalidTag"},
	{"a tag without a key", s3xml.ObjectTagging, "<Tagging><TagSet><Tag><Key></Key><Value>v</Value></Tag></TagSet></Tagging>", "InvalidTag"},
	{"a tag without a value", s3xml.ObjectTagging, "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", "MalformedXML"},
	{"no set of tags", s3xml.ObjectTagging, "<Tagging></Tagging>", "MalformedXML"},
	{"a long key", s3xml.ObjectTagging, "<Tagging><TagSet><Tag><Key>" + strings.Repeat("é", 129) + "</Key><Value>v</Value></Tag></TagSet></Tagging>", "InvalidTag"},
	{"retention", s3xml.Retention, "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>", ""},
	{"no retention", s3xml.Retention, "<Retention></Retention>", ""},
	{"legal hold", s3xml.LegalHold, "<LegalHold><Status>ON</Status></LegalHold>", ""},
	{"object lock", s3xml.ObjectLock, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>", ""},
	{"encryption", s3xml.Encryption, "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>", ""},
	{"encryption with a key of KMS", s3xml.Encryption, "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>", "NotImplemented"},
	{"other root", s3xml.LegalHold, "<Retention></Retention>", "MalformedXML"},
	{"two roots", s3xml.LegalHold, "<LegalHold><Status>ON</Status></LegalHold><LegalHold><Status>OFF</Status></LegalHold>", "MalformedXML"},
	{"an element twice", s3xml.LegalHold, "<LegalHold><Status>ON</Status><Status>OFF</Status></LegalHold>", "MalformedXML"},
	{"entities", s3xml.LegalHold, `<!DOCTYPE x [<!ENTITY e "ON">]><LegalHold><Status>&e;</Status></LegalHold>`, "MalformedXML"},
	{"text behind", s3xml.LegalHold, "<LegalHold><Status>ON</Status></LegalHold>x", "MalformedXML"},
	{"empty", s3xml.LegalHold, "", "MalformedXML"},
	{"deep", s3xml.LegalHold, strings.Repeat("<LegalHold>", 40) + strings.Repeat("</LegalHold>", 40), "MalformedXML"},
}

const abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"

func lifecycleOf(inside string) string {
	return "<LifecycleConfiguration><Rule><Status>Enabled</Status>" + inside + "</Rule></LifecycleConfiguration>"
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<Tag><Key>k%d</Key><Value>v</Value></Tag>", i)
	}
	return b.String()
}

func code(err error) string {
	var refused *s3err.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Code
	}
	return "not an s3err.Error: " + err.Error()
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := c.parse([]byte(c.doc))
			if got := code(err); got != c.code {
				t.Fatalf("got %q (%v), want %q", got, err, c.code)
			}
			if err != nil {
				return
			}
			in, ierr := leaves([]byte(c.doc))
			made, oerr := leaves(out)
			if diff := cmp.Diff(in, made); ierr != nil || oerr != nil || diff != "" {
				t.Error(ierr, oerr, diff)
			}
		})
	}
}

const mine, theirs = "mine", "pc-0001"

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

var policies = []struct{ name, doc, code string }{
	{"public read", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), ""},
	{"list and read", policy(`{"Sid":"a","Effect":"Allow","Principal":{"AWS":"*"},"Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::mine"]}`,
		`{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":"arn:aws:s3:::mine/pc-0001/mine/*"}`), ""},
	{"one statement, no list", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}}`, ""},
	{"deny", policy(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"write", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"all actions", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"actions with a pattern", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"a person", policy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"not a principal", policy(`{"Effect":"Allow","NotPrincipal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"condition", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*","Condition":{}}`), "NotImplemented"},
	{"other bucket", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}`), "MalformedPolicy"},
	{"backend's bucket", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::pc-0001/*"}`), "MalformedPolicy"},
	{"longer name", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine2/*"}`), "MalformedPolicy"},
	{"pattern in the bucket", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine*"}`), "MalformedPolicy"},
	{"everything", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`), "MalformedPolicy"},
	{"effect twice", policy(`{"Effect":"Allow","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), "MalformedPolicy"},
	{"effect twice, other case", policy(`{"Effect":"Allow","effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`), "MalformedPolicy"},
	{"no statement", policy(), "MalformedPolicy"},
	{"no action", policy(`{"Effect":"Allow","Principal":"*","Resource":"arn:aws:s3:::mine/*"}`), "NotImplemented"},
	{"not JSON", "hello", "MalformedPolicy"},
	{"empty", "", "MalformedPolicy"},
	{"two documents", policy(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/*"}`) + "{}", "MalformedPolicy"},
	{"too large", policy(`{"Sid":"` + strings.Repeat("x", 21<<10) + `","Effect":"Allow"}`), "MalformedPolicy"},
}

func TestPolicy_D11(t *testing.T) {
	t.Parallel()
	for _, p := range policies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			out, err := s3xml.PolicyIn([]byte(p.doc), mine, theirs)
			if got := code(err); got != p.code {
				t.Fatalf("got %q (%v), want %q", got, err, p.code)
			}
			if err == nil {
				checkPolicy(t, out)
			}
		})
	}
}

// checkPolicy holds what the backend gets to the rules, and maps it back.
func checkPolicy(t *testing.T, out []byte) {
	t.Helper()
	var p struct {
		Statement []struct {
			Effect    string
			Principal map[string][]string
			Action    []string
			Resource  []string
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" || len(s.Principal) != 1 || len(s.Action) == 0 || len(s.Resource) == 0 {
			t.Errorf("passed on: %s", out)
		}
		for _, a := range s.Action {
			if !strings.HasPrefix(a, "s3:Get") && !strings.HasPrefix(a, "s3:List") {
				t.Errorf("action %s is passed on", a)
			}
		}
		for _, r := range s.Resource {
			if r != "arn:aws:s3:::"+theirs && !strings.HasPrefix(r, "arn:aws:s3:::"+theirs+"/") {
				t.Errorf("resource %s is passed on", r)
			}
		}
	}
	back, err := s3xml.PolicyOut(out, mine, theirs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s3xml.PolicyIn(back, mine, theirs)
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("there and back: %v\n%s\n%s", err, out, again)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, p := range policies {
		f.Add([]byte(p.doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := s3xml.PolicyIn(doc, mine, theirs)
		if err == nil {
			checkPolicy(t, out)
		} else if c := code(err); c != "MalformedPolicy" && c != "NotImplemented" {
			t.Error(c)
		}
	})
}

var lists = []struct{ name, doc, code string }{
	{"delete", "<Delete><Object><Key>a&amp;&#xD;b</Key></Object><Object><Key> </Key><VersionId>v</VersionId></Object><Quiet>true</Quiet></Delete>", ""},
	{"no entry", "<Delete></Delete>", "MalformedXML"},
	{"no key", "<Delete><Object></Object></Delete>", "MalformedXML"},
	{"1001 entries", "<Delete>" + strings.Repeat("<Object><Key>a</Key></Object>", 1001) + "</Delete>", "MalformedXML"},
	{"doctype", "<!DOCTYPE x><Delete><Object><Key>a</Key></Object></Delete>", "MalformedXML"},
	{"complete", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&#34;x&#34;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>", ""},
	{"no part", "<CompleteMultipartUpload></CompleteMultipartUpload>", "MalformedXML"},
	{"part 0", "<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "InvalidArgument"},
	{"part 10001", "<CompleteMultipartUpload><Part><PartNumber>10001</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "InvalidArgument"},
	{"no ETag", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", "MalformedXML"},
	{"no ETag in the second", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part><Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>", "MalformedXML"},
	{"a checksum and no ETag", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>", "MalformedXML"},
	{"no number", "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>", "MalformedXML"},
	{"an empty number", "<CompleteMultipartUpload><Part><PartNumber/><ETag>x</ETag></Part></CompleteMultipartUpload>", "MalformedXML"},
	{"an empty part", "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", "MalformedXML"},
	{"order", "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>x</ETag></Part><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "InvalidPartOrder"},
	{"one part twice", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "InvalidPartOrder"},
	{"gaps", "<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>x</ETag></Part><Part><PartNumber>7</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", ""},
	{"part x", "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>", "MalformedXML"},
}

// rebuild parses a list document and appends what the backend gets.
func rebuild(doc []byte) ([]byte, error) {
	if bytes.Contains(doc, []byte("<Complete")) {
		c, err := s3xml.ParseComplete(doc)
		if err != nil {
			return nil, err
		}
		return s3xml.AppendComplete(nil, c), nil
	}
	d, err := s3xml.ParseDelete(doc)
	if err != nil {
		return nil, err
	}
	return s3xml.AppendDelete(nil, d), nil
}

func TestLists(t *testing.T) {
	t.Parallel()
	for _, l := range lists {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			out, err := rebuild([]byte(l.doc))
			if got := code(err); got != l.code {
				t.Fatalf("got %q (%v), want %q", got, err, l.code)
			}
			if err != nil {
				return
			}
			in, ierr := leaves([]byte(l.doc))
			made, oerr := leaves(out)
			if diff := cmp.Diff(in, made); ierr != nil || oerr != nil || diff != "" {
				t.Error(ierr, oerr, diff)
			}
		})
	}
}

// What is read once is read the same again: the backend sees what was authorised.
func FuzzLists(f *testing.F) {
	for _, l := range lists {
		f.Add([]byte(l.doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if len(doc) > 1<<16 {
			return
		}
		out, err := rebuild(doc)
		if err != nil {
			return
		}
		again, err := rebuild(out)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%v\n%q\n%q", err, out, again)
		}
	})
}
