package tenancy

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

func (d *Directory) register(r prometheus.Registerer) {
	counter := func(name, help string, n *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "primecloud_tenancy_directory_" + name + "_total", Help: help,
		}, func() float64 { return float64(n.Load()) })
	}
	r.MustRegister(
		counter("hits", "Look-ups answered from memory.", &d.hits),
		counter("misses", "Look-ups that went to PostgreSQL.", &d.misses),
		counter("refused", "Look-ups of what cannot exist, such as invented key ids, refused from memory.", &d.refused),
		counter("crowded", "Look-ups of what is not known yet, told to come again because too many waited.", &d.crowded),
		counter("connects", "Connections made to hear changes; each validates everything again.", &d.connects),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_tenancy_directory_connected", Help: "1 while changes in PostgreSQL are heard.",
		}, func() float64 {
			if d.Connected() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "primecloud_tenancy_directory_heard_timestamp_seconds", Help: "Every change that PostgreSQL committed before is known here.",
		}, func() float64 { return float64(d.sync.Load().lastHeartbeat.UnixMicro()) / 1e6 }),
	)
}
