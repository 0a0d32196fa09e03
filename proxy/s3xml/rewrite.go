package s3xml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Names are what the names in a backend's answer become.
type Names struct {
	BackendBucket, Bucket string
	Owner, OwnerName      string // ID and DisplayName of Owner and Initiator (F3)
	Location              string // of CompleteMultipartUploadResult
	Resource              string // of Error
	RequestID, HostID     string // of Error
}

// Result is what passed.
type Result struct {
	Root  string // the document's root element
	Error *Error // an error document, whatever the status was (E8, F7)
	Bytes int64
}

// ErrDocument means that an answer is not well-formed XML, or deeper or wider
// than any S3 document.
var ErrDocument = errors.New("s3xml: the answer is not a well-formed S3 document")

const (
	maxDepth = 32
	maxTag   = 64 << 10
	maxError = 64 << 10
)

// Rewrite copies an answer and replaces the text of the elements that hold
// names; every other byte stays as it is, keys above all. It works on a window
// and flushes before it waits, so that white space which the backend sends
// while it works reaches the client.
func Rewrite(dst io.Writer, src io.Reader, n *Names) (Result, error) {
	out := bufio.NewWriterSize(dst, 32<<10)
	w := &rewriter{names: n, out: out, in: bufio.NewReaderSize(&flushingReader{src, out}, 32<<10)}
	err := w.run()
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if w.result.Root == "Error" && err == nil {
		w.result.Error, err = ParseError(w.errorDoc)
	}
	return w.result, err
}

type flushingReader struct {
	src io.Reader
	out *bufio.Writer
}

func (f *flushingReader) Read(p []byte) (int, error) {
	if f.out.Buffered() > 0 {
		if err := f.out.Flush(); err != nil {
			return 0, err
		}
	}
	return f.src.Read(p)
}

type rewriter struct {
	names    *Names
	in       *bufio.Reader
	out      *bufio.Writer
	path     []string
	skip     bool // text is replaced: drop the original
	result   Result
	errorDoc []byte
	tag      []byte
}

func (w *rewriter) run() error {
	for {
		done, err := w.text()
		if err != nil {
			return err
		}
		if done {
			if len(w.path) > 0 || w.result.Root == "" {
				return ErrDocument
			}
			return nil
		}
		if err := w.markup(); err != nil {
			return err
		}
	}
}

func (w *rewriter) write(b []byte) error {
	n, err := w.out.Write(b)
	w.result.Bytes += int64(n)
	return err
}

// original records the document as it was, for an error document.
func (w *rewriter) original(b []byte) error {
	if w.result.Root == "Error" || w.result.Root == "" {
		if len(w.errorDoc)+len(b) > maxError {
			if w.result.Root == "Error" {
				return ErrDocument
			}
			return nil
		}
		w.errorDoc = append(w.errorDoc, b...)
	}
	return nil
}

// text copies character data up to the next markup; done at the end.
func (w *rewriter) text() (done bool, err error) {
	for {
		b, err := w.in.ReadSlice('<')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && !errors.Is(err, io.EOF) {
			return false, err
		}
		end := err == nil
		if end {
			b = b[:len(b)-1]
		}
		if err := w.original(b); err != nil {
			return false, err
		}
		if !w.skip {
			if err := w.write(b); err != nil {
				return false, err
			}
		}
		if !full {
			return !end, nil
		}
	}
}

// markup reads one tag, comment, CDATA section or declaration whole.
func (w *rewriter) markup() error {
	w.tag = append(w.tag[:0], '<')
	quote := byte(0)
	for {
		c, err := w.in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return ErrDocument
			}
			return err
		}
		w.tag = append(w.tag, c)
		if len(w.tag) > maxTag {
			return ErrDocument
		}
		switch {
		case special(w.tag):
			if !specialEnded(w.tag) {
				continue
			}
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case c == '"' || c == '\'':
			quote = c
			continue
		case c != '>':
			continue
		}
		break
	}
	if err := w.original(w.tag); err != nil {
		return err
	}
	switch {
	case special(w.tag):
		if w.skip {
			return nil
		}
		return w.write(w.tag)
	case w.tag[1] == '/':
		return w.endTag()
	}
	return w.startTag()
}

func special(tag []byte) bool { return len(tag) > 1 && (tag[1] == '!' || tag[1] == '?') }

func specialEnded(tag []byte) bool {
	switch {
	case bytes.HasPrefix(tag, []byte("<!--")):
		return len(tag) >= 7 && bytes.HasSuffix(tag, []byte("-->"))
	case bytes.HasPrefix(tag, []byte("<![CDATA[")):
		return bytes.HasSuffix(tag, []byte("]]>"))
	case len(tag) < 9 && (bytes.HasPrefix([]byte("<!--"), tag) || bytes.HasPrefix([]byte("<![CDATA["), tag)):
		return false
	case tag[1] == '?':
		return bytes.HasSuffix(tag, []byte("?>"))
	}
	return tag[len(tag)-1] == '>'
}

func (w *rewriter) startTag() error {
	if w.skip {
		return ErrDocument // an element inside one that holds a name
	}
	name := tagName(w.tag[1 : len(w.tag)-1])
	if len(w.path) == 0 {
		if w.result.Root != "" {
			return ErrDocument
		}
		w.result.Root = name
		if name != "Error" {
			w.errorDoc = nil
		}
	}
	if err := w.write(w.tag); err != nil {
		return err
	}
	if bytes.HasSuffix(w.tag, []byte("/>")) {
		return nil
	}
	if len(w.path) >= maxDepth {
		return ErrDocument
	}
	w.path = append(w.path, name)
	if value, ok := w.replacement(); ok {
		w.skip = true
		return w.write(appendText(nil, value))
	}
	return nil
}

func (w *rewriter) endTag() error {
	n := len(w.path)
	if n == 0 || tagName(w.tag[2:len(w.tag)-1]) != w.path[n-1] {
		return ErrDocument
	}
	w.path = w.path[:n-1]
	w.skip = false
	return w.write(w.tag)
}

func tagName(b []byte) string {
	if i := bytes.IndexAny(b, " \t\r\n/"); i >= 0 {
		b = b[:i]
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		b = b[i+1:]
	}
	return string(b)
}

// replacement decides by the element's path in the known documents (F1).
func (w *rewriter) replacement() (string, bool) {
	n := len(w.path)
	if n < 2 {
		return "", false
	}
	root, parent, name := w.path[0], w.path[n-2], w.path[n-1]
	if parent == "Owner" || parent == "Initiator" {
		switch name {
		case "ID":
			return w.names.Owner, true
		case "DisplayName":
			return w.names.OwnerName, true
		}
		return "", false
	}
	if n != 2 {
		return "", false
	}
	switch root {
	case "ListBucketResult", "ListVersionsResult":
		return w.names.Bucket, name == "Name"
	case "ListMultipartUploadsResult", "ListPartsResult", "InitiateMultipartUploadResult":
		return w.names.Bucket, name == "Bucket"
	case "CompleteMultipartUploadResult":
		if name == "Location" {
			return w.names.Location, true
		}
		return w.names.Bucket, name == "Bucket"
	case "Error":
		switch name {
		case "BucketName":
			return w.names.Bucket, true
		case "Resource":
			return w.names.Resource, true
		case "RequestId":
			return w.names.RequestID, true
		case "HostId":
			return w.names.HostID, true
		case "Message":
			// The backend's text may name buckets, paths or hosts.
			return "The request could not be completed.", true
		}
	}
	return "", false
}
