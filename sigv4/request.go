package sigv4

import (
	"bytes"
	"slices"
)

// Header is one header line as received: name in any case, value without
// surrounding white space. The bytes are the caller's.
type Header struct{ Name, Value []byte }

// Request is what a signature covers. Headers are all headers in the order of
// their arrival, including host, content-length, transfer-encoding and expect,
// which some server libraries take away (S3-RULES.md B7). Nothing is kept after the
// call that it is passed to, except by Auth, whose fields alias it.
type Request struct {
	Method  []byte
	Target  *Target
	Headers []Header
}

// Get returns the first value of a header and how many lines it has. name is
// in lower case.
func (r *Request) Get(name string) (value []byte, count int) {
	for i := range r.Headers {
		if equalFold(r.Headers[i].Name, name) {
			if count == 0 {
				value = r.Headers[i].Value
			}
			count++
		}
	}
	return value, count
}

// Param is one decoded query parameter.
type Param struct{ Name, Value []byte }

// Target is a request target, split and percent-decoded once. Its slices are
// its own and valid until the next Parse.
type Target struct {
	Path  []byte // decoded, begins with '/'
	Query []Param
	buf   []byte
}

var (
	errTargetForm  = failed(ErrInvalidURI, "The request target must be a path; absolute and authority forms are not served.")
	errTargetBytes = failed(ErrInvalidURI, "The request target has a character that must be percent-encoded.")
	errEscape      = failed(ErrInvalidURI, "The request target has a malformed percent-encoding.")
	errSemicolon   = failed(ErrInvalidArgument, "The query has a semicolon; encode it as %3B.")
	errRepeated    = failed(ErrInvalidArgument, "A query parameter was sent twice.")
	errManyParams  = failed(ErrInvalidArgument, "The query has more than 128 parameters.")
	errManyHeaders = failed(ErrInvalidRequest, "The request has more than 256 header lines.")
)

// What a request may have of each before anybody has proved to be somebody. No
// operation of S3 takes 30 parameters, and 2 KiB of metadata
// (docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html) are fewer
// headers than these; whatever grows with their number stays small.
const (
	MaxParams  = 128
	MaxHeaders = 256
)

// Parse reads a raw request target in origin form (RFC 9112 section 3.2.1).
// It refuses malformed escapes, semicolons, more than MaxParams parameters and
// repeated ones (S3-RULES.md B4, B5: AWS sorts the values of a repeated name,
// MinIO keeps their order). A plus in the query is a space. Reused, it allocates
// nothing.
func (t *Target) Parse(raw []byte) error {
	t.Clear()
	if len(raw) == 0 || raw[0] != '/' {
		return errTargetForm
	}
	for _, c := range raw {
		if c <= ' ' || c == '#' || c == 0x7f {
			return errTargetBytes
		}
	}
	// Decoding never grows: with the capacity there, no slice moves.
	if cap(t.buf) < len(raw) {
		t.buf = make([]byte, 0, 2*len(raw))
	}
	path, query, _ := bytes.Cut(raw, []byte{'?'})
	var err error
	if t.Path, err = t.decode(path, false); err != nil {
		return err
	}
	for len(query) > 0 {
		pair, rest, _ := bytes.Cut(query, []byte{'&'})
		query = rest
		if len(pair) == 0 {
			continue
		}
		if bytes.IndexByte(pair, ';') >= 0 {
			return errSemicolon
		}
		name, value, _ := bytes.Cut(pair, []byte{'='})
		var p Param
		if p.Name, err = t.decode(name, true); err != nil {
			return err
		}
		if p.Value, err = t.decode(value, true); err != nil {
			return err
		}
		if len(t.Query) == MaxParams {
			return errManyParams
		}
		t.Query = append(t.Query, p)
	}
	return t.checkRepeated()
}

// checkRepeated looks for names that occur twice, without regard to case:
// X-Amz-Signature must not have a twin. Sorted, twins stand side by side.
func (t *Target) checkRepeated() error {
	var order [MaxParams]uint8
	for i := range t.Query {
		order[i] = uint8(i)
	}
	sorted := order[:len(t.Query)]
	slices.SortFunc(sorted, func(a, b uint8) int { return compareFold(t.Query[a].Name, t.Query[b].Name) })
	for i := 1; i < len(sorted); i++ {
		if compareFold(t.Query[sorted[i-1]].Name, t.Query[sorted[i]].Name) == 0 {
			return errRepeated
		}
	}
	return nil
}

// Clear forgets the target and keeps the memory for the next.
func (t *Target) Clear() { *t = Target{Query: t.Query[:0], buf: t.buf[:0]} }

// Get returns a parameter's value by its exact name.
func (t *Target) Get(name string) (value []byte, ok bool) {
	for i := range t.Query {
		if string(t.Query[i].Name) == name {
			return t.Query[i].Value, true
		}
	}
	return nil, false
}

func (t *Target) decode(s []byte, plusIsSpace bool) ([]byte, error) {
	n := len(t.buf)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+' && plusIsSpace:
			c = ' '
		case c == '%':
			if i+2 >= len(s) {
				return nil, errEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return nil, errEscape
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		t.buf = append(t.buf, c)
	}
	return t.buf[n:len(t.buf):len(t.buf)], nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// sortHeaders lists headers by name without regard to case, lines of one name
// in the order of their arrival. What is sorted already is only looked over.
func sortHeaders(dst []int, headers []Header) []int {
	dst = dst[:0]
	for i := range headers {
		dst = append(dst, i)
	}
	slices.SortFunc(dst, func(a, b int) int {
		if n := compareFold(headers[a].Name, headers[b].Name); n != 0 {
			return n
		}
		return a - b
	})
	return dst
}

// compareFold orders names by their ASCII lower case.
func compareFold(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if c, d := a[i], b[i]; c != d {
			if c, d = lower(c), lower(d); c != d {
				return int(c) - int(d)
			}
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// equalFold compares a name with a lower-case ASCII one.
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
