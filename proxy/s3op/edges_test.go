package s3op_test

import (
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// The characters at both ends of a range are of it, and their neighbours are not.
func TestCheckVersionID_edges(t *testing.T) {
	t.Parallel()
	for _, c := range "azAZ09._-" {
		if r := s3op.CheckVersionID([]byte(string(c))); r != nil {
			t.Errorf("%q: %v", c, r)
		}
	}
	for _, c := range "`{@[/:,^" {
		if s3op.CheckVersionID([]byte(string(c))) == nil {
			t.Errorf("%q is a version id", c)
		}
	}
	const good = "3f5e2a0c-9d1b-4c7e-8a6f-0123456789ab"
	for i := range good {
		for _, c := range []byte("`g/:") {
			id := []byte(good)
			id[i] = c
			if s3op.CheckUUIDVersion(id) == nil {
				t.Errorf("%s is a version id", id)
			}
		}
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "9": 9, "0010": 10, "100": 100, "999999999999999999": 999_999_999_999_999_999} {
		if n, ok := s3op.Decimal([]byte(text)); !ok || n != want {
			t.Errorf("%s: %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "/", ":", "1/", "1:", "1000000000000000000", "-1", "1 "} {
		if n, ok := s3op.Decimal([]byte(text)); ok || n != 0 {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
}

func TestCopyLength(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"bytes=0-0": 1, "bytes=5-5": 1, "bytes=0-99": 100, "bytes=7-9": 3} {
		if n, ok := s3op.CopyLength([]byte(text)); !ok || n != want {
			t.Errorf("%s: %d, %v", text, n, ok)
		}
		if r := s3op.CheckValue([]byte("x-amz-copy-source-range"), []byte(text)); r != nil {
			t.Errorf("%s: %v", text, r)
		}
	}
	for _, text := range []string{"", "bytes=", "bytes=-", "bytes=1-0", "bytes=0-", "bytes=-5", "0-9", "bytes 0-9", "bytes=0-9,11-12", "bytes=0-x", "bytes=x-9"} {
		if _, ok := s3op.CopyLength([]byte(text)); ok {
			t.Errorf("%q is a range", text)
		}
		if s3op.CheckValue([]byte("x-amz-copy-source-range"), []byte(text)) == nil {
			t.Errorf("%q passes", text)
		}
	}
}

// S3 has two sentences for a number that it does not take: for what is no number
// of 32 bits, and for a negative one.
func TestCheckValue_sentences(t *testing.T) {
	t.Parallel()
	const between, integer = "Argument maxKeys must be an integer between 0 and 2147483647", "Provided max-keys not an integer or within integer range"
	for value, want := range map[string]string{
		"-1": between, "-2147483648": between, "-2147483649": integer, "2147483648": integer, "x": integer, "-x": integer, "-": integer, "--1": integer,
	} {
		r := s3op.CheckValue([]byte("max-keys"), []byte(value))
		argument := "maxKeys"
		if want == integer {
			argument = "max-keys"
		}
		if r == nil || r.Message != want || r.Argument != argument || r.Value != value || !r.HasValue {
			t.Errorf("%s: %+v", value, r)
		}
	}
	if r := s3op.CheckValue([]byte("partNumber"), []byte("-1")); r == nil || !strings.HasPrefix(r.Message, "Part number must be") || r.Argument != "partNumber" {
		t.Errorf("a part: %+v", r)
	}
}

// Two sub-resources are named in one order, whichever came first.
func TestClassify_conflict(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"acl&tagging", "tagging&acl"} {
		_, r := s3op.Classify([]byte("GET"), s3op.Object, params(t, query), false)
		if r == nil || r.Message != "Conflicting query string parameters: acl, tagging" || r.Argument != "ResourceType" || r.Value != "acl" {
			t.Errorf("%s: %+v", query, r)
		}
	}
}

// What is billed, at the edges: nobody's requests, refusals and the operator's
// faults are not.
func TestOperation_Counted(t *testing.T) {
	t.Parallel()
	get := s3op.Operations[0]
	for _, o := range s3op.Operations {
		if o.Name == "GetObject" {
			get = o
		}
	}
	for status, billed := range map[int]bool{200: true, 304: true, 400: true, 401: false, 402: true, 403: false, 404: true, 416: true, 499: true, 500: false, 503: false} {
		if got := get.Counted(s3op.Customer, status); (got == usage.ClassB) != billed || !billed && got != usage.ClassUnbilled {
			t.Errorf("%d is %v", status, got)
		}
	}
	if get.Counted(s3op.Nobody, 200) != usage.ClassUnbilled {
		t.Error("nobody pays")
	}
}

// A parameter has a meaning for an operation when it selects it or is taken by it.
func TestOperation_Takes(t *testing.T) {
	t.Parallel()
	for _, o := range s3op.Operations {
		if o.Takes(nil) || o.Takes([]byte("nothing")) {
			t.Errorf("%s takes what it has no use for", o.Name)
		}
		if o.Selector != "" && !o.Takes([]byte(o.Selector)) {
			t.Errorf("%s does not take its own selector", o.Name)
		}
		for _, p := range o.Params {
			if !o.Takes([]byte(p)) {
				t.Errorf("%s does not take %s", o.Name, p)
			}
		}
	}
}
