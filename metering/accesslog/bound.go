package accesslog

import "unicode/utf8"

// The most bytes of a text in a line, as they are written: who chooses a text
// chooses its escapes too, and a byte that is not UTF-8 may not cost six times
// one that is. What is cut ends in cutMark, which is within the bound.
const (
	mostTarget = 2 << 10
	mostAgent  = 512     // user agent and referer
	mostKey    = 3 << 10 // S3's 1,024 bytes, each percent-encoded: in a delivered line no key that can exist is cut
	mostHost   = 272     // a DNS name (RFC 1035 section 2.3.4) and a port
	mostOther  = 256
)

const cutMark = "...[cut]"

// texts are what lines are made of.
type texts interface{ []byte | Text | string }

// appendBounded appends s as encode writes it, most bytes of that at most.
func appendBounded[T texts](dst []byte, s T, most int, encode func(dst []byte, s T) []byte) []byte {
	begin := len(dst)
	dst = encode(dst, s[:min(len(s), most+1)]) // no byte is written as less than one
	if len(dst)-begin <= most {
		return dst
	}
	dst = dst[:begin]
	read, left := 0, most-len(cutMark)
	for read < len(s) {
		// Characters stay whole, and so do their escapes.
		_, width := utf8.DecodeRune([]byte(s[read:min(len(s), read+utf8.UTFMax)]))
		before := len(dst)
		dst = encode(dst, s[read:read+width])
		if left -= len(dst) - before; left < 0 {
			dst = dst[:before]
			break
		}
		read += width
	}
	// Nor may a percent-escape of the client's lose its end.
	for i := 1; i <= 2 && i <= read; i++ {
		if s[read-i] == '%' {
			read -= i
			dst = encode(dst[:begin], s[:read])
			break
		}
	}
	return append(dst, cutMark...)
}
