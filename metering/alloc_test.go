//go:build !race

package metering_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/metering"
)

func TestAllocs(t *testing.T) { // not parallel: AllocsPerRun
	m := offline(t)
	var tally metering.Tally
	m.Begin(&tally, key(1))
	m.Begin(&tally, key(2))
	if n := testing.AllocsPerRun(1000, func() {
		m.Begin(&tally, key(1))
		tally.Request()
		tally.Ingress(1)
		tally.Egress(1)
		tally.DeclaredIngress(1)
		tally.DeclaredEgress(1)
		tally.Reclass(metering.ClassB)
		tally.End()
	}); n != 0 {
		t.Errorf("a request whose cell exists costs %v allocations", n)
	}
}
