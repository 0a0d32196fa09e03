package s3xml

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A key may have characters that XML 1.0 has not (section 2.2): control
// characters, U+FFFE and U+FFFF. S3 and MinIO write them as character
// references in listings whose keys are not encoded. Go's encoder writes U+FFFD
// in their place and its decoder refuses the references, so both are done here:
// a marker must come back as the key that it is.

// appendKeyText appends s as character data, with references for what XML has not.
func appendKeyText(dst []byte, s string) []byte {
	for {
		i := strings.IndexFunc(s, notXML)
		if i < 0 {
			return appendText(dst, s)
		}
		dst = appendText(dst, s[:i])
		r, n := utf8.DecodeRuneInString(s[i:])
		dst, s = fmt.Appendf(dst, "&#x%X;", r), s[i+n:]
	}
}

// notXML: NUL is no key's, and no reference can name it.
func notXML(r rune) bool {
	return 0 < r && r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

// fit reports whether character data can stay as it is: it is UTF-8, has no
// character that XML has not but as a reference, and no reference that is none.
// What is not fit is read and written anew.
func fit(b []byte) bool {
	for i := 0; i < len(b); i++ {
		// Eight at once, while there is none of what is looked at below. What a
		// borrow makes of the byte above it is looked at for nothing.
		for len(b)-i >= 8 {
			const ones, high = 0x0101010101010101, 0x8080808080808080
			v := binary.LittleEndian.Uint64(b[i:])
			amp, gt := v^('&'*ones), v^('>'*ones)
			if (v|(v-' '*ones)|(amp-ones)|(gt-ones))&high != 0 {
				break
			}
			i += 8
		}
		if i == len(b) {
			break
		}
		switch c := b[i]; {
		case c == '&':
			end := bytes.IndexByte(b[i:], ';')
			if end < 0 || !known(b[i+1:i+end]) {
				return false
			}
			i += end
		case c == '>': // "]]>" is none
			return false
		case c < ' ' && !isWhite(c):
			return false
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(b[i:])
			if n == 1 || notXML(r) {
				return false
			}
			i += n - 1
		}
	}
	return true
}

// known reports whether a reference is one.
func known(name []byte) bool {
	_, named := entities[string(name)]
	return named || reference(name) != 0
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// unescape reads the character data between two tags.
func unescape(b []byte) (string, error) {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b), nil
	}
	text := make([]byte, 0, len(b))
	for {
		before, rest, more := bytes.Cut(b, []byte{'&'})
		text = append(text, before...)
		if !more {
			return string(text), nil
		}
		name, rest, ended := bytes.Cut(rest, []byte{';'})
		r, known := entities[string(name)]
		if !known {
			r = reference(name)
		}
		if !ended || r == 0 {
			return "", ErrDocument
		}
		text, b = utf8.AppendRune(text, r), rest
	}
}

// reference is the character of "#123" or "#x7b" (XML 1.0 section 4.1); 0: none.
func reference(name []byte) rune {
	digits, ok := bytes.CutPrefix(name, []byte{'#'})
	base := 10
	if hex, is := bytes.CutPrefix(digits, []byte{'x'}); is {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(string(digits), base, 21)
	if !ok || err != nil || !utf8.ValidRune(rune(n)) {
		return 0
	}
	return rune(n)
}
