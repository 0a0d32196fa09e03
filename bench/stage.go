package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/primecloudpro/primecloud/bench/peer"
)

func (s *settings) absolute() (err error) {
	if s.binary, err = filepath.Abs(s.binary); err != nil {
		return err
	}
	if _, err = os.Stat(s.binary); err != nil {
		return fmt.Errorf("%w: make build", err)
	}
	s.results, err = filepath.Abs(s.results)
	return err
}

const (
	nullName  = "null backend"
	minioName = "MinIO"
)

// open starts a backend and everything in front of it; sizes are of the
// objects that a real backend is filled with.
func (s *settings) open(ctx context.Context, backend string, sizes []int64) (st *stage, err error) {
	lab, err := peer.NewLab(s.binary)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lab.Close())
		}
	}()
	st = &stage{lab: lab, name: backend, missing: map[string]string{}, out: os.Stderr}
	if backend == nullName {
		st.backend, err = lab.Null(ctx)
	} else if st.backend, err = lab.MinIO(ctx); err == nil {
		err = fill(st.backend, sizes)
	}
	if err != nil {
		return nil, err
	}
	if st.inst, err = lab.Install(ctx); err != nil {
		return nil, err
	}
	if err = st.inst.Attach(ctx, st.backend); err != nil {
		return nil, err
	}
	st.servers = []*peer.Server{st.backend}
	for _, p := range []struct {
		name  string
		start func() (*peer.Server, error)
	}{
		{"nginx unbuffered", func() (*peer.Server, error) { return lab.Nginx(ctx, st.backend, false) }},
		{"nginx buffered", func() (*peer.Server, error) { return lab.Nginx(ctx, st.backend, true) }},
		{"HAProxy", func() (*peer.Server, error) { return lab.HAProxy(ctx, st.backend) }},
		{"versitygw", func() (*peer.Server, error) { return lab.Versity(ctx, st.backend) }},
		{gateway, func() (*peer.Server, error) { return st.inst.Node(ctx) }},
	} {
		one, serr := p.start()
		switch {
		case serr == nil:
			st.servers = append(st.servers, one)
		case p.name == gateway || ctx.Err() != nil:
			err = serr
			return nil, err
		default:
			fmt.Fprintln(st.out, "bench:", serr)
			st.missing[p.name] = fmt.Sprintf("did not start: %.100v", serr)
		}
	}
	return st, nil
}

func fill(s *peer.Server, sizes []int64) error {
	for _, n := range sizes {
		count := objects(n)
		if n == kib {
			count = listKeys // what a list lists
		}
		if err := peer.Fill(s, n, count); err != nil {
			return err
		}
	}
	return nil
}
