package clientconn

import (
	"crypto/tls"
	"net"
	"testing"
)

// waiting is a connection whose end waits for a client that reads nothing.
type waiting struct {
	net.Conn
	closing, end chan struct{}
}

func (w *waiting) Close() error {
	close(w.closing)
	<-w.end
	return nil
}

// fasthttp closes idle connections one after the other, under a lock.
func TestConn_Close_idle(t *testing.T) {
	t.Parallel()
	w := &waiting{closing: make(chan struct{}), end: make(chan struct{})}
	c := &Conn{Conn: tls.Server(w, nil), cfg: &Config{Stopping: func() bool { return true }}}
	c.linger.Store(true)
	c.idle.Store(true)
	if err := c.Close(); err != nil { // it returns, though its end waits
		t.Error(err)
	}
	<-w.closing
	close(w.end)
}
