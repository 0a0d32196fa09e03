// Package listen accepts client connections and hands them over to servers.
//
// A connection is counted before a byte of it is read and refused beyond the
// bounds, then taken through the TLS handshake where TLS is spoken, and given to
// the Receiver that its server name chooses. HTTP is the receivers' business.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// Config is what a Server needs. The zero value works.
type Config struct {
	MaxConnections int // at once, over all listeners; default: 65536
	// PerAddress is how many connections at once one client address may have, of
	// IPv6 a /64. Default: 512; below 0: no bound.
	PerAddress int
	// TrustedProxies may have any number of connections. Default: nobody.
	TrustedProxies []netip.Prefix
	// HandshakeTimeout is what a TLS handshake may take in all. Default: 20 s.
	HandshakeTimeout time.Duration

	Logger  *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // nil: none
}

// Server accepts connections of any number of listeners, within common bounds.
// Two servers in one process do not know of each other.
type Server struct {
	log              *slog.Logger
	handshakeTimeout time.Duration
	bounds           bounds
	metrics          *metrics

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc

	mu        sync.Mutex // guards listeners and loops, and running against Shutdown's Wait
	listeners []net.Listener
	loops     []*loop
	running   sync.WaitGroup // loops that accept, and handshakes
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	setDefault(&cfg.MaxConnections, 1<<16)
	setDefault(&cfg.PerAddress, 512)
	setDefault(&cfg.HandshakeTimeout, 20*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		log: cfg.Logger, handshakeTimeout: cfg.HandshakeTimeout, metrics: newMetrics(cfg.Metrics),
		bounds: bounds{
			most: cfg.MaxConnections, perAddress: cfg.PerAddress, proxies: cfg.TrustedProxies, byAddress: map[netip.Addr]int{},
		},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Serve accepts TCP connections of l for one receiver, without TLS, until
// Shutdown. It takes l over and returns nil after Shutdown, also when that came
// first.
func (s *Server) Serve(l net.Listener, to *Receiver) error {
	return s.serve(l, func(sock *socket.Conn) {
		if !to.deliver(s.ctx, sock) {
			_ = sock.Close()
		}
	})
}

// ServeTLS is Serve for TLS connections. config names the certificates
// (Certificates or GetCertificate); its protocols are the receivers' own and its
// GetConfigForClient is not used.
func (s *Server) ServeTLS(l net.Listener, config *tls.Config, routes Routes) error {
	config = routes.configFor(config)
	return s.serve(l, func(sock *socket.Conn) {
		s.running.Go(func() { s.handshake(sock, config, routes) })
	})
}

// serve calls each with every admitted connection. Nothing in it may wait for
// one client.
func (s *Server) serve(l net.Listener, each func(*socket.Conn)) error {
	accepting := &loop{addr: l.Addr().String()}
	l = Retry(l, s.log, func() {
		s.metrics.acceptErrors.Inc()
		accepting.failed.Store(time.Now().UnixNano())
	})
	if !s.begin(l, accepting) {
		return ignoreClosed(l.Close())
	}
	defer s.running.Done()
	defer accepting.ended.Store(true)
	for {
		nc, err := l.Accept()
		if err != nil {
			return s.unlessStopped(err)
		}
		accepting.failed.Store(0)
		tcp, ok := nc.(*net.TCPConn)
		if !ok {
			return errors.Join(errNotTCP, nc.Close(), l.Close())
		}
		if sock := s.admit(tcp); sock != nil {
			each(sock)
		}
	}
}

var errNotTCP = errors.New("listen: not a listener of TCP connections")

// unlessStopped is the error of a loop: none after Shutdown. A listener that something
// else has closed is one.
func (s *Server) unlessStopped(err error) error {
	if s.ctx.Err() != nil {
		return ignoreClosed(err)
	}
	return err
}

// begin remembers a listener for Shutdown, and counts its loop as running;
// false: the server has been shut down.
func (s *Server) begin(l net.Listener, accepting *loop) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.listeners, s.loops = append(s.listeners, l), append(s.loops, accepting)
	s.running.Add(1)
	return true
}

// admit counts a connection until it is closed. One beyond the bounds is closed
// at once and in silence, and nil returned: an answer would mostly be overtaken by
// the reset that closing before the request was read causes, over TLS it would
// have to wait for the client's handshake, and nothing that waits for one client
// may stand where all are accepted (docs/decisions/0019).
func (s *Server) admit(tcp *net.TCPConn) *socket.Conn {
	sock, err := socket.New(tcp)
	if err != nil {
		_ = tcp.Close() // it has ended already
		return nil
	}
	var addr netip.Addr
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		addr = a.AddrPort().Addr().Unmap()
	}
	key, refused := s.bounds.admit(addr)
	if refused != admitted {
		s.metrics.refused[refused].Inc()
		_ = tcp.Close()
		s.log.Warn("connections are refused", "too many", string(refused), "client", addr.String())
		return nil
	}
	s.metrics.open.Inc()
	sock.OnClose(func() {
		s.bounds.release(key)
		s.metrics.open.Dec()
	})
	return sock
}

// SetTrustedProxies replaces Config's. Connections that are open stay counted as they
// were.
func (s *Server) SetTrustedProxies(proxies []netip.Prefix) { s.bounds.setProxies(proxies) }

// Shutdown closes the listeners and cuts connections that are not handed over
// yet, among them handshakes, and returns when nothing more will be handed over.
// What a receiver has accepted stays open.
func (s *Server) Shutdown() error {
	s.bounds.stop()
	s.mu.Lock()
	s.cancel()
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var errs []error
	for _, l := range listeners {
		errs = append(errs, ignoreClosed(l.Close()))
	}
	s.running.Wait()
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
