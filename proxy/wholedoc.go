package proxy

import (
	"errors"
	"io"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/upstream"
)

// What an exchange keeps from one request to the next is its own, as the
// memory of its head is, and never counted: a small response needs no leave,
// whatever others hold. Larger buffers are not kept: one large response must not
// be held by every exchange that ever made one.
const (
	firstBuffer = 4 << 10
	keptArena   = 64 << 10
	keptLocal   = 16 << 10
	largeBuffer = 1 << 20 // the largest that is kept for whoever needs one next
	largeKept   = 16      // how many of them a server keeps
)

// wholeDoc is a document that is held whole. It grows as it is written to, and
// takes what it grows by from the budget first.
type wholeDoc struct {
	srv   *Server
	share *share
	by    holder
	b     []byte
}

// newDoc begins in the memory of b, an exchange's own; s counts what it grows to.
func (x *exchange) newDoc(s *share, b []byte) wholeDoc {
	return wholeDoc{srv: x.srv, share: s, by: x.holder(), b: b[:0]}
}

func (d *wholeDoc) Write(p []byte) (int, error) {
	if err := d.room(len(p)); err != nil {
		return 0, err
	}
	d.b = append(d.b, p...)
	return len(p), nil
}

// room makes room for n bytes more.
func (d *wholeDoc) room(n int) error {
	if len(d.b)+n <= cap(d.b) {
		return nil
	}
	size := max(2*cap(d.b), len(d.b)+n, firstBuffer)
	if size <= keptLocal {
		d.b = append(make([]byte, 0, size), d.b...)
		return nil
	}
	counted := 0
	if cap(d.b) > keptLocal {
		counted = cap(d.b)
	}
	if err := d.share.grow(d.srv.documents, d.by, int64(size-counted)); err != nil {
		return err
	}
	larger := d.srv.large.get(size)
	if more := cap(larger) - size; more > 0 {
		if err := d.share.grow(d.srv.documents, d.by, int64(more)); err != nil {
			return err
		}
	}
	smaller := d.b
	d.b = append(larger, smaller...)
	d.srv.large.put(smaller)
	return nil
}

// readAll appends what r has, which is limit bytes at most: more is errLongDoc.
// Memory grows with what has come, not with what was announced.
func (d *wholeDoc) readAll(r io.Reader, limit int64) error {
	for {
		if err := d.room(1); err != nil {
			return err
		}
		n, err := r.Read(d.b[len(d.b):cap(d.b)])
		d.b = d.b[:len(d.b)+n]
		switch {
		case int64(len(d.b)) > limit:
			return errLongDoc
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

var errLongDoc = errors.New("proxy: a document is longer than any that is taken")

// readResponse reads a document of the backend's whole.
func (x *exchange) readResponse(limit int64) ([]byte, error) {
	d := x.newDoc(&x.held.asked, nil)
	if err := d.readAll(&x.resp, limit); err != nil {
		return nil, unreadable(err)
	}
	return d.b, nil
}

// unreadable is what a response of the backend's could not be read for: room here,
// nobody who waits for it, or something there.
func unreadable(err error) error {
	switch {
	case errors.Is(err, errBusy):
		return errBusy
	case errors.Is(err, upstream.ErrClientGone):
		return &s3err.Error{Code: "ClientDisconnected", Cause: err}
	}
	return &s3err.Error{Code: "ServiceUnavailable", Cause: err}
}

// largeBuffers are a few large buffers that outlive their request: making one
// for each listing costs as much as the listing does. They are bounded
// together, so that a burst of large answers leaves no more than that behind.
type largeBuffers chan []byte

func (l largeBuffers) get(size int) []byte {
	select {
	case b := <-l:
		if cap(b) >= size {
			return b
		}
		l.put(b)
	default:
	}
	return make([]byte, 0, size)
}

// put takes b back, which nobody may know any more.
func (l largeBuffers) put(b []byte) {
	if cap(b) <= keptLocal || cap(b) > largeBuffer {
		return
	}
	select {
	case l <- b[:0]:
	default:
	}
}
