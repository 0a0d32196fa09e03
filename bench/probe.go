package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/peer"
	"github.com/primecloudpro/primecloud/tenancy"
)

// settledMemory is what a node keeps resident after a collection.
func settledMemory(ctx context.Context, s *peer.Server) (int64, error) {
	for range 2 { // the second frees what the first found in pools
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.AdminAddr+"/debug/pprof/heap?gc=1", nil)
		if err != nil {
			return 0, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return 0, err
		}
	}
	return s.Group().Resident()
}

// idle opens n connections, makes a request on each, and tells what each costs
// while it waits.
func (st *stage) idle(ctx context.Context, s *peer.Server, n int, secure bool) (bytesEach float64, err error) {
	r, err := s.Signer().Read("GET", peer.ObjectPath(kib, 0), 200, kib)
	if err != nil {
		return 0, err
	}
	target := st.lab.Target(s, secure)
	one, err := load.Dial(target)
	if err != nil {
		return 0, err
	}
	defer one.Close()
	if _, err := one.Do(r); err != nil {
		return 0, err
	}
	before, err := settledMemory(ctx, s)
	if err != nil {
		return 0, err
	}
	conns := make([]*load.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range conns {
		g.Go(func() (err error) {
			if conns[i], err = load.Dial(target); err == nil {
				_, err = conns[i].Do(r)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	after, err := settledMemory(ctx, s)
	return float64(after-before) / float64(n), err
}

// streamed reads one object of n bytes and tells how much more than before was
// resident at the worst moment.
func (st *stage) streamed(s *peer.Server, n int64, secure bool) (extra int64, err error) {
	one := func(size int64) error {
		c, err := load.Dial(st.lab.Target(s, secure))
		if err != nil {
			return err
		}
		defer c.Close()
		r, err := s.Signer().Read("GET", peer.ObjectPath(size, 0), 200, size)
		if err != nil {
			return err
		}
		_, err = c.Do(r)
		return err
	}
	for range 4 { // the buffers that any body needs are there
		if err := one(10 * mib); err != nil {
			return 0, err
		}
	}
	g := s.Group()
	if err := g.ResetPeak(); err != nil {
		return 0, err
	}
	before, err := g.Peak()
	if err != nil {
		return 0, err
	}
	if err := one(n); err != nil {
		return 0, err
	}
	after, err := g.Peak()
	return after - before, err
}

// revocation revokes as many keys, one after the other, and tells when each node refused it
// for the first time, counted from before the statement was sent.
func (st *stage) revocation(ctx context.Context, rounds int) (p50, p99 time.Duration, err error) {
	second, err := st.inst.Node(ctx)
	if err != nil {
		return 0, 0, err
	}
	keys, err := st.inst.CreateKeys(ctx, rounds)
	if err != nil {
		return 0, 0, err
	}
	db, err := pgx.Connect(ctx, st.inst.URL())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close(ctx)) }()
	var took []time.Duration
	for _, key := range keys {
		one, err := revokeOnce(ctx, db, key, []*peer.Server{st.server(gateway), second})
		if err != nil {
			return 0, 0, err
		}
		took = append(took, one...)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}

func revokeOnce(ctx context.Context, db *pgx.Conn, key *tenancy.Key, nodes []*peer.Server) ([]time.Duration, error) {
	for _, s := range nodes {
		if _, err := until(ctx, s, key, 200); err != nil {
			return nil, err
		}
	}
	took := make([]time.Duration, len(nodes))
	var g errgroup.Group
	start := time.Now()
	for i, s := range nodes {
		g.Go(func() error {
			at, err := until(ctx, s, key, 403)
			took[i] = at.Sub(start)
			return err
		})
	}
	_, err := db.Exec(ctx, `UPDATE access_keys SET revoked_at = now() WHERE key_id = $1`, key.KeyID)
	if err = errors.Join(err, g.Wait()); err != nil {
		return nil, err
	}
	return took, nil
}

// until sends requests of a key until the answer has that status.
func until(ctx context.Context, s *peer.Server, key *tenancy.Key, status int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := load.NewSigner(s.Host, key.KeyID, key.Secret, peer.Region).Read("HEAD", peer.ObjectPath(kib, 0), status, -1)
	if err != nil {
		return time.Time{}, err
	}
	var c *load.Conn
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for ctx.Err() == nil {
		if c == nil {
			if c, err = load.Dial(load.Target{Addr: s.Addr}); err != nil {
				return time.Time{}, err
			}
		}
		a, err := c.Do(r)
		if err == nil {
			return time.Now(), nil
		}
		if a.Status == 0 || c.Ending() {
			_, c = c.Close(), nil
		}
		// A tight loop would measure how it starves the node.
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	return time.Time{}, fmt.Errorf("%s: no answer of status %d: %w", s.Name, status, ctx.Err())
}

// sha256PerGB is what one pass of SHA-256 over a gigabyte costs here, in seconds.
func sha256PerGB() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b := noise(mib)
	const passes = 64
	before := threadCPU()
	for range passes {
		sum := sha256.Sum256(b)
		b[0] = sum[0]
	}
	return (threadCPU() - before).Seconds() / (passes * mib) * 1e9
}

func threadCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // it exists since Linux 2.6.12
	return time.Duration(ts.Nano())
}
