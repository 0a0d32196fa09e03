package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/peer"
	"github.com/primecloudpro/primecloud/bench/procstat"
	"github.com/primecloudpro/primecloud/bench/report"
)

// grown is what one step of a curve came to.
type grown struct {
	*load.Outcome
	cpu  time.Duration
	peak int64 // resident at most, of all nodes
}

func (g *grown) perRequest() float64 { return float64(g.cpu) / 1e3 / float64(g.Requests) }

// grow loads nodes and measures them together.
func (st *stage) grow(nodes []*peer.Server, op load.Op, connections int, d time.Duration) (*grown, error) {
	var group procstat.Group
	p := load.Plan{Op: op, Connections: connections, Warmup: st.warmup, Duration: d}
	for _, n := range nodes {
		group = append(group, n.Group()...)
		p.Targets = append(p.Targets, st.lab.Target(n, false))
	}
	g := &grown{}
	var before time.Duration
	o, err := p.Run(func() (err error) {
		if err = group.ResetPeak(); err == nil {
			before, err = group.CPU()
		}
		return err
	}, func() error {
		after, err := group.CPU()
		g.cpu = after - before
		return err
	})
	st.lab.TrimLogs()
	if err != nil {
		return nil, err
	}
	if o.Errors > 0 {
		return nil, fmt.Errorf("%d errors: %s", o.Errors, o.FirstError)
	}
	g.Outcome = o
	g.peak, err = group.Peak()
	return g, err
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// growth draws what happens when one thing grows and the rest stays.
func growth(ctx context.Context, s *settings) (err error) {
	r := newReport("make bench-growth")
	st, err := s.open(ctx, nullName, nil, []string{gateway})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.lab.Close()) }()
	st.warmup = 300 * time.Millisecond
	for _, step := range []func(context.Context, *stage) (*report.Curve, error){growSizes, growNodes, growConnections, growBuckets, growKeys} {
		c, err := step(ctx, st)
		if err != nil {
			return err
		}
		fmt.Fprintf(st.out, "%s: %v\n", c.Name, c.Points)
		r.Curves = append(r.Curves, *c)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	r.Took = time.Since(r.Started).Round(time.Second).String()
	dir := filepath.Join(s.results, "growth")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	sub := *s
	sub.results = dir
	charts, err := sub.charts(r)
	if err != nil {
		return err
	}
	return errors.Join(r.Write(filepath.Join(dir, "growth.json")), os.WriteFile(filepath.Join(dir, "README.md"), r.Markdown(charts), 0o644), s.capacity())
}

// growConnections: all of them busy.
func growConnections(_ context.Context, st *stage) (*report.Curve, error) {
	c := &report.Curve{Name: "Connections, all busy with 1 KiB GETs", File: "connections", X: "connections", Series: []string{"requests/s", "CPU µs/request", "p99 µs", "resident MiB", "KiB per connection"},
		Note: "Each busy connection also holds one to the backend. A request waits for its turn: p99 grows with the queue, the cost of a request does not."}
	s := st.server(gateway)
	op, err := get(kib).op(s.Signer())
	if err != nil {
		return nil, err
	}
	base, err := s.Group().Resident()
	if err != nil {
		return nil, err
	}
	for _, n := range []int{10, 100, 1000, 10_000} {
		g, err := st.grow([]*peer.Server{s}, op, n, 2*time.Second)
		if err != nil {
			return nil, fmt.Errorf("%d connections: %w", n, err)
		}
		c.Points = append(c.Points, report.Point{X: float64(n), Y: []float64{float64(g.Requests) / g.Elapsed.Seconds(), g.perRequest(), us(g.Latency.Quantile(0.99)),
			float64(g.peak) / mib, max(0, float64(g.peak-base)) / kib / float64(n)}})
	}
	return c, nil
}

// growSizes: what a byte costs, and that no size is kept in memory.
func growSizes(_ context.Context, st *stage) (*report.Curve, error) {
	c := &report.Curve{Name: "Objects, read on 4 connections", File: "sizes", X: "bytes", Series: []string{"MB/s", "CPU s/GB", "CPU µs/request", "resident MiB"}}
	s := st.server(gateway)
	for _, n := range []int64{kib, 16 * kib, 256 * kib, 4 * mib, 64 * mib, gib, 5 * gib} {
		op, err := get(n).op(s.Signer())
		if err != nil {
			return nil, err
		}
		connections := 4
		if n >= gib {
			connections = 2
		}
		g, err := st.grow([]*peer.Server{s}, op, connections, time.Second)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", size(n), err)
		}
		c.Points = append(c.Points, report.Point{X: float64(n), Y: []float64{float64(g.Bytes) / 1e6 / g.Elapsed.Seconds(), g.cpu.Seconds() / float64(g.Bytes) * 1e9, g.perRequest(), float64(g.peak) / mib}})
	}
	return c, nil
}

// growNodes: gateways share a database and nothing else.
func growNodes(ctx context.Context, st *stage) (*report.Curve, error) {
	c := &report.Curve{Name: "Gateway processes", File: "nodes", X: "processes", Series: []string{"requests/s", "CPU µs/request", "p99 µs", "resident MiB"},
		Note: fmt.Sprintf("All on this machine, whose %d processors the client and the backend use too: what is to be seen is that a request costs the same.", newReport("").Machine.Cores)}
	nodes := []*peer.Server{st.server(gateway)}
	op, err := get(kib).op(nodes[0].Signer())
	if err != nil {
		return nil, err
	}
	for n := 1; n <= 4; n++ {
		if n > 1 {
			one, err := st.inst.Node(ctx)
			if err != nil {
				return nil, err
			}
			defer func() { _ = one.Stop() }()
			nodes = append(nodes, one)
		}
		g, err := st.grow(nodes, op, 64, 2*time.Second)
		if err != nil {
			return nil, fmt.Errorf("%d processes: %w", n, err)
		}
		c.Points = append(c.Points, report.Point{X: float64(n), Y: []float64{float64(g.Requests) / g.Elapsed.Seconds(), g.perRequest(), us(g.Latency.Quantile(0.99)), float64(g.peak) / mib}})
	}
	return c, nil
}

// distinct makes requests that each use the next of n keys or buckets.
func distinct(s *peer.Server, n int, key, path func(int) string) load.Op {
	return func(c *load.Conn, i int64) (load.Moved, error) {
		k := int(i % int64(n))
		sign := load.NewSigner(s.Host, s.AccessKey, s.SecretKey, peer.Region)
		if key != nil {
			sign = load.NewSigner(s.Host, key(k), peer.ImportedSecret, peer.Region)
		}
		r, err := sign.Read("GET", path(k), 200, kib)
		if err != nil {
			return load.Moved{}, err
		}
		a, err := c.Do(r)
		return load.Moved{Requests: 1, Bytes: a.Bytes}, err
	}
}

// growBuckets: an account's buckets, each asked for in turn.
func growBuckets(ctx context.Context, st *stage) (*report.Curve, error) {
	const most = 100_000
	if err := st.inst.ImportBuckets(ctx, most); err != nil {
		return nil, err
	}
	c := &report.Curve{Name: "Buckets in use, of 100,000 in the database", File: "buckets", X: "buckets", Series: seriesOfUse}
	return st.growUse(ctx, c, []int{1, 1000, 10_000, most}, func(s *peer.Server, n int) load.Op {
		return distinct(s, n, nil, func(k int) string { return "/" + peer.ImportedBucket(k) + "/1024/0" })
	})
}

var seriesOfUse = []string{"CPU µs/request", "p50 µs", "p99 µs", "resident MiB"}

// growUse starts a node for each step, so that each shows what it needs itself.
func (st *stage) growUse(ctx context.Context, c *report.Curve, steps []int, op func(*peer.Server, int) load.Op) (*report.Curve, error) {
	for _, n := range steps {
		p, err := st.use(ctx, n, op)
		if err != nil {
			return nil, fmt.Errorf("%s: %d: %w", c.Name, n, err)
		}
		c.Points = append(c.Points, *p)
	}
	return c, nil
}

func (st *stage) use(ctx context.Context, n int, op func(*peer.Server, int) load.Op) (*report.Point, error) {
	s, err := st.inst.Node(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Stop() }()
	// Each once, so that what fits is in memory; then in turn again.
	once := load.Plan{Targets: []load.Target{st.lab.Target(s, false)}, Op: op(s, n), Connections: 16, Units: int64(n), Duration: 2 * time.Minute}
	o, err := once.Run(func() error { return nil }, func() error { return nil })
	if err != nil {
		return nil, err
	}
	if o.Errors > 0 {
		return nil, fmt.Errorf("%d errors: %s", o.Errors, o.FirstError)
	}
	g, err := st.grow([]*peer.Server{s}, op(s, n), 16, 2*time.Second)
	if err != nil {
		return nil, err
	}
	resident, err := settledMemory(ctx, s)
	return &report.Point{X: float64(n), Y: []float64{g.perRequest(), us(g.Latency.Quantile(0.5)), us(g.Latency.Quantile(0.99)), float64(resident) / mib}}, err
}

// The cache holds this many of a kind (tenancy.DirectoryConfig.Entries).
const cacheBound = 100_000

// keysUsed is more than the cache holds.
const keysUsed = 120_000

// growKeys: keys in the database, all of them in use as far as they go.
func growKeys(ctx context.Context, st *stage) (*report.Curve, error) {
	c := &report.Curve{Name: "Access keys in the database", File: "keys", X: "keys", Series: seriesOfUse,
		Note: fmt.Sprintf("All in use in turn, up to %s: the cache holds %s, and what it does not hold is asked of PostgreSQL, which shows in the cost of a request and not in memory.", report.Number(keysUsed), report.Number(cacheBound))}
	from := 0
	for _, n := range []int{1000, 10_000, cacheBound, 1_000_000} {
		if err := st.inst.ImportKeys(ctx, from, n, keysUsed); err != nil {
			return nil, err
		}
		from = n
		p, err := st.use(ctx, min(n, keysUsed), useKeys)
		if err != nil {
			return nil, fmt.Errorf("%d keys: %w", n, err)
		}
		p.X = float64(n)
		c.Points = append(c.Points, *p)
	}
	return c, nil
}

func useKeys(s *peer.Server, n int) load.Op {
	return distinct(s, n, peer.ImportedKey, func(int) string { return peer.ObjectPath(kib, 0) })
}

// measureKeys compares the memory of a node whose cache is just full with that
// of one that has used more keys, of a million.
func (p *probes) measureKeys(ctx context.Context, st *stage) error {
	if err := st.inst.ImportKeys(ctx, 0, 1_000_000, keysUsed); err != nil {
		return err
	}
	for _, one := range []struct {
		to *int64
		n  int
	}{{&p.keysBound, cacheBound}, {&p.keysAll, keysUsed}} {
		point, err := st.use(ctx, one.n, useKeys)
		if err != nil {
			return err
		}
		*one.to = int64(point.Y[3] * mib)
	}
	return nil
}
