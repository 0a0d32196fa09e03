package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

const maxHead = 64 << 10

// Response is a backend's answer. It is reusable and owned by the caller;
// header slices are valid until Close, Abort or the next Do.
type Response struct {
	Status        int
	ContentLength int64 // -1: unknown

	head   []byte  // head and fields are buffers: their memory is used again
	fields []field // slices of head

	conn    *Conn
	left    int64 // body bytes to come; -1: until the connection ends
	chunks  chunkDecoder
	chunked bool
	keep    bool
	spent   bool // the connection must not be used again
	began   bool // a byte of the answer was seen
	interim int  // answers that were passed over
	limited io.LimitedReader
	try     exchange
}

// field is a header line. What is not fit has a control character in its value,
// which no field value has (RFC 9110 section 5.5): it is as if it were not there.
type field struct {
	name, value []byte
	fit         bool
}

// maxFields is how many header lines an answer may have. Who stored an object
// could send half of them.
const maxFields = 512

// Clear overwrites the whole response; only its buffers, emptied, keep their
// memory. Do begins with it, and so does whoever puts a Response into a pool.
func (r *Response) Clear() { *r = Response{head: r.head[:0], fields: r.fields[:0]} }

// Header returns the first value of a header by its lower-case name that is fit to
// be one, or nil.
func (r *Response) Header(lower string) []byte {
	for i := range r.fields {
		if r.fields[i].fit && equalFold(r.fields[i].name, lower) {
			return r.fields[i].value
		}
	}
	return nil
}

// VisitHeaders calls f for each header line in order. The value of one that is not
// fit has a control character.
func (r *Response) VisitHeaders(f func(name, value []byte, fit bool)) {
	for i := range r.fields {
		f(r.fields[i].name, r.fields[i].value, r.fields[i].fit)
	}
}

// ErrAnswer means that an answer came whose head is not well-formed: the
// endpoint is there, and this one answer cannot be used.
var ErrAnswer = errors.New("upstream: the answer's head is not well-formed")

// maxInterim is how many interim answers may come before the final one. S3
// servers send one, if any.
const maxInterim = 8

var errInterim = fmt.Errorf("%w: more than %d interim answers", ErrAnswer, maxInterim)

// readHead reads the head of the final answer; 1xx are passed over. wait is for
// all of it, and may be long: after a large Complete it is.
func (r *Response) readHead(c *Conn, noBody bool, wait time.Duration) error {
	if err := c.await(wait); err != nil {
		return err
	}
	r.conn = c
	for {
		if err := r.takeHead(c); err != nil {
			return err
		}
		if err := r.parseHead(); err != nil {
			return err
		}
		if r.Status >= 200 {
			break
		}
		if err := r.pass(); err != nil {
			return err
		}
	}
	return r.frame(noBody)
}

// pass passes over an interim answer (RFC 9110 section 15.2). Another protocol
// was not asked for.
func (r *Response) pass() error {
	if r.Status == 101 {
		return ErrAnswer
	}
	if r.interim++; r.interim > maxInterim {
		return errInterim
	}
	return nil
}

// answered reports, without waiting and while a body is being sent, whether the
// final answer has begun or the connection has ended. Interim answers may come
// at any time before it, in any pieces, and mean that the body goes on.
func (r *Response) answered(c *Conn) bool {
	for {
		b := c.buf[c.r:c.w]
		if end := bytes.Index(b, []byte("\r\n\r\n")); end >= 0 && len(b) > 0 {
			r.head, r.began = append(r.head[:0], b[:end+4]...), true
			if r.parseHead() != nil || r.Status >= 200 || r.pass() != nil {
				return true // readHead says what it is
			}
			c.r += end + 4
			continue
		}
		if len(b) > maxHead || !perhapsInterim(b) {
			return true
		}
		if err := c.fillNow(); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// perhapsInterim reports whether b begins, as far as it goes, as an interim
// answer does.
func perhapsInterim(b []byte) bool {
	const line = "HTTP/1.? 1"
	for i := range min(len(b), len(line)) {
		if b[i] != line[i] && line[i] != '?' {
			return false
		}
	}
	return true
}

func (r *Response) takeHead(c *Conn) error {
	searched := 0
	for {
		from := max(0, searched-3)
		if i := bytes.Index(c.buf[c.r+from:c.w], []byte("\r\n\r\n")); i >= 0 && from+i <= maxHead {
			end := c.r + from + i + 4
			r.head = append(r.head[:0], c.buf[c.r:end]...)
			c.r = end
			return nil
		}
		if got := c.buf[c.r:c.w]; !perhapsHead(got, searched) {
			return ErrAnswer
		}
		searched = c.w - c.r
		if searched > maxHead {
			return fmt.Errorf("%w: longer than %d bytes", ErrAnswer, maxHead)
		}
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		r.began = true
	}
}

// perhapsHead reports whether b can be the beginning of a head: what cannot is not
// waited for. What is before from was looked at. A line ends in CR LF.
func perhapsHead(b []byte, from int) bool {
	const version = "HTTP/1."
	if n := min(len(b), len(version)); string(b[:n]) != version[:n] {
		return false
	}
	for i := from; i < len(b); i++ {
		if b[i] == '\n' && (i == 0 || b[i-1] != '\r') {
			return false
		}
	}
	return true
}

func (r *Response) parseHead() error {
	r.fields = r.fields[:0]
	line, rest, _ := bytes.Cut(r.head, []byte("\r\n"))
	// HTTP-version SP status-code SP [reason] (RFC 9112 section 4).
	if len(line) < 12 || bytes.ContainsAny(line, "\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return ErrAnswer
	}
	status := 0
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return ErrAnswer
		}
		status = status*10 + int(d-'0')
	}
	if status < 100 {
		return ErrAnswer
	}
	r.Status, r.keep = status, line[7] == '1'
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte{':'})
		has := classesOf(value)
		if !ok || len(name) == 0 || !isToken(name) || has&inNoLine != 0 {
			return ErrAnswer
		}
		if len(r.fields) == maxFields {
			return fmt.Errorf("%w: more than %d header lines", ErrAnswer, maxFields)
		}
		r.fields = append(r.fields, field{name, bytes.Trim(value, " \t"), has&inNoValue == 0})
	}
	return nil
}

// frame decides how the body ends (RFC 9112 section 6.3). What two readers
// could read in two ways is refused.
func (r *Response) frame(noBody bool) error {
	length := int64(-1)
	for i := range r.fields {
		name, value := r.fields[i].name, r.fields[i].value
		switch {
		case equalFold(name, "content-length"):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil || value[0] == '+' || length >= 0 && int64(n) != length {
				return fmt.Errorf("%w: content-length", ErrAnswer)
			}
			length = int64(n)
		case equalFold(name, "transfer-encoding"):
			if !bytes.EqualFold(value, []byte("chunked")) || r.chunked {
				return fmt.Errorf("%w: transfer-encoding", ErrAnswer)
			}
			r.chunked = true
		case equalFold(name, "connection"):
			// Any option but keep-alive: the connection is not used again.
			r.keep = r.keep && equalFold(value, "keep-alive")
		}
	}
	if r.chunked && (length >= 0 || r.head[7] == '0') { // HTTP/1.0 has no such coding (RFC 9112 section 6.1)
		return fmt.Errorf("%w: content-length and transfer-encoding", ErrAnswer)
	}
	r.ContentLength = length
	switch {
	case noBody || r.Status == 204 || r.Status == 304:
		if r.Status == 204 && (r.chunked || length > 0) {
			r.keep = false // it may send what it announces and may not have (RFC 9110 section 8.6)
		}
		r.left, r.chunked = 0, false
	case r.chunked:
		r.left = -1
	case length >= 0:
		r.left = length
	default:
		r.left, r.keep = -1, false
	}
	return nil
}

// UntilEnd reports that nothing but the connection's end says where the body ends.
func (r *Response) UntilEnd() bool { return r.left < 0 && !r.chunked }

// Read reads the body. An end before the announced one is io.ErrUnexpectedEOF.
func (r *Response) Read(p []byte) (int, error) {
	if r.conn == nil {
		return 0, io.EOF
	}
	if r.chunked {
		n, err := r.chunks.read(r.conn, p)
		if errors.Is(err, io.EOF) {
			r.chunked, r.left = false, 0
		}
		return n, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.conn.read(p)
	if r.left > 0 {
		r.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if r.left == 0 {
			err = nil
		}
	} else if errors.Is(err, io.EOF) {
		r.left = 0
	}
	return n, err
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// SpliceTo sends the body to w in steps of at most step bytes. When w has a
// ReadFrom and the connection is plain, the socket itself is handed over, so
// that the kernel can move the bytes; never more of it than the body.
func (r *Response) SpliceTo(w io.Writer, step int64) (total int64, err error) {
	rf, ok := w.(io.ReaderFrom)
	if !ok || r.conn == nil || r.conn.source.secure || r.chunked || r.left < 0 {
		return r.copyTo(w)
	}
	c := r.conn
	if n := min(int64(c.w-c.r), r.left); n > 0 {
		k, err := w.Write(c.buf[c.r : c.r+int(n)])
		c.r += k
		r.left -= int64(k)
		total += int64(k)
		if err != nil {
			return total, err
		}
	}
	if r.left == 0 {
		return total, nil
	}
	c.keepReading()
	defer c.endReading()
	for r.left > 0 {
		r.limited = io.LimitedReader{R: c.source.Conn, N: min(step, r.left)}
		n, err := rf.ReadFrom(&r.limited)
		r.left -= n
		total += n
		switch {
		case err != nil:
			return total, err
		case n == 0:
			return total, io.ErrUnexpectedEOF
		}
	}
	return total, nil
}

func (r *Response) copyTo(w io.Writer) (total int64, err error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := r.Read(*buf)
		if n > 0 {
			k, werr := w.Write((*buf)[:n])
			total += int64(k)
			if werr != nil {
				return total, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Close gives the connection back when the body was read whole and both sides
// keep it; otherwise it is closed.
func (r *Response) Close() {
	keep := r.left == 0 && !r.chunked && r.keep && !r.spent
	c := r.detach()
	switch {
	case c == nil:
	case keep:
		c.endpoint.put(c)
	default:
		c.close()
	}
}

// Abort cuts the connection at once.
func (r *Response) Abort() {
	if c := r.detach(); c != nil {
		c.close()
	}
}

// detach takes the connection away. What the head said stays readable; nothing
// that remains can reach the connection, which may serve another request by then.
func (r *Response) detach() *Conn {
	c := r.conn
	*r = Response{Status: r.Status, ContentLength: r.ContentLength, head: r.head, fields: r.fields}
	return c
}

// classesOf are the classes of all bytes of b.
func classesOf(b []byte) (all uint8) {
	for _, c := range b {
		all |= classes[c]
	}
	return all
}

func isToken(b []byte) bool {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			continue
		}
		if classes[c]&inToken == 0 {
			return false
		}
	}
	return true
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
