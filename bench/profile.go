package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/primecloudpro/primecloud/bench/load"
)

// profile takes a CPU profile of a node under each of some loads.
func profile(ctx context.Context, s *settings) (err error) {
	st, err := s.open(ctx, nullName, nil, []string{gateway})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.lab.Close()) }()
	st.warmup = 300 * time.Millisecond
	dir := filepath.Join(s.results, "tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range []contest{
		{work: get(kib), connections: 16}, {work: get(10 * mib), connections: 4}, {work: put(10*mib, load.Unsigned), connections: 4}, {work: put(10*mib, load.SignedChunks), connections: 4},
		{work: put(kib, load.SignedHash), connections: 16}, {work: get(10 * mib), connections: 4, tls: true}, {work: list1000(), connections: 16},
	} {
		if !s.wants(nullName, &c) {
			continue
		}
		name := strings.NewReplacer(" ", "-", ",", "").Replace(c.work.name)
		if c.tls {
			name += "-TLS"
		}
		file := filepath.Join(dir, name+".pprof")
		node := st.server(gateway)
		var g errgroup.Group
		g.Go(func() error { return fetch(ctx, "http://"+node.AdminAddr+"/debug/pprof/profile?seconds=5", file) })
		rows, err := st.run(ctx, contest{work: c.work, connections: c.connections, tls: c.tls, peers: []string{gateway}, duration: 5 * time.Second, repeats: 1})
		if err = errors.Join(err, g.Wait()); err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=20", s.binary, file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go tool pprof: %w: %s", err, out)
		}
		fmt.Printf("== %s: %s\n%s\n", name, rows[0].Brief(), out)
	}
	return nil
}

func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
