package clientconn

import (
	"bytes"
	"errors"
	"os"
	"time"
)

// A form says who sends it in its body, so that its client is told to go on
// before anybody knows who it is, unless the word is kept back: then it comes
// when the form is verified and there is more to send. A client waits for it
// some time only, as RFC 9110 section 10.1.1 wants it to (curl a second), and
// then begins; one that does not is told after ContinueWait, since without its
// fields there is nothing to verify (docs/decisions/0022).

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// continuing is what has become of the 100 Continue of a form.
type continuing struct {
	withhold bool // the next one that fasthttp writes is kept back
	owed     bool // it was
	silent   bool // and no byte of the body has come since
}

// withheld takes the response that is to be kept back.
func (c *Conn) withheld(p []byte) bool {
	if !c.going.withhold || !bytes.Equal(p, continueLine) {
		return false
	}
	c.going = continuing{owed: true, silent: true}
	return true
}

// WithholdContinue keeps the next 100 Continue back, or does not.
func (c *Conn) WithholdContinue(on bool) { c.going.withhold = on }

// Continue sends the 100 Continue that was kept back, if one was.
func (c *Conn) Continue() error {
	if !c.going.owed {
		return nil
	}
	c.going = continuing{}
	_, err := c.Conn.Write(continueLine)
	return err
}

// readFirst is the first read of a body whose client may be waiting.
func (c *Conn) readFirst(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.cfg.ContinueWait)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.first.piece = p[:n]
	if errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
		if err := c.Continue(); err != nil {
			return 0, err
		}
		if err := c.SetReadDeadline(time.Now().Add(c.cfg.Window)); err != nil {
			return 0, err
		}
		n, err = c.Conn.Read(p)
		c.first.piece = p[:n]
		return n, err
	}
	c.going.silent = false
	if derr := c.SetReadDeadline(time.Now().Add(c.cfg.Window)); err == nil {
		err = derr
	}
	return n, err
}
