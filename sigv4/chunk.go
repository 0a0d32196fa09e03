package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
)

const (
	chunkBuffer = 16 << 10
	maxLine     = 4 << 10 // a chunk header or trailer line (S3-RULES.md B19)
	maxTrailer  = 16 << 10
	emptyHash   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// ChunkOptions are what the headers of an aws-chunked request announce.
type ChunkOptions struct {
	DecodedLength int64  // x-amz-decoded-content-length
	Trailer       string // x-amz-trailer in lower case, "" for none
}

// ChunkReader decodes a body in any of the three aws-chunked framings and
// verifies it while it passes: the chunk signatures, the trailer, its
// signature and checksum, and the decoded length.
//
// The last declared byte is handed out only after all of that has passed, so
// that a copy of exactly DecodedLength bytes to somewhere is never complete
// unless the body was right. Chunks of any size are hashed while they stream;
// memory is one small buffer. Reused with Reset.
type ChunkReader struct {
	auth   *Auth
	key    *SigningKey
	signed bool
	opt    ChunkOptions

	source     wireReader
	ahead      *bufio.Reader // of source
	rest       []byte        // what followed the final chunk's header
	left       int64         // of the present chunk
	given      int64         // decoded bytes handed out
	decoded    int64         // decoded bytes seen
	held       byte
	holds      bool
	state      chunkState
	err        error
	previous   [64]byte // signature of the chunk before
	current    [64]byte // signature the present chunk claims
	chunkHash  hash.Hash
	sum        hash.Hash
	sumKind    Checksum
	sumsByKind [SHA256 + 1]hash.Hash
	trailer    struct{ name, value []byte }
}

type chunkState uint8

const (
	atHeader chunkState = iota
	inData
	afterData
	finished
)

// Reset readies c for a body. a and k are those the request was verified
// with; k is not used for unsigned chunks. c keeps them until the next Reset.
func (c *ChunkReader) Reset(src io.Reader, a *Auth, k *SigningKey, o ChunkOptions) {
	c.Clear()
	if c.ahead == nil {
		c.ahead = bufio.NewReaderSize(nil, chunkBuffer)
	}
	c.source.src = src
	c.ahead.Reset(&c.source)
	c.auth, c.key, c.opt = a, k, o
	c.signed = a.Payload == PayloadSignedChunks || a.Payload == PayloadSignedChunksTrailer
	if c.signed {
		copy(c.previous[:], a.signature)
		if c.chunkHash == nil {
			c.chunkHash = sha256.New()
		}
	}
	if kind, ok := ParseChecksum(o.Trailer); ok {
		if c.sumsByKind[kind] == nil {
			c.sumsByKind[kind] = kind.New()
		}
		c.sum, c.sumKind = c.sumsByKind[kind], kind
		c.sum.Reset()
	}
}

// Clear forgets the body and keeps the memory for the next.
func (c *ChunkReader) Clear() {
	if c.ahead != nil {
		c.ahead.Reset(nil)
	}
	kept := ChunkReader{ahead: c.ahead, rest: c.rest[:0], chunkHash: c.chunkHash, sumsByKind: c.sumsByKind}
	kept.trailer.value = c.trailer.value[:0]
	*c = kept
}

// Wire is how many bytes were read from the source.
func (c *ChunkReader) Wire() int64 { return c.source.n }

// Trailer is the verified trailer, after io.EOF. The slices are c's own until
// Reset.
func (c *ChunkReader) Trailer() (name, value []byte) { return c.trailer.name, c.trailer.value }

// Read gives decoded bytes, then io.EOF. Any other error means that the body
// must not be committed.
func (c *ChunkReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if c.given == c.opt.DecodedLength || c.holds {
			return c.last(p)
		}
		n, err := c.data(p)
		if err != nil {
			c.err = err
			return 0, err
		}
		if c.decoded == c.opt.DecodedLength {
			c.held, c.holds = p[n-1], true
			n--
		}
		c.given += int64(n)
		if n > 0 {
			return n, nil
		}
	}
}

// last verifies everything behind the data, then hands out the held byte.
func (c *ChunkReader) last(p []byte) (int, error) {
	if c.state != finished {
		if err := c.verifyEnd(); err != nil {
			c.err = err
			return 0, err
		}
	}
	if c.holds {
		p[0] = c.held
		c.holds = false
		c.given++
		return 1, nil
	}
	c.err = io.EOF
	return 0, io.EOF
}

func (c *ChunkReader) verifyEnd() error {
	var extra [1]byte
	n, err := c.data(extra[:])
	switch {
	case n > 0:
		return failed(ErrIncompleteBody, "The body has more bytes than x-amz-decoded-content-length says.")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// data reads decoded bytes as they come; io.EOF only after the final chunk and
// the trailer have passed.
func (c *ChunkReader) data(p []byte) (int, error) {
	for {
		switch c.state {
		case atHeader:
			if err := c.header(); err != nil {
				return 0, err
			}
			if c.left == 0 {
				if err := c.end(); err != nil {
					return 0, err
				}
				c.state = finished
				continue
			}
			if c.decoded+c.left > c.opt.DecodedLength {
				return 0, failed(ErrIncompleteBody, "The body has more bytes than x-amz-decoded-content-length says.")
			}
			c.state = inData
		case inData:
			n, err := c.ahead.Read(p[:min(int64(len(p)), c.left)])
			if err != nil {
				return 0, err
			}
			if c.signed {
				c.chunkHash.Write(p[:n])
			}
			if c.sum != nil {
				c.sum.Write(p[:n])
			}
			c.left -= int64(n)
			c.decoded += int64(n)
			if c.left == 0 {
				c.state = afterData
				// A chunk that is complete is verified before its last byte counts.
				if err := c.closeChunk(); err != nil {
					return 0, err
				}
			}
			return n, nil
		case afterData:
			c.state = atHeader
		case finished:
			return 0, io.EOF
		}
	}
}

// closeChunk reads the line end behind a chunk's data and verifies its signature.
func (c *ChunkReader) closeChunk() error {
	var crlf [2]byte
	if _, err := io.ReadFull(c.ahead, crlf[:]); err != nil {
		return err
	}
	if crlf != [2]byte{'\r', '\n'} {
		return failed(ErrInvalidChunkSize, "A chunk of the body is longer or shorter than its header says.")
	}
	return c.verifyChunk()
}

// verifyChunk checks the present chunk against the chain (S3-RULES.md B19).
func (c *ChunkReader) verifyChunk() error {
	if !c.signed {
		return nil
	}
	w := works.Get().(*work)
	defer works.Put(w)
	w.sts = append(w.sts[:0], algorithm+"-PAYLOAD\n"...)
	w.sts = c.appendChain(w.sts)
	w.sts = append(w.sts, emptyHash+"\n"...)
	w.sts = appendHex(w.sts, c.chunkHash.Sum(w.sum[:0]))
	return c.compare(w)
}

func (c *ChunkReader) appendChain(b []byte) []byte {
	b = append(b, c.auth.stamp[:]...)
	b = append(b, '\n')
	b = append(b, c.auth.scope...)
	b = append(b, '\n')
	b = append(b, c.previous[:]...)
	return append(b, '\n')
}

func (c *ChunkReader) compare(w *work) error {
	if subtle.ConstantTimeCompare(w.sign(w.hex[:0], c.key, w.sts), c.current[:]) != 1 {
		return ErrSignatureDoesNotMatch
	}
	c.previous = c.current
	return nil
}

// header reads "<hex size>[;chunk-signature=<64 hex>]\r\n".
func (c *ChunkReader) header() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, rest, extended := bytes.Cut(line, []byte{';'})
	if c.left, err = parseChunkSize(size); err != nil {
		return err
	}
	if !c.signed {
		if extended {
			return failed(ErrInvalidChunkSize, "A chunk of an unsigned body has a signature or an extension.")
		}
		return nil
	}
	signature, ok := bytes.CutPrefix(rest, []byte("chunk-signature="))
	if !ok || !isSignature(signature) {
		return failed(ErrSignatureDoesNotMatch, "A chunk of the body has no well-formed chunk-signature.")
	}
	copy(c.current[:], signature)
	c.chunkHash.Reset()
	return nil
}

func parseChunkSize(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 15 {
		return 0, ErrInvalidChunkSize
	}
	var n int64
	for _, d := range b {
		v := unhex(d)
		if v < 0 {
			return 0, ErrInvalidChunkSize
		}
		n = n<<4 | int64(v)
	}
	return n, nil
}

// end checks what follows the final chunk's header: the end of the body, or
// the trailer, and nothing behind it.
func (c *ChunkReader) end() error {
	if err := c.verifyChunk(); err != nil {
		return err
	}
	if c.decoded != c.opt.DecodedLength {
		return failed(ErrIncompleteBody, "The body has fewer bytes than x-amz-decoded-content-length says.")
	}
	if err := c.readRest(); err != nil {
		return err
	}
	if c.auth.Payload.HasTrailer() {
		return c.readTrailer(c.rest)
	}
	// Some clients end an empty final chunk with one CR LF, some with none.
	if len(c.rest) != 0 && string(c.rest) != "\r\n" {
		return failed(ErrIncompleteBody, "The body goes on after its end.")
	}
	return nil
}

// line reads up to CRLF and returns the line without it, valid until the next read.
func (c *ChunkReader) line() ([]byte, error) {
	line, err := c.ahead.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > maxLine:
		return nil, failed(ErrInvalidChunkSize, "A line of the body's framing is too long.")
	case err != nil:
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, failed(ErrInvalidChunkSize, "A line of the body's framing does not end in CR LF.")
	}
	return line, nil
}

// wireReader counts what it reads of src. Each Read gives at least one byte or an
// error; the end of src is errShort, for the framing says where a body ends.
type wireReader struct {
	src io.Reader
	n   int64
}

func (r *wireReader) Read(p []byte) (int, error) {
	for range 100 {
		n, err := r.src.Read(p)
		r.n += int64(n)
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, errShort
		case err != nil:
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// errShort is io.ErrUnexpectedEOF and an IncompleteBody at once.
var errShort error = &shortError{}

type shortError struct{}

func (*shortError) Error() string   { return "sigv4: the body ended early" }
func (*shortError) Unwrap() []error { return []error{ErrIncompleteBody, io.ErrUnexpectedEOF} }
