//go:build !race

package accesslog_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/metering/accesslog"
)

// Not parallel: AllocsPerRun counts what the whole process allocates.
func TestLog_Add_allocatesNothing(t *testing.T) {
	for name, rate := range map[string]int64{"written": 1 << 40, "left out": 1} {
		l := open(t, accesslog.Config{Dir: t.TempDir(), UnprovenRate: rate, BucketRate: rate})
		r := unproven(1)
		for range 20 { // buffers grow to what a second needs
			for range 200 {
				l.Add(r)
			}
			l.Discard()
		}
		if n := testing.AllocsPerRun(100, func() { l.Add(r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
