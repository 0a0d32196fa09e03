package proxy

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

var errNotSocket = errors.New("proxy: neither a socket.Conn nor TLS over one")

// listener makes a conn of what it accepts. How many connections there may be is
// not its business: fasthttp's own bounds are never reached.
type listener struct {
	net.Listener
	srv *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, err := l.srv.newConn(nc)
		if err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		if l.srv.conns.add(c) {
			return c, nil
		}
		_ = c.socket.Close()
	}
}

// windowsAhead is for how many windows a reader may have taken bytes ahead: 480
// KiB and eight minutes by default, more than a sixteenth of the 6 MiB to which
// Linux lets a socket's room grow by itself (tcp_rmem).
const windowsAhead = 16

func (s *Server) newConn(nc net.Conn) (*conn, error) {
	below := nc
	secure, isTLS := nc.(*tls.Conn)
	if isTLS {
		below = secure.NetConn()
	}
	sock, ok := below.(*socket.Conn)
	if !ok {
		return nil, errNotSocket
	}
	pace := socket.Pace{Rate: s.cfg.Limits.MinRate, Window: s.cfg.Limits.Window}
	c := &conn{Conn: nc, socket: sock, srv: s, tls: isTLS, in: pace, out: pace}
	c.out.Ahead = int64(float64(pace.Rate) * pace.Window.Seconds() * windowsAhead)
	c.in.Look = func() error { return c.recheck(limits.Upload) }
	c.out.Look = func() error { return c.recheck(limits.Download) }
	sock.KeepWriting(&c.out)
	return c, nil
}
