package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrNoEndpoint means that no endpoint of the backend could be reached.
var ErrNoEndpoint = errors.New("upstream: no endpoint of the backend answers")

// Config configures a Pool. Zero fields take the default named.
type Config struct {
	Name      string   // the backend's, for metrics and logs
	Endpoints []string // http(s)://host:port
	CA        string   // PEM; "" trusts the system's roots

	DialTimeout    time.Duration // 3 s
	HeaderTimeout  time.Duration // from the end of the request to the end of the answer's head, interim answers included; 5 min
	Stall          time.Duration // one read or write without progress, or all that stands between two chunks, or behind the last; 60 s
	ClientInterval time.Duration // between two looks, while the backend is waited for, whether the client is still there; 1 s
	IdleTimeout    time.Duration // of a kept connection; 50 s
	ReapInterval   time.Duration // between two looks at the kept connections, for those that are idle too long or not clean; 10 s
	MaxIdle        int           // kept connections of an endpoint; 4096: below the clients at once, every request dials
	HealthInterval time.Duration // 2 s; negative: no probes
	Ejection       time.Duration // how long an endpoint that failed is avoided at first; 500 ms, doubled up to 30 s

	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

func (c *Config) setDefaults() {
	setDefault(&c.DialTimeout, 3*time.Second)
	setDefault(&c.HeaderTimeout, 5*time.Minute)
	setDefault(&c.Stall, time.Minute)
	setDefault(&c.ClientInterval, time.Second)
	setDefault(&c.IdleTimeout, 50*time.Second)
	setDefault(&c.ReapInterval, 10*time.Second)
	setDefault(&c.MaxIdle, 4096)
	setDefault(&c.HealthInterval, 2*time.Second)
	setDefault(&c.Ejection, 500*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Pool holds the endpoints of one backend.
type Pool struct {
	cfg       Config
	endpoints []*Endpoint
	next      atomic.Uint32
	stop      context.CancelFunc
	done      sync.WaitGroup
	metrics   *poolMetrics
	blamed    atomic.Int64 // when it refused the gateway itself, in Unix nanoseconds; 0: never
}

// Endpoint is one address of a backend.
type Endpoint struct {
	pool *Pool
	host string
	raw  []byte
	addr string
	tls  *tls.Config // nil: plain

	mu     sync.Mutex
	idle   []*Conn // newest last
	all    map[*Conn]struct{}
	closed bool

	failures   atomic.Int32
	avoidUntil atomic.Int64 // Unix nanoseconds
	last       atomic.Pointer[failure]
}

// Host is host:port as the Host header has it, not to be changed.
func (e *Endpoint) Host() []byte { return e.raw }

// New makes a pool and begins to probe its endpoints.
func New(cfg Config) (*Pool, error) {
	cfg.setDefaults()
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("upstream: a backend needs an endpoint")
	}
	p := &Pool{cfg: cfg, metrics: newPoolMetrics(cfg.Registerer, cfg.Name)}
	for _, raw := range cfg.Endpoints {
		e, err := p.newEndpoint(raw)
		if err != nil {
			return nil, err
		}
		p.endpoints = append(p.endpoints, e)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, e := range p.endpoints {
		if cfg.HealthInterval > 0 {
			p.done.Go(func() { e.probe(ctx) })
		}
		p.done.Go(func() { e.reap(ctx) })
	}
	return p, nil
}

func (p *Pool) newEndpoint(raw string) (*Endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("upstream: endpoint %q is not http(s)://host:port", raw)
	}
	e := &Endpoint{pool: p, host: u.Host, raw: []byte(u.Host), addr: u.Host, all: map[*Conn]struct{}{}}
	if u.Port() == "" {
		e.addr = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		e.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), ClientSessionCache: tls.NewLRUClientSessionCache(64)}
		if p.cfg.CA != "" {
			e.tls.RootCAs = x509.NewCertPool()
			if !e.tls.RootCAs.AppendCertsFromPEM([]byte(p.cfg.CA)) {
				return nil, errors.New("upstream: the backend's CA is not PEM")
			}
		}
	}
	return e, nil
}

// Close stops the probes and closes kept connections. Requests in flight end
// by themselves; Abort cuts them.
func (p *Pool) Close() {
	p.stop()
	for _, e := range p.endpoints {
		e.mu.Lock()
		e.closed = true
		idle := e.idle
		e.idle = nil
		e.mu.Unlock()
		for _, c := range idle {
			c.close()
		}
	}
	p.done.Wait()
}

// Abort closes the pool and cuts every request in flight, so that backends
// drop uploads that are not complete.
func (p *Pool) Abort() {
	p.Close()
	for _, e := range p.endpoints {
		e.mu.Lock()
		for c := range e.all {
			_ = c.nc.Close()
		}
		e.mu.Unlock()
	}
}

// Healthy is how many endpoints are not being avoided.
func (p *Pool) Healthy() int {
	n := 0
	now := time.Now().UnixNano()
	for _, e := range p.endpoints {
		if e.avoidUntil.Load() <= now {
			n++
		}
	}
	return n
}

// pick chooses the endpoint of a try: round robin over the healthy ones, then
// over the others, since an endpoint that is avoided may be back. Those that
// this request has tried come last, whatever became of them meanwhile.
func (p *Pool) pick(start uint32, tried []*Endpoint) *Endpoint {
	n := len(p.endpoints)
	if n == 1 {
		return p.endpoints[0]
	}
	now := time.Now().UnixNano()
	for _, healthy := range [...]bool{true, false} {
		for i := range n {
			e := p.endpoints[(int(start)+i)%n]
			if (e.avoidUntil.Load() <= now) == healthy && !slices.Contains(tried, e) {
				return e
			}
		}
	}
	return p.endpoints[(int(start)+len(tried))%n]
}

// failed avoids the endpoint for a while, longer with each failure in a row.
func (e *Endpoint) failed(err error) {
	n := e.failures.Add(1)
	e.last.Store(&failure{time.Now(), classOf(err)})
	wait := min(e.pool.cfg.Ejection<<min(n-1, 10), 30*time.Second)
	e.avoidUntil.Store(time.Now().Add(wait).UnixNano())
	e.pool.metrics.failures.Inc()
	e.pool.cfg.Logger.Warn("backend endpoint failed", "backend", e.pool.cfg.Name, "endpoint", e.host, "avoided", wait, "error", err)
}

// unreadable is for an answer that came and is no HTTP. It says nothing about
// the next one: what stands in a head may be of a client's making, and who could
// have an endpoint avoided by it would take it from everybody. An endpoint that
// answers nobody any better fails its probe, on which no client has a hold.
func (e *Endpoint) unreadable(err error) {
	e.pool.metrics.unreadable.Inc()
	e.pool.cfg.Logger.Warn("a backend's answer is not readable", "backend", e.pool.cfg.Name, "endpoint", e.host, "error", err)
}

func (e *Endpoint) worked() {
	if e.failures.Load() != 0 {
		e.failures.Store(0)
		e.avoidUntil.Store(0)
	}
}

var healthPath = []byte("/minio/health/live")

// probe asks MinIO whether it is alive; any HTTP answer below 500 counts, so
// that other S3 servers pass too.
func (e *Endpoint) probe(ctx context.Context) {
	tick := time.NewTicker(e.pool.cfg.HealthInterval)
	defer tick.Stop()
	request := &Request{Head: func(h *Head, _ *Endpoint) { h.Start("GET", healthPath) }}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.alive(ctx, request); err == nil {
			e.worked()
		} else if ctx.Err() == nil {
			e.failed(err)
		}
	}
}

func (e *Endpoint) alive(ctx context.Context, req *Request) error {
	var head Head
	if err := head.write(req, e); err != nil {
		return err
	}
	c, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.nc.SetDeadline(time.Now().Add(e.pool.cfg.DialTimeout)); err != nil {
		return err
	}
	if _, err := c.nc.Write(head.buf); err != nil {
		return err
	}
	var r Response
	if err := r.readHead(c, false, e.pool.cfg.DialTimeout); err != nil {
		return err
	}
	if r.Status >= 500 {
		return fmt.Errorf("%w: status %d", errUnhealthy, r.Status)
	}
	return nil
}

type poolMetrics struct{ failures, unreadable, dials, retries prometheus.Counter }

func newPoolMetrics(r prometheus.Registerer, backend string) *poolMetrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"backend": backend}})
		if r == nil {
			return c
		}
		// A backend whose row changed gets a new pool and goes on counting.
		var there prometheus.AlreadyRegisteredError
		if err := r.Register(c); errors.As(err, &there) {
			if old, ok := there.ExistingCollector.(prometheus.Counter); ok {
				return old
			}
		}
		return c
	}
	return &poolMetrics{
		failures:   counter("primecloud_upstream_endpoint_failures_total", "Failures that made an endpoint be avoided."),
		unreadable: counter("primecloud_upstream_unreadable_answers_total", "Answers whose head was not well-formed HTTP; the requests were answered 503."),
		dials:      counter("primecloud_upstream_dials_total", "Connections opened."),
		retries:    counter("primecloud_upstream_retries_total", "Requests that were sent again."),
	}
}
