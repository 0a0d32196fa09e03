package limits_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// row is what PostgreSQL has of a node's lease.
type row struct{ Granted, Used int64 }

func (n *node) rows(b tenancy.Budget) (list []row) {
	n.f.t.Helper()
	rows, err := n.f.owner.Query(n.f.t.Context(), `SELECT granted, used FROM budget_leases WHERE budget = $1 AND epoch = $2 ORDER BY period`, b.String(), n.meter.Epoch())
	if err == nil {
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	}
	if err != nil {
		n.f.t.Fatal(err)
	}
	return list
}

// A slice is a quarter of an even share of what is left, and bounded; what was
// asked for comes beside it.
func TestLease_slice(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	if err := limits.AddCard(t.Context(), f.owner, limits.Card{ValidFrom: f.clock.Now().Truncate(time.Hour), Rates: limits.Rates{Currency: "BRL", ThousandB: 1000}}); err != nil {
		t.Fatal(err)
	}
	f.exec(`UPDATE usage_nodes SET reported_at = now() + interval '1 day'`) // both live, however long this takes
	for _, c := range []struct {
		budget            tenancy.Budget
		amount, use, want int64 // want: granted beyond what is used
	}{
		{tenancy.Egress, 8000, 0, 1000},
		{tenancy.Egress, 8000, 4000, 500}, // smaller as the end comes near
		{tenancy.Egress, 1 << 40, 0, 4 << 30},
		{tenancy.Requests, 80, 1, 9}, // of the 79 that are left
		{tenancy.Requests, 1e9, 1, 50_000},
		{tenancy.Spend, 1e12, 0, 1e9},
	} {
		f.exec(`DELETE FROM budget_leases`)
		n := f.start()
		f.exec(`UPDATE usage_nodes SET closed_at = now() WHERE epoch = $1`, f.nodes[0].meter.Epoch()) // two again
		f.nodes = f.nodes[1:]
		f.exec(`UPDATE usage_nodes SET reported_at = now() + interval '1 day'`)
		f.limit(hard(c.budget, c.amount))
		size := c.use
		if c.budget != tenancy.Egress {
			size = 0
		}
		var g limits.Grant
		if err := n.begin(&g, nil, size); err != nil {
			t.Fatal(err)
		}
		n.renew() // the slice is of what is left beside what is in flight
		list := n.rows(c.budget)
		if got := list[0].Granted - list[0].Used; len(list) != 1 || got != c.want {
			t.Errorf("%d of %s, %d used: %d ahead of need, want %d", c.amount, c.budget, c.use, got, c.want)
		}
		g.Settle(limits.Outcome{})
	}
}

// Who does not get what it needs is told whether that may pass: what other nodes
// hold may come back, what is used does not.
func TestLease_refusals(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	registry := prometheus.NewPedanticRegistry()
	other, n := f.nodes[0], f.start(func(c *limits.Config) { c.Metrics = registry })
	renewals := func() float64 { return testenv.Metric(t, registry, "primecloud_limits_renewals_total") }
	f.limit(hard(tenancy.Egress, 1000))
	if err := other.download(10, 10); err != nil { // it holds a slice beside
		t.Fatal(err)
	}
	other.renew() // what it has used is known
	if err := n.download(900, 900); reason(err) != int(limits.Reserved) {
		t.Errorf("what another node holds and has not used: %v", err)
	}
	asked := renewals()
	if asked == 0 {
		t.Error("nothing was asked for")
	}
	if err := n.download(995, 995); reason(err) != int(limits.Exhausted) {
		t.Errorf("more than is left, whoever holds it: %v", err)
	}
	if again := renewals(); again != asked {
		t.Error("PostgreSQL was asked again within a second")
	}
	f.clock.Advance(time.Second)
	if err := n.download(995, 995); reason(err) != int(limits.Exhausted) {
		t.Errorf("a second later: %v", err)
	}
	if again := renewals(); again == asked {
		t.Error("what was said a second ago was said again without a look")
	}
	f.settle() // the other one gives back
	if err := n.download(900, 900); err != nil {
		t.Errorf("two renewals later: %v", err)
	}
	var r *limits.RefusalError
	f.clock.Advance(time.Minute)
	if err := n.download(91, 91); !errors.As(err, &r) || r.Reason != limits.Exhausted || r.RetryAfter < time.Second {
		t.Errorf("nothing fits: %v", err)
	}
	// A refusal is of the budget as it was.
	f.limit(hard(tenancy.Egress, 2000))
	if err := n.download(91, 91); err != nil {
		t.Errorf("after the budget was raised: %v", err)
	}
}

// What did not fit is remembered for a second, and keeps nothing from being had that
// does fit, also while a renewal goes on.
func TestLease_refusedThenSmaller(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	f.limit(hard(tenancy.Egress, 2))
	var n *node
	var armed atomic.Bool
	smaller := make(chan error, 1)
	n = f.start(func(c *limits.Config) {
		c.Pool = f.db.BeforeCommit(t, pg.RoleGateway, func() {
			if !armed.CompareAndSwap(true, false) {
				return
			}
			go func() { smaller <- n.download(1, 1) }()
			testenv.WaitFor(t, "the request to wait, or to be answered", func() bool { return len(smaller) > 0 || n.limiter.Awaited() > 0 })
		})
	})
	if err := n.download(3, 3); reason(err) != int(limits.Exhausted) {
		t.Errorf("3 of 2: %v", err)
	}
	armed.Store(true)
	n.renew() // it gives back what was had for the one that was refused
	if err := <-smaller; err != nil {
		t.Errorf("1 of 2, within a second of it: %v", err)
	}
}

// A request that the lease has not enough for waits until there is more, and no
// longer than it is told to.
func TestLease_waits(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	hasty := f.start(func(c *limits.Config) { c.Wait = time.Millisecond })
	f.limit(hard(tenancy.Egress, 1000))
	tx, err := f.owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT lock_account($1)`, f.account.ID); err != nil {
		t.Fatal(err)
	}
	if err := hasty.download(1, 1); reason(err) != int(limits.Unknown) {
		t.Errorf("no answer in time: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- f.nodes[0].download(600, 600) }()
	testenv.WaitFor(t, "the request to wait", func() bool { return len(waiting) > 0 || f.db.LockAwaited(t) })
	if len(waiting) > 0 {
		t.Errorf("it did not wait: %v", <-waiting)
		return
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil && reason(err) != int(limits.Unknown) { // a machine that took 5 s for this
		t.Errorf("after the wait: %v", err)
	}
}

// What began before the turn of a month was reserved in the old one; the bytes
// count where they moved.
func TestLease_turn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	n := f.nodes[0]
	f.limit(hard(tenancy.Egress, 1000))
	var g limits.Grant
	if err := n.begin(&g, nil, 600); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(31 * 24 * time.Hour)
	f.egress() // the meters' hour moves on
	if err := n.download(10, 10); err != nil {
		t.Errorf("in the next month: %v", err)
	}
	n.finish(&g, nil, 600)
	n.renew()
	if list := n.rows(tenancy.Egress); len(list) != 2 || list[0].Used != 600 || list[1].Used != 10 {
		t.Errorf("used of the two months' leases: %+v", list)
	}
	if got := f.egress(); got != 610 {
		t.Errorf("%d in the new month's ledger", got)
	}
	f.reread()
	f.settle()
	if err := n.download(391, 391); reason(err) != int(limits.Exhausted) {
		t.Errorf("more than the ledger leaves of the new month: %v", err)
	}
	f.settle()
	if err := n.download(390, 390); err != nil {
		t.Errorf("what it leaves: %v", err)
	}
}

// A budget that is lowered may be passed by what is in flight, and by no more: so
// much is said.
func TestReport_lowered(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.limit(hard(tenancy.Egress, 1000))
	var g limits.Grant
	if err := f.nodes[0].begin(&g, nil, 600); err != nil {
		t.Fatal(err)
	}
	report := func(amount, used, leased, overshoot int64) {
		t.Helper()
		list, err := limits.Report(t.Context(), f.owner, nil, f.account.ID, tenancy.ID{}, f.clock.Now())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if s := list[0]; s.Amount != amount || s.Used != used || s.Leased != leased || s.Overshoot != overshoot {
			t.Errorf("%+v, want %d used, %d leased, passed by %d at most", s, used, leased, overshoot)
		}
	}
	f.limit(hard(tenancy.Egress, 500))
	f.settle()
	report(500, 0, 600, 100)
	f.clock.Advance(time.Minute)
	if err := f.nodes[1].download(1, 1); reason(err) == admitted {
		t.Error("more, of a budget that is passed")
	}
	f.nodes[0].finish(&g, nil, 200) // cut
	f.egress()
	f.reread()
	f.settle()
	report(500, 200, 0, 0)
	f.limit(hard(tenancy.Egress, 100)) // what was used before is not what may still be
	report(100, 200, 0, 0)
}
