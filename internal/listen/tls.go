package listen

import (
	"context"
	"crypto/tls"
	"strings"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// Routes choose the receiver of a TLS connection by the server name that the
// client asks for (SNI, RFC 6066 section 3).
type Routes struct {
	Default *Receiver            // without a name, and for names that are not in Names; required
	Names   map[string]*Receiver // by whole name in lower case; it is not changed any more
}

func (r Routes) receiver(serverName string) *Receiver {
	if to, ok := r.Names[strings.ToLower(serverName)]; ok {
		return to
	}
	return r.Default
}

// configFor returns config with each receiver's own protocols, chosen in the
// handshake. Session tickets are config's whichever is chosen.
func (r Routes) configFor(config *tls.Config) *tls.Config {
	own := map[*Receiver]*tls.Config{}
	add := func(to *Receiver) {
		own[to] = config.Clone()
		own[to].NextProtos = to.protocols
	}
	add(r.Default)
	for _, to := range r.Names {
		add(to)
	}
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return own[r.receiver(hello.ServerName)], nil
	}
	return config
}

// handshake runs the TLS handshake of an admitted connection and hands it over.
// It takes sock over.
func (s *Server) handshake(sock *socket.Conn, config *tls.Config, routes Routes) {
	c := tls.Server(sock, config)
	ctx, done := context.WithTimeout(s.ctx, s.handshakeTimeout)
	err := c.HandshakeContext(ctx) // it closes sock when ctx ends
	done()
	if err != nil {
		s.metrics.failedHandshakes.Inc()
		s.log.Debug("a TLS handshake failed", "client", sock.RemoteAddr().String()) // without the error: it may quote the client
		_ = sock.Close()
		return
	}
	if !routes.receiver(c.ConnectionState().ServerName).deliver(s.ctx, c) {
		_ = sock.Close() // not c: its farewell could wait for the client
	}
}
