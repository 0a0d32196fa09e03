// Package report keeps what was measured and writes it for people: JSON, a
// markdown page with the goals first, and charts.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// Report is one run.
type Report struct {
	Command string    `json:"command"`
	Started time.Time `json:"started"`
	Took    string    `json:"took"`
	Machine Machine   `json:"machine"`
	Goals   []Goal    `json:"goals"`
	Rows    []Row     `json:"rows"`
	Curves  []Curve   `json:"curves,omitempty"`
}

// Machine is where and with what it ran.
type Machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   string            `json:"memory"`
	Kernel   string            `json:"kernel"`
	System   string            `json:"system"`
	Load     string            `json:"load_average"`
	Versions map[string]string `json:"versions"`
}

// Stat is what repetitions of one measurement came to.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// NewStat sums up repetitions; none is the zero Stat.
func NewStat(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (middle + v[len(v)/2-1]) / 2
	}
	return Stat{middle, v[0], v[len(v)-1]}
}

// Row is one load on one server. A row with errors is worth nothing.
type Row struct {
	Backend     string  `json:"backend"`
	Load        string  `json:"load"`
	Connections int     `json:"connections"`
	TLS         bool    `json:"tls"`
	Rate        float64 `json:"rate,omitempty"` // requests per second of an open loop
	Peer        string  `json:"peer"`
	Repeats     int     `json:"repeats"`

	Requests      Stat    `json:"requests_per_second"`
	Bytes         Stat    `json:"bytes_per_second"`
	P50           Stat    `json:"p50_us"`
	P99           Stat    `json:"p99_us"`
	P999          Stat    `json:"p999_us"`
	CPU           Stat    `json:"cpu_us_per_request"` // of the server in front
	CPUPerGB      Stat    `json:"cpu_s_per_gb"`
	Backends      Stat    `json:"backend_cpu_us_per_request"`
	BackendsPerGB Stat    `json:"backend_cpu_s_per_gb"`
	PeakRSS       float64 `json:"peak_rss_bytes"`
	Errors        int64   `json:"errors"`
	Note          string  `json:"note,omitempty"` // why there are no figures
}

// Valid reports whether the row may be compared with others.
func (r *Row) Valid() bool { return r != nil && r.Errors == 0 && r.Note == "" && r.Repeats > 0 }

// Goal is one line of what is to be reached.
type Goal struct {
	What     string `json:"what"`
	Goal     string `json:"goal"`
	Measured string `json:"measured"`
	Peer     string `json:"peer"`
	Ratio    string `json:"ratio"`
	Met      string `json:"met"` // yes, no, or why it is not known
}

// Curve is something that grows, and what grows with it.
type Curve struct {
	Name   string   `json:"name"`
	File   string   `json:"file"` // of its chart, without the ending
	X      string   `json:"x"`
	Points []Point  `json:"points"`
	Series []string `json:"series"` // names of Point.Y
	Note   string   `json:"note,omitempty"`
}

// Point is one measurement of a curve.
type Point struct {
	X float64   `json:"x"`
	Y []float64 `json:"y"`
}

// Lines are the series over x.
func (c *Curve) Lines() []Line {
	lines := make([]Line, len(c.Series))
	for i, name := range c.Series {
		lines[i].Name = name
		for _, p := range c.Points {
			lines[i].Points = append(lines[i].Points, [2]float64{p.X, p.Y[i]})
		}
	}
	return lines
}

// Write keeps the report as JSON.
func (r *Report) Write(file string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Read reads what Write wrote.
func Read(file string) (*Report, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	return r, json.Unmarshal(b, r)
}

// Find returns the row of that load on that peer, nil when there is none; rate
// is 0 for a closed loop.
func (r *Report) Find(backend, load string, connections int, tls bool, peer string, rate float64) *Row {
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Backend == backend && row.Load == load && row.Connections == connections && row.TLS == tls && row.Peer == peer && row.Rate == rate {
			return row
		}
	}
	return nil
}

// Brief is the row's main figures on one line.
func (r *Row) Brief() string {
	if r.Note != "" {
		return r.Note
	}
	return fmt.Sprintf("%8.0f/s %8.1f MB/s  p50 %-8s p99 %-8s CPU %7.1f µs (least %.1f) %6.3f s/GB (least %.3f)  backend %6.1f µs  %s",
		r.Requests.Median, r.Bytes.Median/1e6, micros(r.P50.Median), micros(r.P99.Median), r.CPU.Median, r.CPU.Min, r.CPUPerGB.Median, r.CPUPerGB.Min, r.Backends.Median, MiB(r.PeakRSS))
}
