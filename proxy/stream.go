package proxy

import (
	"errors"
	"io"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// spliceStep is how many bytes of a download move at once: between two steps they
// are counted and deadlines are extended.
const spliceStep = 1 << 20

// responseStream is the response's body while fasthttp writes it, after the
// handler has returned. With names it is a document that is mapped while it
// passes; without, an object's bytes on their way from socket to socket.
type responseStream struct {
	x        *exchange
	response *s3xml.Response
	names    *s3xml.Names
}

// SupportsBodyWriteTo makes fasthttp hand over its writer, whose ReadFrom ends
// in the client's socket: the kernel path.
func (s *responseStream) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the body. An error makes fasthttp close the client's
// connection without a clean end, which is how the client learns of it.
func (s *responseStream) WriteTo(w io.Writer) (n int64, err error) {
	if s.names != nil {
		result, err := s3xml.Rewrite(w, &s.x.resp, s.response, s.names)
		if err != nil {
			s.x.failedAt(err)
		}
		s.x.endLook() // before the client has seen the end
		return result.Bytes, err
	}
	n, err = s.x.resp.SpliceTo(w, s.x.grant.MaxChunk(limits.Download, spliceStep))
	if err != nil {
		s.x.failedAt(err)
	}
	return n, err
}

// failedAt is the end of a response that had begun. What the client did is known
// already: see clientconn.Conn.
func (x *exchange) failedAt(err error) {
	switch {
	case errors.Is(err, upstream.ErrClientGone):
		x.clientLeft(err)
	case x.code == "":
		x.code = "InternalError" // the backend broke it off; the line says so beside its status
	}
	x.cause = err
}

// Read is never used: WriteTo is.
func (s *responseStream) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Close is called by fasthttp when the stream was written or has failed; the
// exchange itself ends with the flush, in settle.
func (s *responseStream) Close() error {
	s.response, s.names = nil, nil
	s.x.finish()
	return nil
}
