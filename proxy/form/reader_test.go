package form_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http/httpguts"

	"github.com/primecloudpro/primecloud/proxy/form"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/sigv4"
)

const boundary = "b-1"

// content is what is in a form.
type content struct {
	Fields             []sigv4.Field
	Filename, FileType string
	File               string
}

// read reads a form whose source has more bytes than belong to it. It fails the test
// when a byte of those is read, or more memory was held than the bounds allow.
func read(t *testing.T, body []byte, source func(io.Reader) io.Reader) (content, error) {
	t.Helper()
	behind := strings.Repeat("\r\n--"+boundary+"--\r\n", 1000)
	src := strings.NewReader(string(body) + behind)
	held := 0
	r := form.NewReader(source(src), boundary, int64(len(body)), func(n int) error {
		if held += n; held < 0 || held > 2<<20 {
			t.Errorf("%d bytes are held", held)
		}
		return nil
	})
	c, err := func() (content, error) {
		if err := r.ReadFields(); err != nil {
			return content{}, err
		}
		length, err := r.FileLength()
		if err != nil {
			return content{}, err
		}
		file, err := io.ReadAll(r)
		if err == nil && int64(len(file)) != length {
			t.Errorf("a file of %d bytes was announced with %d", len(file), length)
		}
		return content{Fields: r.Fields, Filename: r.Filename, FileType: r.FileType, File: string(file)}, err
	}()
	if n := len(behind) - src.Len(); n > 0 {
		t.Errorf("%d bytes behind the form were read", n)
	}
	return c, err
}

func whole(r io.Reader) io.Reader { return r }

// part is a part without a Content-Type.
func part(name, value string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

const end = "--" + boundary + "--\r\n"

func TestReader(t *testing.T) {
	t.Parallel()
	file := "--" + boundary + "\r\nContent-Type: text/plain \r\nContent-Disposition: form-data; name=File; filename=\"a b.txt\"\r\n\r\nDATA\r\n"
	for name, c := range map[string]struct {
		body string
		want content
		code string
	}{
		"fields before the file": {body: part("Key", "k") + part("empty", "") + file + end,
			want: content{Fields: []sigv4.Field{{Name: "key", Value: "k"}, {Name: "empty"}}, Filename: "a b.txt", FileType: "text/plain", File: "DATA"}},
		"a line end before the first boundary": {body: "\r\n" + part("file", "x") + end, want: content{File: "x"}},
		"what is behind the file is ignored":   {body: part("file", "x") + part("key", "k") + end, want: content{File: "x"}},
		"an empty file":                        {body: part("file", "") + end},
		"empty parts without a line end": {body: strings.ReplaceAll(part("a", "")+part("file", ""), "\r\n\r\n\r\n", "\r\n\r\n") + end,
			want: content{Fields: []sigv4.Field{{Name: "a"}}}},
		"white space behind a boundary": {body: "--" + boundary + " \t\r\n" + part("file", "x")[len("--"+boundary+"\r\n"):] + end, want: content{File: "x"}},

		"nothing":                         {body: "", code: "MalformedPOSTRequest"},
		"no file":                         {body: part("key", "k") + end, code: "InvalidArgument"},
		"no end":                          {body: part("file", "x")[:55], code: "MalformedPOSTRequest"},
		"a field without an end":          {body: "--" + boundary + "\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue", code: "MalformedPOSTRequest"},
		"a field twice, in another case":  {body: part("key", "k") + part("KEY", "k") + part("file", "") + end, code: "InvalidArgument"},
		"a name that is no token":         {body: part("a b", "v") + part("file", "") + end, code: "InvalidArgument"},
		"a part without a name":           {body: "--" + boundary + "\r\nContent-Type: text/plain\r\n\r\nx\r\n" + end, code: "MalformedPOSTRequest"},
		"a part of another kind":          {body: strings.Replace(part("a", "v"), "form-data", "attachment", 1) + end, code: "MalformedPOSTRequest"},
		"a line of a head without a name": {body: "--" + boundary + "\r\nno colon\r\n\r\nx\r\n" + end, code: "MalformedPOSTRequest"},
		"more fields than S3 takes":       {body: part("a", strings.Repeat("v", 20<<10)) + part("file", "") + end, code: "MaxPostPreDataLengthExceededError"},
		"too many fields":                 {body: manyFields(201, "") + part("file", "") + end, code: "MaxPostPreDataLengthExceededError"},
		"a long head of a part":           {body: part(strings.Repeat("n", 9<<10), "") + part("file", "") + end, code: "MaxPostPreDataLengthExceededError"},
		"long heads of many parts":        {body: manyFields(17, "x: "+strings.Repeat("h", 4<<10)+"\r\n") + part("file", "") + end, code: "MaxPostPreDataLengthExceededError"},
		"long before the first boundary":  {body: strings.Repeat("x", 9<<10) + "\r\n" + part("file", "") + end, code: "MaxPostPreDataLengthExceededError"},
	} {
		for how, source := range map[string]func(io.Reader) io.Reader{"whole": whole, "byte by byte": iotest.OneByteReader} {
			got, err := read(t, []byte(c.body), source)
			if e, _ := s3err.Of(err); err != nil && e.Code != c.code || err == nil && c.code != "" {
				t.Errorf("%s, %s: %v, want %q", name, how, err, c.code)
			}
			if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
				t.Errorf("%s, %s: %s", name, how, diff)
			}
		}
	}
	if _, err := read(t, []byte(manyFields(200, "")+part("file", "")+end), whole); err != nil {
		t.Errorf("200 fields: %v", err)
	}
}

// manyFields are n fields whose heads begin with the given lines.
func manyFields(n int, lines string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(part(fmt.Sprintf("f%d", i), ""), "\r\n", "\r\n"+lines, 1))
	}
	return b.String()
}

// What may not be held is not read, and the source's own error is told.
func TestReader_errors(t *testing.T) {
	t.Parallel()
	body := part("key", "k") + part("file", "x") + end
	full := errors.New("no room")
	r := form.NewReader(strings.NewReader(body), boundary, int64(len(body)), func(int) error { return full })
	if err := r.ReadFields(); !errors.Is(err, full) || r.Complete() {
		t.Errorf("without room: %v, read to the end: %v", err, r.Complete())
	}
	broken := errors.New("broken")
	r = form.NewReader(iotest.ErrReader(broken), boundary, int64(len(body)), func(int) error { return nil })
	if err := r.ReadFields(); !errors.Is(err, broken) {
		t.Errorf("of a source that fails: %v", err)
	}
}

func TestBoundary(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]string{
		"multipart/form-data; boundary=abc": "abc", `Multipart/Form-Data; charset=utf-8; boundary="a b"`: "a b",
		"multipart/form-data": "", "multipart/mixed; boundary=abc": "", "": "", "multipart/form-data; boundary=" + strings.Repeat("b", 71): "",
	} {
		got, err := form.Boundary(contentType)
		if e, _ := s3err.Of(err); got != want || (want == "") != (err != nil) || err != nil && e.Code != "PreconditionFailed" {
			t.Errorf("%q: %q, %v", contentType, got, err)
		}
	}
}

// standard reads a form with the standard library's reader, up to the file. ok is
// false for what it refuses, and for a form without a file.
func standard(body []byte) (c content, ok bool) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextRawPart()
		if err != nil {
			return c, false
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return c, false
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil || kind != "form-data" {
			return c, false
		}
		name := strings.ToLower(params["name"])
		if name == "file" {
			c.Filename, c.FileType, c.File = params["filename"], p.Header.Get("Content-Type"), string(value)
			return c, true
		}
		c.Fields = append(c.Fields, sigv4.Field{Name: name, Value: string(value)})
	}
}

// otherwise are the bytes that RFC 2046 section 5.1.1 lets nobody send, and that the
// standard library reads all the same: a line of a part that begins with the boundary.
var otherwise = regexp.MustCompile(`\r\n--` + boundary + `([^\r \t-]|[ \t]+[^\r \t]|-[^-]|\r[^\n])`)

// Whatever is sent, nothing panics and no byte behind the form is read; pieces make no
// difference; and what both accept, the standard library reads the same.
func FuzzForm(f *testing.F) {
	for _, body := range []string{
		part("key", "k") + part("file", "x") + end,
		part("key", "k") + "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"\r\nContent-Type: text/plain\r\n\r\nx\r\n" + part("submit", "go") + end,
		"\r\n" + part("file", "\r\n--b-\r\n--") + end,
		"--" + boundary + "\r\nContent-Disposition: form-data; name*=utf-8''file\r\n\r\n\r\n" + end,
		"--" + boundary + "\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n" + part("file", "") + end,
		"--" + boundary + "\r\nContent-Disposition: form-data; name=file\r\n ;filename=\"a:b\"\r\n\r\nx\r\n" + end,
		"--" + boundary + "\r\nContent-Disposition: form-data; name=a\r\n\r\n" + part("b", "x") + part("file", "") + end,
		"preamble\r\n" + part("file", "") + end + "epilogue",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := read(t, body, whole)
		again, err2 := read(t, body, iotest.OneByteReader)
		if fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !cmp.Equal(got, again) {
			t.Fatalf("read whole: %+v, %v\nbyte by byte: %+v, %v", got, err, again, err2)
		}
		want, ok := standard(body)
		if err != nil || !ok || otherwise.Match(body) {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -standard +ours\n%s", body, diff)
		}
	})
}

// What the standard library writes, within the bounds, is read.
func FuzzForm_written(f *testing.F) {
	f.Add("key", "k", "x-amz-meta-a", "v", "a \"b\".txt", "text/plain", []byte("data"), true)
	f.Add("key", "", "policy", "\r\n", "", "", []byte("\r\n--b"), false)
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, filename, fileType string, file []byte, behind bool) {
		a, b := strings.ToLower(name1), strings.ToLower(name2)
		usual := httpguts.ValidHeaderFieldName(a) && httpguts.ValidHeaderFieldName(b) && a != b && a != "file" && b != "file"
		within := len(a)+len(value1)+len(b)+len(value2) <= 20<<10 && len(a)+len(b)+len(filename)+len(fileType) < 2<<10
		all := value1 + value2 + string(file)
		if !usual || !within || strings.Contains(all, "--"+boundary) || !httpguts.ValidHeaderFieldValue(fileType) {
			return
		}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(w.SetBoundary(boundary))
		must(w.WriteField(name1, value1))
		must(w.WriteField(name2, value2))
		head := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition("file", filename)}, "Content-Type": {fileType}}
		p, err := w.CreatePart(head)
		must(err)
		_, err = p.Write(file)
		must(err)
		if behind {
			must(w.WriteField("submit", "go"))
		}
		must(w.Close())
		want, ok := standard(body.Bytes())
		if !ok {
			return // a file's name that its own reader does not take
		}
		got, err := read(t, body.Bytes(), whole)
		if err != nil {
			t.Fatalf("%q: %v", body.String(), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -standard +ours\n%s", body.String(), diff)
		}
	})
}
