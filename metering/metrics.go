package metering

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	flushed            prometheus.Counter
	failures           prometheus.Counter
	damaged            prometheus.Counter
	series             prometheus.Gauge
	watermark          prometheus.Gauge
	conflictingWriters prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, degraded *atomic.Int64) metrics {
	m := metrics{
		flushed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_readings_total", Help: "Readings that PostgreSQL has acknowledged.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_flush_failures_total", Help: "Flushes to PostgreSQL and syncs to the disk that failed and will be repeated.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_damaged_journals_total", Help: "Journals found damaged and put aside: somebody has to look.",
		}),
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_cells", Help: "Cells in memory.",
		}),
		watermark: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_watermark_timestamp_seconds", Help: "What was counted before this moment is in PostgreSQL.",
		}),
		conflictingWriters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_epoch_contested", Help: "1: another process writes this process's usage; somebody has to look.",
		}),
	}
	if r != nil {
		r.MustRegister(m.flushed, m.failures, m.damaged, m.series, m.watermark, m.conflictingWriters, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_metering_journal_degraded_cells", Help: "Cells that found no room in the journal, and 1 when there is no journal: a kill would lose what they count.",
		}, func() float64 { return float64(degraded.Load()) }))
	}
	return m
}
