package upstream

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrHead means that a request's head would not have been one well-formed
// head of one request. Nothing was sent. It is a fault of this process, never
// of the client or the backend: what a client may not send is refused where it
// is parsed.
var ErrHead = errors.New("upstream: the request's head is not well-formed")

// Head is the head of one request while it is written. It is the only way in
// which bytes reach a backend ahead of a body, and it takes only what cannot
// end a line or begin another request, whoever made it up: a method and a
// target of Start, header lines of Field. The first thing that it does not take
// makes the whole head an ErrHead.
//
// The Host line is the endpoint's own. How the body is framed is said by Length
// and by nothing else: Field refuses the names that would say it again.
type Head struct {
	buf  []byte
	host []byte
	err  error
}

// Start writes the request line and the Host line. target is in origin form,
// percent-encoded: a path, and a query behind the only question mark.
func (h *Head) Start(method string, target []byte) {
	for i := range len(method) {
		if classes[method[i]]&inMethod == 0 {
			h.refuse("method", []byte(method))
			return
		}
	}
	if method == "" || !validTarget(target) {
		h.refuse("target", target)
		return
	}
	h.buf = append(h.buf, method...)
	h.buf = append(h.buf, ' ')
	h.buf = append(h.buf, target...)
	h.buf = append(h.buf, " HTTP/1.1\r\n"...)
	h.line(nameHost, h.host)
}

// Field writes a header line. name is a token in lower case, value a field
// value (RFC 9110 sections 5.1 and 5.5).
func (h *Head) Field(name, value []byte) {
	if framing(name) {
		h.refuse("header", name)
		return
	}
	h.line(name, value)
}

// Length writes the body's length.
func (h *Head) Length(n int64) {
	var digits [20]byte
	h.line(nameLength, strconv.AppendInt(digits[:0], n, 10))
}

func (h *Head) line(name, value []byte) {
	if !ValidField(name, value) {
		h.refuse("header", name)
		return
	}
	h.buf = append(h.buf, name...)
	h.buf = append(h.buf, ": "...)
	h.buf = append(h.buf, value...)
	h.buf = append(h.buf, "\r\n"...)
}

func (h *Head) refuse(part string, b []byte) {
	if h.err == nil {
		// Not quoted: this goes to the log, and a customer's key may be what is refused.
		h.err = fmt.Errorf("%w: %s of %d bytes", ErrHead, part, len(b))
	}
}

var (
	nameHost   = []byte("host")
	nameLength = []byte("content-length")
)

// ValidField reports whether a header or trailer line can be made of these: a
// token in lower case, and a field value. It is nothing that a client can do
// harm with on a line of its own; which names may be sent, others decide.
func ValidField(name, value []byte) bool {
	for _, c := range name {
		if classes[c]&inToken == 0 {
			return false
		}
	}
	for _, c := range value {
		if classes[c]&inFieldValue == 0 {
			return false
		}
	}
	return len(name) > 0
}

// framing reports whether a header says where a request ends, whose it is, or
// what an intermediary is to do with it.
func framing(name []byte) bool {
	switch string(name) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
		"proxy-connection", "http2-settings":
		return true
	}
	return false
}

// validTarget reports whether every byte stands for itself in an origin-form
// target (RFC 9112 section 3.2.1), and every escape is whole.
func validTarget(target []byte) bool {
	if len(target) == 0 || target[0] != '/' {
		return false
	}
	query := false
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case classes[c]&inTarget != 0:
		case c == '%':
			if i+2 >= len(target) || unhex(target[i+1]) < 0 || unhex(target[i+2]) < 0 {
				return false
			}
			i += 2
		case c == '?' && !query:
			query = true
		case (c == '&' || c == '=') && query:
		default:
			return false
		}
	}
	return true
}

// Classes of bytes in heads.
const (
	inMethod     = 1 << iota // upper-case letters: every method of S3
	inToken                  // a header name: a token (RFC 9110 section 5.6.2) without upper-case letters
	inFieldValue             // a header value: visible, space, tab, or beyond ASCII
	inTarget                 // unreserved (RFC 3986 section 2.3) and the slash
	inNoValue                // a control character
	inNoLine                 // one that ends a line to some readers
)

var classes = func() (t [256]uint8) {
	for c := 'A'; c <= 'Z'; c++ {
		t[c] |= inMethod | inTarget
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= inToken | inTarget
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= inToken | inTarget
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= inToken
	}
	for _, c := range "-._~/" {
		t[c] |= inTarget
	}
	for c := range t {
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= inFieldValue
		} else {
			t[c] |= inNoValue
		}
	}
	for _, c := range "\r\n\x00" {
		t[c] |= inNoLine
	}
	return t
}()
