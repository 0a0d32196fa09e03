package tenancy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// endpoints is a client's transport that reaches a backend by any of its endpoints:
// requests are signed for the host of the first, and connections are made to the
// one that worked last. One that cannot be reached, or says that it is away, is left.
type endpoints struct {
	*http.Transport
	all  []endpoint
	next atomic.Uint32 // of all, the one to be asked first
}

type endpoint struct {
	addr string // host:port
	host string // its name in its certificate
}

// overAll makes t reach every endpoint of the scheme of the first.
func (b *Backend) overAll(t *http.Transport) (*endpoints, error) {
	e := &endpoints{Transport: t}
	first := ""
	for _, raw := range b.Endpoints {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("backend %s: endpoint: %w", b.Name, err)
		}
		if first == "" {
			first = u.Scheme
		}
		if u.Scheme != first {
			continue // the other one speaks what this connection does not
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		e.all = append(e.all, endpoint{net.JoinHostPort(u.Hostname(), port), u.Hostname()})
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return e.dial(func(to endpoint) (net.Conn, error) { return dialer.DialContext(ctx, network, to.addr) })
	}
	t.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return e.dial(func(to endpoint) (net.Conn, error) {
			config := &tls.Config{MinVersion: tls.VersionTLS12}
			if t.TLSClientConfig != nil {
				config = t.TLSClientConfig.Clone()
			}
			config.ServerName, config.NextProtos = to.host, nil
			return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, to.addr)
		})
	}
	return e, nil
}

const dialTimeout = 5 * time.Second

// dial tries each endpoint once.
func (e *endpoints) dial(to func(endpoint) (net.Conn, error)) (net.Conn, error) {
	var errs []error
	for range e.all {
		at := e.next.Load()
		c, err := to(e.all[int(at)%len(e.all)])
		if err == nil {
			return &endpointConn{c, at}, nil
		}
		errs = append(errs, err)
		e.leave(at)
	}
	return nil, errors.Join(errs...)
}

// endpointConn is a connection to the endpoint that was next.
type endpointConn struct {
	net.Conn
	at uint32 // next, when it was made
}

// leave makes the endpoint after at the first to be tried, unless another call has
// done so.
func (e *endpoints) leave(at uint32) { e.next.CompareAndSwap(at, at+1) }

// RoundTrip asks by the endpoint that worked last. What it could not answer the S3
// client asks again, and then goes to another one.
func (e *endpoints) RoundTrip(r *http.Request) (*http.Response, error) {
	var used *endpointConn
	resp, err := e.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { used, _ = info.Conn.(*endpointConn) },
	})))
	away := err != nil && r.Context().Err() == nil
	if err == nil {
		switch resp.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			away = true
		}
	}
	if away && used != nil && len(e.all) > 1 {
		e.leave(used.at)
		e.CloseIdleConnections()
	}
	return resp, err
}
