package proxy

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

var errNotTCP = errors.New("proxy: not a listener of TCP connections")

// listener makes a conn of what it accepts. What is one too many is closed at
// once and in silence: a response would mostly be overtaken by the reset that
// closing before the request was read causes, over TLS it would have to wait for
// the client's handshake, and nothing that waits for one client may stand where
// all are accepted. fasthttp's own bounds are never reached.
type listener struct {
	net.Listener
	srv *Server
	tls *tls.Config // nil: HTTP
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := nc.(*net.TCPConn)
		if !ok {
			return nil, errors.Join(errNotTCP, nc.Close())
		}
		c, err := l.srv.newConn(tcp, l.tls)
		if err != nil {
			_ = nc.Close() // it has ended already
			continue
		}
		refused := l.srv.conns.add(c)
		if refused == letIn {
			l.srv.metrics.open.Inc()
			return c, nil
		}
		l.srv.metrics.refused[refused].Inc()
		_ = tcp.Close()
		l.srv.log.Warn("connections are refused", "too many", string(refused), "client", c.addr().String())
	}
}

// windowsAhead is for how many windows a reader may have taken bytes ahead: 480
// KiB and eight minutes by default, more than a sixteenth of the 6 MiB to which
// Linux lets a socket's room grow by itself (tcp_rmem).
const windowsAhead = 16

func (s *Server) newConn(tcp *net.TCPConn, secure *tls.Config) (*conn, error) {
	sock, err := socket.New(tcp)
	if err != nil {
		return nil, err
	}
	pace := socket.Pace{Rate: s.cfg.Limits.MinRate, Window: s.cfg.Limits.Window}
	c := &conn{Conn: sock, socket: sock, srv: s, in: pace, out: pace}
	c.out.Ahead = int64(float64(pace.Rate) * pace.Window.Seconds() * windowsAhead)
	c.in.Look = func() error { return c.recheck(limits.Upload) }
	c.out.Look = func() error { return c.recheck(limits.Download) }
	sock.KeepWriting(&c.out)
	if secure != nil {
		c.Conn, c.tls = tls.Server(sock, secure), true
	}
	return c, nil
}
