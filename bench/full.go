package main

import (
	"context"
	"slices"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
)

var payloads = []load.Payload{load.Unsigned, load.SignedHash, load.SignedChunks, load.UnsignedTrailer}

// fullNull is every load on the backend that does nothing.
func fullNull() []contest {
	list := slices.Clone(quickNull)
	list = append(list, contest{work: get(64 * kib), connections: 16}, contest{work: get(gib), connections: 2, duration: 2 * time.Second},
		contest{work: list1000(), connections: 16}, contest{work: head(), connections: 16}, contest{work: mixed(), connections: 16})
	for _, n := range []int{1, 128, 1000} {
		list = append(list, contest{work: get(kib), connections: n})
	}
	for _, n := range []int{1, 128} {
		list = append(list, contest{work: get(10 * mib), connections: n})
	}
	for _, p := range payloads {
		list = append(list, contest{work: put(kib, p), connections: 16})
	}
	list = append(list, contest{work: put(10*mib, load.UnsignedTrailer), connections: 4})
	for _, w := range []work{get(kib), get(64 * kib), put(kib, load.SignedHash), put(10*mib, load.Unsigned), put(10*mib, load.UnsignedTrailer), list1000()} {
		list = append(list, contest{work: w, connections: 16, tls: true})
	}
	return list
}

// allSizes are of the objects that fullMinIO reads.
var allSizes = []int64{kib, 64 * kib, mib, 10 * mib, gib}

// fullMinIO is every load on the real thing.
func fullMinIO() []contest {
	list := slices.Clone(quickMinIO)
	for i := range list {
		list[i].peers = nil
	}
	list = append(list, contest{work: get(64 * kib), connections: 16}, contest{work: get(10 * mib), connections: 4},
		contest{work: get(gib), connections: 2, duration: 2 * time.Second}, contest{work: list1000(), connections: 4}, contest{work: head(), connections: 16},
		contest{work: mixed(), connections: 16}, contest{work: multipart(), connections: 2, duration: 2 * time.Second})
	for _, n := range []int{1, 128, 1000} {
		list = append(list, contest{work: get(kib), connections: n})
	}
	for _, p := range payloads {
		list = append(list, contest{work: put(kib, p), connections: 16}, contest{work: put(10*mib, p), connections: 4})
	}
	for _, w := range []work{get(kib), get(10 * mib), put(10*mib, load.Unsigned)} {
		list = append(list, contest{work: w, connections: 16, tls: true})
	}
	// The curve of latency: rates up to what MinIO alone can do on two processors.
	for _, rate := range []float64{100, 200, 400, 800, 1200, 1600} {
		list = append(list, contest{work: get(kib), connections: 64, rate: rate, duration: 1500 * time.Millisecond})
	}
	return list
}

func full(ctx context.Context, s *settings) error {
	r, p := newReport("make bench"), &probes{idleCount: 10_000, revocations: 100}
	set := func(st *stage) {
		st.repeats, st.warmup, st.duration = 3, 200*time.Millisecond, time.Second
	}
	if err := s.half(ctx, r, set, nullName, fullNull(), nil, p.measureAll); err != nil {
		return err
	}
	if err := s.half(ctx, r, set, minioName, fullMinIO(), allSizes, nil); err != nil {
		return err
	}
	if err := s.finish(ctx, r, p); err != nil || s.only != nil {
		return err
	}
	return s.capacity()
}
