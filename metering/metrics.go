package metering

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	flushed   prometheus.Counter
	failures  prometheus.Counter
	cells     prometheus.Gauge
	watermark prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		flushed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_readings_total", Help: "Readings that PostgreSQL has acknowledged.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_flush_failures_total", Help: "Flushes that failed and will be repeated.",
		}),
		cells: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_cells", Help: "Cells in memory.",
		}),
		watermark: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_watermark_timestamp_seconds", Help: "What was counted before this moment is in PostgreSQL.",
		}),
	}
	if r != nil {
		r.MustRegister(m.flushed, m.failures, m.cells, m.watermark)
	}
	return m
}
