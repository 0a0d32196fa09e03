package limits

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Status is where a budget stands.
type Status struct {
	Budget  tenancy.Budget `json:"-"`
	Name    string         `json:"budget"`
	Amount  int64          `json:"amount"`
	Soft    bool           `json:"soft"`
	Used    int64          `json:"used"` // what the ledger says
	Percent float64        `json:"percent"`
	// Leased is what nodes hold beyond what is used: reserved by requests in
	// flight, or ahead of need. When no request fits what is left beside it,
	// this much is not usable at the moment.
	Leased int64 `json:"leased"`
	// Overshoot is how far the budget may be passed by what nodes hold now:
	// leases − what was left. It is 0 unless the budget was lowered, or set
	// when that much was used.
	Overshoot int64  `json:"overshoot_bound"`
	Currency  string `json:"currency,omitempty"` // of spend, whose figures are billionths
}

// Cells are the status as a row of a table.
func (s *Status) Cells() []string {
	kind, show := "hard", quantity.FormatSize
	if s.Soft {
		kind = "soft"
	}
	switch s.Budget {
	case tenancy.Requests:
		show = func(n int64) string { return fmt.Sprint(n) }
	case tenancy.Spend:
		show = func(n int64) string { return quantity.FormatMoney(n) + " " + s.Currency }
	}
	return []string{s.Name, show(s.Amount), kind, show(s.Used), strconv.FormatFloat(s.Percent, 'f', 1, 64) + "%", show(s.Leased), show(s.Overshoot)}
}

// Report returns where the budgets of an account, or of one key of it, stand. A
// budget and what nodes hold of it are of one moment: raised and leased in
// between, it would look passed.
func Report(ctx context.Context, db pg.Snapshotter, stored Stored, account, key tenancy.ID, at time.Time) (list []Status, err error) {
	err = pg.InSnapshot(ctx, db, func(q pg.Querier) error {
		s, err := loadAccount(ctx, q, stored, account, key, at)
		if err != nil {
			return err
		}
		if err := s.sumLedger(ctx); err != nil {
			return err
		}
		for i, c := range s.limits.Caps {
			if c == nil {
				continue
			}
			b := tenancy.Budget(i)
			st := Status{Budget: b, Name: b.String(), Amount: c.Amount, Soft: c.Soft, Used: s.used(b)}
			if c.Amount > 0 {
				st.Percent = 100 * float64(st.Used) / float64(c.Amount)
			}
			charged := int64(0)
			if b == tenancy.Storage {
				charged = s.stored
			}
			for k := range s.rows {
				if s.rows[k].budget == b {
					charged += s.rows[k].charge()
				}
			}
			if !c.Soft {
				st.Leased = charged - st.Used
				st.Overshoot = max(0, charged-max(c.Amount, st.Used))
			}
			if r := ratesAt(s.cards, at); b == tenancy.Spend && r != nil {
				st.Currency = r.Currency
			}
			list = append(list, st)
		}
		return nil
	})
	return list, err
}
