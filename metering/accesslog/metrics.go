package accesslog

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	dropped  prometheus.Counter
	failures prometheus.Counter
	lost     prometheus.Counter
	leftOut  map[string]prometheus.Counter // by reason

	lostUnproven prometheus.Counter
	bytes        prometheus.Gauge
	delivered    prometheus.Counter
	withheld     *prometheus.CounterVec
	refused      prometheus.Counter
	behind       prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "primecloud_accesslog_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "primecloud_accesslog_" + name, Help: help})
	}
	m := metrics{
		dropped:  counter("dropped_lines_total", "Lines that a full or slow disk has cost."),
		failures: counter("write_failures_total", "Writes, syncs and deletions of files that failed; writes are repeated."),
		lost:     counter("lost_files_total", "Files deleted before all of their lines were delivered: the folder's bound."),

		lostUnproven: counter("lost_unproven_files_total", "Files of requests that nobody proved, deleted before all of their lines were delivered: the bound of such files."),

		bytes:     gauge("files_bytes", "Bytes of all files, at the last sweep."),
		delivered: counter("delivered_lines_total", "Lines delivered to accounts' buckets."),
		refused:   counter("delivery_failures_total", "Objects that a backend did not take; they are sent again."),
		behind:    gauge("undelivered_bytes", "Bytes of files that delivery has not been through, at its last pass."),
		withheld: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "primecloud_accesslog_withheld_lines_total",
			Help: "Lines that were not delivered: the target bucket does not exist, the account is not active, the target has a default retention, or an object of it is in the way of the prefix."}, []string{"reason"}),
	}
	for _, reason := range []string{withoutTarget, notActive, hiddenName, retention} {
		m.withheld.WithLabelValues(reason)
	}
	leftOut := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "primecloud_accesslog_left_out_lines_total",
		Help: "Lines of requests that nobody proved, beyond the rate of a bucket, an address or the node, or of what may wait in memory; sums have them."}, []string{"reason"})
	m.leftOut = map[string]prometheus.Counter{}
	for _, reason := range leftOutReasons {
		m.leftOut[reason] = leftOut.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(leftOut, m.lostUnproven, m.dropped, m.failures, m.lost, m.bytes, m.delivered, m.refused, m.behind, m.withheld)
	}
	return m
}
