package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/proxy/s3op"
)

// metrics have labels with a fixed set of values only: operation names and
// status classes. Figures per account are in the ledger.
type metrics struct {
	requests map[string]*[6]prometheus.Counter // by operation, then status/100
	latency  map[string]prometheus.Observer
	sent     prometheus.Counter
	open     prometheus.Gauge
}

const unknownOperation = "-"

func newMetrics(r prometheus.Registerer) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_proxy_requests_total", Help: "Requests by operation and class of the status code.",
	}, []string{"operation", "status"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "primecloud_proxy_request_duration_seconds", Help: "From the head of the request to the last byte of the answer.",
		Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 300},
	}, []string{"operation"})
	m := &metrics{
		requests: map[string]*[6]prometheus.Counter{},
		latency:  map[string]prometheus.Observer{},
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_sent_bytes_total", Help: "Body bytes that client sockets took.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_proxy_connections", Help: "Client connections open.",
		}),
	}
	if r != nil {
		r.MustRegister(requests, latency, m.sent, m.open)
	}
	classes := [6]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
	add := func(name string) {
		var c [6]prometheus.Counter
		for i, class := range classes {
			c[i] = requests.WithLabelValues(name, class)
		}
		m.requests[name] = &c
		m.latency[name] = latency.WithLabelValues(name)
	}
	add(unknownOperation)
	for _, o := range s3op.Operations {
		add(o.Name)
	}
	return m
}

func (m *metrics) observe(x *exchange, elapsed time.Duration) {
	name := x.opName()
	m.requests[name][min(x.status/100, 5)].Inc()
	m.latency[name].Observe(elapsed.Seconds())
	m.sent.Add(float64(x.conn.sent))
}
