package limits_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

func (f *fleet) thresholds() (list []int) {
	f.t.Helper()
	events, err := limits.Events(f.t.Context(), f.owner, f.account.ID, time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range events {
		list = append(list, e.Threshold)
	}
	slices.Sort(list)
	return list
}

// Each threshold raises one event a month, although three nodes notice at once.
func TestEvents_once(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	f.limit(soft(tenancy.Egress, 1000))
	use := func(n int64) {
		if err := f.nodes[0].download(n, n); err != nil {
			t.Fatal(err)
		}
		f.egress()
		f.reread()
		var working sync.WaitGroup
		for _, n := range f.nodes {
			working.Go(func() {
				_ = n.download(0, 0)
				n.renew()
				if err := n.limiter.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		working.Wait()
	}
	for _, step := range []struct {
		use  int64
		want []int
	}{{499, nil}, {1, []int{50}}, {299, []int{50}}, {160, []int{50, 80, 95}}, {200, []int{50, 80, 95, 100}}, {900, []int{50, 80, 95, 100}}} {
		use(step.use)
		if got := f.thresholds(); !slices.Equal(got, step.want) {
			t.Errorf("after %d more: %v, want %v", step.use, got, step.want)
		}
	}
	f.clock.Advance(31 * 24 * time.Hour)
	f.egress()
	use(600)
	if got := f.thresholds(); !slices.Equal(got, []int{50, 50, 80, 95, 100}) {
		t.Errorf("in the next month: %v", got)
	}
}

// A hard budget is used up when nothing fits any more: that raises the last one.
func TestEvents_refused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(hard(tenancy.Egress, 1000))
	n := f.nodes[0]
	if err := n.download(960, 960); err != nil {
		t.Fatal(err)
	}
	n.flush()
	f.reread()
	if err := n.download(100, 100); reason(err) != int(limits.Exhausted) {
		t.Fatal(err)
	}
	if got := f.thresholds(); !slices.Equal(got, []int{50, 80, 95, 100}) {
		t.Errorf("%v", got)
	}
	// One that would not have fitted into half of it says nothing of the kind.
	g := newFleet(t, 1)
	g.limit(hard(tenancy.Egress, 1000))
	if err := g.nodes[0].download(1001, 1001); reason(err) != int(limits.Exhausted) {
		t.Fatal(err)
	}
	if got := g.thresholds(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// Spend is valued by the card that was in force in each hour: the account's own
// before everyone's.
func TestBudget_spend(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	day := f.clock.Now().Truncate(24 * time.Hour)
	card := func(c limits.Card) {
		if c.Currency == "" {
			c.Currency = "BRL"
		}
		if err := limits.AddCard(t.Context(), f.owner, c); err != nil {
			t.Fatal(err)
		}
	}
	card(limits.Card{ValidFrom: day, Rates: limits.Rates{EgressGB: 1e9}})                                        // 1 for each byte
	card(limits.Card{ValidFrom: day, Account: f.account.ID, Rates: limits.Rates{EgressGB: 2e9, ThousandB: 1e5}}) // 2, and 100 a request
	card(limits.Card{ValidFrom: day.Add(time.Hour), Rates: limits.Rates{EgressGB: 7e9}})                         // newer, but not its own
	f.limit(hard(tenancy.Spend, 10_000))
	if err := f.nodes[0].download(1000, 1000); err != nil { // 2100
		t.Fatal(err)
	}
	f.settle()
	if err := f.nodes[1].download(4000, 4000); reason(err) != int(limits.Exhausted) { // 8100 of 7900
		t.Errorf("%v", err)
	}
	f.settle()
	if err := f.nodes[1].download(2000, 2000); err != nil { // 4100
		t.Errorf("%v", err)
	}
	f.egress()
	status := func() limits.Status {
		list, err := limits.Report(t.Context(), f.owner, nil, f.account.ID, tenancy.ID{}, f.clock.Now())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	if s := status(); s.Used != 6200 || s.Currency != "BRL" || s.Percent != 62 || s.Overshoot != 0 {
		t.Errorf("%+v", s)
	}
	// A new price is for what comes after it.
	f.clock.Advance(time.Hour)
	f.egress()
	card(limits.Card{ValidFrom: f.clock.Now().Truncate(time.Hour), Account: f.account.ID, Rates: limits.Rates{EgressGB: 10e9}})
	f.settle()
	f.reread()
	f.settle()
	if err := f.nodes[0].download(100, 100); err != nil { // 1000
		t.Fatal(err)
	}
	f.egress()
	if s := status(); s.Used != 7200 {
		t.Errorf("%+v", s)
	}
	if cards, err := limits.Cards(t.Context(), f.owner, tenancy.ID{}); err != nil || len(cards) != 2 {
		t.Errorf("everyone's cards: %v %v", cards, err)
	}
}

// A budget is raised, and all of it leased, between any two statements of a
// report: no moment has more leased than there is.
func TestReport_whileLeasing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	month := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	amount := int64(0)
	between := func() {
		amount += 1000
		f.limit(hard(tenancy.Egress, amount))
		f.exec(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch, granted) VALUES ($1, $2, 'egress', $3, $1, $4)
			ON CONFLICT (account_id, key_id, budget, period, epoch) DO UPDATE SET granted = excluded.granted`, f.account.ID, tenancy.ID{}, month, amount)
	}
	between()
	list, err := limits.Report(t.Context(), f.db.Interleaved(t, pg.RoleOwner, between), nil, f.account.ID, tenancy.ID{}, f.clock.Now())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if s := list[0]; s.Overshoot != 0 || s.Leased != s.Amount {
		t.Errorf("%+v", s)
	}
	if amount < 5000 {
		t.Errorf("raised to %d: the test shows nothing", amount)
	}
}

// PostgreSQL is away: a hard budget is good for the slice, then it cannot be
// checked; a soft one does not hold anything up.
func TestBudget_outage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	n := f.nodes[0]
	l := hard(tenancy.Egress, 40_000)
	l.Caps[tenancy.Requests] = &tenancy.Cap{Amount: 10, Soft: true}
	f.limit(l)
	if err := n.download(100, 100); err != nil {
		t.Fatal(err)
	}
	n.renew()
	back := f.db.TakeAway(t)
	sent, refused := 0, error(nil)
	for refused == nil && sent < 1000 {
		if refused = n.download(100, 100); refused == nil {
			sent++
		}
	}
	if reason(refused) != int(limits.Unknown) || sent == 0 || sent > 399 {
		t.Errorf("%d downloads without PostgreSQL, then %v", sent, refused)
	}
	for range 3 { // and so it stays
		f.clock.Advance(time.Second)
		if err := n.download(100, 100); reason(err) != int(limits.Unknown) {
			t.Errorf("later without PostgreSQL: %v", err)
		}
	}
	f.account.Limits.Caps[tenancy.Egress] = nil
	for range 50 {
		if err := n.download(100, 100); err != nil {
			t.Fatalf("a soft budget: %v", err)
		}
	}
	back()
	f.owner.Reset() // its connections were cut too
	f.limit(l)
	f.clock.Advance(time.Minute)
	testenv.WaitFor(t, "the budget to be checked again", func() bool {
		f.clock.Advance(time.Minute)
		return n.download(100, 100) == nil
	})
}

// A holder that nobody uses is forgotten, and what it used is not.
func TestLimiter_evicts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(hard(tenancy.Egress, 1000))
	n := f.nodes[0]
	if err := n.download(600, 600); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if n.limiter.Subjects() != 1 {
		t.Error("forgotten too soon")
	}
	var g limits.Grant
	if err := n.begin(&g, nil, 0); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(time.Hour)
	f.settle()
	if n.limiter.Subjects() != 1 {
		t.Error("forgotten in use")
	}
	n.finish(&g, nil, 0)
	f.settle()
	if n.limiter.Subjects() != 0 {
		t.Error("not forgotten")
	}
	if err := n.download(401, 401); reason(err) != int(limits.Exhausted) {
		t.Errorf("what it had used is forgotten: %v", err)
	}
}

// The gateway keeps leases and writes events; limits and prices are not its to
// change. The portal sees its own account's, and limits its own keys.
func TestRoles(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(soft(tenancy.Egress, 1))
	other, err := tenancy.CreateAccount(t.Context(), f.owner, "other", "", tenancy.Active)
	if err != nil {
		t.Fatal(err)
	}
	k, err := f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.account.ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.nodes[0].download(5, 5); err != nil {
		t.Fatal(err)
	}
	f.egress()
	f.nodes[0].renew()
	f.reread()
	if err := f.nodes[0].limiter.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateway, portal, worker := f.db.Pool(t, pg.RoleGateway), f.db.Pool(t, pg.RolePortal), f.db.Pool(t, pg.RoleWorker)
	for what, try := range map[string]func(context.Context) error{
		"raise a limit": func(ctx context.Context) error {
			_, err := gateway.Exec(ctx, `UPDATE account_limits SET egress_budget = 2`)
			return err
		},
		"change a price": func(ctx context.Context) error {
			_, err := gateway.Exec(ctx, `UPDATE rate_cards SET egress_gb = 0`)
			return err
		},
		"take an event back": func(ctx context.Context) error {
			_, err := gateway.Exec(ctx, `DELETE FROM limit_events`)
			return err
		},
		"raise one's own limit": func(ctx context.Context) error {
			return tenancy.AsAccount(ctx, portal, f.account.ID, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE account_limits SET egress_budget = 2`)
				return err
			})
		},
		"limit a key as another account": func(ctx context.Context) error {
			return tenancy.AsAccount(ctx, portal, other.ID, func(tx pgx.Tx) error {
				l := tenancy.Limits{Concurrent: 1}
				return tenancy.SetKeyLimits(ctx, tx, k, &l)
			})
		},
		"forget leases as the worker": func(ctx context.Context) error {
			_, err := worker.Exec(ctx, `DELETE FROM budget_leases`)
			return err
		},
	} {
		if try(t.Context()) == nil {
			t.Errorf("%s: done", what)
		}
	}
	for account, want := range map[tenancy.ID]int{f.account.ID: 4, other.ID: 0} {
		if err := tenancy.AsAccount(t.Context(), portal, account, func(tx pgx.Tx) error {
			events, err := limits.Events(t.Context(), tx, f.account.ID, time.Time{})
			if len(events) != want {
				t.Errorf("as %s: %d events, want %d", account, len(events), want)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if err := tenancy.AsAccount(t.Context(), portal, f.account.ID, func(tx pgx.Tx) error {
		l := tenancy.Limits{Concurrent: 1}
		return tenancy.SetKeyLimits(t.Context(), tx, k, &l)
	}); err != nil {
		t.Errorf("the portal limits its own key: %v", err)
	}
}

// Whenever they were written: 100 is reached by a refused request before the ledger has
// what reaches 95.
func TestEvents_order(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i, percent := range []int{50, 80, 100, 95} {
		if _, err := f.owner.Exec(t.Context(), `INSERT INTO limit_events (account_id, key_id, budget, month, threshold, used, budgeted, created_at)
			VALUES ($1, $2, 'egress', $3, $4, 1, 1, $5)`, f.account.ID, tenancy.ID{}, month, percent, month.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	events, err := limits.Events(t.Context(), f.owner, f.account.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, e := range events {
		got = append(got, e.Threshold)
	}
	if !slices.Equal(got, []int{100, 95, 80, 50}) {
		t.Errorf("%v", got)
	}
}
