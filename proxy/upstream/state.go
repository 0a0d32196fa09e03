package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// State is how an endpoint is.
type State struct {
	Endpoint string // host:port
	Up       bool   // it has answered since it failed last
	// Failure is the class of the last failure, of the endpoint or of the backend as a whole,
	// and FailedAt its time; "" and zero: there was none.
	Failure  string
	FailedAt time.Time
}

type failure struct {
	at    time.Time
	class string
}

var errUnhealthy = errors.New("upstream: the health check failed")

// Blamed notes that the backend has refused the gateway itself.
func (p *Pool) Blamed() { p.blamed.Store(time.Now().UnixNano()) }

// States returns the state of each endpoint, once.
func (p *Pool) States() []State {
	states := make([]State, 0, len(p.endpoints))
	seen := map[string]bool{}
	for _, e := range p.endpoints {
		if seen[e.host] {
			continue
		}
		seen[e.host] = true
		s := State{Endpoint: e.host, Up: e.failures.Load() == 0}
		if last := e.last.Load(); last != nil {
			s.Failure, s.FailedAt = last.class, last.at
		}
		if at := p.blamed.Load(); s.Up && at > s.FailedAt.UnixNano() && at != 0 {
			s.Failure, s.FailedAt = "it refused the gateway's credential, signature or clock", time.Unix(0, at)
		}
		states = append(states, s)
	}
	return states
}

// classOf names what kind of failure an error is. The error's text can have addresses
// and what the other side has said.
func classOf(err error) string {
	var lookup *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.Is(err, errUnhealthy):
		return "health check answered 5xx"
	case errors.Is(err, ErrAnswer):
		return "answer is not readable"
	case errors.As(err, &untrusted), errors.As(err, &unknown):
		return "certificate not accepted"
	case errors.As(err, &alert), errors.As(err, &record):
		return "TLS handshake failed"
	case errors.As(err, &lookup):
		return "name not found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "not reachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "connection lost"
	}
	return "failed"
}
