package main

import (
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/bench/report"
)

// probes are the figures that no row holds.
type probes struct {
	why map[string]string // a probe's name to why it has no figure

	micro                map[string]bench
	idle, idleTLS        float64 // bytes for each connection
	idleCount            int
	streamed             int64 // bytes
	revoked50, revoked99 time.Duration
	revocations          int
	keysBound, keysAll   int64 // resident with as many keys used as the cache holds, and with more of a million
	sha256               float64
}

// figures make goals of a report's rows.
type figures struct {
	r *report.Report
	p *probes
}

// goals are the lines of the design's table of numbers.
func goals(r *report.Report, p *probes) []report.Goal {
	f := &figures{r, p}
	small, big := get(kib).name, get(10*mib).name
	up := func(i int) string { return quickNull[i].work.name }
	var out []report.Goal
	add := func(g ...report.Goal) { out = append(out, g...) }
	add(f.ofMinIO(small),
		f.cpu("1 KiB GET: CPU", nullName, small, 16, "versitygw", 1.0/15, "≤ 1/15 of versitygw"),
		f.cpu("1 KiB GET: CPU", nullName, small, 16, "HAProxy", 2, "≤ 2× HAProxy"),
		f.perGB("10 MiB GET: CPU", big, false, "HAProxy", 0.4, "≤ 0.4× HAProxy"),
		f.perGB("10 MiB GET: CPU", big, false, "nginx unbuffered", 0.2, "≤ 0.2× nginx unbuffered"),
		f.perGB("10 MiB GET over TLS: CPU", big, true, "nginx unbuffered", 1.1, "≤ 1.1× nginx"),
		f.perGB("10 MiB PUT, unsigned: CPU", up(3), false, "nginx unbuffered", 1, "≤ 1× nginx unbuffered"),
		f.perGB("10 MiB PUT, signed hash: CPU", up(4), false, "nginx unbuffered", 1, "≤ 1× nginx unbuffered"),
		f.chunks(up(5)),
		f.throughput("requests/s at 1 KiB, saturated", small, 0.85, false),
		f.throughput("bytes/s at 1 MiB, saturated", get(mib).name, 0.95, true))
	add(f.latency(small)...)
	add(f.micro()...)
	add(f.memory()...)
	add(f.revocation(), report.Goal{What: "metering: bytes lost or doubled over 100 `kill -9` and outages of PostgreSQL", Goal: "0 beyond the stated bound",
		Measured: "see `make crash` and docs/METERING.md", Peer: "–", Ratio: "–", Met: "a test"})
	return out
}

func unknown(what, goal, why string) report.Goal {
	return report.Goal{What: what, Goal: goal, Measured: "–", Peer: "–", Ratio: "–", Met: "not measured: " + why}
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return report.No
}

// compare makes a goal of two figures; upper says that less is better.
func compare(what, goal string, ours, theirs, bound float64, upper bool, unit, peer string) report.Goal {
	ratio := ours / theirs
	met := ratio <= bound
	if !upper {
		met = ratio >= bound
	}
	return report.Goal{What: what, Goal: goal, Measured: fmt.Sprintf(unit, ours), Peer: peer + " " + fmt.Sprintf(unit, theirs), Ratio: fmt.Sprintf("%.3g", ratio), Met: yes(met)}
}

// pair finds our row and a peer's of the same load.
func (f *figures) pair(backend, load string, connections int, tls bool, peer string) (ours, theirs *report.Row, why string) {
	return f.paced(backend, load, connections, tls, peer, 0)
}

func (f *figures) paced(backend, load string, connections int, tls bool, peer string, rate float64) (ours, theirs *report.Row, why string) {
	ours, theirs = f.r.Find(backend, load, connections, tls, gateway, rate), f.r.Find(backend, load, connections, tls, peer, rate)
	switch {
	case ours == nil || theirs == nil:
		return nil, nil, "no such row"
	case !ours.Valid():
		return nil, nil, fmt.Sprintf("%s: %s, %d errors", gateway, ours.Note, ours.Errors)
	case !theirs.Valid():
		return nil, nil, fmt.Sprintf("%s: %s, %d errors", peer, theirs.Note, theirs.Errors)
	}
	return ours, theirs, ""
}

func (f *figures) cpu(what, backend, load string, connections int, peer string, bound float64, goal string) report.Goal {
	ours, theirs, why := f.pair(backend, load, connections, false, peer)
	if why != "" {
		return unknown(what, goal, why)
	}
	return compare(what, goal, ours.CPU.Median, theirs.CPU.Median, bound, true, "%.1f µs", peer)
}

func (f *figures) ofMinIO(load string) report.Goal {
	const what, goal = "1 KiB GET: CPU", "≤ 15 % of MinIO's own"
	ours, theirs, why := f.pair(minioName, load, 16, false, direct)
	if why != "" {
		return unknown(what, goal, why)
	}
	return f.beside(compare(what, goal, ours.CPU.Median, theirs.Backends.Median, 0.15, true, "%.1f µs", minioName), ours, func(r *report.Row) string {
		return fmt.Sprintf("%.1f µs", r.CPU.Median)
	})
}

// beside adds what HAProxy, which does nothing with a request but pass it on,
// has in our row's place: where it falls short as well, the machine does.
func (f *figures) beside(g report.Goal, ours *report.Row, figure func(*report.Row) string) report.Goal {
	const other = "HAProxy"
	if r := f.r.Find(ours.Backend, ours.Load, ours.Connections, ours.TLS, other, ours.Rate); r.Valid() {
		g.Peer += "; " + other + " in our place: " + figure(r)
	}
	return g
}

func (f *figures) perGB(what, load string, tls bool, peer string, bound float64, goal string) report.Goal {
	ours, theirs, why := f.pair(nullName, load, 4, tls, peer)
	if why != "" {
		return unknown(what, goal, why)
	}
	return compare(what, goal, ours.CPUPerGB.Median, theirs.CPUPerGB.Median, bound, true, "%.3f s/GB", peer)
}

func (f *figures) chunks(load string) report.Goal {
	const what, goal = "10 MiB PUT, signed chunks: CPU", "≤ nginx unbuffered and two SHA-256 passes"
	ours, theirs, why := f.pair(nullName, load, 4, false, "nginx unbuffered")
	if why != "" {
		return unknown(what, goal, why)
	}
	g := compare(what, goal, ours.CPUPerGB.Median, theirs.CPUPerGB.Median+2*f.p.sha256, 1, true, "%.3f s/GB", "nginx")
	g.Peer += fmt.Sprintf(" (%.3f + 2 × %.3f)", theirs.CPUPerGB.Median, f.p.sha256)
	return g
}

func (f *figures) throughput(what, load string, bound float64, bytes bool) report.Goal {
	goal := fmt.Sprintf("≥ %g of MinIO directly", bound)
	ours, theirs, why := f.pair(minioName, load, 16, false, direct)
	if why != "" {
		return unknown(what, goal, why)
	}
	if bytes {
		return f.beside(compare(what, goal, ours.Bytes.Median/1e6, theirs.Bytes.Median/1e6, bound, false, "%.1f MB/s", direct), ours, func(r *report.Row) string {
			return fmt.Sprintf("%.1f MB/s", r.Bytes.Median/1e6)
		})
	}
	return f.beside(compare(what, goal, ours.Requests.Median, theirs.Requests.Median, bound, false, "%.0f/s", direct), ours, func(r *report.Row) string {
		return fmt.Sprintf("%.0f/s", r.Requests.Median)
	})
}

// latencyRate is low: what is asked is what a request waits, not what a queue does.
const latencyRate = 200

func (f *figures) latency(load string) []report.Goal {
	ours, theirs, why := f.paced(minioName, load, 1, false, direct, latencyRate)
	var out []report.Goal
	for _, q := range []struct {
		name string
		of   func(*report.Row) float64
		most float64
	}{
		{"p50", func(r *report.Row) float64 { return r.P50.Median }, 150},
		{"p99", func(r *report.Row) float64 { return r.P99.Median }, 1000},
	} {
		what, goal := "latency added, one connection, "+q.name, fmt.Sprintf("≤ %.0f µs", q.most)
		if why != "" {
			out = append(out, unknown(what, goal, why))
			continue
		}
		added := q.of(ours) - q.of(theirs)
		out = append(out, f.beside(report.Goal{What: what, Goal: goal, Measured: fmt.Sprintf("%.0f µs", added),
			Peer: fmt.Sprintf("direct %.0f µs", q.of(theirs)), Ratio: fmt.Sprintf("%.3g", q.of(ours)/q.of(theirs)), Met: yes(added <= q.most)}, ours, func(r *report.Row) string {
			return fmt.Sprintf("%.0f µs added", q.of(r)-q.of(theirs))
		}))
	}
	return out
}

func (f *figures) micro() []report.Goal {
	one := func(what, goal, name string, most float64) report.Goal {
		b, ok := f.p.micro[name]
		if !ok {
			return unknown(what, goal, "no benchmark "+name)
		}
		return report.Goal{What: what, Goal: goal, Measured: fmt.Sprintf("%.0f ns, %.0f allocations", b.ns, b.allocs), Peer: "–", Ratio: "–", Met: yes(b.ns <= most && b.allocs == 0)}
	}
	out := []report.Goal{
		one("SigV4 verify and re-sign, key cached", "≤ 3 µs, 0 allocations", "BenchmarkVerifySign", 3000),
		one("one count", "≤ 100 ns, 0 allocations", "BenchmarkTally_Egress", 100),
	}
	worst, slowest, n := 0.0, 0.0, 0
	for name, b := range f.p.micro {
		if len(name) > len("BenchmarkAdmission/") && name[:len("BenchmarkAdmission/")] == "BenchmarkAdmission/" {
			worst, slowest, n = max(worst, b.allocs), max(slowest, b.ns), n+1
		}
	}
	const what, goal = "from parse to admit", "0 allocations"
	if n == 0 {
		return append(out, unknown(what, goal, "no benchmark"))
	}
	return append(out, report.Goal{What: what, Goal: goal, Measured: fmt.Sprintf("%.0f allocations, at most %.0f ns (%d forms of request)", worst, slowest, n), Peer: "–", Ratio: "–", Met: yes(worst == 0)})
}

func (f *figures) memory() []report.Goal {
	var out []report.Goal
	add := func(what, goal string, measured string, met string) {
		out = append(out, report.Goal{What: what, Goal: goal, Measured: measured, Peer: "–", Ratio: "–", Met: met})
	}
	if what, goal := "5 GiB streamed: memory", "< 2 MiB more"; f.p.why["streamed"] == "" {
		add(what, goal, fmt.Sprintf("%.1f MiB more", float64(f.p.streamed)/mib), yes(f.p.streamed < 2*mib))
	} else {
		out = append(out, unknown(what, goal, f.p.why["streamed"]))
	}
	if what, goal := "idle connection, plain: memory", "≤ 24 KiB"; f.p.why["idle"] == "" {
		add(what, goal, fmt.Sprintf("%.1f KiB (%d connections)", f.p.idle/kib, f.p.idleCount), yes(f.p.idle <= 24*kib))
		add("idle connection, TLS: memory", "stated", fmt.Sprintf("%.1f KiB", f.p.idleTLS/kib), "–")
	} else {
		out = append(out, unknown(what, goal, f.p.why["idle"]))
	}
	if what, goal := "1,000,000 keys in the database: memory", "no more than the cache bound costs"; f.p.why["keys"] == "" {
		add(what, goal, fmt.Sprintf("%s; %s when as many were used as the cache holds", report.MiB(float64(f.p.keysAll)), report.MiB(float64(f.p.keysBound))),
			yes(float64(f.p.keysAll) <= 1.25*float64(f.p.keysBound)))
	} else {
		out = append(out, unknown(what, goal, f.p.why["keys"]))
	}
	return out
}

func (f *figures) revocation() report.Goal {
	const what, goal = "revocation, on every node", "≤ 1 s"
	if why := f.p.why["revocation"]; why != "" {
		return unknown(what, goal, why)
	}
	return report.Goal{What: what, Goal: goal, Measured: fmt.Sprintf("p50 %s, p99 %s (%d times, 2 nodes)", f.p.revoked50.Round(100*time.Microsecond), f.p.revoked99.Round(100*time.Microsecond), f.p.revocations),
		Peer: "–", Ratio: "–", Met: yes(f.p.revoked99 <= time.Second)}
}
