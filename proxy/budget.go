package proxy

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// budget bounds the bytes that one kind of buffer may have on this node, over
// all requests. They are taken before the buffer is made.
type budget struct {
	most    int64
	used    atomic.Int64
	refused prometheus.Counter
}

func newBudget(kind string, most int64, r prometheus.Registerer) *budget {
	b := &budget{most: most}
	labels := prometheus.Labels{"kind": kind}
	b.refused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "primecloud_proxy_buffer_refusals_total", ConstLabels: labels,
		Help: "Requests that were answered SlowDown because buffers of the kind had all the bytes that they may have.",
	})
	used := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "primecloud_proxy_buffered_bytes", ConstLabels: labels,
		Help: "Bytes that requests hold in buffers of the kind: forms that are not verified yet, or documents.",
	}, func() float64 { return float64(b.used.Load()) })
	if r != nil {
		r.MustRegister(b.refused, used)
	}
	return b
}

// errBusy: the memory comes back when others' requests end.
var errBusy = &s3Error{code: "SlowDown"}

// take takes n bytes, or gives back what a negative n says.
func (b *budget) take(n int64) error {
	if b.used.Add(n) > b.most && n > 0 {
		b.used.Add(-n)
		b.refused.Inc()
		return errBusy
	}
	return nil
}

// share is what one request holds of a budget. The zero share holds nothing.
// It is given back with end, in exchange.clear at the latest, however the
// request ends.
type share struct {
	of   *budget
	held int64
}

// grow takes n bytes more, or gives some back.
func (s *share) grow(of *budget, n int64) error {
	if err := of.take(n); err != nil {
		return err
	}
	s.of = of
	s.held += n
	return nil
}

// cover makes the share n bytes at least.
func (s *share) cover(of *budget, n int64) error {
	if n <= s.held {
		return nil
	}
	return s.grow(of, n-s.held)
}

func (s *share) end() {
	if s.of != nil {
		s.of.used.Add(-s.held)
	}
	*s = share{}
}

// held is what an exchange holds of the server's budgets.
type held struct {
	stranger share // of a form that is not verified yet
	asked    share // of what the client sent, or asked the backend for
	answer   share // of exchange.local
}

func (h *held) end() {
	h.stranger.end()
	h.asked.end()
	h.answer.end()
}
