package domains

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Check names the claim that a job checks.
type Check struct {
	Domain rowid.ID `json:"domain"`
}

// CheckDomain is a job for each claim whose check is due. The queue has workers
// enough that zones whose servers answer nothing hold up few others.
var CheckDomain = jobs.Kind[Check]{
	Name: "check_domain", Queue: jobs.Queue{Name: "domains", Workers: 16}, Timeout: time.Minute, Once: true,
}

// Due is the work that enqueues them.
func (s *Service) Due(pool pg.Querier) jobs.Periodic {
	return jobs.Periodic{Kind: "check_domains_due", Every: time.Minute, Timeout: time.Minute, Work: func(ctx context.Context) error {
		return s.EnqueueDue(ctx, pool)
	}}
}

// EnqueueDue enqueues a job for each claim whose check is due, and forgets the removed
// ones whose time is over. pool is primecloud_worker's.
func (s *Service) EnqueueDue(ctx context.Context, pool pg.Querier) error {
	if _, err := pool.Exec(ctx, `SELECT forget_domains()`); err != nil {
		return err
	}
	list, err := dueIDs(ctx, pool, s.cfg.Now(), 1000)
	if err != nil || len(list) == 0 {
		return err
	}
	args := make([]Check, len(list))
	for i, id := range list {
		args[i] = Check{id}
	}
	return pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		_, err := CheckDomain.InsertTx(ctx, tx, args...)
		return err
	})
}

// Checker is the work of CheckDomain.
func (s *Service) Checker(pool pg.Querier) func(context.Context, Check) error {
	return func(ctx context.Context, of Check) error {
		unknown, err := s.check(ctx, pool, of.Domain)
		if errors.Is(err, ErrNoDomain) { // removed meanwhile
			return nil
		}
		if unknown != nil {
			// It is kept with the claim, which says when to look again.
			s.cfg.Logger.Info("a domain's name servers gave no answer", "domain", of.Domain, "error", unknown)
		}
		return err
	}
}
