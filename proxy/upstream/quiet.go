package upstream

import (
	"errors"
	"os"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// quiet looks, without waiting, whether a request may go out on the connection:
// the backend has said nothing that was not read, and has not hung up. What is
// said before a request goes out is no answer to it; taken for one, it would be
// given to whoever asks next, another tenant as a rule. So every request begins
// on a quiet connection, however short ago that was used, and what is not clear
// is not quiet: half a record of TLS's, unless the connection is new. There it is
// half a session ticket, and nobody's answer in any case.
func (c *Conn) quiet() bool { return !c.heard() && (!c.used || !c.tap.within()) }

// heard looks, without waiting, whether the backend has said something, which
// stays to be read, or has hung up.
//
// The look is a read. TLS hands out what it holds, decrypted or not, before it
// asks the tap for more, and asks for more only when it holds no whole record;
// the tap knows whether it holds a part of one. Session tickets and key updates
// are taken by the way and leave the connection as quiet as it was.
func (c *Conn) heard() bool {
	if c.r < c.w {
		return true
	}
	// A key update may want an answer, and a deadline that has passed would
	// break the connection for what is written next.
	if c.tap.secure && c.extendWrite(c.endpoint.pool.cfg.Stall) != nil {
		return true
	}
	c.tap.look = true
	err := c.fill()
	c.tap.look = false
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// tap is the socket as the connection, or TLS, reads it.
type tap struct {
	*socket.Conn
	look   bool // do not wait
	secure bool // records pass: follow them

	header [recordHeader]byte // of the record that is under way
	have   int                // bytes of the header that have passed
	left   int                // bytes of the record after it that have not
}

const recordHeader = 5 // type, version, length (RFC 8446 section 5.1)

func (t *tap) Read(p []byte) (n int, err error) {
	if t.look {
		n, err = t.ReadNow(p)
	} else {
		n, err = t.Conn.Read(p)
	}
	if t.secure {
		t.follow(p[:n])
	}
	return n, err
}

// within says that a part of a record has passed and its end has not.
func (t *tap) within() bool { return t.have > 0 }

func (t *tap) follow(p []byte) {
	for len(p) > 0 {
		if t.have < recordHeader {
			n := copy(t.header[t.have:], p)
			t.have += n
			p = p[n:]
			if t.have < recordHeader {
				return
			}
			t.left = int(t.header[3])<<8 | int(t.header[4])
		}
		n := min(t.left, len(p))
		t.left -= n
		p = p[n:]
		if t.left == 0 {
			t.have = 0
		}
	}
}
