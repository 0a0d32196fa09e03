package sigv4_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/sigv4"
)

var published = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// TestVerify_published verifies AWS's own examples, chunks and trailer included.
func TestVerify_published(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/aws/*.http")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			t.Parallel()
			w, u := readExample(t, file)
			u.parse(t, w, published)
			for i := range w.headers {
				if h := &w.headers[i]; strings.EqualFold(string(h.Name), "x-amz-date") {
					h.Value = []byte("20130524T000001Z")
					if w.verify(published) == nil {
						t.Error("verifies with another date")
					}
				}
			}
			if u.body == nil {
				return
			}
			if n := w.header("content-length"); n != "" && n != fmt.Sprint(len(u.body)) {
				t.Errorf("the body has %d bytes, AWS counts %s", len(u.body), n)
			}
			if got, err := u.decode(u.body, whole); err != nil || !bytes.Equal(got, u.want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			u.body[len(u.body)/2] ^= 1
			if _, err := u.decode(u.body, whole); err == nil {
				t.Error("a changed byte passes")
			}
		})
	}
}

// readExample reads a request and, for a chunked one, builds its body.
func readExample(t *testing.T, file string) (*wire, *upload) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, chunks, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	w, u := &wire{}, &upload{}
	w.method, w.target, _ = strings.Cut(lines[0], " ")
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		w.add(name, value)
	}
	u.options.Trailer = w.header("x-amz-trailer")
	for line := range strings.Lines(chunks) {
		first, signature, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(first, ":") {
			u.body = fmt.Appendf(u.body[:len(u.body)-2], "%s\r\nx-amz-trailer-signature:%s\r\n\r\n", first, signature)
			continue
		}
		var size int
		if _, err := fmt.Sscanf(first, "%x", &size); err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte{'a'}, size)
		u.want = append(u.want, data...)
		u.body = fmt.Appendf(u.body, "%x;chunk-signature=%s\r\n%s\r\n", size, signature, data)
	}
	u.options.DecodedLength = int64(len(u.want))
	return w, u
}

// TestPolicy_published: the form of AWS's example, and what each change of it
// must lead to (S3-RULES.md B27, A6, A7).
func TestPolicy_published(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/aws/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	policy := string(text)
	form := func() []sigv4.Field {
		return []sigv4.Field{
			{Name: "key", Value: "user/user1/${filename}"}, {Name: "acl", Value: "public-read"},
			{Name: "success_action_redirect", Value: "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
			{Name: "content-type", Value: "image/jpeg"}, {Name: "x-amz-meta-uuid", Value: "14365123651274"},
			{Name: "x-amz-server-side-encryption", Value: "AES256"},
			{Name: "x-amz-credential", Value: "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
			{Name: "x-amz-algorithm", Value: "AWS4-HMAC-SHA256"}, {Name: "x-amz-date", Value: "20151229T000000Z"},
			{Name: "x-amz-meta-tag", Value: ""}, {Name: "policy", Value: policy},
			{Name: "x-amz-signature", Value: "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"},
		}
	}
	at := time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC)
	key := sigv4.NewSigningKey(secretKey, "20151229", region)
	if got := sigv4.SignPolicy(policy, key); got != "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e" {
		t.Errorf("signature %s", got)
	}
	set := func(name, value string) func([]sigv4.Field) []sigv4.Field {
		return func(f []sigv4.Field) []sigv4.Field {
			for i := range f {
				if f[i].Name == name {
					f[i].Value = value
					return f
				}
			}
			return append(f, sigv4.Field{Name: name, Value: value})
		}
	}
	drop := func(name string) func([]sigv4.Field) []sigv4.Field {
		return func(f []sigv4.Field) []sigv4.Field {
			for i := range f {
				if f[i].Name == name {
					return append(f[:i], f[i+1:]...)
				}
			}
			return f
		}
	}
	for name, c := range map[string]struct {
		edit   func([]sigv4.Field) []sigv4.Field
		bucket string
		at     time.Time
		want   error
	}{
		"as published":                    {edit: set("x-ignore-me", "x")},
		"A6 a bucket field is nothing":    {edit: set("bucket", "other")},
		"A6 another bucket in the URL":    {bucket: "other", want: sigv4.ErrAccessDenied},
		"A7 key outside":                  {edit: set("key", "user/user2/x"), want: sigv4.ErrAccessDenied},
		"A7 content type":                 {edit: set("content-type", "text/html"), want: sigv4.ErrAccessDenied},
		"A7 one content type of two":      {edit: set("content-type", "image/png, text/html"), want: sigv4.ErrAccessDenied},
		"A7 extra field":                  {edit: set("x-amz-meta-more", "x"), want: sigv4.ErrAccessDenied},
		"A7 other value":                  {edit: set("acl", "private"), want: sigv4.ErrAccessDenied},
		"A7 field left out":               {edit: drop("x-amz-meta-uuid"), want: sigv4.ErrAccessDenied},
		"expired":                         {at: time.Date(2015, 12, 30, 12, 0, 0, 0, time.UTC), want: sigv4.ErrAccessDenied},
		"from the future":                 {at: at.Add(-16 * time.Minute), want: sigv4.ErrRequestTimeTooSkewed},
		"B26 token":                       {edit: set("x-amz-security-token", ""), want: sigv4.ErrInvalidToken},
		"B2 SigV2 form":                   {edit: set("awsaccesskeyid", "A"), want: sigv4.ErrInvalidRequest},
		"B2 SigV4A":                       {edit: set("x-amz-algorithm", "AWS4-ECDSA-P256-SHA256"), want: sigv4.ErrNotImplemented},
		"B2 no algorithm":                 {edit: drop("x-amz-algorithm"), want: sigv4.ErrInvalidArgument},
		"B11 region":                      {edit: set("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request"), want: sigv4.ErrInvalidArgument},
		"B11 day":                         {edit: set("x-amz-date", "20151228T000000Z"), want: sigv4.ErrInvalidArgument},
		"B12 signature upper case":        {edit: set("x-amz-signature", strings.Repeat("A", 64)), want: sigv4.ErrInvalidArgument},
		"signature wrong":                 {edit: set("x-amz-signature", strings.Repeat("a", 64)), want: sigv4.ErrSignatureDoesNotMatch},
		"policy changed after the signer": {edit: set("policy", "e"+policy), want: sigv4.ErrSignatureDoesNotMatch},
		"no policy":                       {edit: drop("policy"), want: sigv4.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields, bucket, when := form(), "sigv4examplebucket", at
			if c.edit != nil {
				fields = c.edit(fields)
			}
			if c.bucket != "" {
				bucket = c.bucket
			}
			if !c.at.IsZero() {
				when = c.at
			}
			if err := checkForm(fields, bucket, when, key); !is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// checkForm does what a server does with a form's fields.
func checkForm(fields []sigv4.Field, bucket string, at time.Time, key *sigv4.SigningKey) error {
	var a sigv4.Auth
	if err := a.ParseForm(fields, sigv4.Options{Region: region, Now: at}); err != nil {
		return err
	}
	text := ""
	for _, f := range fields {
		if f.Name == "policy" {
			text = f.Value
		}
	}
	if err := a.VerifyPolicy(text, key); err != nil {
		return err
	}
	p, err := sigv4.ParsePolicy(text)
	if err != nil {
		return err
	}
	return p.Check(fields, bucket, at)
}

var badPolicies = map[string]string{
	"not JSON": `{`, "two documents": `{"expiration":"2030-01-01T00:00:00Z","conditions":[]}{}`, "null": `null`,
	"no expiration": `{"conditions":[]}`, "no conditions": `{"expiration":"2030-01-01T00:00:00Z"}`,
	"expiration": `{"expiration":"tomorrow","conditions":[]}`, "unknown member": `{"expiration":"2030-01-01T00:00:00Z","conditions":[],"x":1}`,
	"condition of one": policyWith(`["eq"]`), "unknown condition": policyWith(`["matches","$key",".*"]`), "no dollar": policyWith(`["eq","key","k"]`),
	"two in one": policyWith(`{"a":"1","b":"2"}`), "number": policyWith(`{"a":1}`), "string": policyWith(`"key"`),
	"range upside down": policyWith(`["content-length-range",2,1]`), "range negative": policyWith(`["content-length-range",-1,1]`),
	"range fraction": policyWith(`["content-length-range",0.5,1]`), "range of words": policyWith(`["content-length-range","a","b"]`),
}

func policyWith(condition string) string {
	return `{"expiration":"2030-01-01T00:00:00Z","conditions":[` + condition + `]}`
}

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	for name, doc := range badPolicies {
		if _, err := sigv4.ParsePolicy(b64(doc)); !is(err, sigv4.ErrInvalidPolicyDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sigv4.ParsePolicy("!"); !is(err, sigv4.ErrInvalidPolicyDocument) {
		t.Errorf("not base64: %v", err)
	}
	p, err := sigv4.ParsePolicy(b64(policyWith(`["content-length-range","10",500],["Content-Length-Range",5,"100"]`)))
	if err != nil || p.Min != 10 || p.Max != 100 {
		t.Errorf("ranges do not narrow each other: %+v, %v", p, err)
	}
	for _, conditions := range []string{``, `{"bucket":"b"}`, `["starts-with","$key",""]`} {
		p, err := sigv4.ParsePolicy(b64(policyWith(conditions)))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check([]sigv4.Field{{Name: "key", Value: "k"}}, "b", now); !is(err, sigv4.ErrAccessDenied) {
			t.Errorf("B27 a policy without bucket and key conditions, %q: %v", conditions, err)
		}
	}
}

// FuzzParsePolicy: no text makes it panic, and what passes has sane bounds.
func FuzzParsePolicy(f *testing.F) {
	for _, doc := range badPolicies {
		f.Add(doc)
	}
	f.Add(policyWith(`{"bucket":"b"},["starts-with","$key","a"],["content-length-range",1,2]`))
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := sigv4.ParsePolicy(b64(doc))
		if err != nil {
			if !is(err, sigv4.ErrInvalidPolicyDocument) {
				t.Errorf("%v", err)
			}
			return
		}
		if p.Min < 0 {
			t.Errorf("bounds %d to %d", p.Min, p.Max)
		}
		_ = p.Check([]sigv4.Field{{Name: "key", Value: "k"}, {Name: "content-type", Value: "a,b"}}, "b", now)
	})
}

func is(err, want error) bool { return errors.Is(err, want) }

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestPolicy_Lets: a value is let through by a condition that it meets, by all
// that there are, and by none where there is none.
func TestPolicy_Lets(t *testing.T) {
	t.Parallel()
	for conditions, want := range map[string]map[string]bool{
		``:                                    {"": false, "text/html": false},
		`,["starts-with","$Content-Type",""]`: {"": true, "text/html": true},
		`,["starts-with","$content-type","image/"]`:                                        {"": false, "image/png": true, "text/html": false, "image/png, text/html": false},
		`,{"Content-Type":""}`:                                                             {"": true, "text/html": false},
		`,["eq","$Content-Type","image/png"]`:                                              {"image/png": true, "text/html": false},
		`,["starts-with","$Content-Type",""],["starts-with","$Content-Type","image/"]`:     {"image/png": true, "text/html": false},
		`,["starts-with","$x-amz-meta-a","text/"],["starts-with","$Content-Types","text"]`: {"text/html": false},
	} {
		p, err := sigv4.ParsePolicy(base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b"}` + conditions + `]}`)))
		if err != nil {
			t.Fatal(conditions, err)
		}
		for value, lets := range want {
			if p.Lets(sigv4.Field{Name: "content-type", Value: value}) != lets {
				t.Errorf("%s lets %q: %v", conditions, value, !lets)
			}
		}
	}
}
