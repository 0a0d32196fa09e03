package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"text/template"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/report"
)

//go:embed capacity.md.tmpl
var capacityText string

// What a node of the worked example is.
const (
	nodeCores   = 16
	nodeNetwork = 25 // Gbit/s each way
	peakFactor  = 2
	fillFactor  = 0.6
)

// petabyteRate is a petabyte a day, in GB/s.
const petabyteRate = 1e15 / 86_400 / 1e9

type capacityWork struct{ Name, Cost, Carries string }

type capacityPetabyte struct {
	Name                    string
	Cores                   float64
	ByCPU, ByNetwork, Nodes int
}

// capacity writes docs/CAPACITY.md from the newest table and curves. It does
// nothing while one of them is missing.
func (s *settings) capacity() error {
	table, err := report.Read(filepath.Join(s.results, "full.json"))
	curves, cerr := report.Read(filepath.Join(s.results, "growth", "growth.json"))
	if err = errors.Join(err, cerr); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "bench: docs/CAPACITY.md wants both `make bench` and `make bench-growth`")
		return nil
	}
	if err != nil {
		return err
	}
	page, err := capacityPage(table, curves)
	if err != nil {
		return err
	}
	return os.WriteFile(s.capacityFile, page, 0o644)
}

func capacityPage(table, curves *report.Report) ([]byte, error) {
	data := map[string]any{
		"Command": table.Command + "` and `" + curves.Command, "Date": curves.Started.UTC().Format("2006-01-02"),
		"Machine": fmt.Sprintf("%d × %s, %s", table.Machine.Cores, table.Machine.CPU, table.Machine.Memory), "Version": table.Machine.Versions[gateway],
		"PetabyteRate": petabyteRate, "Peak": peakFactor, "Fill": fillFactor * 100, "Cores": nodeCores, "Network": nodeNetwork, "CacheBound": report.Number(cacheBound),
	}
	var carried []capacityWork
	var petabyte []capacityPetabyte
	small := table.Find(nullName, get(kib).name, 16, false, gateway, 0)
	if !small.Valid() {
		return nil, errors.New("capacity: there is no row of 1 KiB GETs")
	}
	carried = append(carried, capacityWork{"GET 1 KiB", fmt.Sprintf("%.0f µs", small.CPU.Median), report.Number(math.Round(1e6/small.CPU.Median)) + " requests/s"})
	data["SmallPerNode"] = report.Number(math.Round(1e6 / small.CPU.Median * nodeCores * fillFactor))
	for _, w := range []struct {
		name string
		work work
		tls  bool
	}{
		{"GET 10 MiB", get(10 * mib), false}, {"GET 10 MiB over TLS", get(10 * mib), true},
		{"PUT 10 MiB, unsigned or signed hash", put(10*mib, load.SignedHash), false}, {"PUT 10 MiB, signed chunks", put(10*mib, load.SignedChunks), false},
	} {
		row := table.Find(nullName, w.work.name, 4, w.tls, gateway, 0)
		if !row.Valid() {
			continue
		}
		cost := row.CPUPerGB.Median
		carried = append(carried, capacityWork{w.name, fmt.Sprintf("%.2f s/GB", cost), fmt.Sprintf("%.2f GB/s (%.1f Gbit/s)", 1/cost, 8/cost)})
		petabyte = append(petabyte, petabyteOf(w.name, cost))
	}
	data["Work"], data["Petabyte"], data["Bottleneck"] = carried, petabyte, bottleneck(petabyte)
	data["Storage"] = storage(table)
	data["Memory"], data["Flat"] = memoryText(curves), flat(curves)
	t, err := template.New("capacity").Parse(capacityText)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, data)
	return out.Bytes(), err
}

func petabyteOf(name string, cost float64) capacityPetabyte {
	cores := petabyteRate * peakFactor * cost
	p := capacityPetabyte{Name: name, Cores: cores,
		ByCPU:     int(math.Ceil(cores / (nodeCores * fillFactor))),
		ByNetwork: int(math.Ceil(petabyteRate * peakFactor * 8 / (nodeNetwork * fillFactor)))}
	p.Nodes = max(p.ByCPU, p.ByNetwork)
	return p
}

func bottleneck(list []capacityPetabyte) string {
	network, cpu := "", ""
	join := func(to *string, name string) {
		if *to != "" {
			*to += ", "
		}
		*to += name
	}
	for _, p := range list {
		if p.ByNetwork >= p.ByCPU {
			join(&network, p.Name)
		} else {
			join(&cpu, p.Name)
		}
	}
	switch {
	case cpu == "":
		return "The network is the first bottleneck for every kind of work: processors idle when it is full."
	case network == "":
		return "The processors are the first bottleneck for every kind of work."
	}
	return "The first bottleneck is the network for " + network + "; the processors for " + cpu + "."
}

func storage(table *report.Report) string {
	row := table.Find(minioName, get(kib).name, 16, false, direct, 0)
	ours := table.Find(nullName, get(kib).name, 16, false, gateway, 0)
	if !row.Valid() || !ours.Valid() {
		return "It was not measured beside the gateway."
	}
	return fmt.Sprintf("MinIO itself spent %.0f µs of processor time on a GET of 1 KiB, %.0f times what the gateway did: for each core of gateways plan that many for it.",
		row.Backends.Median, row.Backends.Median/ours.CPU.Median)
}

func curve(r *report.Report, file string) *report.Curve {
	for i := range r.Curves {
		if r.Curves[i].File == file && len(r.Curves[i].Points) > 0 {
			return &r.Curves[i]
		}
	}
	return nil
}

func memoryText(r *report.Report) string {
	var b bytes.Buffer
	if c := curve(r, "connections"); c != nil {
		first, last := c.Points[0], c.Points[len(c.Points)-1]
		fmt.Fprintf(&b, "%.0f MiB with %.0f busy connections, %.0f MiB with %s: %.1f KiB for each.", first.Y[3], first.X, last.Y[3], report.Number(last.X), last.Y[4])
	}
	if c := curve(r, "keys"); c != nil {
		first, last := c.Points[0], c.Points[len(c.Points)-1]
		fmt.Fprintf(&b, " %.0f MiB after %s keys were used, %.0f MiB with %s in the database and %s of them used.", first.Y[3], report.Number(first.X), last.Y[3], report.Number(last.X), report.Number(keysUsed))
	}
	b.WriteString(" A journal file grows with the cells of the hour, 256 bytes each. Objects are never in memory.")
	return b.String()
}

// flat are the figures that growth should leave alone, from the smallest step
// to the largest.
func flat(r *report.Report) []string {
	var out []string
	for _, f := range []struct {
		file, text string
		series     int
	}{
		{"sizes", "memory, from objects of 1 KiB to 5 GiB: %s → %s MiB", 3},
		{"connections", "processor time of a request, from 10 to 10,000 busy connections: %s → %s µs", 1},
		{"nodes", "processor time of a request, from 1 to 4 processes: %s → %s µs", 1},
		{"buckets", "processor time of a request, from 1 to 100,000 buckets in use: %s → %s µs", 0},
	} {
		if c := curve(r, f.file); c != nil {
			out = append(out, fmt.Sprintf(f.text, report.Number(c.Points[0].Y[f.series]), report.Number(c.Points[len(c.Points)-1].Y[f.series])))
		}
	}
	return out
}
