package clientconn

import "bytes"

// firstLine watches how the request line ends. fasthttp takes a bare LF for its
// end and keeps no trace of it; the bytes pass here on their way to its buffer.
// RFC 9112 section 2.2 lets a recipient do so, and another recipient in front of
// this one need not: what one takes for a line, the other takes for two.
type firstLine struct {
	state  lineState
	broken bool   // a line ended in LF alone
	torn   bool   // a pipelined request came in more than one read
	length int    // of the line so far, in earlier reads
	last   byte   // of earlier reads
	piece  []byte // what was last read, in the reader's buffer
}

type lineState uint8

const (
	lineAwaited   lineState = iota // the next byte that is read begins a request
	lineOpen                       // it has begun
	lineOver                       // it has ended
	linePipelined                  // it had been read before it was waited for
)

// expect is called when the request before is over.
func (f *firstLine) expect() { *f = firstLine{piece: f.piece} }

// begun is called when the first byte of the request is there.
func (f *firstLine) begun() {
	if f.state == lineAwaited {
		f.state = linePipelined
	}
}

// see looks at bytes on their way to the reader of heads.
func (f *firstLine) see(p []byte) {
	if len(p) == 0 {
		return
	}
	f.piece = p
	f.torn = f.torn || f.state == linePipelined
	if f.state == lineAwaited {
		f.state = lineOpen
	}
	for f.state == lineOpen {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.length += len(p)
			f.last = p[len(p)-1]
			return
		}
		before := f.last
		if i > 0 {
			before = p[i-1]
		}
		f.broken = f.broken || before != '\r'
		// Empty lines before a request are read over (section 2.2).
		if f.length+i > 1 {
			f.state = lineOver
		}
		p, f.length, f.last = p[i+1:], 0, '\n'
		if len(p) == 0 {
			return
		}
	}
}

// BareLF reports whether the request's first line, or an empty one before it, did
// not end in CR LF; method and uri are the request's as parsed. That of a pipelined request is looked for where it must
// stand, in what was last read. It is not known of one that came in two pieces,
// nor of one behind a bare LF that may have been the end of a body.
func (c *Conn) BareLF(method, uri []byte) (bare, known bool) {
	f := &c.first
	if f.state != linePipelined {
		return f.broken, true
	}
	if f.torn {
		return false, false
	}
	rest, found := f.piece, false
	for {
		i := bytes.Index(rest, uri)
		if i < 0 {
			return false, found
		}
		before, ok := bytes.CutSuffix(rest[:i], []byte{' '})
		rest = rest[i+len(uri):]
		before, named := bytes.CutSuffix(before, method)
		if !ok || !named || !bytes.HasPrefix(rest, []byte(" HTTP/1.")) {
			continue
		}
		if bytes.HasSuffix(before, []byte{'\n'}) && !bytes.HasSuffix(before, []byte("\r\n")) {
			return false, false
		}
		if end := rest[min(len(" HTTP/1.1"), len(rest)):]; !bytes.HasPrefix(end, []byte("\r\n")) {
			return true, true
		}
		found = true
	}
}
