package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Colours that stay apart in print and for people who see few colours (the
// palette of Okabe and Ito); ours is the first.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999"}

const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13">` +
	`<rect width="100%%" height="100%%" fill="#ffffff"/><text x="16" y="26" font-size="16" font-weight="600" fill="#222222">%s</text>`

func text(x, y float64, anchor, s string) string {
	return fmt.Sprintf(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="#222222">%s</text>`, x, y, anchor, html.EscapeString(s))
}

// Bar is one value of a chart of bars.
type Bar struct {
	Name  string
	Value float64
}

// Group is what bars are compared in: each group has a scale of its own.
type Group struct {
	Name string
	Unit string // a format, "%.1f µs"
	Bars []Bar
}

// Bars draws groups of horizontal bars; less is better. highlight is the name
// of the bars that stand out.
func Bars(title, highlight string, groups []Group) []byte {
	const width, left, right, row = 760, 150, 120, 22
	height := 44
	for _, g := range groups {
		height += 30 + row*len(g.Bars)
	}
	var b strings.Builder
	fmt.Fprintf(&b, svgHead, width, height, width, height, html.EscapeString(title))
	y := 44.0
	for _, g := range groups {
		most := 0.0
		for _, bar := range g.Bars {
			most = max(most, bar.Value)
		}
		b.WriteString(text(16, y+14, "start", g.Name))
		y += 22
		for _, bar := range g.Bars {
			colour := colours[len(colours)-1]
			if bar.Name == highlight {
				colour = colours[0]
			}
			w := (width - left - right) * bar.Value / max(most, 1e-12)
			b.WriteString(text(left-8, y+14, "end", bar.Name))
			fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, left, y+2, max(w, 1), row-6, colour)
			b.WriteString(text(left+w+6, y+14, "start", fmt.Sprintf(g.Unit, bar.Value)))
			y += row
		}
		y += 8
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// Line is one line of a chart.
type Line struct {
	Name   string
	Points [][2]float64
}

// Lines draws lines over logarithmic axes, as what grows by powers wants.
func Lines(title, xName, yName string, lines []Line) []byte {
	const width, height, left, right, top, bottom = 760, 400, 80, 170, 48, 56
	x, y := axis{math.Inf(1), math.Inf(-1)}, axis{math.Inf(1), math.Inf(-1)}
	for _, l := range lines {
		for _, p := range l.Points {
			x.include(p[0])
			y.include(p[1])
		}
	}
	x.round()
	y.round()
	px := func(v float64) float64 { return left + (width-left-right)*x.at(v) }
	py := func(v float64) float64 { return height - bottom - (height-top-bottom)*y.at(v) }
	var b strings.Builder
	fmt.Fprintf(&b, svgHead, width, height, width, height, html.EscapeString(title))
	for _, v := range x.ticks() {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#dddddd"/>`, px(v), top, height-bottom)
		b.WriteString(text(px(v), height-bottom+18, "middle", short(v)))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/>`, left, py(v), width-right)
		b.WriteString(text(left-8, py(v)+4, "end", short(v)))
	}
	b.WriteString(text((left+width-right)/2, height-14, "middle", xName))
	b.WriteString(text(16, top-6, "start", yName))
	for i, l := range lines {
		colour := colours[i%len(colours)]
		var path strings.Builder
		for j, p := range l.Points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], px(p[0]), py(p[1]))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, px(p[0]), py(p[1]), colour)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`, path.String(), colour)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/>`, width-right+14, top+8+22*i, colour)
		b.WriteString(text(width-right+32, float64(top+19+22*i), "start", l.Name))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// axis is logarithmic, from a power of ten to a power of ten; what is not
// above zero sits at its beginning.
type axis struct{ low, high float64 }

func (a *axis) include(v float64) {
	if v > 0 {
		a.low, a.high = min(a.low, v), max(a.high, v)
	}
}

func (a *axis) round() {
	if a.low > a.high {
		a.low, a.high = 1, 10
	}
	a.low = math.Pow(10, math.Floor(math.Log10(a.low)))
	a.high = max(math.Pow(10, math.Ceil(math.Log10(a.high))), 10*a.low)
}

func (a *axis) at(v float64) float64 {
	return math.Log10(max(v, a.low)/a.low) / math.Log10(a.high/a.low)
}

func (a *axis) ticks() []float64 {
	var out []float64
	for v := a.low; v <= a.high*1.001; v *= 10 {
		out = append(out, v)
	}
	return out
}

func short(v float64) string {
	for _, u := range []struct {
		from float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.from*0.999 {
			return fmt.Sprintf("%.3g%s", v/u.from, u.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}
