package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// metrics have labels with a fixed set of values only: operation names and
// status classes. Figures per account are in the ledger.
type metrics struct {
	operations map[*s3op.Operation]*series // nil: what was no operation
	sent       prometheus.Counter
	spliced    prometheus.Counter
	unsendable prometheus.Counter
	blamed     prometheus.Counter

	looks map[lookResult]prometheus.Counter
}

type series struct {
	requests [6]prometheus.Counter // by status/100
	latency  prometheus.Observer
}

func newMetrics(r prometheus.Registerer) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_proxy_requests_total", Help: "Requests by operation and class of the status code.",
	}, []string{"operation", "status"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "primecloud_proxy_request_duration_seconds", Help: "From the head of the request to the last byte of the answer.",
		Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 300},
	}, []string{"operation"})
	m := &metrics{
		operations: map[*s3op.Operation]*series{},
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_sent_bytes_total", Help: "Body bytes that client sockets took.",
		}),
		spliced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_spliced_bytes_total", Help: "Those of them that went from socket to socket in the kernel.",
		}),
		unsendable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_unsendable_requests_total",
			Help: "Requests to a backend that were refused while they were written, and answered 500: each is a hole in the checks before it. Alert on any.",
		}),
		blamed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_backend_refusals_total",
			Help: "Answers in which a backend refused the gateway itself (credential, signature, clock, form of the request); clients were told 503. Alert on any.",
		}),
	}
	looks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_proxy_name_looks_total",
		Help: "Looks at the names around a key that was to be written: known without asking the backend, questions asked, writes refused, looks that failed.",
	}, []string{"result"})
	m.looks = map[lookResult]prometheus.Counter{}
	for _, result := range []lookResult{lookKnown, lookAsked, lookRefused, lookFailed} {
		m.looks[result] = looks.WithLabelValues(string(result))
	}
	if r != nil {
		r.MustRegister(requests, latency, m.sent, m.spliced, m.unsendable, m.blamed, looks)
	}
	classes := [6]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
	for _, o := range append([]*s3op.Operation{nil}, s3op.Operations...) {
		name := operationName(o)
		s := &series{latency: latency.WithLabelValues(name)}
		for i, class := range classes {
			s.requests[i] = requests.WithLabelValues(name, class)
		}
		m.operations[o] = s
	}
	return m
}

func (m *metrics) observe(x *exchange, elapsed time.Duration) {
	s := m.operations[x.op]
	s.requests[min(x.status/100, 5)].Inc()
	s.latency.Observe(elapsed.Seconds())
	m.sent.Add(float64(x.conn.Sent()))
}
