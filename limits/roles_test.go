package limits_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Of every table of this package an account sees its own rows in the portal, and
// beside them the prices that are everyone's.
func TestRoles_portal(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	one := f.account.ID
	account, err := tenancy.CreateAccount(t.Context(), f.owner, "other", "", tenancy.Active)
	if err != nil {
		t.Fatal(err)
	}
	other := account.ID
	hour := f.clock.Now().Truncate(time.Hour)
	var keys []*tenancy.Key
	for _, id := range []tenancy.ID{one, other} {
		l := tenancy.Limits{Concurrent: 1}
		k, err := f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: id})
		if err == nil {
			err = tenancy.SetKeyLimits(t.Context(), f.owner, k, &l)
		}
		if err == nil {
			err = tenancy.SetLimits(t.Context(), f.owner, id, &l)
		}
		if err == nil {
			err = limits.AddCard(t.Context(), f.owner, limits.Card{Account: id, ValidFrom: hour, Rates: limits.Rates{Currency: "BRL"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		f.exec(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch) VALUES ($1, $1, 'egress', now(), $1)`, id)
		f.exec(`INSERT INTO limit_events (account_id, key_id, budget, month, threshold, used, budgeted) VALUES ($1, $1, 'egress', now(), 50, 1, 2)`, id)
	}
	if err := limits.AddCard(t.Context(), f.owner, limits.Card{ValidFrom: hour, Rates: limits.Rates{Currency: "BRL"}}); err != nil {
		t.Fatal(err)
	}
	portal := f.db.Pool(t, pg.RolePortal)
	for _, table := range []string{"account_limits", "key_limits", "rate_cards", "budget_leases", "limit_events"} {
		count := func(q pg.Querier, where string, want int) {
			t.Helper()
			var n int
			if err := q.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` WHERE account_id `+where).Scan(&n); err != nil || n != want {
				t.Errorf("%s %s: %d rows, want %d: %v", table, where, n, want, err)
			}
		}
		everyones := 0
		if table == "rate_cards" {
			everyones = 1
		}
		count(portal, "IS NOT NULL", 0) // for no account
		for _, own := range []tenancy.ID{one, other} {
			if err := tenancy.AsAccount(t.Context(), portal, own, func(tx pgx.Tx) error {
				count(tx, "= '"+own.String()+"'", 1)
				count(tx, "<> '"+own.String()+"'", 0)
				count(tx, "IS NULL", everyones)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Another's key is no more to be limited than to be seen.
	for _, l := range []*tenancy.Limits{nil, {Concurrent: 2}} {
		_ = tenancy.AsAccount(t.Context(), portal, one, func(tx pgx.Tx) error { return tenancy.SetKeyLimits(t.Context(), tx, keys[1], l) })
		if got, err := tenancy.LimitsOf(t.Context(), f.owner, other, keys[1].ID); err != nil || got == nil || got.Concurrent != 1 {
			t.Errorf("another account's key is limited to %+v: %v", got, err)
		}
	}
	fresh, err := f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: other})
	if err != nil {
		t.Fatal(err)
	}
	if err := tenancy.AsAccount(t.Context(), portal, one, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO key_limits (key_id, account_id, concurrent) VALUES ($1, $2, 2)`, fresh.ID, other)
		return err
	}); err == nil {
		t.Error("another account's key was limited")
	}
}
