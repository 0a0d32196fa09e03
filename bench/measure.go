package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/peer"
	"github.com/primecloudpro/primecloud/bench/procstat"
	"github.com/primecloudpro/primecloud/bench/report"
)

// contest is one load that peers take turns at.
type contest struct {
	work        work
	connections int
	tls         bool
	rate        float64
	peers       []string      // by name; empty: all that there are
	duration    time.Duration // of one repetition; 0: the stage's
	repeats     int           // 0: the stage's
}

func (c *contest) row(backend, peer string) report.Row {
	return report.Row{Backend: backend, Load: c.work.name, Connections: c.connections, TLS: c.tls, Rate: c.rate, Peer: peer}
}

// wants reports whether a contest was asked for.
func (s *settings) wants(backend string, c *contest) bool {
	row := c.row(backend, "")
	return s.only == nil || s.only.MatchString(row.Title())
}

// stage is a backend with everything in front of it.
type stage struct {
	lab     *peer.Lab
	name    string // of the backend
	backend *peer.Server
	servers []*peer.Server // the backend itself is the first
	missing map[string]string
	inst    *peer.Installation

	repeats  int
	warmup   time.Duration
	duration time.Duration
	out      io.Writer // progress
}

func (st *stage) server(name string) *peer.Server {
	for _, s := range st.servers {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// direct is what a row of the backend itself is called.
const direct = "direct"

const gateway = "PrimeCloud"

func (st *stage) label(s *peer.Server) string {
	if s == st.backend {
		return direct
	}
	return s.Name
}

// run measures a contest: every peer once, then again.
func (st *stage) run(ctx context.Context, c contest) ([]report.Row, error) {
	repeats, duration := c.repeats, c.duration
	if repeats == 0 {
		repeats = st.repeats
	}
	if duration == 0 {
		duration = st.duration
	}
	var rows []*collected
	for _, s := range st.servers {
		name := st.label(s)
		if len(c.peers) > 0 && !slices.Contains(c.peers, name) || c.tls && s.TLSAddr == "" || !c.tls && s.Addr == "" {
			continue
		}
		rows = append(rows, &collected{server: s, row: c.row(st.name, name)})
	}
	for range repeats {
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if r.row.Note != "" {
				continue
			}
			if err := st.measure(r, &c, duration); err != nil {
				r.row.Note = strings.Join(strings.Fields(fmt.Sprintf("failed: %.200v", err)), " ") // one cell of a table
				fmt.Fprintf(st.out, "%s: %s failed: %v\n%s\n", r.row.Peer, c.work.name, err, st.lab.Tail(r.server))
			}
		}
	}
	st.lab.TrimLogs()
	var out []report.Row
	for _, r := range rows {
		out = append(out, r.sum())
		fmt.Fprintf(st.out, "%-9s %-28s %4d%s %-17s %s\n", st.name, c.work.name, c.connections, map[bool]string{true: " TLS", false: ""}[c.tls], r.row.Peer, out[len(out)-1].Brief())
	}
	for _, name := range slices.Sorted(maps.Keys(st.missing)) {
		if len(c.peers) == 0 || slices.Contains(c.peers, name) {
			row := c.row(st.name, name)
			row.Note = st.missing[name]
			out = append(out, row)
		}
	}
	return out, nil
}

// collected gathers the repetitions of a row.
type collected struct {
	server *peer.Server
	row    report.Row

	requests, bytes, p50, p99, p999, cpu, cpuGB, backend, backendGB []float64
}

func (c *collected) sum() report.Row {
	r := c.row
	r.Repeats = len(c.requests)
	for _, f := range []struct {
		to   *report.Stat
		from []float64
	}{{&r.Requests, c.requests}, {&r.Bytes, c.bytes}, {&r.P50, c.p50}, {&r.P99, c.p99}, {&r.P999, c.p999},
		{&r.CPU, c.cpu}, {&r.CPUPerGB, c.cpuGB}, {&r.Backends, c.backend}, {&r.BackendsPerGB, c.backendGB}} {
		*f.to = report.NewStat(f.from)
	}
	return r
}

// meter reads the CPU clocks of the server in front and of the backend.
type meter struct{ front, back procstat.Group }

func (m *meter) read() (front, back time.Duration, err error) {
	front, ferr := m.front.CPU()
	back, berr := m.back.CPU()
	return front, back, errors.Join(ferr, berr)
}

// measure is one repetition.
func (st *stage) measure(c *collected, k *contest, duration time.Duration) error {
	s := c.server
	op, err := k.work.op(s.Signer())
	if err != nil {
		return err
	}
	m := meter{back: st.backend.Group()}
	if s != st.backend {
		m.front = s.Group()
	}
	resident := m.front
	if s == st.backend {
		resident = m.back
	}
	var frontBefore, backBefore, front, back time.Duration
	p := load.Plan{Targets: []load.Target{st.lab.Target(s, k.tls)}, Op: op, Connections: k.connections, Rate: k.rate, Warmup: st.warmup, Duration: duration}
	o, err := p.Run(func() (err error) {
		if err := resident.ResetPeak(); err != nil {
			return err
		}
		frontBefore, backBefore, err = m.read()
		return err
	}, func() (err error) {
		front, back, err = m.read()
		return err
	})
	if err != nil {
		return err
	}
	c.row.Errors += o.Errors
	if o.Errors > 0 {
		return fmt.Errorf("%d errors: %s", o.Errors, o.FirstError)
	}
	if o.Requests == 0 {
		return errors.New("no request was answered in time")
	}
	peak, err := resident.Peak()
	if err != nil {
		return err
	}
	c.row.PeakRSS = max(c.row.PeakRSS, float64(peak))
	add := func(to *[]float64, v float64) { *to = append(*to, v) }
	add(&c.requests, float64(o.Requests)/o.Elapsed.Seconds())
	add(&c.bytes, float64(o.Bytes)/o.Elapsed.Seconds())
	add(&c.p50, float64(o.Latency.Quantile(0.5))/1e3)
	add(&c.p99, float64(o.Latency.Quantile(0.99))/1e3)
	add(&c.p999, float64(o.Latency.Quantile(0.999))/1e3)
	perRequest, perGB := 1e-3/float64(o.Requests), 1/float64(o.Bytes)
	if s != st.backend {
		add(&c.cpu, float64(front-frontBefore)*perRequest)
		if o.Bytes > 0 {
			add(&c.cpuGB, float64(front-frontBefore)*perGB)
		}
	}
	add(&c.backend, float64(back-backBefore)*perRequest)
	if o.Bytes > 0 {
		add(&c.backendGB, float64(back-backBefore)*perGB)
	}
	return nil
}
