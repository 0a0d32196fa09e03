package proxy

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/proxy/upstream"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// backend is a backend's transport and the credential that signs for it.
type backend struct {
	of   *tenancy.Backend
	pool *upstream.Pool
	tls  bool // every endpoint
	key  atomic.Pointer[signer]
}

// signer is the backend's signing key of one day.
type signer struct {
	day [8]byte
	key *sigv4.SigningKey
}

// signingKey returns the key for the day of now (UTC).
func (b *backend) signingKey(day []byte) *sigv4.SigningKey {
	if s := b.key.Load(); s != nil && string(s.day[:]) == string(day) {
		return s.key
	}
	s := &signer{key: sigv4.NewSigningKey(b.of.SecretKey, string(day), b.of.Region)}
	copy(s.day[:], day)
	b.key.Store(s)
	return s.key
}

// backends keeps a transport for each backend. A backend whose row changed is
// another *tenancy.Backend and gets a new transport; the old one is closed
// when its requests are over.
type backends struct {
	srv  *Server
	byID sync.Map // tenancy.ID → *backend
	mu   sync.Mutex
}

func (bs *backends) get(ctx context.Context, id tenancy.ID) (*backend, error) {
	of, err := bs.srv.cfg.Directory.Backend(ctx, id)
	if err != nil {
		return nil, err
	}
	if v, ok := bs.byID.Load(id); ok {
		if b := v.(*backend); b.of == of || sameBackend(b.of, of) {
			return b, nil
		}
	}
	return bs.open(of)
}

func (bs *backends) open(of *tenancy.Backend) (*backend, error) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	old, loaded := bs.byID.Load(of.ID)
	if loaded && sameBackend(old.(*backend).of, of) {
		return old.(*backend), nil
	}
	pool, err := upstream.New(upstream.Config{
		Name:          of.Name,
		Endpoints:     of.Endpoints,
		CA:            of.CA,
		HeaderTimeout: bs.srv.cfg.Limits.AnswerWait,
		Registerer:    bs.srv.cfg.Metrics,
		Logger:        bs.srv.log,
	})
	if err != nil {
		return nil, err
	}
	b := &backend{of: of, pool: pool, tls: true}
	for _, e := range of.Endpoints {
		b.tls = b.tls && strings.HasPrefix(e, "https:")
	}
	bs.byID.Store(of.ID, b)
	if loaded {
		time.AfterFunc(bs.srv.cfg.Limits.AnswerWait, old.(*backend).pool.Close)
	}
	return b, nil
}

func (bs *backends) abort() { bs.each(func(b *backend) { b.pool.Abort() }) }

func (bs *backends) each(do func(*backend)) {
	bs.byID.Range(func(_, v any) bool {
		do(v.(*backend))
		return true
	})
}

// forget ends the transport of a backend that is gone, when its requests are over.
func (bs *backends) forget(b *backend) {
	if bs.byID.CompareAndDelete(b.of.ID, b) {
		time.AfterFunc(bs.srv.cfg.Limits.AnswerWait, b.pool.Close)
	}
}

func sameBackend(a, b *tenancy.Backend) bool {
	if a.ID != b.ID || a.Region != b.Region || a.AccessKeyID != b.AccessKeyID || a.SecretKey != b.SecretKey ||
		a.CA != b.CA || a.Kind != b.Kind || len(a.Endpoints) != len(b.Endpoints) {
		return false
	}
	for i := range a.Endpoints {
		if a.Endpoints[i] != b.Endpoints[i] {
			return false
		}
	}
	return true
}
