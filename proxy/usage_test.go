package proxy_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
)

// usageBy flushes and returns the sums of an account.
func usageBy(t testing.TB, g *gateway, tn *tenant, by ledger.Group) map[string]ledger.Usage {
	t.Helper()
	if err := g.meter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := ledger.Sum(t.Context(), g.owner, ledger.Query{Account: tn.account.ID, By: by})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]ledger.Usage{}
	for _, r := range rows {
		m[r.Value] = r
	}
	return m
}

// waitForUsage waits until PostgreSQL has what the tenant moved.
func waitForUsage(t testing.TB, g *gateway, tn *tenant) {
	t.Helper()
	testenv.WaitFor(t, "the tenant's usage in PostgreSQL", func() bool {
		var in, out int64
		for _, u := range usageBy(t, g, tn, ledger.ByBucket) {
			in, out = in+u.Ingress, out+u.Egress
		}
		return in > 9<<20 && out > 9<<20
	})
}
