//go:build !race

package metering_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledgertest"
	"github.com/primecloudpro/primecloud/metering/usage"
)

func TestAllocs(t *testing.T) { // not parallel: AllocsPerRun
	m := offline(t)
	var tally metering.Tally
	m.Begin(&tally, ledgertest.Key(1))
	m.Begin(&tally, ledgertest.Key(2))
	if n := testing.AllocsPerRun(1000, func() {
		m.Begin(&tally, ledgertest.Key(1))
		tally.Request()
		tally.Ingress(1)
		tally.Egress(1)
		tally.DeclaredIngress(1)
		tally.DeclaredEgress(1)
		tally.Reclass(usage.ClassB)
		tally.End()
	}); n != 0 {
		t.Errorf("a request whose cell exists costs %v allocations", n)
	}
}
