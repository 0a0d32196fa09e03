package clientconn

import "bytes"

// headEnd finds the blank line that ends a head written in any pieces.
type headEnd struct {
	seen bool
	tail [3]byte
	n    int
}

var blankLine = []byte("\r\n\r\n")

// find returns how many bytes of p belong to the head.
func (h *headEnd) find(p []byte) int {
	if h.n > 0 {
		var joined [6]byte
		k := copy(joined[:], h.tail[:h.n])
		k += copy(joined[k:], p[:min(3, len(p))])
		if i := bytes.Index(joined[:k], blankLine); i >= 0 {
			h.seen = true
			return i + len(blankLine) - h.n
		}
	}
	if i := bytes.Index(p, blankLine); i >= 0 {
		h.seen = true
		return i + len(blankLine)
	}
	if len(p) >= len(h.tail) {
		h.n = copy(h.tail[:], p[len(p)-len(h.tail):])
		return len(p)
	}
	var joined [6]byte
	k := copy(joined[:], h.tail[:h.n])
	k += copy(joined[k:], p)
	h.n = copy(h.tail[:], joined[max(0, k-len(h.tail)):k])
	return len(p)
}
