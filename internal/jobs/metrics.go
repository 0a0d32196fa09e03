package jobs

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	runs    *prometheus.CounterVec
	seconds *prometheus.GaugeVec
	success *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "primecloud_jobs_runs_total", Help: "Runs of background jobs in this process.",
		}, []string{"job", "outcome"}),
		seconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "primecloud_jobs_last_run_seconds", Help: "How long the last run took here.",
		}, []string{"job"}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "primecloud_jobs_last_success_timestamp_seconds", Help: "When the job last succeeded here; 0: not yet.",
		}, []string{"job"}),
	}
	if r != nil {
		r.MustRegister(m.runs, m.seconds, m.success)
	}
	return m
}

// add makes the job's series, so that one that never ran can be seen.
func (m *metrics) add(job string) {
	m.runs.WithLabelValues(job, "success")
	m.runs.WithLabelValues(job, "failure")
	m.success.WithLabelValues(job)
}

// ran counts a run that began at started; one that panicked is a failure.
func (m *metrics) ran(job string, started time.Time, ok bool) {
	m.seconds.WithLabelValues(job).Set(time.Since(started).Seconds())
	if !ok {
		m.runs.WithLabelValues(job, "failure").Inc()
		return
	}
	m.runs.WithLabelValues(job, "success").Inc()
	m.success.WithLabelValues(job).SetToCurrentTime()
}
