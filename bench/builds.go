package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// compareBuilds lets builds of the gateway take turns at the loads that -only
// selects, to tell what a change is worth: many short repetitions, and HAProxy
// for scale.
func compareBuilds(ctx context.Context, s *settings) error {
	for _, half := range []struct {
		backend  string
		contests []contest
		sizes    []int64
	}{{nullName, fullNull(), nil}, {minioName, fullMinIO(), allSizes}} {
		var wanted []contest
		for _, c := range half.contests {
			if s.wants(half.backend, &c) {
				c.peers = nil
				wanted = append(wanted, c)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		if err := s.buildsOn(ctx, half.backend, half.sizes, wanted); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) buildsOn(ctx context.Context, backend string, sizes []int64, contests []contest) (err error) {
	st, err := s.open(ctx, backend, sizes, []string{"HAProxy"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.lab.Close()) }()
	st.repeats, st.warmup, st.duration = 9, 200*time.Millisecond, 500*time.Millisecond
	for _, build := range s.builds {
		if build, err = filepath.Abs(build); err != nil {
			return err
		}
		node, err := st.inst.NodeOf(ctx, build)
		if err != nil {
			return fmt.Errorf("%s: %w", build, err)
		}
		node.Name = filepath.Base(build)
		st.servers = append(st.servers, node)
	}
	for _, c := range contests {
		if _, err := st.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
