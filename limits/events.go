package limits

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Event says that a budget crossed a threshold. There is one for each budget,
// month and threshold.
type Event struct {
	Account   tenancy.ID     `json:"account"`
	Key       tenancy.ID     `json:"key"` // zero: the account's own budget
	Budget    tenancy.Budget `json:"-"`
	Name      string         `json:"budget"`
	Month     time.Time      `json:"month"`
	Threshold int            `json:"threshold"` // percent
	Used      int64          `json:"used"`
	Budgeted  int64          `json:"budgeted"`
	At        time.Time      `json:"at"`
}

var thresholds = [...]int64{50, 80, 95, 100}

// used is what is used of a budget in the present period: what the ledger
// says, and of storage what was measured and uploaded since.
func (s *accountState) used(b tenancy.Budget) (sum int64) {
	if b == tenancy.Storage {
		sum = s.stored
	}
	for i := range s.rows {
		switch r := &s.rows[i]; {
		case r.budget != b || !s.present(r):
		case b == tenancy.Storage:
			sum += r.used
		default:
			sum += r.ledger
		}
	}
	return sum
}

// taken is used with what requests in flight have reserved.
func (s *accountState) taken(b tenancy.Budget) (sum int64) {
	if b == tenancy.Storage {
		return s.used(b)
	}
	for i := range s.rows {
		if r := &s.rows[i]; r.budget == b && s.present(r) {
			sum += r.spent()
		}
	}
	return sum
}

// alert writes the events that are due: thresholds that the ledger has passed,
// and the last one when a request was refused with nearly everything taken. The
// table's unique key makes each happen once, also when several nodes notice it.
func (s *accountState) alert(ctx context.Context, tx pgx.Tx, grants []leaseGrant, requests []leaseRequest) error {
	month, _ := periodOf(tenancy.Egress, s.at)
	batch := &pgx.Batch{}
	for i, c := range s.limits.Caps {
		if c == nil {
			continue
		}
		b := tenancy.Budget(i)
		used := s.used(b)
		refused := false
		for k := range grants {
			refused = refused || requests[k].budget == b && grants[k].insufficient && !requests[k].expired
		}
		for _, t := range thresholds {
			at := portion(c.Amount, t)
			if used >= at && used > 0 || t == 100 && refused && s.taken(b) >= portion(c.Amount, 95) {
				batch.Queue(`INSERT INTO limit_events (account_id, key_id, budget, month, threshold, used, budgeted)
					VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`, s.account, s.key, b.String(), month, t, used, c.Amount)
			}
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, batch).Close()
}

// portion is percent of n, rounded down, without overflow.
func portion(n, percent int64) int64 { return n/100*percent + n%100*percent/100 }

// Events returns an account's events: of the newest month first, and of each budget
// the highest threshold first. Their times are no order: a refused request reaches 100
// before the ledger has what reaches 95.
func Events(ctx context.Context, q pg.Querier, account tenancy.ID, since time.Time) ([]Event, error) {
	rows, err := q.Query(ctx, `SELECT account_id, key_id, budget, month, threshold, used, budgeted, created_at
		FROM limit_events WHERE account_id = $1 AND month >= $2 ORDER BY month DESC, key_id, budget, threshold DESC`, account, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (e Event, err error) {
		if err = r.Scan(&e.Account, &e.Key, &e.Name, &e.Month, &e.Threshold, &e.Used, &e.Budgeted, &e.At); err != nil {
			return e, err
		}
		e.Month, e.At = e.Month.UTC(), e.At.UTC()
		e.Budget, err = tenancy.ParseBudget(e.Name)
		return e, err
	})
}

// Sweep re-evaluates alerts for accounts whose node stopped renewing, and deletes
// leases older than a week (storage) or three months. An error of one account does
// not keep the others from it: all errors are joined.
func (l *Limiter) Sweep(ctx context.Context) error {
	const recently = 10 * time.Minute
	if _, err := l.cfg.Pool.Exec(ctx, `DELETE FROM budget_leases WHERE budget = 'storage' AND period < $1 OR period < $2`,
		l.cfg.Now().AddDate(0, 0, -7), l.cfg.Now().AddDate(0, -3, 0)); err != nil {
		return err
	}
	rows, err := l.cfg.Pool.Query(ctx, `SELECT DISTINCT account_id, key_id FROM budget_leases
		WHERE renewed_at > now() - $1::interval AND period >= $2`, recently, l.cfg.Now().AddDate(0, -1, 0))
	if err != nil {
		return err
	}
	type id struct{ account, key tenancy.ID }
	subjects, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (i id, err error) {
		err = r.Scan(&i.account, &i.key)
		return i, err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range subjects {
		if err := pg.InTx(ctx, l.cfg.Pool, func(tx pgx.Tx) error {
			s, err := l.lockAccount(ctx, tx, i.account, i.key, l.cfg.Now())
			if err != nil || !s.stale(tenancy.ID{}) {
				return err
			}
			if err := s.sumLedger(ctx); err != nil {
				return err
			}
			if err := s.saveTotals(ctx, tx); err != nil {
				return err
			}
			return s.alert(ctx, tx, nil, nil)
		}); err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, fmt.Errorf("account %s: %w", i.account, err))
		}
	}
	return errors.Join(errs...)
}
