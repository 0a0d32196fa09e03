package s3xml_test

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
)

// readAll reads a list and keeps every upload of it.
func readAll(src io.Reader) (*s3xml.Uploads, *s3xml.ErrorDocument, error) {
	var all []s3xml.Upload
	list, failed, err := s3xml.ReadUploads(src, func(_ *s3xml.Uploads, u *s3xml.Upload) error {
		all = append(all, *u)
		return nil
	})
	if list != nil {
		list.Uploads = all
	}
	return list, failed, err
}

func TestUploads(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("testdata/answers/list-uploads.xml")
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := readAll(strings.NewReader(string(doc)))
	if err != nil {
		t.Fatal(err)
	}
	in, err := leaves(doc)
	if err != nil {
		t.Fatal(err)
	}
	out, err := leaves(u.Append(nil, "", ""))
	if diff := cmp.Diff(in, out); diff != "" || err != nil {
		t.Errorf("%v: not what it was: %s", err, diff)
	}
	u.CommonPrefixes = []string{"p", "q"}
	u.KeyMarker, u.NextKeyMarker, u.Delimiter, u.EncodingType = "k", "n", "d", "url"
	u.Uploads[0].ChecksumAlgorithm, u.Uploads[0].ChecksumType = "CRC32", "FULL_OBJECT"
	u.EachName(func(s string) string { return "<\x01\ufffe" + s })
	again, _, err := readAll(strings.NewReader(string(u.Append(nil, "id", "name"))))
	if diff := cmp.Diff(u, again); diff != "" || err != nil {
		t.Errorf("%v: written and read again it differs: %s", err, diff)
	}
	if again.Delimiter != "<\x01\ufffed" || again.CommonPrefixes[1] != "<\x01\ufffeq" {
		t.Errorf("%+v", again)
	}
}

// Characters that XML has not are written as MinIO writes them, in every name,
// so that a marker which comes back is the key that it stands for.
func TestUploads_B10_controlCharacters(t *testing.T) {
	t.Parallel()
	u := s3xml.Uploads{
		KeyMarker: "1\x01", NextKeyMarker: "2\x02", Delimiter: "3\x03", Prefix: "4\x1f", CommonPrefixes: []string{"5\x05"},
		Uploads: []s3xml.Upload{{Key: "6\x06"}},
	}
	doc := string(u.Append(nil, "", ""))
	for _, want := range []string{
		"<KeyMarker>1&#x1;<", "<NextKeyMarker>2&#x2;<", "<Delimiter>3&#x3;<", "<Prefix>4&#x1F;<", "<CommonPrefixes><Prefix>5&#x5;<", "<Upload><Key>6&#x6;<",
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %s in %s", want, doc)
		}
	}
}

// An error document in place of a list is the error (S3-RULES.md E8).
func TestReadUploads_E8_error(t *testing.T) {
	t.Parallel()
	list, failed, err := readAll(strings.NewReader("  \n" + xml.Header + "<Error><Code>SlowDown</Code><Message>a &amp; b</Message><Resource>/x</Resource></Error>\n"))
	if err != nil || list != nil || failed == nil || failed.Code != "SlowDown" || failed.Message != "a & b" {
		t.Errorf("%v %+v %+v", err, list, failed)
	}
}

// What is not a list, whole, is none; nothing in it can make it take more
// memory than one upload has.
func TestReadUploads_refuses(t *testing.T) {
	t.Parallel()
	const open, end = "<ListMultipartUploadsResult>", "</ListMultipartUploadsResult>"
	upload := func(inner string) string { return open + "<Upload>" + inner + "</Upload>" + end }
	long := strings.Repeat("a", 16<<10)
	for _, bad := range []string{
		"", "x", "<a/>", "<ListPartsResult></ListPartsResult>", open, open + end + "x", open + end + open + end, "x" + open + end, end,
		open + "<Upload>" + end, open + "<Upload>", open + "<Upl", upload("<Key>a"), upload("<Key>a</key>"),
		"<!DOCTYPE a>" + open + end, `<!DOCTYPE a [<!ENTITY x "y">]>` + upload("<Key>&x;</Key>"), upload("<Key>&x;</Key>"), upload("<Key>&#0;</Key>"),
		upload("<Key><b></b></Key>"), upload("<Key>a<b/>c</Key>"), upload("<Key>a<!-- -->c</Key>"), upload("<Key><![CDATA[a]]></Key>"), upload("<Key>\xff</Key>"),
		upload("<Key>a" + long + "</Key>"), upload("<Key>a</Key><UploadId>" + long + "</UploadId>"),
		upload(strings.Repeat("<Key>"+long[:1000]+"</Key>", 20)),
		open + "<Prefix>a" + long + "</Prefix>" + end,
		open + strings.Repeat("<CommonPrefixes><Prefix>p</Prefix></CommonPrefixes>", 1001) + end,
		open + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + end,
		open + "<" + long + long + long + long + "/>" + end,
		open + "<MaxUploads>x</MaxUploads>" + end, open + "<IsTruncated>yes</IsTruncated>" + end,
	} {
		for _, src := range []io.Reader{strings.NewReader(bad), iotest.OneByteReader(strings.NewReader(bad))} {
			if list, failed, err := readAll(src); err == nil || list != nil || failed != nil {
				t.Errorf("%.200q is a list of uploads", bad)
			}
		}
	}
	// The bound is one upload's, not the list's.
	const many = 1000
	list, _, err := readAll(strings.NewReader(open + strings.Repeat("<Upload><Key>"+long[:3072]+"</Key></Upload>", many) + end))
	if err != nil || len(list.Uploads) != many {
		t.Errorf("%v: a long list is none", err)
	}
	enough := errors.New("enough")
	n := 0
	_, _, err = s3xml.ReadUploads(strings.NewReader(open+strings.Repeat("<Upload></Upload>", 5)), func(*s3xml.Uploads, *s3xml.Upload) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%v after %d uploads", err, n)
	}
	_, _, err = readAll(io.MultiReader(strings.NewReader(open), iotest.ErrReader(enough)))
	if !errors.Is(err, enough) {
		t.Errorf("a connection that broke off: %v", err)
	}
}

// oracle is the list as encoding/xml has it, and as it was read before lists
// were read while they come.
type oracle struct {
	XMLName            xml.Name
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Delimiter          string
	Prefix             string
	EncodingType       string
	MaxUploads         int64
	IsTruncated        bool
	Upload             []struct {
		Key               string
		UploadID          string `xml:"UploadId"`
		StorageClass      string
		Initiated         string
		ChecksumAlgorithm string
		ChecksumType      string
	}
	CommonPrefixes []struct{ Prefix string }
}

func (o *oracle) list() *s3xml.Uploads {
	u := &s3xml.Uploads{
		Bucket: o.Bucket, KeyMarker: o.KeyMarker, UploadIDMarker: o.UploadIDMarker, NextKeyMarker: o.NextKeyMarker, NextUploadIDMarker: o.NextUploadIDMarker,
		Delimiter: o.Delimiter, Prefix: o.Prefix, EncodingType: o.EncodingType, MaxUploads: o.MaxUploads, IsTruncated: o.IsTruncated,
	}
	for _, one := range o.Upload {
		u.Uploads = append(u.Uploads, s3xml.Upload(one))
	}
	for _, p := range o.CommonPrefixes {
		u.CommonPrefixes = append(u.CommonPrefixes, p.Prefix)
	}
	return u
}

// FuzzReadUploads: wherever an answer is cut, the same comes out; and what
// encoding/xml reads as well, it reads in the same way.
func FuzzReadUploads(f *testing.F) {
	doc, err := os.ReadFile("testdata/answers/list-uploads.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(doc))
	for _, s := range []string{
		`<ListMultipartUploadsResult/>`,
		`<x:ListMultipartUploadsResult xmlns:x="a"><x:Upload a=">"><x:Key>a&amp;b</x:Key ><UploadId/></x:Upload><Upload/></x:ListMultipartUploadsResult>`,
		`<ListMultipartUploadsResult><Upload><Owner><Key>no</Key></Owner>text<Key>yes</Key><!-- c --></Upload><Key>no</Key><Other><Key>no</Key></Other></ListMultipartUploadsResult>`,
		`<ListMultipartUploadsResult><CommonPrefixes><Prefix>p</Prefix></CommonPrefixes><Prefix> a </Prefix><MaxUploads> 7 </MaxUploads><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType></ListMultipartUploadsResult>`,
		`<Error><Code>SlowDown</Code></Error>`,
		`<ListMultipartUploadsResult><![CDATA[<Upload></Upload>]]></ListMultipartUploadsResult>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		list, failed, err := readAll(strings.NewReader(doc))
		bytewise, failed1, err1 := readAll(iotest.OneByteReader(strings.NewReader(doc)))
		if (err == nil) != (err1 == nil) || !cmp.Equal(list, bytewise) || !cmp.Equal(failed, failed1) {
			t.Fatalf("%q: %v %+v %+v; byte by byte %v %+v %+v", doc, err, list, failed, err1, bytewise, failed1)
		}
		// encoding/xml makes LF of CR, and repeats what stands there twice in other ways.
		if list == nil || strings.Contains(doc, "\r") {
			return
		}
		var o oracle
		if xml.Unmarshal([]byte(doc), &o) == nil && !cmp.Equal(o.list(), list) && !repeats(doc) {
			t.Fatalf("%q: %s", doc, cmp.Diff(o.list(), list))
		}
		again, _, err := readAll(strings.NewReader(string(list.Append(nil, "id", "name"))))
		if err != nil || !cmp.Equal(list, again) && !strings.Contains(html.UnescapeString(doc), "\x00") {
			t.Fatalf("%q: %v, written and read again: %s", doc, err, cmp.Diff(list, again))
		}
	})
}

// repeats reports whether a field may stand in a document more than once.
func repeats(doc string) bool {
	for _, name := range []string{
		"Bucket>", "KeyMarker>", "UploadIdMarker>", "Delimiter>", "Prefix>", "EncodingType>", "MaxUploads>", "IsTruncated>",
		"Key>", "UploadId>", "StorageClass>", "Initiated>", "ChecksumAlgorithm>", "ChecksumType>",
	} {
		if strings.Count(doc, "</"+name)+strings.Count(doc, ":"+name) > 1 {
			return true
		}
	}
	return false
}
