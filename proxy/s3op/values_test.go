package s3op_test

import (
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

func TestCheckValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		fine, no []string
	}{
		{"max-keys", []string{"", "0", "1", "0001", "1000", "2147483647"}, []string{"-1", "+1", " 1", "1 ", "2147483648", "x", "1e3", "0x1", "99999999999999999999", "١"}},
		{"partNumber", []string{"1", "10000"}, []string{"", "0", "10001", "-1", "+1", "x"}},
		{"part-number-marker", []string{"", "0", "10001"}, []string{"-1", "x", "2147483648"}},
		{"x-amz-max-parts", []string{"1"}, []string{"+1"}},
		{"x-amz-mp-object-size", []string{"0", "5497558138880"}, []string{"", "-1", "x"}},
		{"encoding-type", []string{"", "url", "URL"}, []string{"base64", "url ", "none"}},
		{"versionId", []string{"null", "a.b_c-D9", strings.Repeat("a", 64)}, []string{"", " null", "../x", "{a}", "a:b", "ü", strings.Repeat("a", 65)}},
		{"version-id-marker", []string{"", "null"}, []string{"a b", "a/b"}},
		{"x-amz-metadata-directive", []string{"", "COPY", "REPLACE"}, []string{"ACCESS", "copy"}},
		{"x-amz-tagging-directive", []string{"COPY"}, []string{"ACCESS"}},
		{"x-amz-bucket-object-lock-enabled", []string{"", "true", "False"}, []string{"yes", "1"}},
		{"x-amz-object-lock-mode", []string{"", "GOVERNANCE", "COMPLIANCE"}, []string{"governance", "Compliance", " GOVERNANCE", "x"}},
		{"x-amz-object-lock-legal-hold", []string{"", "ON", "OFF"}, []string{"on", "Off", "true"}},
		{"prefix", []string{"anything at all", ""}, nil},
	} {
		for _, v := range c.fine {
			if r := s3op.CheckValue([]byte(c.name), []byte(v)); r != nil {
				t.Errorf("%s=%q is refused: %v", c.name, v, r)
			}
		}
		for _, v := range c.no {
			if r := s3op.CheckValue([]byte(c.name), []byte(v)); r == nil || r.Code != "InvalidArgument" || r.Message == "" {
				t.Errorf("%s=%q: %v", c.name, v, r)
			}
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		n           int64
		ok          bool
	}{
		{"max-keys", "7", 7, true}, {"max-keys", "007", 7, true}, {"max-keys", "5000", 1000, true}, {"max-keys", "", 0, false}, {"max-keys", "x", 0, false},
		{"partNumber", "10000", 10000, true}, {"part-number-marker", "10000", 10000, true}, {"prefix", "7", 0, false},
	} {
		if n, ok := s3op.Number([]byte(c.name), []byte(c.value)); ok != c.ok || ok && n != c.n {
			t.Errorf("%s=%s: %d, %v", c.name, c.value, n, ok)
		}
	}
}

func TestCheckUUIDVersion(t *testing.T) {
	t.Parallel()
	const good = "3f5e2a0c-9d1b-4c7e-8a6f-0123456789ab"
	for _, id := range []string{good, "null"} {
		if r := s3op.CheckUUIDVersion([]byte(id)); r != nil {
			t.Errorf("%s: %v", id, r)
		}
	}
	for i := range good {
		for _, c := range []byte("Gg{-/ 0") {
			if c == good[i] || c == '0' && good[i] != '-' {
				continue // still one
			}
			id := []byte(good)
			id[i] = c
			if s3op.CheckUUIDVersion(id) == nil {
				t.Errorf("%s is a version id", id)
			}
		}
	}
	for _, id := range []string{"", good[1:], good + "0", strings.ToUpper(good), "urn:uuid:" + good, "{" + good + "}", strings.ReplaceAll(good, "-", ""), "00000000-0000-0000-0000-000000000000"} {
		if s3op.CheckUUIDVersion([]byte(id)) == nil {
			t.Errorf("%q is a version id", id)
		}
	}
}
