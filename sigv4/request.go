package sigv4

import "bytes"

// Header is one header line as received: name in any case, value without
// surrounding white space. The bytes are the caller's.
type Header struct{ Name, Value []byte }

// Request is what a signature covers. Headers are all headers in the order of
// their arrival, including host, content-length, transfer-encoding and expect,
// which some server libraries take away (rule B7). Nothing is kept after the
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
)

// Parse reads a raw request target in origin form (RFC 9112 section 3.2.1).
// It refuses malformed escapes (B4), semicolons and repeated parameters (B5:
// AWS sorts the values of a repeated name, MinIO keeps their order). A plus in
// the query is a space. Reused, it allocates nothing.
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
		for i := range t.Query {
			// Without regard to case: X-Amz-Signature must not have a twin.
			if bytes.EqualFold(t.Query[i].Name, p.Name) {
				return errRepeated
			}
		}
		t.Query = append(t.Query, p)
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
