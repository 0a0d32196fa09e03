package load_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/bench/load"
)

// TestHistogram compares with the sorted list, over nine powers of ten.
func TestHistogram(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var h, half load.Histogram
	list := make([]time.Duration, 10_001)
	for i := range list {
		d := time.Duration(1)
		for range r.IntN(10) {
			d *= 10
		}
		d += time.Duration(r.Int64N(int64(d)))
		list[i] = d
		if i%2 == 0 {
			half.Add(d)
		} else {
			h.Add(d)
		}
	}
	h.Merge(&half)
	slices.Sort(list)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := list[min(int(q*float64(len(list))), len(list)-1)]
		if q < 1 {
			want = list[max(int(q*float64(len(list))+0.9999999)-1, 0)]
		}
		if got := h.Quantile(q); got < want || float64(got) > 1.01*float64(want)+1 {
			t.Errorf("quantile %v is %v, not %v", q, got, want)
		}
	}
	if h.Count() != int64(len(list)) {
		t.Errorf("%d counted", h.Count())
	}
}

func TestHistogram_ends(t *testing.T) {
	t.Parallel()
	var h load.Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	h.Add(-time.Second)
	if got := h.Quantile(1); got != 0 {
		t.Errorf("a negative duration counts as %v", got)
	}
	h.Add(24 * time.Hour)
	if got := h.Quantile(1); got < 15*time.Minute {
		t.Errorf("a day counts as %v", got)
	}
}
