package domains

import (
	"context"
	"fmt"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Allowed says for which account a certificate may be ordered for a host, and why it
// may not, in a sentence, or "": only for a host whose ownership is verified, and whose
// DNS was not seen to lead elsewhere. The error is that it is not known now. q is
// primecloud_gateway's.
func (s *Service) Allowed(ctx context.Context, q pg.Querier, host string) (account rowid.ID, refused string, err error) {
	list, err := read(ctx, q, `host = $1 AND verified`, host)
	switch {
	case err != nil:
		return account, "", err
	case len(list) == 0:
		return account, fmt.Sprintf("%s is no verified domain.", host), nil
	}
	d := list[0]
	if d.dns.State == Missing || d.dns.State == Wrong {
		return d.account, d.dns.Reason, nil
	}
	return d.account, "", nil
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
