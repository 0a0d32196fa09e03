package domains

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Allowed says whether a certificate may be ordered for a host, for which account,
// and if not, why: only for one whose ownership is verified, and whose DNS was not
// seen to lead elsewhere. q is primecloud_gateway's.
func (s *Service) Allowed(ctx context.Context, q pg.Querier, host string) (ok bool, account rowid.ID, reason string, err error) {
	list, err := read(ctx, q, `host = $1 AND verified`, host)
	switch {
	case err != nil:
		return false, account, "", err
	case len(list) == 0:
		return false, account, fmt.Sprintf("%s is no verified domain.", host), nil
	}
	d := list[0]
	switch d.dns.State {
	case Missing, Wrong:
		return false, d.account, d.dns.Reason, nil
	}
	return true, d.account, "", nil
}

// SetCertificate notes how the certificate of a verified host is, with a sentence to
// the customer. It returns ErrNoDomain when no account has the host. q is
// primecloud_gateway's.
func (s *Service) SetCertificate(ctx context.Context, q pg.Querier, host string, state State, reason string) error {
	tag, err := q.Exec(ctx, `UPDATE domains SET certificate = $2, certificate_reason = $3, certificate_at = $4 WHERE host = $1 AND verified`,
		host, state, reason, s.cfg.Now())
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoDomain
	}
	return err
}

// WithoutCertificate returns the hosts for which a certificate may be ordered and of
// which none is known, those verified first coming first.
func (s *Service) WithoutCertificate(ctx context.Context, q pg.Querier, most int) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT host FROM domains WHERE verified AND certificate IN ('none', 'failed') AND dns NOT IN ('missing', 'wrong')
		ORDER BY verified_at LIMIT $1`, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
