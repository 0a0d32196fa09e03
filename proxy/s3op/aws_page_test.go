package s3op_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// aws is what AWS's model has for a request of an operation, read out of the code
// that is made from it: aws-sdk-go-v2's serializers.
type aws struct {
	source string
}

const sdk = "github.com/aws/aws-sdk-go-v2/service/s3"

func readAWS(t *testing.T) *aws {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", sdk).Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "serializers.go"))
	if err != nil {
		t.Fatal(err)
	}
	return &aws{string(text)}
}

// function is the text of a function, "" if there is none.
func (a *aws) function(head string) string {
	_, rest, ok := strings.Cut(a.source, "func "+head+"(")
	if !ok {
		return ""
	}
	body, _, _ := strings.Cut(rest, "\n}\n")
	return body
}

var (
	headerName  = regexp.MustCompile(`(?:locationName := |encoder\.Headers\()"([^"]+)"`)
	queryName   = regexp.MustCompile(`SetQuery\("([^"]+)"\)`)
	target      = regexp.MustCompile(`SplitURI\("([^"]*)"\)`)
	elementName = regexp.MustCompile(`Local: +"([^"]+)"|(?:awsRestxml_serializeDocument(\w+)\()`)
)

func all(re *regexp.Regexp, text string) []string {
	var out []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// subResources are the parameters without a value in AWS's targets.
func (a *aws) subResources() []string {
	var out []string
	for _, u := range all(target, a.source) {
		_, query, _ := strings.Cut(u, "?")
		for p := range strings.SplitSeq(query, "&") {
			if name, _, _ := strings.Cut(p, "="); name != "" && name != "x-id" && name != "list-type" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// elements are the paths in the document of an operation.
func (a *aws) elements(op string) [][]string {
	return a.inside("(m *awsRestxml_serializeOp"+op+") HandleSerialize", nil, 6)
}

func (a *aws) inside(head string, path []string, depth int) (out [][]string) {
	if depth == 0 {
		return nil
	}
	last := ""
	for _, m := range elementName.FindAllStringSubmatch(a.function(head), -1) {
		switch {
		case m[1] != "":
			last = m[1]
			out = append(out, append(slices.Clone(path), last))
		default:
			into := path
			if last != "" {
				into = append(slices.Clone(path), last)
			}
			out = append(out, a.inside("awsRestxml_serializeDocument"+m[2], into, depth-1)...)
		}
	}
	return out
}

// Every sub-resource that AWS has is in the table, as a row's or as a refused one:
// none is taken for a parameter that asks for nothing.
func TestAWS_subResources(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	s3op.Refused(func(selector, _ string) { known[selector] = true })
	for _, o := range s3op.Operations {
		known[o.Selector] = true
	}
	list := readAWS(t).subResources()
	if len(list) < 30 {
		t.Fatalf("AWS has more than %q", list)
	}
	for _, name := range list {
		if !known[name] {
			t.Errorf("?%s is AWS's, and the table lacks it", name)
		}
	}
}

// readers read the documents of operations.
var readers = map[string]func([]byte) error{
	"CreateBucket":                    func(b []byte) error { _, err := s3xml.ParseCreateBucket(b); return err },
	"DeleteObjects":                   func(b []byte) error { _, err := s3xml.ParseDelete(b); return err },
	"CompleteMultipartUpload":         func(b []byte) error { _, err := s3xml.ParseComplete(b); return err },
	"PutBucketLogging":                func(b []byte) error { _, err := s3xml.ParseLogging(b); return err },
	"PutBucketVersioning":             reader(s3xml.Versioning),
	"PutBucketLifecycleConfiguration": reader(s3xml.Lifecycle),
	"PutBucketTagging":                reader(s3xml.BucketTagging),
	"PutObjectLockConfiguration":      reader(s3xml.ObjectLock),
	"PutBucketEncryption":             reader(s3xml.Encryption),
	"PutObjectTagging":                reader(s3xml.ObjectTagging),
	"PutObjectRetention":              reader(s3xml.Retention),
	"PutObjectLegalHold":              reader(s3xml.LegalHold),
}

func reader(c s3xml.Config) func([]byte) error {
	return func(b []byte) error { _, err := c(b); return err }
}

// treated are the names of one kind, by what becomes of them.
type treated struct{ taken, ignored, refused []string }

func (t *treated) String() string {
	var parts []string
	for _, p := range []struct {
		word  string
		names []string
	}{{"", t.taken}, {"ignored: ", t.ignored}, {"**refused**: ", t.refused}} {
		if slices.Sort(p.names); len(p.names) > 0 {
			parts = append(parts, p.word+"`"+strings.Join(slices.Compact(p.names), "` `")+"`")
		}
	}
	return strings.Join(parts, "; ")
}

// acted are headers of every operation that the gateway does something with.
var acted = []string{"content-length", "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner", "x-amz-acl"}

func headersOf(a *aws, o *s3op.Operation) *treated {
	out := &treated{}
	for _, name := range all(headerName, a.function("awsRestxml_serializeOpHttpBindings"+o.Name+"Input")) {
		name = strings.ToLower(name)
		h := s3op.LookupHeader([]byte(strings.TrimSuffix(name, "-") + map[bool]string{true: "-x"}[strings.HasSuffix(name, "-")]))
		if strings.HasSuffix(name, "-") {
			name += "*"
		}
		other := h.Group != 0 && h.Group&o.Headers == 0
		switch {
		case h.Treatment == s3op.Decline, name == "if-match" && o.Method == "DELETE", other && strings.HasPrefix(name, "x-amz-") && !h.IgnoredBy(o.Method):
			out.refused = append(out.refused, name)
		case slices.Contains(acted, name), h.Group != 0 && !other:
			out.taken = append(out.taken, name)
		default:
			out.ignored = append(out.ignored, name)
		}
	}
	return out
}

func paramsOf(a *aws, o *s3op.Operation) *treated {
	out := &treated{}
	for _, name := range all(queryName, a.function("awsRestxml_serializeOpHttpBindings"+o.Name+"Input")) {
		if o.Takes([]byte(name)) {
			out.taken = append(out.taken, name)
		} else {
			out.refused = append(out.refused, name)
		}
	}
	return out
}

// elementsOf asks the reader about a document with each element in its place.
func elementsOf(a *aws, o *s3op.Operation) *treated {
	out := &treated{}
	read := readers[o.Name]
	for _, path := range a.elements(o.Name) {
		n := len(path)
		if read == nil || n < 2 || path[n-1] == path[n-2] { // a list's own name twice
			continue
		}
		doc := "<" + strings.Join(path, "><") + ">"
		for _, e := range slices.Backward(path) {
			doc += "</" + e + ">"
		}
		var refused *s3err.Error
		name := strings.Join(path[1:], "/")
		if err := read([]byte(doc)); path[n-1] == "KMSMasterKeyID" || errors.As(err, &refused) && refused.Code == "NotImplemented" && !strings.Contains(refused.Message, "use AES256") {
			out.refused = append(out.refused, name)
		} else {
			out.taken = append(out.taken, name)
		}
	}
	return out
}

// requestsPage is the part of the page about what AWS documents of requests.
func requestsPage(t *testing.T) string {
	a := readAWS(t)
	var b strings.Builder
	b.WriteString("\n## What AWS documents of a request, and what becomes of it here\n\n" +
		"From the model of `" + sdk + "`. What has no word is taken; *ignored* is what asks for nothing here; refused is 501 NotImplemented\n" +
		"with a sentence, or 400. A taken header or element may still have values that are refused: what the notes above say.\n\n" +
		"| Operation | Headers | Parameters | Elements of the document |\n|---|---|---|---|\n")
	for _, o := range s3op.Operations {
		if a.function("(m *awsRestxml_serializeOp"+o.Name+") HandleSerialize") == "" {
			continue // a form
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, headersOf(a, o), paramsOf(a, o), elementsOf(a, o))
	}
	return b.String()
}
