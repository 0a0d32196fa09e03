package testenv

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is the sum of a counter or gauge over its series, or over those that have
// all labels that are named, each as name=value. There must be one.
func Metric(t testing.TB, from prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	sum, n := series(t, from, name, labels)
	if n == 0 {
		t.Fatalf("there is no metric %s%q", name, labels)
	}
	return sum
}

// Counted is Metric for what has no series before it has counted once: 0 until then.
func Counted(t testing.TB, from prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	sum, _ := series(t, from, name, labels)
	return sum
}

func series(t testing.TB, from prometheus.Gatherer, name string, labels []string) (sum float64, n int) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, p := range m.GetLabel() {
				has[p.GetName()+"="+p.GetValue()] = true
			}
			if !slices.ContainsFunc(labels, func(label string) bool { return !has[label] }) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				n++
			}
		}
	}
	return sum, n
}
