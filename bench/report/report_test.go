package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/bench/report"
)

func example() *report.Report {
	return &report.Report{
		Command: "make bench", Started: time.Unix(1e9, 0).UTC(), Took: "1m",
		Machine: report.Machine{CPU: "a CPU", Cores: 2, Versions: map[string]string{"MinIO": "1"}},
		Goals:   []report.Goal{{What: "GET", Goal: "≤ 2× HAProxy", Measured: "10 µs", Peer: "HAProxy 10 µs", Ratio: "1", Met: "yes"}},
		Rows: []report.Row{
			{Backend: "MinIO", Load: "GET 1 KiB", Connections: 16, Peer: "direct", Repeats: 3, Requests: report.NewStat([]float64{3, 1, 2})},
			{Backend: "MinIO", Load: "GET 1 KiB", Connections: 16, Peer: "nginx", Note: "not installed"},
			{Backend: "MinIO", Load: "GET 1 KiB", Connections: 1, TLS: true, Rate: 200, Peer: "direct", Repeats: 1, Errors: 1},
		},
		Curves: []report.Curve{{Name: "Objects & sizes", File: "sizes", X: "bytes", Series: []string{"a", "b"}, Points: []report.Point{{1024, []float64{1, 0}}, {1 << 30, []float64{2.5, 12345}}}}},
	}
}

func TestReport_roundTrip(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "r.json")
	r := example()
	if err := r.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got); d != "" {
		t.Error(d)
	}
}

func TestReport_Find(t *testing.T) {
	t.Parallel()
	r := example()
	for i, valid := range []bool{true, false, false} {
		want := &r.Rows[i]
		got := r.Find(want.Backend, want.Load, want.Connections, want.TLS, want.Peer, want.Rate)
		if got != want || got.Valid() != valid {
			t.Errorf("row %d: %+v, valid %v", i, got, got.Valid())
		}
	}
	if r.Find("MinIO", "GET 1 KiB", 16, true, "direct", 0).Valid() {
		t.Error("a row that does not exist is valid")
	}
}

func TestNewStat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []float64
		want report.Stat
	}{{nil, report.Stat{}}, {[]float64{5}, report.Stat{5, 5, 5}}, {[]float64{9, 1, 2}, report.Stat{2, 1, 9}}, {[]float64{4, 1, 2, 9}, report.Stat{3, 1, 9}}} {
		if got := report.NewStat(c.in); got != c.want {
			t.Errorf("%v: %+v", c.in, got)
		}
	}
}

func TestReport_Markdown(t *testing.T) {
	t.Parallel()
	page := string(example().Markdown([]string{"cost.svg"}))
	for _, want := range []string{
		"| GET | ≤ 2× HAProxy | 10 µs | HAProxy 10 µs | 1 | yes |", "### GET 1 KiB, 16 connections, MinIO", "| direct | 2 ±50% |", "| nginx | not installed |",
		"1 connection, TLS, open loop at 200/s", "![cost](cost.svg)", "| 1,073,741,824 | 2.5 | 12,345 |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

// TestCharts: they are XML, and draw every value inside the picture.
func TestCharts(t *testing.T) {
	t.Parallel()
	r := example()
	for name, svg := range map[string][]byte{
		"lines": report.Lines(r.Curves[0].Name, "x", "y", r.Curves[0].Lines()),
		"none":  report.Lines("none", "x", "y", nil),
		"bars":  report.Bars("<cost>", "us", []report.Group{{Name: "g", Unit: "%.1f", Bars: []report.Bar{{"us", 1}, {"them", 0}}}}),
	} {
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, svg)
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s: %s", name, svg)
		}
	}
}
