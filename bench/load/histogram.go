package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are at most 1 % wide. The zero
// Histogram is empty.
type Histogram struct {
	counts [octaves << subBits]uint32
	total  int64
}

const (
	subBits = 7  // 128 buckets for each power of two of nanoseconds
	octaves = 34 // up to 2^40 ns, 18 minutes; what is longer counts as that
)

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(min(uint64(max(d, 0)), 1<<40-1))]++
	h.total++
}

// Merge adds what another histogram counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}

// Count is how many durations there are.
func (h *Histogram) Count() int64 { return h.total }

// Quantile is the least duration that q of all do not exceed, 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(int64(q*float64(h.total)+0.9999999), 1)
	for i, n := range h.counts {
		if rank -= int64(n); rank <= 0 {
			return time.Duration(upperEnd(i))
		}
	}
	return 0
}

// bucketOf keeps the highest subBits+1 bits.
func bucketOf(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

func upperEnd(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(1<<subBits-1))+1<<subBits+1)<<shift - 1
}
