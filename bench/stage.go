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

// peers are what can stand in front of a backend, in the order of the tables.
var peers = []string{"nginx unbuffered", "nginx buffered", "HAProxy", "versitygw", versityTLS, gateway}

// versityTLS is versitygw's process for TLS; its rows say versitygw.
const versityTLS = "versitygw TLS"

// open starts a backend and some of the peers in front of it; sizes are of the
// objects that a real backend is filled with.
func (s *settings) open(ctx context.Context, backend string, sizes []int64, front []string) (st *stage, err error) {
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
	for _, name := range front {
		one, serr := st.start(ctx, name)
		switch {
		case serr == nil:
			st.servers = append(st.servers, one)
		case name == gateway || ctx.Err() != nil:
			err = serr
			return nil, err
		default:
			fmt.Fprintln(st.out, "bench:", serr)
			st.missing[name] = fmt.Sprintf("did not start: %.100v", serr)
		}
	}
	return st, nil
}

func (st *stage) start(ctx context.Context, name string) (*peer.Server, error) {
	switch name {
	case "nginx unbuffered":
		return st.lab.Nginx(ctx, st.backend, false)
	case "nginx buffered":
		return st.lab.Nginx(ctx, st.backend, true)
	case "HAProxy":
		return st.lab.HAProxy(ctx, st.backend)
	case "versitygw":
		return st.lab.Versity(ctx, st.backend, false)
	case versityTLS:
		return st.lab.Versity(ctx, st.backend, true)
	}
	return st.inst.Node(ctx)
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
