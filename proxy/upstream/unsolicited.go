package upstream

import (
	"errors"
	"os"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// errUnsolicited means that the backend sent something, or closed, before the
// request was sent.
var errUnsolicited = errors.New("upstream: the backend sent unsolicited data, or closed, before the request was sent")

// clean reports, without waiting, whether a request may be sent on the
// connection: the backend has sent nothing that was not read, and has not
// closed. What arrives while no request is outstanding is not a response (RFC
// 9112 section 9.2); taken for one, it would go to whoever asks next, usually
// another tenant. So every request begins on a clean connection, however short
// a time ago that was used. An incomplete TLS record counts as unread data,
// unless the connection is new: there it is part of a session ticket.
func (c *Conn) clean() bool { return !c.readable() && (!c.used || !c.source.midRecord()) }

// readable reports, without waiting, whether the backend has sent something,
// which stays to be read, or has closed.
//
// It reads, since a look at the socket would not see what crypto/tls holds: that
// hands out what it has, decrypted or not, before it reads more, and reads more
// only when it has no complete record; source knows whether it has a part of
// one. Session tickets and key updates are consumed by the way and leave the
// connection clean.
func (c *Conn) readable() bool {
	return c.r < c.w || !errors.Is(c.fillNow(), os.ErrDeadlineExceeded)
}

// fillNow is fill that does not wait: its error is os.ErrDeadlineExceeded while
// there is nothing to read.
func (c *Conn) fillNow() error {
	// A key update may want an answer, and a deadline that has passed would
	// break the connection for what is written next.
	if c.source.secure {
		if err := c.extendWrite(c.endpoint.pool.cfg.Stall); err != nil {
			return err
		}
	}
	c.source.noWait = true
	err := c.fill()
	c.source.noWait = false
	return err
}

// source is the socket as the connection, or crypto/tls, reads it.
type source struct {
	*socket.Conn
	noWait bool // Read returns os.ErrDeadlineExceeded instead of waiting
	secure bool // TLS records pass: follow their lengths

	header [recordHeader]byte // of the record that is being read
	have   int                // bytes of the header that have passed
	left   int                // bytes of the record behind it that have not
}

const recordHeader = 5 // type, version, length (RFC 8446 section 5.1)

func (s *source) Read(p []byte) (n int, err error) {
	if s.noWait {
		n, err = s.ReadNow(p)
	} else {
		n, err = s.Conn.Read(p)
	}
	if s.secure {
		s.follow(p[:n])
	}
	return n, err
}

// midRecord reports whether a part of a record has passed and its end has not.
func (s *source) midRecord() bool { return s.have > 0 }

func (s *source) follow(p []byte) {
	for len(p) > 0 {
		if s.have < recordHeader {
			n := copy(s.header[s.have:], p)
			s.have += n
			p = p[n:]
			if s.have < recordHeader {
				return
			}
			s.left = int(s.header[3])<<8 | int(s.header[4])
		}
		n := min(s.left, len(p))
		s.left -= n
		p = p[n:]
		if s.left == 0 {
			s.have = 0
		}
	}
}
