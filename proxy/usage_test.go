package proxy_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering"
)

// usage flushes and returns the sums of an account.
func usage(t testing.TB, g *gateway, tn *tenant, by metering.Group) map[string]metering.Usage {
	t.Helper()
	if err := g.meter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := metering.Sum(t.Context(), g.owner, metering.Query{Account: tn.account.ID, By: by})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]metering.Usage{}
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
		for _, u := range usage(t, g, tn, metering.ByBucket) {
			in, out = in+u.Ingress, out+u.Egress
		}
		return in > 9<<20 && out > 9<<20
	})
}
