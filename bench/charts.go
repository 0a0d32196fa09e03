package main

import (
	"os"
	"path/filepath"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/report"
)

// charts draws what the page shows and returns the names of the files.
func (s *settings) charts(r *report.Report) (names []string, err error) {
	write := func(name string, svg []byte) {
		if err == nil {
			err = os.WriteFile(filepath.Join(s.results, name), svg, 0o644)
			names = append(names, name)
		}
	}
	if groups := costs(r); len(groups) > 0 {
		write("cost.svg", report.Bars("CPU time of what stands in front of the storage (less is better)", gateway, groups))
	}
	if lines := latencies(r); len(lines) > 0 {
		write("latency.svg", report.Lines("p99 at a fixed rate of 1 KiB GETs, MinIO behind", "requests per second", "µs", lines))
	}
	for i := range r.Curves {
		c := &r.Curves[i]
		write(c.File+".svg", report.Lines(c.Name, c.X, "", c.Lines()))
	}
	return names, err
}

func costs(r *report.Report) []report.Group {
	var groups []report.Group
	for _, g := range []struct {
		name  string
		work  work
		conns int
		tls   bool
		perGB bool
	}{
		{"GET 1 KiB, µs per request", get(kib), 16, false, false},
		{"GET 10 MiB, seconds per GB", get(10 * mib), 4, false, true},
		{"GET 10 MiB over TLS, seconds per GB", get(10 * mib), 4, true, true},
		{"PUT 10 MiB, seconds per GB", put(10*mib, load.Unsigned), 4, false, true},
	} {
		out := report.Group{Name: g.name, Unit: "%.1f µs"}
		if g.perGB {
			out.Unit = "%.2f s"
		}
		for _, peer := range []string{gateway, "HAProxy", "nginx unbuffered", "nginx buffered", "versitygw"} {
			row := r.Find(nullName, g.work.name, g.conns, g.tls, peer, 0)
			switch {
			case !row.Valid():
			case g.perGB:
				out.Bars = append(out.Bars, report.Bar{Name: peer, Value: row.CPUPerGB.Median})
			default:
				out.Bars = append(out.Bars, report.Bar{Name: peer, Value: row.CPU.Median})
			}
		}
		if len(out.Bars) > 0 {
			groups = append(groups, out)
		}
	}
	return groups
}

// latencies are the open loops by peer; a single rate is no curve.
func latencies(r *report.Report) []report.Line {
	var lines []report.Line
	for _, peer := range []string{gateway, direct, "HAProxy", "nginx unbuffered", "versitygw"} {
		l := report.Line{Name: peer}
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Rate > 0 && row.Connections > 1 && row.Peer == peer && row.Backend == minioName && row.Valid() {
				l.Points = append(l.Points, [2]float64{row.Rate, row.P99.Median})
			}
		}
		if len(l.Points) > 1 {
			lines = append(lines, l)
		}
	}
	return lines
}
