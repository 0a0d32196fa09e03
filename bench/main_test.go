package main

import (
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/bench/report"
)

func TestParseBench(t *testing.T) {
	t.Parallel()
	got, err := parseBench([]byte(`goos: linux
BenchmarkVerifySign-2   	  100	      2000 ns/op	       0 B/op	       0 allocs/op
BenchmarkVerifySign-2   	  100	      9000 ns/op	       0 B/op	       1 allocs/op
BenchmarkVerifySign-2   	  100	      3000 ns/op	       0 B/op	       0 allocs/op
BenchmarkAdmission/virtual_host 	  100	      1500 ns/op	   3 misses/op	       0 B/op	       0 allocs/op
PASS
ok  	x	1.2s
`))
	if err != nil {
		t.Fatal(err)
	}
	// The least of the times, the worst of the allocations.
	if b := got["BenchmarkVerifySign"]; b != (bench{2000, 1}) {
		t.Errorf("%+v", b)
	}
	if b := got["BenchmarkAdmission/virtual_host"]; b != (bench{1500, 0}) {
		t.Errorf("%+v", b)
	}
	if _, err := parseBench([]byte("PASS\n")); err == nil {
		t.Error("no benchmark is no error")
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	base := baseline{"GET": 2}
	for name, c := range map[string]struct {
		ratios map[string][]float64
		fails  string
	}{
		"as before":          {map[string][]float64{"GET": {2, 1.9, 2.1}}, ""},
		"two of three":       {map[string][]float64{"GET": {9, 9, 2.9}}, ""},
		"three of three":     {map[string][]float64{"GET": {9, 9, 3.1}}, "GET costs 3.10 times"},
		"without baseline":   {map[string][]float64{"GET": {1}, "PUT": {1}}, "PUT has no baseline"},
		"no longer measured": {map[string][]float64{}, "GET was not measured"},
	} {
		_, err := judge(base, c.ratios)
		if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// measured is a report in which PrimeCloud costs factor times its goals, or a
// little less.
func measured(factor float64) (*report.Report, *probes) {
	stat := func(v float64) report.Stat { return report.NewStat([]float64{v}) }
	r := &report.Report{Machine: report.Machine{Versions: map[string]string{}}}
	add := func(backend, load string, connections int, tls bool, peer string, rate, cost, speed, latency float64) {
		r.Rows = append(r.Rows, report.Row{Backend: backend, Load: load, Connections: connections, TLS: tls, Rate: rate, Peer: peer, Repeats: 3,
			CPU: stat(cost), CPUPerGB: stat(cost), Backends: stat(cost), Requests: stat(speed), Bytes: stat(speed), P50: stat(latency), P99: stat(latency)})
	}
	for _, c := range quickNull {
		for _, peer := range []string{"nginx unbuffered", "HAProxy", "versitygw"} {
			add(nullName, c.work.name, c.connections, c.tls, peer, 0, map[string]float64{"nginx unbuffered": 20, "HAProxy": 10, "versitygw": 300}[peer], 1, 1)
		}
		add(nullName, c.work.name, c.connections, c.tls, gateway, 0, 3.9*factor, 1, 1)
	}
	for _, c := range quickMinIO {
		add(minioName, c.work.name, c.connections, c.tls, direct, c.rate, 100, 1000, 1000)
		add(minioName, c.work.name, c.connections, c.tls, gateway, c.rate, 3.9*factor, 990/factor, 1000+100*factor)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Peer == gateway && row.Load == get(kib).name && row.Backend == nullName {
			row.CPU = stat(19 * factor)
		}
	}
	return r, &probes{
		micro: map[string]bench{"BenchmarkVerifySign": {2900 * factor, 0}, "BenchmarkTally_Egress": {90 * factor, 0}, "BenchmarkAdmission/GetObject": {1, float64(int(factor - 1))}},
		idle:  20 * kib * factor, streamed: int64(mib * factor), revoked99: time.Duration(float64(900*time.Millisecond) * factor),
		keysBound: 100, keysAll: int64(100 * factor), sha256: 0.5,
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		factor float64
		met    string
	}{{1, "yes"}, {40, "**no**"}} {
		list := goals(measured(c.factor))
		for _, g := range list {
			if g.Met != c.met && g.Met != "–" && g.Met != "a test" {
				t.Errorf("at %v times: %+v", c.factor, g)
			}
		}
		if len(list) < 20 {
			t.Errorf("%d goals", len(list))
		}
	}
}

// A row with errors, or a probe that failed, is not compared.
func TestGoals_invalid(t *testing.T) {
	t.Parallel()
	r, p := measured(1)
	for i := range r.Rows {
		r.Rows[i].Errors = 1
	}
	p.micro = nil
	p.why = map[string]string{"streamed": "x", "idle": "x", "revocation": "x", "keys": "x"}
	for _, g := range goals(r, p) {
		if !strings.HasPrefix(g.Met, "not measured") && g.Met != "a test" {
			t.Errorf("%+v", g)
		}
	}
}

func TestCapacityPage(t *testing.T) {
	t.Parallel()
	table, _ := measured(1)
	curves := &report.Report{Curves: []report.Curve{
		{File: "connections", Points: []report.Point{{X: 10, Y: []float64{1, 20, 3, 30, 5}}, {X: 10_000, Y: []float64{1, 21, 3, 400, 37}}}},
		{File: "keys", Points: []report.Point{{X: 1000, Y: []float64{1, 2, 3, 40}}, {X: 1_000_000, Y: []float64{1, 2, 3, 200}}}},
	}}
	page, err := capacityPage(table, curves)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"52,632 requests/s",       // 1e6 / 19 µs
		"11.57 GB/s",              // 1e15 / 86,400
		"| 90 | 10 | 13 | **13**", // 11.57 × 2 × 3.9 cores; 11.57 × 2 × 8 / (25 × 0.6) nodes for the network
		"30 MiB with 10 busy connections, 400 MiB with 10,000",
		"20 → 21 µs",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "<no value>") {
		t.Errorf("a hole in\n%s", page)
	}
	table.Rows[3].Errors = 1 // PrimeCloud's 1 KiB
	if _, err := capacityPage(table, curves); err == nil {
		t.Error("a page without the figure that it is made of")
	}
}
