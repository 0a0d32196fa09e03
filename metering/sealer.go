package metering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Sealer seals hours as they become final.
type Sealer struct {
	q        pg.Querier
	keys     Keys
	sealed   prometheus.Counter
	failures prometheus.Counter
	until    prometheus.Gauge
}

// NewSealer makes a sealer; q is for the role primecloud_worker, r may be nil.
// Call its Seal every now and then.
func NewSealer(q pg.Querier, keys Keys, r prometheus.Registerer) *Sealer {
	s := &Sealer{
		q: q, keys: keys,
		sealed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_seals_total", Help: "Hours that this process has sealed.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "primecloud_metering_seal_failures_total", Help: "Attempts to seal that failed and will be repeated.",
		}),
		until: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "primecloud_metering_sealed_until_timestamp_seconds", Help: "End of the newest sealed hour when this process last looked; 0: it has not, or nothing is sealed.",
		}),
	}
	if r != nil {
		r.MustRegister(s.sealed, s.failures, s.until)
	}
	return s
}

// sealAtOnce bounds one run of Seal; the next goes on.
const sealAtOnce = 1000

// Seal seals what has become final since, each hour in a transaction of its
// own.
func (s *Sealer) Seal(ctx context.Context) error {
	n, err := SealFinal(ctx, s.q, s.keys, sealAtOnce)
	s.sealed.Add(float64(n))
	head, ok, headErr := newest(ctx, s.q)
	if ok {
		s.until.Set(float64(head.Hour.Add(time.Hour).Unix()))
	}
	if err = errors.Join(err, headErr); err != nil {
		s.failures.Inc()
		return fmt.Errorf("seal usage: %w", err)
	}
	return nil
}
