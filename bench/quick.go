package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/report"
)

// The contests that the goals are read from.
var (
	quickNull = []contest{
		{work: get(kib), connections: 16},
		{work: get(10 * mib), connections: 4, peers: []string{direct, "nginx unbuffered", "HAProxy", gateway}},
		{work: get(10 * mib), connections: 4, tls: true, peers: []string{"nginx unbuffered", "HAProxy", gateway}},
		{work: put(10*mib, load.Unsigned), connections: 4, peers: []string{direct, "nginx unbuffered", "HAProxy", gateway}},
		{work: put(10*mib, load.SignedHash), connections: 4, peers: []string{"nginx unbuffered", gateway}},
		{work: put(10*mib, load.SignedChunks), connections: 4, peers: []string{"nginx unbuffered", gateway}},
	}
	quickMinIO = []contest{
		{work: get(kib), connections: 16, peers: []string{direct, "HAProxy", "versitygw", gateway}},
		{work: get(mib), connections: 16, peers: []string{direct, "HAProxy", gateway}},
		{work: get(kib), connections: 1, rate: latencyRate, peers: []string{direct, "HAProxy", gateway}, duration: 1500 * time.Millisecond},
	}
)

func quick(ctx context.Context, s *settings) error {
	r, p := newReport("make bench-quick"), &probes{idleCount: 8000, revocations: 50}
	set := func(st *stage) {
		st.repeats, st.warmup, st.duration = 3, 200*time.Millisecond, 600*time.Millisecond
	}
	if err := s.half(ctx, r, set, nullName, quickNull, nil, p.measure); err != nil {
		return err
	}
	if err := s.half(ctx, r, set, minioName, quickMinIO, []int64{kib, mib}, nil); err != nil {
		return err
	}
	return s.finish(ctx, r, p)
}

// measure fills in what needs servers, in front of the null backend. What
// fails is told in its goal.
func (p *probes) measure(ctx context.Context, st *stage) error {
	s := st.server(gateway)
	p.try("streamed", func() (err error) {
		p.streamed, err = st.streamed(s, 5*gib, false)
		return err
	})
	p.try("idle", func() (err error) {
		if p.idle, err = st.idle(ctx, s, p.idleCount, false); err == nil {
			p.idleTLS, err = st.idle(ctx, s, p.idleCount, true)
		}
		return err
	})
	p.try("revocation", func() (err error) {
		p.revoked50, p.revoked99, err = st.revocation(ctx, p.revocations)
		return err
	})
	return ctx.Err()
}

// measureAll adds what takes a million keys.
func (p *probes) measureAll(ctx context.Context, st *stage) error {
	if err := p.measure(ctx, st); err != nil {
		return err
	}
	p.try("keys", func() error { return p.measureKeys(ctx, st) })
	return ctx.Err()
}

func (p *probes) try(name string, f func() error) {
	if p.why == nil {
		p.why = map[string]string{"streamed": "not tried", "idle": "not tried", "revocation": "not tried", "micro": "not tried", "keys": "`make bench` does"}
	}
	delete(p.why, name)
	if err := f(); err != nil {
		p.why[name] = fmt.Sprintf("%.200v", err)
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
	}
}

// half runs the contests of one backend, and then what more there is to do there.
func (s *settings) half(ctx context.Context, r *report.Report, set func(*stage), backend string, contests []contest, sizes []int64, then func(context.Context, *stage) error) (err error) {
	st, err := s.open(ctx, backend, sizes, peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.lab.Close()) }()
	set(st)
	for _, c := range contests {
		if !s.wants(backend, &c) {
			continue
		}
		rows, err := st.run(ctx, c)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, rows...)
	}
	if then == nil || s.only != nil {
		return nil
	}
	return then(ctx, st)
}
