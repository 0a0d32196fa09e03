package proxy

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
)

// requestBody is what is sent to the backend as a body: the client's bytes,
// decoded, verified and framed anew, or a document built here.
type requestBody struct {
	x       *exchange
	doc     []byte    // a document, sent as it is
	src     io.Reader // decoded bytes
	length  int64     // of src
	trailer sigv4.Checksum
	framed  bool // our own unsigned-trailer framing
	plain   plainBody
	err     error // why the client's side ended early
}

// outChunk is the largest chunk of our own framing: MinIO refuses more than 16 MiB.
const outChunk = 1 << 20

// open readies the client's stream and says how it goes to the backend.
func (b *requestBody) open() error {
	x := b.x
	b.plain = plainBody{src: x.ctx.RequestBodyStream(), left: x.length, conn: x.conn}
	if b.plain.src == nil {
		b.plain.src = emptyReader{}
	}
	x.declared = x.length
	x.tally.DeclaredIngress(x.length)
	x.out.length = x.length
	switch payload := x.auth.Payload; {
	case payload.Chunked():
		return b.openChunks()
	case payload == sigv4.PayloadHashed:
		// The backend compares the hash: hashing here as well would only cost.
		x.out.payload = x.hashMarker()
	default:
		x.out.payload = unsignedPayload
	}
	b.plain.tally = x
	b.src, b.length = &b.plain, x.length
	return nil
}

// hashMarker is the client's x-amz-content-sha256, from header or query.
func (x *exchange) hashMarker() []byte {
	n := len(x.arena)
	for _, c := range x.auth.PayloadHash {
		x.arena = append(x.arena, lowerHex[c>>4], lowerHex[c&15])
	}
	return x.arena[n:len(x.arena):len(x.arena)]
}

const lowerHex = "0123456789abcdef"

// openChunks decodes an aws-chunked body. Without a trailer the backend gets
// plain bytes; with one it gets our framing, so that it verifies and stores
// the checksum too.
func (b *requestBody) openChunks() error {
	x := b.x
	options := sigv4.ChunkOptions{DecodedLength: x.length}
	if x.framing.length >= 0 {
		b.plain.left = x.framing.length
	} else {
		b.plain.left = -1 // ends with the transfer coding
	}
	x.out.payload = unsignedPayload
	if announced, ok := x.header("x-amz-trailer"); ok || x.auth.Payload.HasTrailer() {
		name := string(appendLower(nil, announced))
		sum, known := sigv4.ParseChecksum(name)
		if !x.auth.Payload.HasTrailer() || !known {
			return s3err.New("InvalidRequest", "x-amz-trailer must name one x-amz-checksum- header, with a payload type that has a trailer.")
		}
		for i := range x.headers {
			if c, isSum := sigv4.ParseChecksum(string(x.headers[i].Name)); isSum && c != 0 {
				return s3err.New("InvalidRequest", "Expecting a single x-amz-checksum- header; x-amz-trailer names another.")
			}
		}
		options.Trailer = name
		b.trailer, b.framed = sum, true
		x.out.payload = unsignedTrailer
		x.out.header([]byte("x-amz-trailer"), x.keepString(name))
		x.out.header([]byte("x-amz-decoded-content-length"), strconv.AppendInt(nil, x.length, 10))
		x.out.length = framedLength(x.length, sum)
	}
	x.chunks.Reset(&b.plain, &x.auth, x.signing, options)
	b.src, b.length = &countingReader{r: &x.chunks, x: x}, x.length
	if x.length == 0 && !b.framed {
		// An empty object is complete with its head: verify before that is sent.
		x.conn.ReadBody(true)
		defer x.conn.ReadBody(false)
		return b.atEnd()
	}
	return nil
}

// framedLength is the length of n bytes in our unsigned-trailer framing.
func framedLength(n int64, sum sigv4.Checksum) int64 {
	full, rest := n/outChunk, n%outChunk
	total := full * (int64(len(strconv.FormatInt(outChunk, 16))) + 4 + outChunk)
	if rest > 0 {
		total += int64(len(strconv.FormatInt(rest, 16))) + 4 + rest
	}
	return total + int64(len("0\r\n")) + int64(len(sum.HeaderName())) + 1 + int64(sum.EncodedLen()) + int64(len("\r\n\r\n"))
}

// WriteBody sends the body to the backend. An error means that the upload must
// not be completed: the transport then cuts the connection, and MinIO drops
// an upload that is one byte short.
func (b *requestBody) WriteBody(w io.Writer) error {
	defer b.x.requestSent()
	if b.doc != nil {
		_, err := w.Write(b.doc)
		return err
	}
	b.x.conn.ReadBody(true)
	defer b.x.conn.ReadBody(false)
	buf := clientconn.Buffers.Get().(*[]byte)
	defer clientconn.Buffers.Put(buf)
	step := (*buf)[:b.x.grant.MaxChunk(limits.Upload, clientconn.CopyStep)]
	if b.length == 0 && !b.framed {
		return b.mayEnd()
	}
	if b.framed {
		return b.writeFramed(w, step)
	}
	return b.copy(w, b.length, step)
}

// atEnd checks that the decoded body ends here, which verifies what is left.
func (b *requestBody) atEnd() error {
	var one [1]byte
	if _, err := io.ReadFull(b.src, one[:]); !errors.Is(err, io.EOF) {
		return b.fail(err)
	}
	return nil
}

func (b *requestBody) copy(w io.Writer, n int64, buf []byte) error {
	for n > 0 {
		k, err := b.src.Read(buf[:min(int64(len(buf)), n)])
		n -= int64(k)
		if n == 0 {
			if err := b.mayEnd(); err != nil {
				return err
			}
		}
		if k > 0 {
			if _, werr := w.Write(buf[:k]); werr != nil {
				return fmt.Errorf("write to the backend: %w", werr)
			}
			if err := b.x.nameTaken(); err != nil {
				return b.fail(err)
			}
		}
		if n > 0 && err != nil {
			return b.fail(err)
		}
	}
	return nil
}

// writeFramed sends what stands around a piece of the body together with it: a
// small upload is one write, with its head.
func (b *requestBody) writeFramed(w io.Writer, buf []byte) error {
	const around = 256 // bytes at most, of a chunk's size or of its end and the trailer
	out := buf[:0]     // not sent yet
	send := func() error {
		if _, err := w.Write(out); err != nil {
			return fmt.Errorf("write to the backend: %w", err)
		}
		return nil
	}
	for left := b.length; left > 0; {
		size := min(left, outChunk)
		left -= size
		out = append(strconv.AppendInt(buf[:0], size, 16), "\r\n"...)
		for {
			k, err := b.src.Read(buf[len(out):min(len(buf)-around, len(out)+int(size))])
			out, size = buf[:len(out)+k], size-int64(k)
			if size == 0 {
				break
			}
			if k > 0 {
				if err := send(); err != nil {
					return err
				}
				out = buf[:0]
				if err := b.x.nameTaken(); err != nil {
					return b.fail(err)
				}
			}
			if err != nil {
				return b.fail(err)
			}
		}
		out = append(out, "\r\n"...)
		if left > 0 {
			if err := send(); err != nil {
				return err
			}
		}
	}
	// The end of the client's body carries the trailer; of an empty body
	// nothing has been read yet.
	if err := b.atEnd(); err != nil {
		return err
	}
	name, value := b.x.chunks.Trailer()
	if !upstream.ValidField(name, value) {
		return b.fail(fmt.Errorf("%w: trailer %.40q", upstream.ErrHead, name))
	}
	out = append(out, "0\r\n"...)
	out = append(out, name...)
	out = append(out, ':')
	out = append(out, value...)
	out = append(out, "\r\n\r\n"...)
	if err := b.mayEnd(); err != nil {
		return err
	}
	return send()
}

// mayEnd is asked when everything has come and been verified, and the last byte
// has not been sent: with that the backend would store the object.
func (b *requestBody) mayEnd() error {
	if err := b.x.nameFree(); err != nil {
		return b.fail(err)
	}
	if err := b.x.recheckLast(); err != nil {
		return b.fail(err)
	}
	return nil
}

// fail remembers that it was the client's side that ended the body, so that
// the response names the client's error and not the cut connection's.
func (b *requestBody) fail(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	b.err = err
	return err
}

// plainBody reads exactly left bytes of the client's body; fewer are an error,
// which fasthttp does not report by itself. left < 0 reads to the end.
type plainBody struct {
	src   io.Reader
	left  int64
	conn  *clientconn.Conn
	tally interface{ Ingress(n int64) } // nil: counted after decoding
}

func (p *plainBody) Read(buf []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.left > 0 && int64(len(buf)) > p.left {
		buf = buf[:p.left]
	}
	n, err := p.src.Read(buf)
	if p.tally != nil && n > 0 {
		p.tally.Ingress(int64(n))
	}
	if p.left > 0 {
		p.left -= int64(n)
		switch {
		case p.left == 0:
			err = io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// countingReader counts decoded bytes: what is billed is the object's bytes,
// not their framing (S3-RULES.md D23).
type countingReader struct {
	r io.Reader
	x *exchange
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.x.Ingress(int64(n))
	}
	return n, err
}

// Ingress counts body bytes that came from the client.
func (x *exchange) Ingress(n int64) {
	x.received += n
	x.tally.Ingress(n)
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, io.EOF }

var _ upstream.Body = (*requestBody)(nil)
