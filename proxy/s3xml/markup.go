package s3xml

import "bytes"

// maxMarkup bounds one tag, comment, CDATA section or processing instruction.
const maxMarkup = 64 << 10

type markupKind uint8

const (
	kindUnknown markupKind = iota // not enough bytes yet
	kindStart
	kindEnd
	kindInstruction
	kindComment
	kindCDATA
)

// markup collects what stands between '<' and its '>', from pieces cut anywhere.
type markup struct {
	b     []byte // from '<' on; empty outside markup
	kind  markupKind
	quote byte // the quote that an attribute's value is inside of, or 0
}

func (m *markup) open() bool { return len(m.b) > 0 }

func (m *markup) reset() { *m = markup{b: m.b[:0]} }

// feed takes bytes from p, which begins with '<' when no markup is open, up to
// the markup's end. It returns how many it took.
func (m *markup) feed(p []byte) (n int, done bool, err error) {
	for n < len(p) && m.kind == kindUnknown {
		m.b = append(m.b, p[n])
		n++
		if err := m.classify(); err != nil {
			return n, false, err
		}
	}
	from := n
	for n < len(p) && !done {
		i := bytes.IndexAny(p[n:], m.stops())
		if i < 0 {
			n = len(p)
			break
		}
		n += i + 1
		if done, err = m.stop(p[from:n]); err != nil {
			return n, false, err
		}
	}
	m.b = append(m.b, p[from:n]...)
	if len(m.b) > maxMarkup {
		return n, false, ErrDocument
	}
	return n, done, nil
}

// classify tells the kinds apart as soon as the bytes do. Directives, DOCTYPE
// above all, are in no response.
func (m *markup) classify() error {
	switch {
	case len(m.b) == 1:
		return nil
	case m.b[1] == '/':
		m.kind = kindEnd
	case m.b[1] == '?':
		m.kind = kindInstruction
	case m.b[1] != '!':
		if !nameStart(m.b[1]) {
			return ErrDocument
		}
		m.kind = kindStart
	case string(m.b) == commentOpen:
		m.kind = kindComment
	case string(m.b) == cdataOpen:
		m.kind = kindCDATA
	case !bytes.HasPrefix([]byte(commentOpen), m.b) && !bytes.HasPrefix([]byte(cdataOpen), m.b):
		return ErrDocument
	}
	return nil
}

const (
	commentOpen = "<!--"
	cdataOpen   = "<![CDATA["
)

// stops are the bytes that mean something at this place.
func (m *markup) stops() string {
	switch {
	case m.quote == '"':
		return `"<`
	case m.quote == '\'':
		return `'<`
	case m.kind == kindStart:
		return `>"'<`
	case m.kind == kindEnd:
		return `><`
	}
	return ">"
}

// stop looks at the last byte of piece, one of stops; before piece stands m.b.
func (m *markup) stop(piece []byte) (done bool, err error) {
	switch c := piece[len(piece)-1]; {
	case m.kind == kindInstruction:
		return m.endsWith(piece, len("<?"), "?>"), nil
	case m.kind == kindComment:
		return m.endsWith(piece, len(commentOpen), "-->"), nil
	case m.kind == kindCDATA:
		return m.endsWith(piece, len(cdataOpen), "]]>"), nil
	case c == '<':
		return false, ErrDocument
	case c == '>':
		return true, nil
	case m.quote != 0:
		m.quote = 0
	default:
		m.quote = c
	}
	return false, nil
}

// endsWith reports whether the markup with piece ends with end, which must not
// overlap the opening.
func (m *markup) endsWith(piece []byte, opening int, end string) bool {
	if len(m.b)+len(piece) < opening+len(end) {
		return false
	}
	if len(piece) >= len(end) {
		return string(piece[len(piece)-len(end):]) == end
	}
	return string(m.b[len(m.b)-(len(end)-len(piece)):])+string(piece) == end
}

// name is a tag's name, with its prefix.
func (m *markup) name() []byte {
	b := m.b[1 : len(m.b)-1]
	if m.kind == kindEnd {
		b = b[1:]
	} else {
		b = bytes.TrimSuffix(b, []byte("/"))
	}
	if i := bytes.IndexAny(b, " \t\r\n"); i >= 0 {
		b = b[:i]
	}
	return b
}

// section is what stands in a CDATA section.
func (m *markup) section() []byte { return m.b[len(cdataOpen) : len(m.b)-len("]]>")] }

func (m *markup) selfClosing() bool { return m.b[len(m.b)-2] == '/' }

// nameStart is loose above ASCII: no name that is known begins so.
func nameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}

// plainName reports whether a tag is a name and nothing else.
func plainName(tag []byte) bool {
	for _, c := range tag {
		if !nameBytes[c] {
			return false
		}
	}
	return nameStart(tag[0])
}

// nameBytes are the bytes of names in ASCII (XML 1.0 section 2.3).
var nameBytes = func() (set [256]bool) {
	for _, c := range []byte("-.:_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()

// textLen is how much of p is text.
func textLen(p []byte) int {
	if i := bytes.IndexByte(p, '<'); i >= 0 {
		return i
	}
	return len(p)
}

func isWhite(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func white(b []byte) bool {
	for _, c := range b {
		if !isWhite(c) {
			return false
		}
	}
	return true
}
