package limits

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Overview is what an account and its keys are held to, and where they stand.
type Overview struct {
	*tenancy.Account
	Budgets []Status      `json:"budgets"`
	Keys    []KeyOverview `json:"limited_keys,omitempty"`
	Alerts  []Event       `json:"alerts"` // of this month
}

// KeyOverview is the same of one access key.
type KeyOverview struct {
	ID      tenancy.ID      `json:"-"`
	KeyID   string          `json:"access_key_id"`
	Limits  *tenancy.Limits `json:"limits"`
	Budgets []Status        `json:"budgets"`
}

// ReadOverview reads an account's overview as of now, which also says which month it is.
func ReadOverview(ctx context.Context, q *pgxpool.Pool, a *tenancy.Account, now time.Time) (*Overview, error) {
	o := &Overview{Account: a}
	var err error
	if o.Budgets, err = Report(ctx, q, storage.StoredBytes, a.ID, tenancy.ID{}, now); err != nil {
		return nil, err
	}
	month := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	if o.Alerts, err = Events(ctx, q, a.ID, month); err != nil {
		return nil, err
	}
	keys, err := tenancy.LimitedKeys(ctx, q, a.ID)
	if err != nil {
		return nil, err
	}
	names, err := tenancy.KeyIDs(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, id := range keys {
		k := KeyOverview{ID: id, KeyID: names[id]}
		if k.Limits, err = tenancy.LimitsOf(ctx, q, a.ID, id); err != nil {
			return nil, err
		}
		if k.Budgets, err = Report(ctx, q, storage.StoredBytes, a.ID, id, now); err != nil {
			return nil, err
		}
		o.Keys = append(o.Keys, k)
	}
	return o, nil
}

// CheckSpend returns ErrNoRates for a spend budget that nothing would ever count
// against.
func CheckSpend(ctx context.Context, q pg.Querier, account tenancy.ID, l *tenancy.Limits) error {
	if l.Caps[tenancy.Spend] == nil {
		return nil
	}
	cards, err := Cards(ctx, q, account)
	if err == nil && len(cards) == 0 {
		err = ErrNoRates
	}
	return err
}
