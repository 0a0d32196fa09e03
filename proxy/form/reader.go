// Package form reads a browser's upload, a multipart/form-data body (RFC 7578) whose
// fields stand before its file, in one pass and in bounded memory. It knows nothing of
// what the fields mean, but that the part called file is the object.
package form

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/sigv4"
)

// Bounds of a form before its file, which anybody may send
// (docs/decisions/0022). S3 takes 20 KB of fields, names and values together
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html).
const (
	maxFields   = 20 << 10
	maxNames    = 200      // fields
	maxPartHead = 8 << 10  // of one part: a file's name, percent-encoded, is the longest that is in it
	maxHead     = 64 << 10 // all of it, boundaries and the parts' heads too

	firstBuffer = 4 << 10
	step        = 32 << 10 // of the buffer that fields and the end of a large file go through
	window      = 1 << 20  // a file that ends within it may be followed by other fields

	// MaxAround bounds everything of a form that is not its file.
	MaxAround = 1 << 20
)

// Reader reads one form: ReadFields first, then FileLength, then Read until io.EOF.
// After an error nothing more may be read. Its errors are *s3err.Error, or those of
// the source and of hold.
type Reader struct {
	// Fields are those before the file, in their order, with names in lower case.
	Fields []sigv4.Field

	// Of the file's own part. They are no fields: whoever sends a field of such
	// a name has sent one that S3 does not know.
	Filename, FileType string

	src      io.Reader
	hold     func(n int) error
	boundary []byte // CR LF "--" boundary
	buf      []byte // what was read
	at       int    // of it, what was used
	total    int64  // bytes of the body
	taken    int64  // bytes read from src
	size     int    // of the fields' names and values

	// of the file
	left    int64  // bytes to hand out
	checked bool   // it ends there
	large   bool   // it ends behind the window
	tail    []byte // of a large one, what a boundary may have begun in
}

var (
	errMalformed = &s3err.Error{Code: "MalformedPOSTRequest"}
	errTooLong   = &s3err.Error{Code: "MaxPostPreDataLengthExceededError"}
)

// Boundary returns the boundary that a Content-Type names; the error is for what is
// no form.
func Boundary(contentType string) (string, error) {
	media, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || media != "multipart/form-data" || boundary == "" || len(boundary) > 70 {
		return "", s3err.New("PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data.")
	}
	return boundary, nil
}

// NewReader reads a body of length bytes from src, and no byte more. hold is asked
// before n bytes more are kept in memory; a negative n are given back. Its error ends
// the form.
func NewReader(src io.Reader, boundary string, length int64, hold func(n int) error) *Reader {
	// The first boundary may stand at the very beginning, without a line end.
	return &Reader{src: src, hold: hold, boundary: []byte("\r\n--" + boundary), buf: []byte("\r\n"), total: length}
}

// Complete reports whether the whole body has been read from the source.
func (r *Reader) Complete() bool { return r.taken == r.total }

// unread is what was read and not used.
func (r *Reader) unread() []byte { return r.buf[r.at:] }

// used is how many bytes of the body were used.
func (r *Reader) used() int64 { return r.taken - int64(len(r.unread())) }

// fill reads another piece of the body; io.ErrUnexpectedEOF at its end.
func (r *Reader) fill() error {
	if r.taken >= r.total {
		return io.ErrUnexpectedEOF
	}
	if err := r.room(); err != nil {
		return err
	}
	n, err := r.read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	return err
}

// room makes room in the buffer, which is as large as what was not used needs.
func (r *Reader) room() error {
	if r.at > 0 {
		r.buf = r.buf[:copy(r.buf, r.unread())]
		r.at = 0
	}
	if len(r.buf) < cap(r.buf) {
		return nil
	}
	size := min(max(firstBuffer, 2*cap(r.buf)), window+step)
	if err := r.hold(size - cap(r.buf)); err != nil {
		return err
	}
	r.buf = append(make([]byte, 0, size), r.buf...)
	return nil
}

// read reads from the body.
func (r *Reader) read(p []byte) (int, error) {
	n, err := r.src.Read(p[:min(int64(len(p)), r.total-r.taken)])
	r.taken += int64(n)
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
func (r *Reader) until(mark []byte, limit int) ([]byte, error) {
	for searched := 0; ; {
		unread := r.unread()
		i := bytes.Index(unread[searched:], mark)
		if found := searched + i; i >= 0 && found <= limit {
			r.at += found + len(mark)
			if r.used() > maxHead {
				return nil, errTooLong
			}
			return unread[:found], nil
		}
		searched = max(0, len(unread)-len(mark)+1)
		if i >= 0 || searched > limit {
			return nil, errTooLong
		}
		if err := r.fill(); err != nil {
			return nil, asMalformed(err)
		}
	}
}

func asMalformed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errMalformed
	}
	return err
}

// ReadFields reads the fields up to the file's first byte. What follows the
// file is ignored, as S3 does.
func (r *Reader) ReadFields() error {
	if _, err := r.until(r.boundary, maxPartHead); err != nil {
		return err
	}
	for {
		if rest, err := r.until(lineEnd, maxPartHead); err != nil {
			return err
		} else if len(bytes.TrimSpace(rest)) != 0 {
			return s3err.New("InvalidArgument", "POST requires exactly one file upload per request.")
		}
		part, err := r.partHead()
		if err != nil {
			return err
		}
		if part.name == "file" {
			r.Filename, r.FileType = part.filename, part.contentType
			return nil
		}
		if r.size += len(part.name); r.size > maxFields || len(r.Fields) == maxNames {
			return errTooLong
		}
		value, err := r.until(r.boundary, maxFields-r.size+len(lineEnd))
		if err != nil {
			return err
		}
		value = bytes.TrimPrefix(value, lineEnd)
		if _, twice := r.Get(part.name); twice {
			return s3err.New("InvalidArgument", "A form field occurs twice.")
		}
		r.size += len(value)
		if err := r.hold(len(part.name) + len(value)); err != nil {
			return err
		}
		r.Fields = append(r.Fields, sigv4.Field{Name: part.name, Value: string(value)})
	}
}

var lineEnd = []byte("\r\n")

type partHead struct{ name, filename, contentType string }

// partHead reads a part's head up to the line end of the empty line behind it. That
// one may be the boundary's own already, when the part is empty (RFC 2046 section
// 5.1.1). What two readers would read differently is refused: folded lines, which no
// browser sends, and a second Content-Disposition.
func (r *Reader) partHead() (h partHead, err error) {
	disposed := false
	for left := maxPartHead; ; {
		line, err := r.until(lineEnd, left)
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			r.at -= len(lineEnd)
			break
		}
		left -= len(line)
		key, value, ok := strings.Cut(string(line), ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			return h, errMalformed
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "content-disposition":
			disposition, params, perr := mime.ParseMediaType(value)
			if perr != nil || disposition != "form-data" || disposed {
				return h, errMalformed
			}
			disposed = true
			h.name, h.filename = params["name"], params["filename"]
		case "content-type":
			h.contentType = strings.TrimSpace(value)
		}
	}
	if h.name == "" {
		return h, errMalformed
	}
	if !httpguts.ValidHeaderFieldName(h.name) {
		// S3's own names are tokens; some become names of headers.
		return h, s3err.New("InvalidArgument", "The name of a form field has an invalid character.")
	}
	h.name = strings.ToLower(h.name)
	return h, nil
}

func (r *Reader) Get(name string) (string, bool) {
	for _, field := range r.Fields {
		if field.Name == name {
			return field.Value, true
		}
	}
	return "", false
}

// FileLength finds the file's length, which the backend must be told first.
// A small file is looked at whole; a large one must be the form's last field,
// so that its length follows from the body's.
func (r *Reader) FileLength() (int64, error) {
	if err := r.beginFile(); err != nil {
		return 0, err
	}
	for searched := 0; ; {
		unread := r.unread()
		if i := bytes.Index(unread[searched:], r.boundary); i >= 0 {
			r.left, r.checked = int64(searched+i), true
			return r.left, nil
		}
		searched = max(0, len(unread)-len(r.boundary)+1)
		if r.taken >= r.total {
			return 0, errMalformed
		}
		if len(unread) >= window+len(r.boundary) {
			break
		}
		if err := r.fill(); err != nil {
			return 0, asMalformed(err)
		}
	}
	// "\r\n--boundary--" and a line end that most clients send.
	r.large = true
	r.left = int64(len(r.unread())) + r.total - r.taken - int64(len(r.boundary)) - int64(len("--\r\n"))
	return r.left, nil
}

// beginFile steps over the line end before the file, if that is not the boundary's.
func (r *Reader) beginFile() error {
	for len(r.unread()) < len(r.boundary) {
		if err := r.fill(); err != nil {
			return asMalformed(err)
		}
	}
	if !bytes.HasPrefix(r.unread(), r.boundary) {
		r.at += len(lineEnd)
	}
	return nil
}

// Read gives the file's bytes; the last one only when the end of the form is
// where it was expected.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(r.unread()) == 0 {
		if err := r.drained(); err != nil {
			return 0, err
		}
		if int64(len(p)) < r.left { // its last byte is not among them
			n, err := r.read(p)
			if err != nil {
				return 0, err
			}
			return r.handOut(p[:n])
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := int(min(int64(len(p)), r.left, int64(len(r.unread()))))
	if int64(n) == r.left && !r.checked {
		if err := r.checkEnd(n); err != nil {
			return 0, err
		}
	}
	copy(p, r.unread()[:n])
	r.at += n
	return r.handOut(p[:n])
}

// handOut counts bytes of the file. In a large one it looks for a boundary: the
// file has ended there, and is another than was announced to the backend.
func (r *Reader) handOut(p []byte) (int, error) {
	r.left -= int64(len(p))
	if !r.large {
		return len(p), nil
	}
	most := len(r.boundary) - 1
	across := append(r.tail, p[:min(len(p), most)]...)
	if bytes.Contains(across, r.boundary) || bytes.Contains(p, r.boundary) {
		return 0, errNotLast
	}
	if len(p) >= most {
		r.tail = append(r.tail[:0], p[len(p)-most:]...)
	} else {
		r.tail = append(r.tail[:0], across[max(0, len(across)-most):]...)
	}
	return len(p), nil
}

var errNotLast = s3err.New("InvalidArgument", "In forms larger than 1 MiB the file must be the last field, and the form must end behind it.")

// drained gives back the window of a large file, the rest of which goes through
// the caller's buffer: an upload takes as long as its client likes.
func (r *Reader) drained() error {
	r.at, r.buf = 0, r.buf[:0]
	if cap(r.buf) <= step {
		return nil
	}
	if err := r.hold(step - cap(r.buf)); err != nil {
		return err
	}
	r.buf = make([]byte, 0, step)
	return nil
}

func (r *Reader) checkEnd(n int) error {
	for len(r.unread())-n < len(r.boundary)+len("--") {
		if err := r.fill(); err != nil {
			return asMalformed(err)
		}
	}
	rest := r.unread()[n:]
	if !bytes.HasPrefix(rest, r.boundary) || !bytes.HasPrefix(rest[len(r.boundary):], []byte("--")) {
		return errNotLast
	}
	r.checked = true
	return nil
}
