package limits

import "sync/atomic"

// pacer is a token bucket as one number: the moment, in nanoseconds on the
// limiter's clock, up to which all that was taken is paid for (the generic
// cell rate algorithm). The zero pacer is full.
type pacer struct{ paid atomic.Int64 }

// take takes cost nanoseconds' worth unless that would be more than maxAhead ahead
// of now; then it returns how long until it would not, else 0.
func (p *pacer) take(now, cost, maxAhead int64) (wait int64) {
	for {
		was := p.paid.Load()
		next := max(was, now) + cost
		if ahead := next - now; ahead > maxAhead {
			return ahead - maxAhead
		}
		if p.paid.CompareAndSwap(was, next) {
			return 0
		}
	}
}

// add takes cost in any case and returns the moment up to which it is paid.
func (p *pacer) add(now, cost int64) int64 {
	for {
		was := p.paid.Load()
		next := max(was, now) + cost
		if p.paid.CompareAndSwap(was, next) {
			return next
		}
	}
}

// ahead is how long until all that was taken is paid for.
func (p *pacer) ahead(now int64) int64 { return p.paid.Load() - now }

// emissionInterval is the time in nanoseconds that n units take at rate units per
// second, of which each of nodes has an even share.
func emissionInterval(n, rate, nodes int64) int64 {
	return int64(float64(n) * 1e9 * float64(nodes) / float64(rate))
}
