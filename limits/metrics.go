package limits

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused  [Unknown + 1]prometheus.Counter
	renewals prometheus.Counter
	failures prometheus.Counter
	paced    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) metrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_limits_refused_total", Help: "Requests refused by a limit or a budget.",
	}, []string{"reason"})
	m := metrics{
		renewals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_limits_renewals_total", Help: "Renewals of budget leases.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_limits_renewal_failures_total", Help: "Renewals of budget leases that failed: hard budgets refuse once their slice is used up.",
		}),
		paced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_limits_paced_seconds_total", Help: "Time that bodies were held back to keep transfer rates.",
		}),
	}
	for i, reason := range [...]string{TooFast: "rate", Crowded: "concurrency", Exhausted: "budget", Reserved: "reserved", Unknown: "unknown"} {
		m.refused[i] = refused.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(refused, m.renewals, m.failures, m.paced)
	}
	return m
}
