package domains

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Claim adds a host to an account. What cannot be is a *RefusedError. A claim keeps
// no other account from claiming the same host: the one that proves it has it.
func (s *Service) Claim(ctx context.Context, q pg.Querier, account *tenancy.Account, written string, purpose Purpose, bucket string) (*Domain, error) {
	if s.cfg.Target == "" {
		return nil, ErrNoTarget
	}
	host, err := canonicalHost(written)
	if err != nil {
		return nil, err
	}
	refuse := func(format string, args ...any) (*Domain, error) {
		return nil, &RefusedError{fmt.Sprintf(format, args...)}
	}
	if s.cfg.ofPlatform(host) {
		return refuse("%s is a name of the platform itself; add a host of your own.", host)
	}
	if account.Status == tenancy.Closed {
		return refuse("The account %s is closed.", account.Name)
	}
	var of *string
	switch {
	case new(Purpose).UnmarshalText([]byte(purpose)) != nil:
		return refuse("A domain is for s3, website or portal, not for %q.", purpose)
	case purpose == Website && bucket == "":
		return refuse("A website is a bucket: name it.")
	case purpose != Website && bucket != "":
		return refuse("Only a website has a bucket of its own.")
	case purpose == Website:
		if err := tenancy.CheckBucketName(bucket); err != nil {
			return nil, err
		}
		of = &bucket
	}
	switch n, err := counted(ctx, q, account.ID); {
	case err != nil:
		return nil, err
	case n >= s.cfg.Most:
		return refuse("The account %s has %d domains already, which is as many as it may; remove one first.", account.Name, n)
	}
	d, err := insert(ctx, q, account.ID, host, purpose, of)
	if err != nil {
		return nil, err
	}
	return s.view(d, account.Name), nil
}

// List returns the domains of an account, or of all for the zero id, by host.
func (s *Service) List(ctx context.Context, q pg.Querier, account tenancy.ID) ([]*Domain, error) {
	list, err := read(ctx, q, `($1 = $2::uuid OR account_id = $1) ORDER BY host, account_id`, account, tenancy.ID{})
	if err != nil {
		return nil, err
	}
	return s.views(ctx, q, list)
}

// Show returns a domain, or ErrNoDomain. Of several accounts that have claimed the
// host it is the one that has proven it; the zero id is any account.
func (s *Service) Show(ctx context.Context, q pg.Querier, account tenancy.ID, written string) (*Domain, error) {
	d, err := one(ctx, q, account, written)
	if err != nil {
		return nil, err
	}
	list, err := s.views(ctx, q, []*row{d})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Verify checks a domain now. The domain is as the check left it; the error beside it
// is why the check found out nothing.
func (s *Service) Verify(ctx context.Context, q pg.Querier, account tenancy.ID, written string) (*Domain, error) {
	if s.cfg.Target == "" {
		return nil, ErrNoTarget
	}
	d, err := one(ctx, q, account, written)
	if err != nil {
		return nil, err
	}
	unknown, err := s.check(ctx, q, d.id)
	if err != nil {
		return nil, err
	}
	shown, err := s.Show(ctx, q, d.account, d.host)
	return shown, errors.Join(unknown, err)
}

// Remove ends a domain: the host is not served any more, within a second. If it was
// verified, nobody else can have it for 30 days, since its CNAME record may still
// point here. release lets others have it at once, also after a removal before: the
// operator's word.
func (s *Service) Remove(ctx context.Context, q pg.Querier, account tenancy.ID, written string, release bool) error {
	d, err := one(ctx, q, account, written)
	if err == nil {
		_, err = q.Exec(ctx, `UPDATE domains SET removed_at = now() WHERE id = $1`, d.id)
	}
	if !release || err != nil && !errors.Is(err, ErrNoDomain) {
		return err
	}
	host, err := canonicalHost(written)
	if err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `DELETE FROM domains WHERE host = $1 AND removed_at IS NOT NULL`, host)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoDomain
	}
	return err
}

func one(ctx context.Context, q pg.Querier, account tenancy.ID, written string) (*row, error) {
	host, err := canonicalHost(written)
	if err != nil {
		return nil, err
	}
	list, err := read(ctx, q, `host = $1 AND ($2 = $3::uuid OR account_id = $2) ORDER BY verified DESC`, host, account, tenancy.ID{})
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, ErrNoDomain
	case len(list) > 1 && list[0].ownership.State != Verified:
		return nil, fmt.Errorf("%d accounts have claimed %s and none has proven it: say which with --account", len(list), host)
	}
	return list[0], nil
}

func (s *Service) views(ctx context.Context, q pg.Querier, list []*row) ([]*Domain, error) {
	names, err := tenancy.AccountNames(ctx, q)
	if err != nil {
		return nil, err
	}
	views := make([]*Domain, len(list))
	for i, d := range list {
		views[i] = s.view(d, names[d.account])
	}
	return views, nil
}

// view is a claim as people read it, with what they have to do.
func (s *Service) view(d *row, account string) *Domain {
	v := &Domain{ID: d.id, Host: d.host, Account: account, Purpose: d.purpose, State: d.ownership.State,
		Ownership: d.ownership, DNS: d.dns, Certificate: d.certificate,
		CreatedAt: d.createdAt, VerifiedAt: d.verifiedAt, CheckedAt: d.checkedAt, CheckError: d.checkError, NextCheckAt: d.nextCheckAt}
	if d.bucket != nil {
		v.Bucket = *d.bucket
	}
	v.Ownership.Expected = []dnslookup.Record{{Type: dnslookup.TXT, Name: proofLabel + d.host, Value: d.token}}
	if s.cfg.Target != "" {
		v.DNS.Expected = []dnslookup.Record{{Type: dnslookup.CNAME, Name: d.host, Value: strings.ToLower(strings.TrimSuffix(s.cfg.Target, "."))}}
	}
	for _, a := range s.cfg.Addresses {
		kind := dnslookup.A
		if a.Is6() {
			kind = dnslookup.AAAA
		}
		v.DNS.Expected = append(v.DNS.Expected, dnslookup.Record{Type: kind, Name: d.host, Value: a.String()})
	}
	v.Records = append(append(v.Records, v.Ownership.Expected...), v.DNS.Expected...)
	for _, p := range []struct {
		part   *Part
		reason string
	}{
		{&v.Ownership, "It is not checked yet: make the TXT record, or have it checked."},
		{&v.DNS, "It is not checked yet."},
		{&v.Certificate, "It is ordered when the ownership is verified and the DNS leads here."},
	} {
		if p.part.Reason == "" {
			p.part.Reason = p.reason
		}
	}
	if v.State == Verified && v.DNS.State == OK && (v.Certificate.State == Active || v.Certificate.State == Expiring) {
		v.State = Active
	}
	return v
}
