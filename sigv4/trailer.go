package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
)

// readRest reads what is left of the source, which is little after the final
// chunk. Bytes behind the trailer are refused; MinIO would ignore them.
func (c *ChunkReader) readRest() error {
	for len(c.rest) <= maxTrailer {
		c.rest = slices.Grow(c.rest, 512)
		n, err := c.ahead.Read(c.rest[len(c.rest):cap(c.rest)])
		c.rest = c.rest[:len(c.rest)+n]
		if errors.Is(err, errShort) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return ErrMalformedTrailer
}

// readTrailer reads "name:value" for the announced checksum and, for signed
// chunks, "x-amz-trailer-signature:…" (S3-RULES.md B21). AWS's own example ends
// the value in LF with an empty line behind it, SDKs in CR LF; both are taken.
func (c *ChunkReader) readTrailer(rest []byte) error {
	var name, value, signature []byte
	if !bytes.HasSuffix(rest, []byte("\r\n")) {
		return errShort
	}
	for len(rest) > 0 {
		line, more, _ := bytes.Cut(rest, []byte{'\n'})
		rest = more
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			continue
		}
		key, val, ok := bytes.Cut(line, []byte{':'})
		val = bytes.Trim(val, " \t")
		switch {
		case !ok:
			return ErrMalformedTrailer
		case c.signed && signature == nil && equalFold(key, "x-amz-trailer-signature") && isSignature(val):
			signature = val
		case name == nil && signature == nil && c.opt.Trailer != "" && equalFold(key, c.opt.Trailer):
			name, value = []byte(c.opt.Trailer), val
		default:
			return failed(ErrMalformedTrailer, "The trailer has a header that x-amz-trailer does not announce.")
		}
	}
	if name == nil && c.opt.Trailer != "" {
		return failed(ErrMalformedTrailer, "The trailer that x-amz-trailer announces is missing.")
	}
	if c.signed {
		if err := c.verifyTrailer(name, value, signature); err != nil {
			return err
		}
	}
	c.trailer.name, c.trailer.value = name, append(c.trailer.value[:0], value...)
	return c.verifySum(value)
}

func (c *ChunkReader) verifyTrailer(name, value, signature []byte) error {
	if signature == nil {
		return failed(ErrSignatureDoesNotMatch, "The trailer has no x-amz-trailer-signature.")
	}
	w := works.Get().(*work)
	defer works.Put(w)
	copy(c.current[:], signature)
	w.canon.buf = append(append(append(append(w.canon.buf[:0], name...), ':'), value...), '\n')
	w.sts = append(w.sts[:0], algorithm+"-TRAILER\n"...)
	w.sts = c.appendChain(w.sts)
	w.sts = w.hashHex(w.sts, w.canon.buf)
	return c.compare(w)
}

func (c *ChunkReader) verifySum(value []byte) error {
	if c.sum == nil {
		return nil
	}
	var sum [sha256.Size]byte
	var encoded [64]byte
	want := c.sum.Sum(sum[:0])
	n := c.sumKind.EncodedLen()
	base64.StdEncoding.Encode(encoded[:n], want)
	if !bytes.Equal(encoded[:n], value) {
		return ErrBadDigest
	}
	return nil
}
