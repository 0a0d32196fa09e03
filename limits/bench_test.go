package limits_test

import (
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// BenchmarkLimiter_Admit is what all limits, of account and key, add to a
// request: its admission, the reservation of its answer and the settling.
func BenchmarkLimiter_Admit(b *testing.B) {
	f := newFleet(b, 1)
	day := f.clock.Now().Truncate(24 * time.Hour)
	if err := limits.AddCard(b.Context(), f.owner, limits.Card{ValidFrom: day, Rates: limits.Rates{Currency: "BRL", EgressGB: 1e7, ThousandB: 1e6}}); err != nil {
		b.Fatal(err)
	}
	l := tenancy.Limits{RequestsPerSecond: 1 << 40, UploadRate: 1 << 40, DownloadRate: 1 << 40, Concurrent: 1 << 20}
	for _, kind := range []tenancy.Budget{tenancy.Egress, tenancy.Requests, tenancy.Spend} {
		l.Caps[kind] = &tenancy.Cap{Amount: 1 << 60}
	}
	f.limit(l)
	k, err := f.store.CreateKey(b.Context(), f.owner, tenancy.Key{AccountID: f.account.ID})
	if err != nil {
		b.Fatal(err)
	}
	if err := tenancy.SetKeyLimits(b.Context(), f.owner, k, &l); err != nil {
		b.Fatal(err)
	}
	key := &tenancy.Identity{ID: k.ID, AccountID: f.account.ID, Limits: &l}
	r := limits.Request{Account: f.account, Key: key, Class: usage.ClassB, Download: true}
	limiter, ctx := f.nodes[0].limiter, b.Context()
	var g limits.Grant
	b.ReportAllocs()
	for b.Loop() {
		if err := limiter.Admit(ctx, &g, r); err != nil {
			b.Fatal(err)
		}
		if err := g.Answer(ctx, 1000); err != nil {
			b.Fatal(err)
		}
		g.Settle(limits.Outcome{Sent: 1000})
	}
}
