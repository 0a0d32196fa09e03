package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/sigv4"
)

// Bounds of a form before its file, which anybody may send
// (docs/decisions/0022). S3 takes 20 KB of fields, names and values together
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html).
const (
	maxFormFields = 20 << 10
	maxFormNames  = 200      // fields
	maxPartHead   = 8 << 10  // of one part: a file's name, percent-encoded, is the longest that is in it
	maxFormHead   = 64 << 10 // all of it, boundaries and the parts' heads too

	formStep   = 32 << 10 // of the buffer that fields and the end of a large file go through
	formWindow = 1 << 20  // a file that ends within it may be followed by other fields
	formAround = 1 << 20  // at most, of everything that is not the file
)

// form is a multipart/form-data body, read in one pass (RFC 7578).
type form struct {
	x        *exchange
	src      io.Reader
	boundary []byte // CR LF "--" boundary
	buf      []byte // what was read
	at       int    // of it, what was used
	total    int64  // bytes of the body
	taken    int64  // bytes read from src
	fields   []sigv4.Field
	size     int // of the fields' names and values
	policy   *sigv4.Policy

	// Of the file's own part. They are no fields: whoever sends a field of such
	// a name has sent one that S3 does not know.
	filename, fileType string

	// of the file
	left    int64  // bytes to hand out
	checked bool   // it ends there
	large   bool   // it ends behind the window
	tail    []byte // of a large one, what a boundary may have begun in
}

var (
	errForm        = &s3err.Error{Code: "MalformedPOSTRequest"}
	errFormTooLong = &s3err.Error{Code: "MaxPostPreDataLengthExceededError"}
)

// admitForm finds the boundary: what is no form is refused before a byte of the
// body is asked for.
func (x *exchange) admitForm() error {
	contentType, _ := x.header("content-type")
	media, params, err := mime.ParseMediaType(string(contentType))
	boundary := params["boundary"]
	if err != nil || media != "multipart/form-data" || boundary == "" || len(boundary) > 70 {
		return s3err.New("PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data.")
	}
	x.boundary = boundary
	return nil
}

func (x *exchange) openForm() *form {
	src := x.ctx.RequestBodyStream()
	if src == nil {
		src = emptyReader{}
	}
	// The first boundary may stand at the very beginning, without a line end.
	return &form{x: x, src: src, boundary: []byte("\r\n--" + x.boundary), buf: []byte("\r\n"), total: x.length}
}

// unread is what was read and not used.
func (f *form) unread() []byte { return f.buf[f.at:] }

// used is how many bytes of the body were used.
func (f *form) used() int64 { return f.taken - int64(len(f.unread())) }

// more reads another piece of the body; io.ErrUnexpectedEOF at its end.
func (f *form) more() error {
	if f.taken >= f.total {
		return io.ErrUnexpectedEOF
	}
	if err := f.room(); err != nil {
		return err
	}
	n, err := f.read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	return err
}

// room makes room in the buffer, which is as large as what was not used needs.
func (f *form) room() error {
	if f.at > 0 {
		f.buf = f.buf[:copy(f.buf, f.unread())]
		f.at = 0
	}
	if len(f.buf) < cap(f.buf) {
		return nil
	}
	size := min(max(firstBuffer, 2*cap(f.buf)), formWindow+formStep)
	if err := f.hold(size - cap(f.buf)); err != nil {
		return err
	}
	f.buf = append(make([]byte, 0, size), f.buf...)
	return nil
}

// hold takes leave to hold n bytes more.
func (f *form) hold(n int) error {
	if f.policy == nil {
		return f.x.held.stranger.grow(f.x.srv.strangers, addressHolder(f.x.remote), int64(n))
	}
	return f.x.held.asked.grow(f.x.srv.documents, f.x.holder(), int64(n))
}

// known moves what the form holds to the documents of those who are known.
func (f *form) known() error {
	if err := f.x.held.asked.grow(f.x.srv.documents, f.x.holder(), f.x.held.stranger.held); err != nil {
		return err
	}
	f.x.held.stranger.end()
	return nil
}

// read reads from the body.
func (f *form) read(p []byte) (int, error) {
	n, err := f.src.Read(p[:min(int64(len(p)), f.total-f.taken)])
	f.taken += int64(n)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, io.EOF):
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// until returns what stands before mark, limit bytes at most, and drops it
// together with mark. It is valid until the next call.
func (f *form) until(mark []byte, limit int) ([]byte, error) {
	for searched := 0; ; {
		unread := f.unread()
		i := bytes.Index(unread[searched:], mark)
		if found := searched + i; i >= 0 && found <= limit {
			f.at += found + len(mark)
			if f.used() > maxFormHead {
				return nil, errFormTooLong
			}
			return unread[:found], nil
		}
		searched = max(0, len(unread)-len(mark)+1)
		if i >= 0 || searched > limit {
			return nil, errFormTooLong
		}
		if err := f.more(); err != nil {
			return nil, formEnd(err)
		}
	}
}

func formEnd(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errForm
	}
	return err
}

// readFields reads the fields up to the file's first byte. What follows the
// file is ignored, as S3 does.
func (f *form) readFields() error {
	if _, err := f.until(f.boundary, maxPartHead); err != nil {
		return err
	}
	for {
		if rest, err := f.until(lineEnd, maxPartHead); err != nil {
			return err
		} else if len(bytes.TrimSpace(rest)) != 0 {
			return s3err.New("InvalidArgument", "POST requires exactly one file upload per request.")
		}
		part, err := f.partHead()
		if err != nil {
			return err
		}
		if part.name == "file" {
			f.filename, f.fileType = part.filename, part.contentType
			return nil
		}
		if f.size += len(part.name); f.size > maxFormFields || len(f.fields) == maxFormNames {
			return errFormTooLong
		}
		value, err := f.until(f.boundary, maxFormFields-f.size)
		if err != nil {
			return err
		}
		if _, twice := f.get(part.name); twice {
			return s3err.New("InvalidArgument", "A form field occurs twice.")
		}
		f.size += len(value)
		if err := f.hold(len(part.name) + len(value)); err != nil {
			return err
		}
		f.fields = append(f.fields, sigv4.Field{Name: part.name, Value: string(value)})
	}
}

var lineEnd = []byte("\r\n")

type partHead struct{ name, filename, contentType string }

func (f *form) partHead() (h partHead, err error) {
	for left := maxPartHead; ; {
		line, err := f.until(lineEnd, left)
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			break
		}
		left -= len(line)
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			return h, errForm
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "content-disposition":
			disposition, params, perr := mime.ParseMediaType(value)
			if perr != nil || disposition != "form-data" {
				return h, errForm
			}
			h.name, h.filename = params["name"], params["filename"]
		case "content-type":
			h.contentType = strings.TrimSpace(value)
		}
	}
	if h.name == "" {
		return h, errForm
	}
	if !isTokens(h.name) {
		// S3's own names are tokens; some become names of headers.
		return h, s3err.New("InvalidArgument", "The name of a form field has an invalid character.")
	}
	h.name = strings.ToLower(h.name)
	return h, nil
}

func (f *form) get(name string) (string, bool) {
	for _, field := range f.fields {
		if field.Name == name {
			return field.Value, true
		}
	}
	return "", false
}

// fileLength finds the file's length, which the backend must be told first.
// A small file is looked at whole; a large one must be the form's last field,
// so that its length follows from the body's.
func (f *form) fileLength() (int64, error) {
	for searched := 0; ; {
		unread := f.unread()
		if i := bytes.Index(unread[searched:], f.boundary); i >= 0 {
			f.left, f.checked = int64(searched+i), true
			return f.left, nil
		}
		searched = max(0, len(unread)-len(f.boundary)+1)
		if f.taken >= f.total {
			return 0, errForm
		}
		if len(unread) >= formWindow+len(f.boundary) {
			break
		}
		if err := f.more(); err != nil {
			return 0, formEnd(err)
		}
	}
	// "\r\n--boundary--" and a line end that most clients send.
	f.large = true
	f.left = int64(len(f.unread())) + f.total - f.taken - int64(len(f.boundary)) - int64(len("--\r\n"))
	return f.left, nil
}

// Read gives the file's bytes; the last one only when the end of the form is
// where it was expected.
func (f *form) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if len(f.unread()) == 0 {
		if err := f.drained(); err != nil {
			return 0, err
		}
		if int64(len(p)) < f.left { // its last byte is not among them
			n, err := f.read(p)
			if err != nil {
				return 0, err
			}
			return f.handOut(p[:n])
		}
		if err := f.more(); err != nil {
			return 0, err
		}
	}
	n := int(min(int64(len(p)), f.left, int64(len(f.unread()))))
	if int64(n) == f.left && !f.checked {
		if err := f.checkEnd(n); err != nil {
			return 0, err
		}
	}
	copy(p, f.unread()[:n])
	f.at += n
	return f.handOut(p[:n])
}

// handOut counts bytes of the file. In a large one it looks for a boundary: the
// file has ended there, and is another than was announced to the backend.
func (f *form) handOut(p []byte) (int, error) {
	f.left -= int64(len(p))
	if !f.large {
		return len(p), nil
	}
	most := len(f.boundary) - 1
	across := append(f.tail, p[:min(len(p), most)]...)
	if bytes.Contains(across, f.boundary) || bytes.Contains(p, f.boundary) {
		return 0, errNotLast
	}
	if len(p) >= most {
		f.tail = append(f.tail[:0], p[len(p)-most:]...)
	} else {
		f.tail = append(f.tail[:0], across[max(0, len(across)-most):]...)
	}
	return len(p), nil
}

var errNotLast = s3err.New("InvalidArgument", "In forms larger than 1 MiB the file must be the last field, and the form must end behind it.")

// drained gives back the window of a large file, the rest of which goes through
// the caller's buffer: an upload takes as long as its client likes.
func (f *form) drained() error {
	f.at, f.buf = 0, f.buf[:0]
	if cap(f.buf) <= formStep {
		return nil
	}
	if err := f.hold(formStep - cap(f.buf)); err != nil {
		return err
	}
	f.buf = make([]byte, 0, formStep)
	return nil
}

func (f *form) checkEnd(n int) error {
	for len(f.unread())-n < len(f.boundary)+len("--") {
		if err := f.more(); err != nil {
			return formEnd(err)
		}
	}
	rest := f.unread()[n:]
	if !bytes.HasPrefix(rest, f.boundary) || !bytes.HasPrefix(rest[len(f.boundary):], []byte("--")) {
		return errNotLast
	}
	f.checked = true
	return nil
}
