package tenancy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// provenHosts are all hosts that accounts have proven, for whoever must tell an
// invented name from one of them without asking anybody: a TLS handshake. They are
// read whole by each connection that hears changes, and one by one as they change.
type provenHosts struct {
	mu      sync.RWMutex
	hosts   map[string]struct{}
	reads   uint64              // of all of them
	changed map[string]struct{} // heard of, and not looked at yet
	news    chan struct{}
}

func newProvenHosts() *provenHosts {
	return &provenHosts{hosts: map[string]struct{}{}, changed: map[string]struct{}{}, news: make(chan struct{}, 1)}
}

// Proven reports whether an account has proven the host, which is in lower case, as
// far as this node has heard: while PostgreSQL is away, as of before.
func (d *Directory) Proven(host string) bool {
	d.proven.mu.RLock()
	defer d.proven.mu.RUnlock()
	_, ok := d.proven.hosts[host]
	return ok
}

// AllProven returns the hosts for which Proven is true, in their order.
func (d *Directory) AllProven() []string {
	d.proven.mu.RLock()
	defer d.proven.mu.RUnlock()
	list := make([]string, 0, len(d.proven.hosts))
	for host := range d.proven.hosts {
		list = append(list, host)
	}
	slices.Sort(list)
	return list
}

// readAll replaces what is known.
func (p *provenHosts) readAll(ctx context.Context, q pg.Querier) error {
	found, err := readProven(ctx, q, `SELECT host FROM domains WHERE verified`)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts = found
	p.reads++
	return nil
}

// heard asks for a look at a host soon.
func (p *provenHosts) heard(host string) {
	p.mu.Lock()
	p.changed[host] = struct{}{}
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// look reads the hosts that were heard of. What it could not read it reads the next time.
func (p *provenHosts) look(ctx context.Context, q pg.Querier) error {
	p.mu.Lock()
	changed, reads := p.changed, p.reads
	p.changed = map[string]struct{}{}
	p.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	names := make([]string, 0, len(changed))
	for host := range changed {
		names = append(names, host)
	}
	found, err := readProven(ctx, q, `SELECT host FROM domains WHERE verified AND host = ANY($1)`, names)
	p.mu.Lock()
	defer p.mu.Unlock()
	for host := range changed {
		_, is := found[host]
		switch {
		case err != nil || p.reads != reads: // a read of all may be the newer one
			p.changed[host] = struct{}{}
		case is:
			p.hosts[host] = struct{}{}
		default:
			delete(p.hosts, host)
		}
	}
	return err
}

func readProven(ctx context.Context, q pg.Querier, sql string, args ...any) (map[string]struct{}, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	found := map[string]struct{}{}
	var host string
	_, err = pgx.ForEachRow(rows, []any{&host}, func() error { found[host] = struct{}{}; return nil })
	return found, err
}

// followProven looks at hosts that have changed, again a second later what it could not read.
func (d *Directory) followProven(ctx context.Context) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-d.proven.news:
		}
		trying, cancel := context.WithTimeout(ctx, d.cfg.LoadTimeout)
		err := d.proven.look(trying, d.cfg.Pool)
		cancel()
		if err != nil && d.Connected() && ctx.Err() == nil {
			d.cfg.Logger.Warn("changed domains not read", "error", err)
		}
	}
}
