package proxy

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/primecloudpro/primecloud/proxy/clientconn"
	"github.com/primecloudpro/primecloud/proxy/flatnames"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// Server is a gateway: the data path behind any number of listeners.
// Two servers in one process do not know of each other.
type Server struct {
	cfg      Config
	log      *slog.Logger
	hosts    hostNames
	proxies  atomic.Pointer[[]netip.Prefix] // trusted
	hostID   string
	ids      *requestIDs
	metrics  *metrics
	backends backends
	handlers map[string]handler // by the operation's name

	signingKeys signingKeys

	strangers, documents *budget
	large                largeBuffers
	names                *flatnames.Table // nil: names are not looked at
	began                time.Time

	http fasthttp.Server

	ctx    context.Context // ends when Shutdown gives up waiting
	cancel context.CancelFunc

	clients  clientconn.Config // of conns
	conns    connections
	draining atomic.Bool
	stopping atomic.Bool

	listening sync.Mutex // guards listeners, and stopping against a new one
	listeners []net.Listener
}

// New checks the configuration and makes a server that is not serving yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	setDefault(&cfg.Region, "us-east-1")
	cfg.Limits.setDefaults()
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	handlers := newHandlers()
	if err := checkHandlers(s3op.Operations, handlers); err != nil {
		return nil, err
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		hosts:    newHostNames(cfg.Hosts, cfg.TenantDomain),
		hostID:   base64.StdEncoding.EncodeToString(id[:]),
		ids:      newRequestIDs(),
		handlers: handlers,
		metrics:  newMetrics(cfg.Metrics),
		conns:    connections{all: map[*clientconn.Conn]struct{}{}},

		strangers: newBudget("unverified", cfg.Limits.Unverified, strangersPart, cfg.Metrics),
		documents: newBudget("documents", cfg.Limits.Documents, documentsPart, cfg.Metrics),
		large:     make(largeBuffers, largeKept),
	}
	if !cfg.AnyNames {
		s.names, s.began = flatnames.New(), cfg.now()
	}
	s.clients = clientconn.Config{
		MinRate: cfg.Limits.MinRate, Window: cfg.Limits.Window, ContinueWait: cfg.Limits.ContinueWait,
		Stopping: s.stopping.Load, Spliced: s.metrics.spliced,
	}
	s.SetTrustedProxies(cfg.TrustedProxies)
	s.backends.srv = s
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(&s.backends)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = fasthttp.Server{
		Handler:       s.serve,
		ExpectHandler: s.expect,
		ErrorHandler:  s.malformed,
		ConnState:     s.connState,
		// Bounded before, where connections are accepted: beyond this fasthttp would
		// write its refusal there.
		Concurrency: math.MaxInt32,
		ReadTimeout: cfg.Limits.HeadTimeout,
		IdleTimeout: cfg.Limits.Idle,
		// A request head must fit: fasthttp answers 431 otherwise.
		ReadBufferSize: cfg.Limits.Head,
		// One byte, not eight KiB: fasthttp reads as much of the body before it
		// calls the handler, and a client that waits would get no refusal.
		StreamRequestBody:  true,
		MaxRequestBodySize: 1,
		// The raw request is what was signed: nothing may be tidied.
		DisableHeaderNamesNormalizing: true,
		DisablePreParseMultipartForm:  true,
		NoDefaultServerHeader:         true,
		NoDefaultContentType:          true,
		// Also flushes each answer before the next request, so that settle
		// sees the state of the socket and not of a buffer.
		ReduceMemoryUsage: true,
		CloseOnShutdown:   true,
		// Its errors would quote the head, with what it was signed with.
		SecureErrorLogMessage: true,
		Logger:                quiet{s.log},
	}
	return s, nil
}

// Serve serves the connections that l accepts until Shutdown: a *socket.Conn with
// HTTP, a *tls.Conn over one with HTTPS, its handshake done. It takes l over. It
// returns nil after Shutdown, also when that came first.
func (s *Server) Serve(l net.Listener) error {
	if !s.listens(l) {
		return ignoreClosed(l.Close())
	}
	return ignoreClosed(s.http.Serve(&listener{Listener: l, srv: s}))
}

// listens notes a listener for Shutdown; false: the server stops already.
func (s *Server) listens(l net.Listener) bool {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.listeners = append(s.listeners, l)
	return true
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Drain makes each answer from now on the last one of its connection, so that clients
// and balancers open their next ones elsewhere, before Shutdown closes what is idle.
func (s *Server) Drain() { s.draining.Store(true) }

// ErrUnsettled is Shutdown's error when usage may be missing.
var ErrUnsettled = errors.New("proxy: connections did not end, and what they did last is not counted")

// settleTime bounds what requests need to end once their connections are cut.
const settleTime = 5 * time.Second

// Shutdown stops accepting and waits for requests in flight. When ctx ends
// before they do, they are cut: uploads then end short, so that the backend
// drops them, and downloads end without a clean close. Either way each request
// that had begun is settled, counted and logged, when it returns.
func (s *Server) Shutdown(ctx context.Context) error {
	s.listening.Lock()
	s.stopping.Store(true)
	s.listening.Unlock()
	err := s.http.ShutdownWithContext(ctx)
	for _, l := range s.listeners { // fasthttp does not know yet one whose Serve has just begun
		err = errors.Join(err, ignoreClosed(l.Close()))
	}
	// fasthttp takes a connection for gone before it has closed it.
	if s.conns.wait(ctx) > 0 && err == nil {
		err = ctx.Err()
	}
	s.cancel()
	s.conns.end()
	s.backends.abort()
	settling, done := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer done()
	if n := s.conns.wait(settling); n > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d connections", ErrUnsettled, n))
	}
	return err
}

// quiet passes the kind of fasthttp's own complaints on at debug level, without
// their arguments: they are about clients, and quote them.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)) {
			return
		}
	}
	q.log.Debug("http", "message", format)
}
