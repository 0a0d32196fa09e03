package s3xml_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

var names = &s3xml.Names{
	Bucket: "mine & yours", Location: "http://h/mine/k?a=1&b=<2>", Owner: "owner-id", OwnerName: "Acme <Ltd>",
	Resource: "/mine/k", RequestID: "REQ", HostID: "HOST", Token: "the client's <token>",
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
		if base := filepath.Base(f); base != "list-uploads.xml" { // is built anew
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

// wrapped are the elements that hold ids and markers (D14, E9).
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

func rewrite(src io.Reader) ([]byte, s3xml.Result, error) {
	var out bytes.Buffer
	result, err := s3xml.Rewrite(&out, src, names)
	return out.Bytes(), result, err
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
			got, result, err := rewrite(bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(got)) != result.Bytes {
				t.Errorf("Bytes is %d of %d", result.Bytes, len(got))
			}
			out, err := leaves(got)
			if err != nil {
				t.Fatalf("%v in\n%s", err, got)
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
			if diff := cmp.Diff(expected(in), out); diff != "" {
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
			want, _, err := rewrite(bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			for cut := range len(doc) + 1 {
				got, _, err := rewrite(io.MultiReader(bytes.NewReader(doc[:cut]), bytes.NewReader(doc[cut:])))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("cut at %d: %v\n%s", cut, err, got)
				}
				if _, _, err := rewrite(bytes.NewReader(doc[:cut])); err == nil && len(bytes.TrimSpace(doc[cut:])) > 0 {
					t.Fatalf("a document that ends at %d of %d is taken for whole", cut, len(doc))
				}
			}
			got, _, err := rewrite(iotest.OneByteReader(bytes.NewReader(doc)))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("byte by byte: %v\n%s", err, got)
			}
		})
	}
}

// Keys are data: whatever looks like an element in one stays as it is.
func TestRewrite_keysStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"&lt;Name&gt;x&lt;/Name&gt;", "&#60;Name&#62;", "<![CDATA[<Name>x</Name>]]>", "<!-- <Name>x</Name> -->a",
		"pc-0001", "]]&gt;", "&quot;&apos;", "a>b", "ünï", "<![CDATA[]]]]>", "<!---->",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			entry := "<Contents><Key>" + key + "</Key><Name>pc-0001</Name></Contents>"
			got, _, err := rewrite(strings.NewReader("<ListBucketResult><Name>pc-0001</Name>" + entry + "</ListBucketResult>"))
			want := "<ListBucketResult><Name>mine &amp; yours</Name>" + entry + "</ListBucketResult>"
			if err != nil || string(got) != want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
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
		"text before":          "x<a></a>",
		"text after":           "<a></a>x",
		"two roots":            "<a></a><b></b>",
		"not closed":           "<a><b></b>",
		"crossed":              "<a><b></a></b>",
		"end first":            "</a>",
		"element in a name":    "<ListBucketResult><Name>x<b></b></Name></ListBucketResult>",
		"doctype":              `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`,
		"deep":                 deep + strings.Repeat("</a>", 100),
		"huge tag":             "<a " + strings.Repeat("x", 100<<10) + "></a>",
		"no name":              "< a></a>",
		"nested open":          "<a <b>></a>",
		"comment without end":  "<a><!-- ",
		"cdata outside":        "<![CDATA[x]]><a></a>",
		"short comment":        "<a><!--></a>",
		"error without an end": "<Error><Code>x</Code>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _, err := rewrite(strings.NewReader(doc)); !errors.Is(err, s3xml.ErrDocument) {
				t.Errorf("got %v, %s", err, got)
			}
		})
	}
}

// An error in a 200 answer is the gateway's document in the end, whatever the
// backend said (E8, F4, F7); white space in front has long been sent.
func TestRewrite_E8_lateError(t *testing.T) {
	t.Parallel()
	pr, pw := io.Pipe()
	got := make(chan string, 16)
	done := make(chan s3xml.Result)
	go func() {
		result, err := s3xml.Rewrite(writerFunc(func(p []byte) (int, error) { got <- string(p); return len(p), nil }), pr, names)
		if err != nil {
			t.Error(err)
		}
		close(got)
		done <- result
	}()
	for _, piece := range []string{"<?xml version=\"1.0\"?>\n", " ", " "} {
		if _, err := io.WriteString(pw, piece); err != nil {
			t.Fatal(err)
		}
		if sent := <-got; sent != piece {
			t.Fatalf("%q became %q", piece, sent)
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
	e, err := s3xml.ParseError([]byte(rest.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := &s3xml.Error{Code: "InternalError", Message: e.Message, BucketName: names.Bucket, Resource: names.Resource,
		RequestID: names.RequestID, HostID: names.HostID, XMLName: xml.Name{Local: "Error"}}
	if diff := cmp.Diff(want, e); diff != "" || strings.Contains(rest.String(), "/mnt") {
		t.Error(diff, rest.String())
	}
	if result.Error == nil || result.Error.Code != "XMinioSecret" {
		t.Errorf("the log does not get the backend's code: %+v", result)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRewrite_errorsOfBothSides(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	_, _, err := rewrite(io.MultiReader(strings.NewReader("<ListBucketResult>"), iotest.ErrReader(boom)))
	if !errors.Is(err, boom) {
		t.Errorf("reading: %v", err)
	}
	_, err = s3xml.Rewrite(writerFunc(func([]byte) (int, error) { return 0, boom }), strings.NewReader("<a></a>"), names)
	if !errors.Is(err, boom) {
		t.Errorf("writing: %v", err)
	}
}

// What Rewrite accepts, an XML reader reads, with the same leaves but for names.
func FuzzRewrite(f *testing.F) {
	for _, doc := range answers(f) {
		f.Add(doc, 7)
	}
	f.Add([]byte(`<ListBucketResult a="<"><Name/><Owner><ID>x</ID></Owner></ListBucketResult>`), 3)
	f.Fuzz(func(t *testing.T, doc []byte, cut int) {
		got, result, err := rewrite(bytes.NewReader(doc))
		if cut >= 0 && cut < len(doc) {
			again, _, aerr := rewrite(io.MultiReader(bytes.NewReader(doc[:cut]), bytes.NewReader(doc[cut:])))
			if (err == nil) != (aerr == nil) || err == nil && !bytes.Equal(got, again) {
				t.Fatalf("cut at %d: %v, %v", cut, err, aerr)
			}
		}
		in, oerr := leaves(doc)
		if err != nil || oerr != nil || result.Root == "Error" {
			return
		}
		out, oerr := leaves(got)
		if oerr != nil {
			t.Fatalf("%v in %q", oerr, got)
		}
		if diff := cmp.Diff(expected(in), out); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkRewrite(b *testing.B) {
	doc := answers(b)["list-v2.xml"]
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	r := bytes.NewReader(doc)
	for b.Loop() {
		r.Reset(doc)
		if _, err := s3xml.Rewrite(io.Discard, r, names); err != nil {
			b.Fatal(err)
		}
	}
}

// What cannot be sealed is not passed on, nor is an id in a place where none is
// known (D14): the answer ends before a byte of it.
func TestRewrite_D14_failsClosed(t *testing.T) {
	t.Parallel()
	const raw = "RAWID"
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
			got, _, err := rewrite(strings.NewReader(doc))
			if err == nil || bytes.Contains(got, []byte(raw)) {
				t.Errorf("%v: %s", err, got)
			}
		})
	}
	if _, err := s3xml.Rewrite(io.Discard, strings.NewReader("<ListBucketResult><NextMarker>k</NextMarker></ListBucketResult>"), &s3xml.Names{}); err == nil {
		t.Error("nobody was there to seal, and the marker passed")
	}
}

// The client's own upload id is put in the place of the backend's.
func TestRewrite_D14_echo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := s3xml.Rewrite(&out, strings.NewReader("<ListPartsResult><UploadId>RAWID</UploadId></ListPartsResult>"), &s3xml.Names{UploadID: "mine"})
	if err != nil || out.String() != "<ListPartsResult><UploadId>mine</UploadId></ListPartsResult>" {
		t.Errorf("%v: %s", err, out.String())
	}
}

// Entities in a marker are its characters, and are written as entities again.
func TestRewrite_E9_markersAreText(t *testing.T) {
	t.Parallel()
	got, _, err := rewrite(strings.NewReader("<ListBucketResult><NextMarker>a&amp;b &lt;c&gt; &#34;d&#xe9;</NextMarker></ListBucketResult>"))
	want := "<ListBucketResult><NextMarker>NextMarker &amp; a&amp;b &lt;c&gt; &#34;dé</NextMarker></ListBucketResult>"
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}
