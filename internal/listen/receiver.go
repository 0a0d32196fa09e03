package listen

import (
	"context"
	"net"
	"sync"
)

// Receiver is a server's end of the hand-over: a net.Listener whose Accept
// returns the connections that a Server has accepted for it, from any number of
// sockets. Each is a *socket.Conn, or over TLS a *tls.Conn with the handshake
// done and a *socket.Conn below it (NetConn). The connection belongs to whoever
// accepts it; its place in the Server's bounds is free when it is closed.
type Receiver struct {
	protocols []string
	accepted  chan net.Conn
	closed    chan struct{}
	once      sync.Once
}

// NewReceiver makes a receiver that speaks the named protocols over TLS, the
// preferred first (RFC 7301); none: no protocol is negotiated.
func NewReceiver(protocols ...string) *Receiver {
	return &Receiver{protocols: protocols, accepted: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept is net.Listener's: its error is net.ErrClosed after Close.
func (r *Receiver) Accept() (net.Conn, error) {
	select {
	case c := <-r.accepted:
		return c, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

// Close is net.Listener's: connections that are not accepted yet are closed. It
// may be called again.
func (r *Receiver) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

// Addr is net.Listener's. A receiver has no address of its own.
func (r *Receiver) Addr() net.Addr { return noAddr{} }

type noAddr struct{}

func (noAddr) Network() string { return "handed over" }
func (noAddr) String() string  { return "handed over" }

// deliver waits until c is accepted, and reports whether it was: not when the
// receiver is closed or ctx ends before.
func (r *Receiver) deliver(ctx context.Context, c net.Conn) bool {
	select {
	case r.accepted <- c:
		return true
	case <-r.closed:
	case <-ctx.Done():
	}
	return false
}
