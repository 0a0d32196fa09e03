package limits_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A rate card that was added stays as it is: another one for its hour is refused,
// and no role but the operator's writes any.
func TestCards_neverChanged(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	hour := f.clock.Now().Truncate(time.Hour)
	for _, account := range []tenancy.ID{{}, f.account.ID} {
		c := limits.Card{Account: account, ValidFrom: hour, Rates: limits.Rates{Currency: "BRL", EgressGB: 1}}
		if err := limits.AddCard(t.Context(), f.owner, c); err != nil {
			t.Fatal(err)
		}
		c.EgressGB = 2
		if err := limits.AddCard(t.Context(), f.owner, c); !errors.Is(err, limits.ErrCardExists) {
			t.Errorf("another card for the same hour: %v", err)
		}
		c.ValidFrom = hour.Add(30 * time.Minute)
		if err := limits.AddCard(t.Context(), f.owner, c); !errors.Is(err, limits.ErrInvalidCard) {
			t.Errorf("a card from within an hour: %v", err)
		}
	}
	for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
		pool := f.db.Pool(t, role)
		for _, sql := range []string{
			`UPDATE rate_cards SET egress_gb = 0`, `DELETE FROM rate_cards`,
			`INSERT INTO rate_cards SELECT gen_random_uuid(), account_id, valid_from + interval '1 hour', currency, 0, 0, 0, 0 FROM rate_cards`,
		} {
			var refused *pgconn.PgError
			if _, err := pool.Exec(t.Context(), sql); !errors.As(err, &refused) || refused.Code != "42501" {
				t.Errorf("%s, %s: %v", role, sql, err)
			}
		}
	}
	cards, err := limits.Cards(t.Context(), f.owner, f.account.ID)
	if err != nil || len(cards) != 2 || cards[0].EgressGB != 1 || cards[1].EgressGB != 1 {
		t.Errorf("%+v %v", cards, err)
	}
}
