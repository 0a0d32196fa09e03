package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/subscriber"
	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// budget bounds the bytes that one kind of buffer may have on this node, over
// all requests, and those that one holder may have of them: whoever takes his
// time with what he sends or reads would put off everybody else for as long.
// They are taken before the buffer is made.
type budget struct {
	most, each int64 // of all holders, of one
	used       atomic.Int64
	refused    prometheus.Counter

	mu sync.Mutex
	by map[holder]int64 // of those who hold something, so that there are no more than connections
}

// The part of a budget that one holder has at most: of strangers' forms an
// eighth, with which 80 of the largest can be read at once; of documents a half,
// since an account may well be most of a node's traffic.
const (
	strangersPart = 8
	documentsPart = 2
)

// holder is whose bytes they are: an account's, or as long as there is none, an
// address's.
type holder [16]byte

// holder is the account that the request is about, also for strangers who read
// what it has made public: they take its room and nobody else's.
func (x *exchange) holder() holder {
	if x.account != nil {
		return holder(x.account.ID)
	}
	return addressHolder(x.remote)
}

// addressHolder is the holder at an address, as connections are counted.
func addressHolder(a netip.Addr) holder {
	return holder(subscriber.Of(a).As16())
}

// newBudget makes one of which a holder has the given part at most.
func newBudget(kind string, most, part int64, r prometheus.Registerer) *budget {
	b := &budget{most: most, each: most / part, by: map[holder]int64{}}
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
var errBusy = &s3err.Error{Code: "SlowDown"}

// take takes n bytes for by, or gives back what a negative n says.
func (b *budget) take(by holder, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && (b.by[by]+n > b.each || b.used.Load()+n > b.most) {
		b.refused.Inc()
		return errBusy
	}
	b.used.Add(n)
	if b.by[by] += n; b.by[by] == 0 {
		delete(b.by, by)
	}
	return nil
}

// share is what one request holds of a budget. The zero share holds nothing.
// It is given back with end, in exchange.clear at the latest, however the
// request ends.
type share struct {
	of   *budget // nil: nothing was taken yet
	by   holder  // who took first: a request may come to be known later
	held int64
}

// grow takes n bytes more for by, or gives some back.
func (s *share) grow(of *budget, by holder, n int64) error {
	if s.of != nil {
		by = s.by
	}
	if err := of.take(by, n); err != nil {
		return err
	}
	s.of, s.by = of, by
	s.held += n
	return nil
}

// cover makes the share n bytes at least.
func (s *share) cover(of *budget, by holder, n int64) error {
	if n <= s.held {
		return nil
	}
	return s.grow(of, by, n-s.held)
}

func (s *share) end() {
	if s.of != nil {
		_ = s.of.take(s.by, -s.held) // giving back is not refused
	}
	*s = share{}
}

// held is what an exchange holds of the server's budgets.
type held struct {
	stranger share // of a form that is not verified yet
	asked    share // of what the client sent, or asked the backend for
	response share // of exchange.local
}

func (h *held) end() {
	h.stranger.end()
	h.asked.end()
	h.response.end()
}
