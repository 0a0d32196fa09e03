package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// No is Goal.Met's word for what falls short.
const No = "**no**"

// tried is the page on what was tried, seen from the results' folder.
const tried = "../../docs/decisions/0015-cost-of-a-small-request.md"

// Markdown is the report as a page; charts are named where they are.
func (r *Report) Markdown(charts []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured\n\nWritten by `%s` on %s, in %s. Do not edit: run it again.\n\n", r.Command, r.Started.UTC().Format("2006-01-02 15:04 MST"), r.Took)
	m := r.Machine
	fmt.Fprintf(&b, "%d × %s, %s, %s, Linux %s; load average at the start %s. Client, proxy and backend share these processors,\nso requests per second are of all three together; what a proxy costs is its own CPU time, from the operating system's clock of its process.\n\n",
		m.Cores, m.CPU, m.Memory, m.System, m.Kernel, m.Load)
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, m.Versions[name])
	}
	if len(r.Goals) > 0 {
		b.WriteString("\n## Goals\n\n| What | Goal | Measured | Peer | Ratio | Met |\n|---|---|---|---|---|---|\n")
	}
	for _, g := range r.Goals {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", g.What, g.Goal, g.Measured, g.Peer, g.Ratio, g.Met)
	}
	if slices.ContainsFunc(r.Goals, func(g Goal) bool { return g.Met == No }) {
		fmt.Fprintf(&b, "\nWhat was tried for the rows that fall short: [decision 15](%s).\n", tried)
	}
	for _, c := range charts {
		fmt.Fprintf(&b, "\n![%s](%s)\n", strings.TrimSuffix(c, ".svg"), c)
	}
	for _, c := range r.Curves {
		c.markdown(&b)
	}
	r.tables(&b)
	return []byte(b.String())
}

func (r *Report) tables(b *strings.Builder) {
	if len(r.Rows) == 0 {
		return
	}
	b.WriteString("\n## All rows\n\nMedians of the repetitions, which took turns between the peers, and behind ± half of their spread. CPU is that of the server in front;\nopen loops send at a fixed rate and count latency from the time a request was due.\n")
	last := ""
	for i := range r.Rows {
		row := &r.Rows[i]
		if title := row.Title(); title != last {
			last = title
			fmt.Fprintf(b, "\n### %s\n\n| | requests/s | MB/s | p50 | p99 | p99.9 | CPU µs/request | CPU s/GB | backend µs/request | peak RSS | errors |\n|---|---|---|---|---|---|---|---|---|---|---|\n", title)
		}
		if row.Note != "" {
			fmt.Fprintf(b, "| %s | %s | | | | | | | | | |\n", row.Peer, row.Note)
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %d |\n", row.Peer,
			row.Requests.text(0), row.Bytes.scaled(1e-6).text(1), micros(row.P50.Median), micros(row.P99.Median), micros(row.P999.Median),
			row.CPU.text(1), row.CPUPerGB.text(3), row.Backends.text(1), MiB(row.PeakRSS), row.Errors)
	}
}

// Title is the load's heading in a page.
func (row *Row) Title() string {
	t := fmt.Sprintf("%s, %d connections", row.Load, row.Connections)
	if row.Connections == 1 {
		t = strings.TrimSuffix(t, "s")
	}
	if row.TLS {
		t += ", TLS"
	}
	if row.Rate > 0 {
		t += fmt.Sprintf(", open loop at %g/s", row.Rate)
	}
	return t + ", " + row.Backend
}

func (s Stat) scaled(f float64) Stat { return Stat{s.Median * f, s.Min * f, s.Max * f} }

func (s Stat) text(digits int) string {
	if s == (Stat{}) {
		return "–"
	}
	return fmt.Sprintf("%.*f ±%.0f%%", digits, s.Median, 50*(s.Max-s.Min)/max(s.Median, 1e-12))
}

func micros(us float64) string {
	return time.Duration(us * 1e3).Round(time.Microsecond).String()
}

// MiB writes a number of bytes.
func MiB(n float64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f MiB", n/(1<<20))
}

func (c *Curve) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", c.Name)
	if c.Note != "" {
		fmt.Fprintf(b, "%s\n\n", c.Note)
	}
	fmt.Fprintf(b, "| %s | %s |\n|%s\n", c.X, strings.Join(c.Series, " | "), strings.Repeat("---|", len(c.Series)+1))
	for _, p := range c.Points {
		fmt.Fprintf(b, "| %s", Number(p.X))
		for _, y := range p.Y {
			fmt.Fprintf(b, " | %s", Number(y))
		}
		b.WriteString(" |\n")
	}
}

// Number writes whole numbers with their thousands apart, others with three
// significant digits.
func Number(v float64) string {
	if v != float64(int64(v)) && v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Numbers writes a list of numbers with two decimals.
func Numbers(list []float64) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprintf("%.2f", v)
	}
	return strings.Join(words, ", ")
}
