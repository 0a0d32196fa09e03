package limits

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// row is what PostgreSQL knows of one epoch's part of a budget in a period.
type row struct {
	budget  tenancy.Budget
	period  time.Time
	epoch   tenancy.ID
	granted int64
	used    int64
	ledger  int64
	final   bool
	read    bool // since readingAge
	live    bool // renewed since liveness
}

// charge is what the row takes of its budget: what the epoch may still use
// counts as used until its readings are final, then they count.
func (r *row) charge() int64 {
	switch {
	case r.budget == tenancy.Storage:
		return r.granted
	case r.final:
		return r.ledger
	}
	return max(r.granted, r.ledger)
}

// spent is what it has used of it, as far as is known.
func (r *row) spent() int64 {
	switch {
	case r.budget == tenancy.Storage:
		return r.used
	case r.final:
		return r.ledger
	}
	return max(r.used, r.ledger)
}

// scope is an account, or one key of it, with its budgets as they are now. All
// of it is read under one lock: who asks for a slice sees every slice given.
type scope struct {
	q            pg.Querier // the transaction
	account, key tenancy.ID
	at           time.Time
	limits       *tenancy.Limits // nil: none
	cards        []Card
	rows         []row
	stored       int64
	since        time.Time // storage: beside stored counts what was granted in hours from then on
	nodes        int
}

// lockScope reads a scope, and locks it until the transaction ends.
func (l *Limiter) lockScope(ctx context.Context, tx pgx.Tx, account, key tenancy.ID, at time.Time) (*scope, error) {
	if _, err := tx.Exec(ctx, `SELECT lock_account($1)`, account); err != nil {
		return nil, err
	}
	return loadScope(ctx, tx, l.cfg.Stored, account, key, at)
}

func loadScope(ctx context.Context, q pg.Querier, stored Stored, account, key tenancy.ID, at time.Time) (s *scope, err error) {
	s = &scope{q: q, account: account, key: key, at: at, nodes: 1}
	if s.limits, err = (&tenancy.Store{}).Limits(ctx, q, account, key); err != nil {
		return nil, err
	}
	if s.limits == nil {
		s.limits = &tenancy.Limits{}
	}
	if s.cards, err = Cards(ctx, q, account); err != nil {
		return nil, err
	}
	if n, err := ledger.LiveNodes(ctx, q, liveness); err != nil {
		return nil, err
	} else if n > 0 {
		s.nodes = n
	}
	if s.limits.Caps[tenancy.Storage] != nil && stored != nil {
		if s.stored, s.since, err = stored(ctx, q, account); err != nil {
			return nil, err
		}
		s.since = s.since.UTC().Truncate(time.Hour)
	}
	month, _ := periodOf(tenancy.Egress, at)
	rows, err := q.Query(ctx, `SELECT budget, period, epoch, granted, used, ledger, final,
			read_at > now() - $5::interval, renewed_at > now() - $6::interval
		FROM budget_leases WHERE account_id = $1 AND key_id = $2
			AND (budget <> 'storage' AND period = $3 OR budget = 'storage' AND period >= $4)`,
		account, key, month, s.since, readingAge, liveness)
	if err != nil {
		return nil, err
	}
	s.rows, err = pgx.CollectRows(rows, func(c pgx.CollectableRow) (r row, err error) {
		var name string
		if err = c.Scan(&name, &r.period, &r.epoch, &r.granted, &r.used, &r.ledger, &r.final, &r.read, &r.live); err != nil {
			return r, err
		}
		r.period = r.period.UTC()
		r.budget, err = tenancy.ParseBudget(name)
		return r, err
	})
	return s, err
}

// present reports whether a row counts now: leases of earlier periods are in
// rows too while their nodes end them.
func (s *scope) present(r *row) bool {
	if r.budget == tenancy.Storage {
		return !r.period.Before(s.since)
	}
	start, _ := periodOf(r.budget, s.at)
	return r.period.Equal(start)
}

// find returns the row of an epoch, or nil.
func (s *scope) find(b tenancy.Budget, period time.Time, epoch tenancy.ID) *row {
	for i := range s.rows {
		if r := &s.rows[i]; r.budget == b && r.epoch == epoch && r.period.Equal(period) {
			return r
		}
	}
	return nil
}

func (s *scope) row(b tenancy.Budget, period time.Time, epoch tenancy.ID) *row {
	if r := s.find(b, period, epoch); r != nil {
		return r
	}
	s.rows = append(s.rows, row{budget: b, period: period, epoch: epoch})
	return &s.rows[len(s.rows)-1]
}

// monthly are the budgets whose use is in the ledger.
var monthly = [...]tenancy.Budget{tenancy.Egress, tenancy.Requests, tenancy.Spend}

// stale reports whether the ledger has to be read again: it was not for a
// while, or has never been for this epoch.
func (s *scope) stale(epoch tenancy.ID) bool {
	month, _ := periodOf(tenancy.Egress, s.at)
	for _, b := range monthly {
		if s.limits.Caps[b] == nil {
			continue
		}
		if epoch != (tenancy.ID{}) && s.find(b, month, epoch) == nil {
			return true
		}
		read := false
		for i := range s.rows {
			read = read || s.rows[i].budget == b && s.rows[i].read
		}
		if !read {
			return true
		}
	}
	return false
}

// read sums the month's ledger by epoch. An epoch is known to be over before
// its readings are read, so that they are complete.
func (s *scope) read(ctx context.Context) error {
	month, end := periodOf(tenancy.Egress, s.at)
	epochs := make([]tenancy.ID, len(s.rows))
	for i := range s.rows {
		epochs[i] = s.rows[i].epoch
	}
	over, err := ledger.ClosedEpochs(ctx, s.q, epochs)
	if err != nil {
		return err
	}
	cuts := cutsOf(s.cards, month, end)
	sums, err := ledger.SumEpochs(ctx, s.q, s.account, s.key, month, end, cuts)
	if err != nil {
		return err
	}
	for i := range s.rows {
		if r := &s.rows[i]; r.budget != tenancy.Storage {
			r.ledger, r.final = 0, over[r.epoch]
		}
	}
	for _, u := range sums {
		at := month
		if u.Piece > 0 {
			at = cuts[u.Piece-1]
		}
		for _, b := range monthly {
			if s.limits.Caps[b] == nil {
				continue
			}
			r := s.row(b, month, u.Epoch)
			r.final = r.final || u.Closed
			switch b {
			case tenancy.Egress:
				r.ledger += u.Egress
			case tenancy.Requests:
				r.ledger += u.Requests
			default:
				r.ledger += ratesAt(s.cards, at).Cost(u.Class, u.Requests, u.Ingress, u.Egress)
			}
		}
	}
	return nil
}

// keepRead writes what was read, for others to use and for alerts.
func (s *scope) keepRead(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	for i := range s.rows {
		if r := &s.rows[i]; r.budget != tenancy.Storage && s.limits.Caps[r.budget] != nil {
			batch.Queue(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch, ledger, final, read_at, renewed_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, now(), '-infinity')
				ON CONFLICT (account_id, key_id, budget, period, epoch) DO UPDATE SET ledger = excluded.ledger, final = excluded.final, read_at = now()`,
				s.account, s.key, r.budget.String(), r.period, r.epoch, r.ledger, r.final)
		}
	}
	return tx.SendBatch(ctx, batch).Close()
}

// exchange tells PostgreSQL what a node holds and used of the budgets of one
// account or key, and asks for what it needs.
func (l *Limiter) exchange(ctx context.Context, account, key tenancy.ID, at time.Time, asks []ask) (rates *Rates, answers []answer, err error) {
	err = pg.InTx(ctx, l.cfg.Pool, func(tx pgx.Tx) error {
		s, err := l.lockScope(ctx, tx, account, key, at)
		if err != nil {
			return err
		}
		over, err := ledger.ClosedEpochs(ctx, tx, []tenancy.ID{l.cfg.Epoch})
		if err != nil {
			return err
		}
		if over[l.cfg.Epoch] {
			return ErrEpochOver
		}
		if s.stale(l.cfg.Epoch) {
			if err := s.read(ctx); err != nil {
				return err
			}
			if err := s.keepRead(ctx, tx); err != nil {
				return err
			}
		}
		if rates = ratesAt(s.cards, at); rates == nil {
			rates = &Rates{}
		}
		answers = make([]answer, len(asks))
		batch := &pgx.Batch{}
		for i := range asks {
			answers[i] = s.answer(&asks[i], l.cfg.Epoch)
			r := s.row(asks[i].budget, asks[i].period, l.cfg.Epoch)
			batch.Queue(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch, granted, used, renewed_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, now())
				ON CONFLICT (account_id, key_id, budget, period, epoch) DO UPDATE SET granted = excluded.granted, used = excluded.used, renewed_at = now()`,
				account, key, r.budget.String(), r.period, r.epoch, r.granted, r.used)
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return s.alert(ctx, tx, answers, asks)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("renew leases: %w", err)
	}
	return rates, answers, nil
}

// answer decides one ask, and notes it in the epoch's row.
func (s *scope) answer(q *ask, epoch tenancy.ID) answer {
	own := s.row(q.budget, q.period, epoch)
	others, spare := int64(0), int64(0)
	if q.budget == tenancy.Storage {
		others = s.stored
	}
	for i := range s.rows {
		if r := &s.rows[i]; r != own && r.budget == q.budget && s.present(r) {
			others += r.charge()
			if r.live && !r.final {
				spare += r.charge() - r.spent()
			}
		}
	}
	known := own.ledger
	if q.fresh {
		known = max(known, own.used)
	}
	a := decide(q, s.limits.Caps[q.budget], others, known, spare, s.nodes)
	own.granted, own.used = a.granted, max(q.used, known)
	return a
}
