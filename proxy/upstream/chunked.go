package upstream

import (
	"bytes"
	"errors"
	"io"
)

var errChunk = errors.New("upstream: the answer's chunked coding is not well-formed")

const maxChunkLine = 4 << 10

// maxExcess is how many bytes around the chunks may come beyond 16 for each and
// as many as they hold: extensions and tiny chunks without end are work for nobody.
const maxExcess = 16 << 10

// chunkDecoder decodes the chunked transfer coding (RFC 9112 section 7.1).
// Trailers are read and dropped.
type chunkDecoder struct {
	left   int64
	inner  bool // a chunk was begun: its line end is still to come
	done   bool
	excess int64
}

func (d *chunkDecoder) read(c *Conn, p []byte) (int, error) {
	if d.done {
		return 0, io.EOF
	}
	if d.left == 0 {
		if err := d.next(c); err != nil {
			return 0, err
		}
		if d.done {
			return 0, io.EOF
		}
	}
	n, err := c.read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (d *chunkDecoder) next(c *Conn) error {
	if err := c.await(c.endpoint.pool.cfg.Stall); err != nil {
		return err
	}
	if d.inner {
		line, err := c.line()
		if err != nil {
			return err
		}
		if len(line) != 0 {
			return errChunk
		}
		d.inner = false
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := bytes.Cut(line, []byte{';'})
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || len(size) > 15 {
		return errChunk
	}
	for _, digit := range size {
		v := unhex(digit)
		if v < 0 {
			return errChunk
		}
		d.left = d.left<<4 | int64(v)
	}
	if d.excess = max(0, d.excess+int64(len(line))-16-d.left); d.excess > maxExcess {
		return errChunk
	}
	if d.left > 0 {
		d.inner = true
		return nil
	}
	for trailers := 0; trailers <= maxHead; {
		line, err := c.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			d.done = true
			return nil
		}
		trailers += len(line) + len("\r\n")
	}
	return errChunk
}

// line reads a line that ends in CRLF, without it, within what await has given;
// valid until the next read.
func (c *Conn) line() ([]byte, error) {
	for searched := 0; ; {
		if i := bytes.IndexByte(c.buf[c.r+searched:c.w], '\n'); i >= 0 {
			line := c.buf[c.r : c.r+searched+i]
			c.r += searched + i + 1
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return nil, errChunk
			}
			return line[:len(line)-1], nil
		}
		if searched = c.w - c.r; searched > maxChunkLine {
			return nil, errChunk
		}
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
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
