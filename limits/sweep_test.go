package limits_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// An account whose budgets cannot be looked after keeps no other waiting.
func TestSweep_badAccount(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	good, next := f.account, ""
	for _, name := range []string{"before", "after"} { // one of them is asked for before the bad one, or after it
		a, err := tenancy.CreateAccount(t.Context(), f.owner, name, "", tenancy.Active)
		if err != nil {
			t.Fatal(err)
		}
		next = a.ID.String()
		l := soft(tenancy.Egress, 1)
		if err := tenancy.SetLimits(t.Context(), f.owner, a.ID, &l); err != nil {
			t.Fatal(err)
		}
		f.exec(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch) VALUES ($1, $2, 'egress', $3, $4)`,
			a.ID, tenancy.ID{}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), f.nodes[0].meter.Epoch())
	}
	f.limit(soft(tenancy.Egress, 1))
	if err := f.nodes[0].download(5, 5); err != nil {
		t.Fatal(err)
	}
	f.egress()
	f.nodes[0].renew()
	f.exec(`DELETE FROM limit_events`)
	f.reread()
	f.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END'`)
	f.exec(`CREATE TRIGGER refuse BEFORE UPDATE ON budget_leases FOR EACH ROW WHEN (NEW.account_id <> '` + good.ID.String() + `') EXECUTE FUNCTION refuse()`)
	if err := f.nodes[0].limiter.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "account "+next) {
		t.Errorf("the bad account: %v", err)
	}
	if events, err := limits.Events(t.Context(), f.owner, good.ID, time.Time{}); err != nil || len(events) == 0 {
		t.Errorf("the other account's events: %v, %v", events, err)
	}
}
