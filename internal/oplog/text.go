package oplog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const cutMark = "...[cut]"

// text is at most limit bytes of s, with U+FFFD for what is no text or acts on
// a terminal: control characters, marks of writing direction, bytes that are
// not UTF-8. Both handlers of log/slog escape quotes and line feeds, which makes
// two bytes of one at most.
func text(s string, limit int) string {
	if len(s) <= limit && clean(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if !harmless(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > limit-len(cutMark) && (len(s)-i > len(cutMark) || b.Len()+3*(len(s)-i) > limit) {
			b.WriteString(cutMark)
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func clean(s string) bool {
	for _, r := range s {
		if !harmless(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func harmless(r rune) bool { return unicode.IsPrint(r) || r == '\n' || r == '\t' }
