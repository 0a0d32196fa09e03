package s3xml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

var names = &s3xml.Names{
	Bucket: "mine & yours", Location: "http://h/mine/k?a=1&b=<2>", Owner: "owner-id", OwnerName: "Acme <Ltd>",
	Token: "the client's <token>",
	Failed: func(e *s3xml.ErrorDocument) *s3xml.ErrorDocument {
		return &s3xml.ErrorDocument{Code: "Ours", Message: "for " + e.Code}
	},
	Seal: func(element, text string) (string, error) {
		if text == "bad" {
			return "", errSeal
		}
		return sealed(element, text), nil
	},
}

var errSeal = errors.New("not an id")

func sealed(element, text string) string { return element + " & " + text }

// answers are documents as the backend wrote them, taken from MinIO.
func answers(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/answers/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatal("no answers", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		switch base := filepath.Base(f); base {
		case "list-uploads.xml", "lifecycle.xml", "delete.xml", "acl.xml": // are built anew, or here
		default:
			all[base] = doc
		}
	}
	return all
}

// wanted are the elements that hold names, by root (S3-RULES.md F1).
var wanted = map[string]string{
	"ListBucketResult/Name": names.Bucket, "ListVersionsResult/Name": names.Bucket,
	"ListPartsResult/Bucket":               names.Bucket,
	"InitiateMultipartUploadResult/Bucket": names.Bucket, "CompleteMultipartUploadResult/Bucket": names.Bucket,
	"CompleteMultipartUploadResult/Location": names.Location,
	"ListBucketResult/ContinuationToken":     names.Token,
}

// wrapped are the elements that hold ids and markers (S3-RULES.md D14, E9).
var wrapped = map[string]string{
	"ListBucketResult/NextContinuationToken": "NextContinuationToken", "ListBucketResult/NextMarker": "NextMarker",
	"ListVersionsResult/NextKeyMarker": "NextKeyMarker",
	"ListPartsResult/UploadId":         "UploadId", "InitiateMultipartUploadResult/UploadId": "UploadId",
}

// leaf is an element with its path and text.
type leaf struct{ Path, Text string }

// leaves reads a document with encoding/xml, the oracle.
func leaves(doc []byte) ([]leaf, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	var path []string
	var text []string
	var out []leaf
	roots := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if roots != 1 {
				return nil, errors.New("not one root")
			}
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(path) == 0 {
				roots++
			}
			path, text = append(path, token.Name.Local), append(text, "")
		case xml.EndElement:
			out = append(out, leaf{strings.Join(path, "/"), text[len(text)-1]})
			path, text = path[:len(path)-1], text[:len(text)-1]
		case xml.CharData:
			if len(text) > 0 {
				text[len(text)-1] += string(token)
			} else if len(bytes.TrimSpace(token)) > 0 {
				return nil, errors.New("text outside the root")
			}
		}
	}
}

// expected is what a document must become, leaf by leaf.
func expected(in []leaf) []leaf {
	out := make([]leaf, len(in))
	for i, l := range in {
		out[i] = l
		at := strings.Split(l.Path, "/")
		if element, ok := wrapped[l.Path]; ok {
			if l.Text != "" {
				out[i].Text = sealed(element, l.Text)
			}
			continue
		}
		if len(at) >= 3 || len(at) == 2 && wanted[l.Path] == "" {
			switch n := len(at); {
			case at[n-2] != "Owner" && at[n-2] != "Initiator":
			case at[n-1] == "ID":
				out[i].Text = names.Owner
			case at[n-1] == "DisplayName":
				out[i].Text = names.OwnerName
			}
		} else if text, ok := wanted[l.Path]; ok {
			out[i].Text = text
		}
	}
	return out
}

// known are the answers by root, and the files that have another.
var known = map[string]*s3xml.Response{
	"ListBucketResult": s3xml.ListObjects, "list-v2.xml": s3xml.ListObjectsV2, "list-v2-url.xml": s3xml.ListObjectsV2, "ListVersionsResult": s3xml.ListVersions,
	"ListPartsResult": s3xml.ListParts, "InitiateMultipartUploadResult": s3xml.CreateUpload, "CompleteMultipartUploadResult": s3xml.CompleteUpload,
	"CopyObjectResult": s3xml.CopyObject, "CopyPartResult": s3xml.CopyPart,
	"GetObjectAttributesResponse": s3xml.Attributes, "getObjectAttributesResponse": s3xml.Attributes,
	"VersioningConfiguration": s3xml.GetVersioning, "Tagging": s3xml.GetTagging, "ObjectLockConfiguration": s3xml.GetObjectLock,
	"ServerSideEncryptionConfiguration": s3xml.GetEncryption, "Retention": s3xml.GetRetention, "LegalHold": s3xml.GetLegalHold,
}

var rootName = regexp.MustCompile(`<([A-Za-z]+)`)

// answerOf is what a document is rewritten as.
func answerOf(file string, doc []byte) *s3xml.Response {
	if a := known[file]; a != nil {
		return a
	}
	if m := rootName.FindSubmatch(doc); m != nil && known[string(m[1])] != nil {
		return known[string(m[1])]
	}
	return s3xml.ListObjects
}

func rewriteAs(a *s3xml.Response, src io.Reader) ([]byte, s3xml.Result, error) {
	var out bytes.Buffer
	result, err := s3xml.Rewrite(&out, src, a, names)
	return out.Bytes(), result, err
}

func rewrite(doc string) ([]byte, s3xml.Result, error) {
	return rewriteAs(answerOf("", []byte(doc)), strings.NewReader(doc))
}

func TestRewrite_F1_namesAndNothingElse(t *testing.T) {
	t.Parallel()
	for file, doc := range answers(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			in, err := leaves(doc)
			if err != nil {
				t.Fatal(err)
			}
			got, result, err := rewriteAs(answerOf(file, doc), bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(got)) != result.Bytes {
				t.Errorf("Bytes is %d of %d", result.Bytes, len(got))
			}
			if strings.HasPrefix(file, "error-") {
				if result.Root != "Error" || result.Error == nil {
					t.Fatalf("an error document is not seen: %+v", result)
				}
				if bytes.Contains(got, []byte("Message>"+result.Error.Message)) {
					t.Errorf("the backend's text got out: %s", got)
				}
				return
			}
			a := answerOf(file, doc)
			out := plainly(t, a, got)
			if diff := cmp.Diff(passed(a, expected(in)), out); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every cut of the stream gives the same answer, and so do single bytes.
func TestRewrite_everyCut(t *testing.T) {
	t.Parallel()
	for file, doc := range answers(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			a := answerOf(file, doc)
			want, _, err := rewriteAs(a, bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			for cut := range len(doc) + 1 {
				got, _, err := rewriteAs(a, io.MultiReader(bytes.NewReader(doc[:cut]), bytes.NewReader(doc[cut:])))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("cut at %d: %v\n%s", cut, err, got)
				}
				if _, _, err := rewriteAs(a, bytes.NewReader(doc[:cut])); err == nil && len(bytes.TrimSpace(doc[cut:])) > 0 {
					t.Fatalf("a document that ends at %d of %d is taken for whole", cut, len(doc))
				}
			}
			got, _, err := rewriteAs(a, iotest.OneByteReader(bytes.NewReader(doc)))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("byte by byte: %v\n%s", err, got)
			}
		})
	}
}

// Keys are data: whatever looks like an element in one stays the text that it is.
func TestRewrite_keysStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"&lt;Name&gt;x&lt;/Name&gt;": "", "&#60;Name&#62;": "", "pc-0001": "", "]]&gt;": "", "&quot;&apos;": "", "ünï": "", "&#x1;&#31;": "", "a\tb\nc\rd": "",
		"abcdefgh&amp;ijklmnop&amp;qrstuvwxyz": "",
		"<![CDATA[<Name>x</Name>]]>":           "&lt;Name&gt;x&lt;/Name&gt;", "<!-- <Name>x</Name> -->a": "a", "a>b": "a&gt;b", "<![CDATA[]]]]>": "]]", "<!---->": "",
		"a<?php x?>b<!-- c -->c<![CDATA[&amp;]]>d": "abc&amp;amp;d", "abcdefgh]]>i": "abcdefgh]]&gt;i",
		"\x01\x1f": "&#x1;&#x1F;", "a\x00b": "a\ufffdb", "\xff\xc3": "\ufffd\ufffd", "\ufffe": "&#xFFFE;",
	} {
		if want == "" && key != "<!---->" {
			want = key
		}
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) {
			t.Parallel()
			entry := func(key string) string { return "<Contents><Key>" + key + "</Key><Size>1</Size></Contents>" }
			doc := "<ListBucketResult><Name>pc-0001</Name>" + entry(key) + "</ListBucketResult>"
			want := "<ListBucketResult><Name>mine &amp; yours</Name>" + entry(want) + "</ListBucketResult>"
			if got, _, err := rewrite(doc); err != nil || string(got) != want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
			}
			got, _, err := rewriteAs(s3xml.ListObjects, iotest.OneByteReader(strings.NewReader(doc)))
			if err != nil || string(got) != want {
				t.Errorf("byte by byte: %v\ngot  %s\nwant %s", err, got, want)
			}
		})
	}
}

// An answer of another operation is none of this one's.
func TestRewrite_anotherOperation(t *testing.T) {
	t.Parallel()
	for root, a := range known {
		for file, doc := range answers(t) {
			if answerOf(file, doc) == a || strings.HasPrefix(file, "error-") || a == s3xml.ListObjects || a == s3xml.ListObjectsV2 {
				continue
			}
			if got, _, err := rewriteAs(a, bytes.NewReader(doc)); !errors.Is(err, s3xml.ErrDocument) {
				t.Errorf("%s taken for a %s: %v %s", file, root, err, got)
			}
		}
	}
}

// What no answer of the operation has does not get out, wherever it stands.
func TestRewrite_leftOut(t *testing.T) {
	t.Parallel()
	const evil = "canary"
	for name, places := range map[string]struct{ before, root, inside, entry string }{
		"an element":                   {inside: "<Evil>canary</Evil>", entry: "<Evil>canary</Evil>"},
		"with others in it":            {inside: "<Evil>canary<Key>canary</Key><Contents><Key>canary</Key></Contents></Evil>", entry: "<Evil><Evil><Evil/></Evil>canary</Evil>"},
		"an empty element":             {inside: "<canary/>", entry: "<canary a='b'/>"},
		"one of another operation":     {inside: "<StartAfter>canary</StartAfter><UploadId>canary</UploadId>", entry: "<VersionId>canary</VersionId>"},
		"one of another place":         {inside: "<Key>canary</Key><ETag>canary</ETag>", entry: "<Name>canary</Name><Contents><Key>canary</Key></Contents>"},
		"MinIO's own":                  {entry: "<UserMetadata><canary>canary</canary></UserMetadata><UserTags>canary</UserTags><Internal><K>canary</K></Internal>"},
		"a name space":                 {root: ` xmlns:c="canary"`, inside: "<c:Prefix>canary</c:Prefix>", entry: "<c:Key>canary</c:Key>"},
		"an attribute":                 {root: ` canary="canary"`, inside: "<Prefix canary='x'></Prefix>", entry: "<Size xmlns='canary'>1</Size>"},
		"a declaration":                {before: `<?xml version="1.0" canary="canary"?>`},
		"a comment":                    {before: "<!-- canary -->", inside: "<!-- canary -->", entry: "<!-- canary -->"},
		"an instruction":               {before: `<?xml-stylesheet href="canary"?>`, inside: "<?canary?>", entry: "<?canary?>"},
		"text where none belongs":      {inside: "canary", entry: "canary"},
		"a section where none belongs": {inside: "<![CDATA[canary]]>", entry: "<![CDATA[canary]]>"},
		"an element in a text":         {inside: "<Prefix><canary>canary</canary></Prefix>", entry: "<Size>1<canary>canary</canary></Size>"},
		"the end of a tag":             {inside: "<Prefix></Prefix canary>", entry: "<Size>1</Size\tcanary>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := places.before + "<ListBucketResult" + places.root + "><Name>pc</Name>" + places.inside + "<Contents><Key>k</Key>" + places.entry + "<ETag>e</ETag></Contents>" +
				places.inside + "<IsTruncated>false</IsTruncated></ListBucketResult>" + places.before
			for how, src := range map[string]io.Reader{"whole": strings.NewReader(doc), "byte by byte": iotest.OneByteReader(strings.NewReader(doc))} {
				got, _, err := rewriteAs(s3xml.ListObjects, src)
				if err != nil || bytes.Contains(got, []byte(evil)) {
					t.Fatalf("%s: %v %s", how, err, got)
				}
				plainly(t, s3xml.ListObjects, got)
				for _, known := range []string{"<Name>mine &amp; yours</Name>", "<Contents><Key>k</Key>", "<ETag>e</ETag></Contents>", "<IsTruncated>false</IsTruncated></ListBucketResult>"} {
					if !bytes.Contains(got, []byte(known)) {
						t.Errorf("%s: without %s: %s", how, known, got)
					}
				}
			}
		})
	}
}

func TestRewrite_malformed(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<a>", 100)
	for name, doc := range map[string]string{
		"empty":                "",
		"white space":          " \n ",
		"text":                 "nonsense",
		"text before":          "x<Tagging></Tagging>",
		"text after":           "<Tagging></Tagging>x",
		"two roots":            "<Tagging></Tagging><Tagging></Tagging>",
		"not closed":           "<Tagging><TagSet></TagSet>",
		"crossed":              "<Tagging><TagSet></Tagging></TagSet>",
		"end first":            "</a>",
		"element in a name":    "<ListBucketResult><Name>x<b></b></Name></ListBucketResult>",
		"doctype":              `<!DOCTYPE a [<!ENTITY x "y">]><Tagging>&x;</Tagging>`,
		"deep":                 "<Tagging>" + deep + strings.Repeat("</a>", 100) + "</Tagging>",
		"huge tag":             "<Tagging " + strings.Repeat("x", 100<<10) + "></Tagging>",
		"no name":              "< Tagging></Tagging>",
		"nested open":          "<Tagging <b>></Tagging>",
		"comment without end":  "<Tagging><!-- ",
		"cdata outside":        "<![CDATA[x]]><Tagging></Tagging>",
		"short comment":        "<Tagging><!--></Tagging>",
		"error without an end": "<Error><Code>x</Code>",
		"another root":         "<html>somebody's page</html>",
		"a root with a prefix": "<s:ListBucketResult></s:ListBucketResult>",
		"an unknown entity":    "<ListBucketResult><Prefix>&x;</Prefix></ListBucketResult>",
		"an ampersand":         "<ListBucketResult><Prefix>a & b</Prefix></ListBucketResult>",
		"NUL as a reference":   "<ListBucketResult><Prefix>&#0;</Prefix></ListBucketResult>",
		"no end of a lost one": "<ListBucketResult><Evil></ListBucketResult>",
		"crossed, and lost":    "<ListBucketResult><Evil></Name></Evil></ListBucketResult>",
		"an endless text":      "<ListBucketResult><Prefix>>" + strings.Repeat("x", 100<<10) + "</Prefix></ListBucketResult>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _, err := rewrite(doc); !errors.Is(err, s3xml.ErrDocument) {
				t.Errorf("got %v, %s", err, got)
			}
		})
	}
}

// An error in a 200 answer is the gateway's document in the end, whatever the
// backend said (S3-RULES.md E8, F4, F7); white space in front has long been sent.
func TestRewrite_E8_lateError(t *testing.T) {
	t.Parallel()
	pr, pw := io.Pipe()
	got := make(chan string, 16)
	done := make(chan s3xml.Result)
	go func() {
		result, err := s3xml.Rewrite(writerFunc(func(p []byte) (int, error) { got <- string(p); return len(p), nil }), pr, s3xml.CompleteUpload, names)
		if err != nil {
			t.Error(err)
		}
		close(got)
		done <- result
	}()
	for _, piece := range [][2]string{{"<?xml version=\"1.0\"?>\n", declaration + "\n"}, {" ", " "}, {" ", " "}} {
		if _, err := io.WriteString(pw, piece[0]); err != nil {
			t.Fatal(err)
		}
		if sent := <-got; sent != piece[1] {
			t.Fatalf("%q became %q", piece[0], sent)
		}
	}
	_, _ = io.WriteString(pw, "<Error><Code>XMinioSecret</Code><Message>disk /mnt/7</Message><BucketName>pc-1</BucketName>"+
		"<Resource>/pc-1/k</Resource><RequestId>b</RequestId><HostId>b</HostId></Error>")
	_ = pw.Close()
	var rest strings.Builder
	for p := range got {
		rest.WriteString(p)
	}
	result := <-done
	if rest.String() != "<Error><Code>Ours</Code><Message>for XMinioSecret</Message></Error>" {
		t.Error(rest.String())
	}
	if result.Error == nil || result.Error.Code != "XMinioSecret" {
		t.Errorf("the caller does not get the backend's code: %+v", result)
	}
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRewrite_errorsOfBothSides(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	_, _, err := rewriteAs(s3xml.ListObjects, io.MultiReader(strings.NewReader("<ListBucketResult>"), iotest.ErrReader(boom)))
	if !errors.Is(err, boom) {
		t.Errorf("reading: %v", err)
	}
	_, err = s3xml.Rewrite(writerFunc(func([]byte) (int, error) { return 0, boom }), strings.NewReader("<Tagging></Tagging>"), s3xml.GetTagging, names)
	if !errors.Is(err, boom) {
		t.Errorf("writing: %v", err)
	}
}

// plainly reads what Rewrite has written: an element of no answer, an attribute, a
// comment, an instruction, a section or a character that is no XML is an error.
func plainly(t *testing.T, a *s3xml.Response, doc []byte) []leaf {
	t.Helper()
	// Go's reader refuses references to characters that only they can name.
	doc = regexp.MustCompile(`&#(x?[0-9A-Fa-f]+);`).ReplaceAllFunc(doc, func(ref []byte) []byte {
		var r rune
		if _, err := fmt.Sscanf(string(ref), "&#x%x;", &r); err != nil {
			_, _ = fmt.Sscanf(string(ref), "&#%d;", &r)
		}
		if r > 0 && r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return []byte("C")
		}
		return ref
	})
	if bytes.Contains(doc, []byte("<!")) || bytes.LastIndex(doc, []byte("<?")) > 0 {
		t.Fatalf("%q", doc)
	}
	paths := a.Paths()
	all, err := leaves(doc)
	if err != nil {
		t.Fatalf("%v in %q", err, doc)
	}
	for _, l := range all {
		texts, ok := paths[l.Path]
		if !ok || !texts && strings.TrimSpace(l.Text) != "" {
			t.Fatalf("%s %q in %q", l.Path, l.Text, doc)
		}
	}
	root := false
	for _, tag := range regexp.MustCompile(`<[^/?][^>]*>`).FindAllString(string(doc), -1) {
		if tag = strings.Trim(tag, "<>"); strings.ContainsAny(tag, " :'\"\t") && (root || !strings.HasSuffix(tag, ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`)) {
			t.Fatalf("<%s> in %q", tag, doc)
		}
		root = true
	}
	return all
}

// Of whatever an answer is made, what Rewrite accepts comes out as plain XML of
// known elements, with the same texts but for names.
func FuzzRewrite(f *testing.F) {
	for _, doc := range answers(f) {
		f.Add(doc, 7)
	}
	f.Add([]byte(`<ListBucketResult a="<"><Name/><Owner><ID>x</ID></Owner></ListBucketResult>`), 3)
	f.Add([]byte(`<ListBucketResult a="b"><Name/>x<Contents><!-- c --><?p i?><Key b='c'>k<![CDATA[<&]]>&lt;</Key><Evil><Key>x</Key></Evil></Contents></ListBucketResult>`), 3)
	f.Add([]byte("<ListBucketResult><Contents><Key>\x01\xff\xef\xbf\xbe&#1;]]></Key></Contents></ListBucketResult>"), 50)
	f.Fuzz(func(t *testing.T, doc []byte, cut int) {
		a := answerOf("", doc)
		got, result, err := rewriteAs(a, bytes.NewReader(doc))
		if cut >= 0 && cut < len(doc) {
			again, _, aerr := rewriteAs(a, io.MultiReader(bytes.NewReader(doc[:cut]), bytes.NewReader(doc[cut:])))
			if (err == nil) != (aerr == nil) || err == nil && !bytes.Equal(got, again) {
				t.Fatalf("cut at %d: %v, %v\n%q\n%q", cut, err, aerr, got, again)
			}
		}
		if err != nil || result.Error != nil {
			return
		}
		out := plainly(t, a, got)
		in, oerr := leaves(doc)
		if oerr != nil || bytes.Contains(doc, []byte{':'}) { // a prefix makes another element of it, which that reader does not tell
			return
		}
		if diff := cmp.Diff(passed(a, expected(in)), out, cmp.Transformer("white", func(l leaf) leaf {
			if !a.Paths()[l.Path] {
				l.Text = ""
			}
			return l
		})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// passed leaves out what is in an element that is not known.
func passed(a *s3xml.Response, in []leaf) (out []leaf) {
	paths := a.Paths()
	for _, l := range in {
		if _, ok := paths[l.Path]; ok {
			out = append(out, l)
		}
	}
	return out
}

func BenchmarkRewrite(b *testing.B) {
	doc := answers(b)["list-v2.xml"]
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	r := bytes.NewReader(doc)
	for b.Loop() {
		r.Reset(doc)
		if _, err := s3xml.Rewrite(io.Discard, r, s3xml.ListObjectsV2, names); err != nil {
			b.Fatal(err)
		}
	}
}

// What cannot be sealed is not passed on, nor is an id in a place where none is
// known (S3-RULES.md D14): that is left out, or the answer ends before a byte of it.
func TestRewrite_D14_failsClosed(t *testing.T) {
	t.Parallel()
	const raw = "RAWID"
	leftOut := map[string]bool{"deeper": true, "an attribute": true, "a token somewhere": true}
	for name, doc := range map[string]string{
		"not an id":             "<InitiateMultipartUploadResult><Key>" + "k" + "</Key><UploadId>bad</UploadId></InitiateMultipartUploadResult>",
		"an element inside":     "<InitiateMultipartUploadResult><UploadId>" + raw + "<x></x></UploadId></InitiateMultipartUploadResult>",
		"a comment inside":      "<InitiateMultipartUploadResult><UploadId>" + raw + "<!-- x --></UploadId></InitiateMultipartUploadResult>",
		"a section inside":      "<InitiateMultipartUploadResult><UploadId><![CDATA[" + raw + "]]></UploadId></InitiateMultipartUploadResult>",
		"an unknown entity":     "<InitiateMultipartUploadResult><UploadId>" + raw + "&x;</UploadId></InitiateMultipartUploadResult>",
		"endless":               "<InitiateMultipartUploadResult><UploadId>" + strings.Repeat(raw, 10_000) + "</UploadId></InitiateMultipartUploadResult>",
		"another root":          "<SomethingResult><UploadId>" + raw + "</UploadId></SomethingResult>",
		"deeper":                "<ListPartsResult><Part><UploadId>" + raw + "</UploadId></Part></ListPartsResult>",
		"an attribute":          "<ListPartsResult><Part><UploadId x='y'>" + raw + "</UploadId></Part></ListPartsResult>",
		"a prefix":              "<s:SomethingResult><s:UploadId>" + raw + "</s:UploadId></s:SomethingResult>",
		"a list of uploads":     "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>" + raw + "</UploadId></Upload></ListMultipartUploadsResult>",
		"its marker":            "<ListMultipartUploadsResult><NextUploadIdMarker>" + raw + "</NextUploadIdMarker></ListMultipartUploadsResult>",
		"a token somewhere":     "<ListPartsResult><NextContinuationToken>" + raw + "</NextContinuationToken></ListPartsResult>",
		"the end of the answer": "<InitiateMultipartUploadResult><UploadId>" + raw,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := rewrite(doc)
			if (err == nil) != leftOut[name] || bytes.Contains(got, []byte(raw)) {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
	if _, err := s3xml.Rewrite(io.Discard, strings.NewReader("<ListBucketResult><NextMarker>k</NextMarker></ListBucketResult>"), s3xml.ListObjects, &s3xml.Names{}); err == nil {
		t.Error("nobody was there to seal, and the marker passed")
	}
}

// The client's own upload id is put in the place of the backend's.
func TestRewrite_D14_echo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := s3xml.Rewrite(&out, strings.NewReader("<ListPartsResult><UploadId>RAWID</UploadId></ListPartsResult>"), s3xml.ListParts, &s3xml.Names{UploadID: "mine"})
	if err != nil || out.String() != "<ListPartsResult><UploadId>mine</UploadId></ListPartsResult>" {
		t.Errorf("%v: %s", err, out.String())
	}
}

// Entities in a marker are its characters, and are written as entities again.
func TestRewrite_E9_markersAreText(t *testing.T) {
	t.Parallel()
	got, _, err := rewrite("<ListBucketResult><NextMarker>a&amp;b &lt;c&gt; &#34;d&#xe9;</NextMarker></ListBucketResult>")
	want := "<ListBucketResult><NextMarker>NextMarker &amp; a&amp;b &lt;c&gt; &#34;dé</NextMarker></ListBucketResult>"
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}
