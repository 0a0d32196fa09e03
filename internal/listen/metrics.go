package listen

import "github.com/prometheus/client_golang/prometheus"

// metrics keep the prefix of package proxy where operators know them by it.
type metrics struct {
	open             prometheus.Gauge
	refused          map[refusal]prometheus.Counter
	acceptErrors     prometheus.Counter
	failedHandshakes prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_proxy_refused_connections_total", Help: "Connections closed as they came: too many in all, or of one address, or while the node stops.",
	}, []string{"reason"})
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_proxy_connections", Help: "Client connections open.",
		}),
		refused: map[refusal]prometheus.Counter{},
		acceptErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_proxy_accept_errors_total", Help: "Times that no connection could be accepted, as when descriptors are used up. Alert when it grows.",
		}),
		failedHandshakes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_listen_failed_handshakes_total", Help: "TLS handshakes that failed, took too long, or were cut while the node stopped.",
		}),
	}
	for _, why := range []refusal{tooMany, tooManyOfOne, stopping} {
		m.refused[why] = refused.WithLabelValues(string(why))
	}
	if r != nil {
		r.MustRegister(m.open, refused, m.acceptErrors, m.failedHandshakes)
	}
	return m
}
