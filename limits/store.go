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
	budget       tenancy.Budget
	period       time.Time
	epoch        tenancy.ID
	granted      int64
	used         int64
	ledger       int64
	final        bool
	readRecently bool // since readingAge
	live         bool // renewed since liveness
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

// accountState is an account, or one key of it, with its budgets and leases at one
// moment. Renewals read it under the account's lock, so that each sees every slice
// that was given before.
type accountState struct {
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

// lockAccount locks an account's budgets until the transaction ends, and reads them.
func (l *Limiter) lockAccount(ctx context.Context, tx pgx.Tx, account, key tenancy.ID, at time.Time) (*accountState, error) {
	if _, err := tx.Exec(ctx, `SELECT lock_account($1)`, account); err != nil {
		return nil, err
	}
	return loadAccount(ctx, tx, l.cfg.Stored, account, key, at)
}

func loadAccount(ctx context.Context, q pg.Querier, stored Stored, account, key tenancy.ID, at time.Time) (s *accountState, err error) {
	s = &accountState{q: q, account: account, key: key, at: at, nodes: 1}
	if s.limits, err = tenancy.LimitsOf(ctx, q, account, key); err != nil {
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
		if err = c.Scan(&name, &r.period, &r.epoch, &r.granted, &r.used, &r.ledger, &r.final, &r.readRecently, &r.live); err != nil {
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
func (s *accountState) present(r *row) bool {
	if r.budget == tenancy.Storage {
		return !r.period.Before(s.since)
	}
	start, _ := periodOf(r.budget, s.at)
	return r.period.Equal(start)
}

// find returns the row of an epoch, or nil.
func (s *accountState) find(b tenancy.Budget, period time.Time, epoch tenancy.ID) *row {
	for i := range s.rows {
		if r := &s.rows[i]; r.budget == b && r.epoch == epoch && r.period.Equal(period) {
			return r
		}
	}
	return nil
}

func (s *accountState) row(b tenancy.Budget, period time.Time, epoch tenancy.ID) *row {
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
func (s *accountState) stale(epoch tenancy.ID) bool {
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
			read = read || s.rows[i].budget == b && s.rows[i].readRecently
		}
		if !read {
			return true
		}
	}
	return false
}

// sumLedger sums the month's ledger by epoch. An epoch is known to be over before
// its readings are read, so that they are complete.
func (s *accountState) sumLedger(ctx context.Context) error {
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

// saveTotals writes what sumLedger summed, for other nodes and for alerts.
func (s *accountState) saveTotals(ctx context.Context, tx pgx.Tx) error {
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

// renew reports to PostgreSQL what this node holds and used of the budgets of one
// account or key, and requests what it needs. The grants are in the order of the
// requests.
func (l *Limiter) renew(ctx context.Context, account, key tenancy.ID, at time.Time, requests []leaseRequest) (rates *Rates, grants []leaseGrant, err error) {
	err = pg.InTx(ctx, l.cfg.Pool, func(tx pgx.Tx) error {
		s, err := l.lockAccount(ctx, tx, account, key, at)
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
			if err := s.sumLedger(ctx); err != nil {
				return err
			}
			if err := s.saveTotals(ctx, tx); err != nil {
				return err
			}
		}
		if rates = ratesAt(s.cards, at); rates == nil {
			rates = &Rates{}
		}
		grants = make([]leaseGrant, len(requests))
		batch := &pgx.Batch{}
		for i := range requests {
			grants[i] = s.grant(&requests[i], l.cfg.Epoch)
			r := s.row(requests[i].budget, requests[i].period, l.cfg.Epoch)
			batch.Queue(`INSERT INTO budget_leases (account_id, key_id, budget, period, epoch, granted, used, renewed_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, now())
				ON CONFLICT (account_id, key_id, budget, period, epoch) DO UPDATE SET granted = excluded.granted, used = excluded.used, renewed_at = now()`,
				account, key, r.budget.String(), r.period, r.epoch, r.granted, r.used)
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return s.alert(ctx, tx, grants, requests)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("renew leases: %w", err)
	}
	return rates, grants, nil
}

// grant decides one request, and records it in the epoch's row.
func (s *accountState) grant(q *leaseRequest, epoch tenancy.ID) leaseGrant {
	own := s.row(q.budget, q.period, epoch)
	others, reclaimable := int64(0), int64(0)
	if q.budget == tenancy.Storage {
		others = s.stored
	}
	for i := range s.rows {
		if r := &s.rows[i]; r != own && r.budget == q.budget && s.present(r) {
			others += r.charge()
			if r.live && !r.final {
				reclaimable += r.charge() - r.spent()
			}
		}
	}
	ledgerUsed := own.ledger
	if q.firstReport {
		ledgerUsed = max(ledgerUsed, own.used)
	}
	a := allocate(q, s.limits.Caps[q.budget], others, ledgerUsed, reclaimable, s.nodes)
	own.granted, own.used = a.granted, max(q.used, ledgerUsed)
	return a
}
