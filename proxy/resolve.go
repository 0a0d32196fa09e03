package proxy

import (
	"bytes"
	"context"
	"errors"

	"github.com/primecloudpro/primecloud/proxy/s3err"
	"github.com/primecloudpro/primecloud/proxy/s3op"
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// resolve finds the account: the host's, the access key's, or both. When
// everything is cached it waits for nothing.
func resolve(x *exchange) error {
	s := x.srv
	if err := x.auth.Parse(&x.req, sigv4.Options{Region: s.cfg.Region, Now: x.started}); err != nil {
		return err
	}
	ctx := s.ctx
	err := x.resolveHost(ctx)
	if err != nil {
		return err
	}
	if x.op.Body == s3op.Form {
		if !x.anonymous() {
			return s3err.New("InvalidArgument", "A form is signed by its policy; send no other signature.")
		}
		return nil // the form's own credential is verified when its fields are here
	}
	if x.anonymous() {
		if x.account == nil || !x.op.Anonymous {
			return errDenied
		}
		for i := range x.target.Query {
			if bytes.HasPrefix(x.target.Query[i].Name, responsePrefix) {
				// They would let anyone serve the account's bytes as a page of
				// their own making (S3-RULES.md A14, B22).
				return s3err.New("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
			}
		}
		// The host's entry may be older than the account's status.
		x.account, err = s.cfg.Directory.Account(ctx, x.account.ID)
		return err
	}
	identity, err := s.cfg.Directory.Identity(ctx, x.auth.AccessKeyID)
	if err != nil {
		if errors.Is(err, tenancy.ErrUnavailable) {
			return err
		}
		// The same work as for a known key, so that the time of the response
		// does not tell which ids exist (S3-RULES.md B13).
		_ = x.auth.Verify(&x.req, sigv4.DummyKey)
		return err
	}
	x.identity = identity
	return nil
}

var responsePrefix = []byte("response-")

// resolveHost finds the account of a tenant host; that of a custom domain is known.
func (x *exchange) resolveHost(ctx context.Context) (err error) {
	if x.host.account != nil {
		x.account, err = x.srv.cfg.Directory.AccountByName(ctx, x.host.account)
	}
	return misdirected(err)
}

// resolveDomain finds the account of a custom domain. parse asks it, since only who
// knows the domains can tell a bucket in front of one from a domain.
func (x *exchange) resolveDomain(ctx context.Context) (err error) {
	if !x.host.domain {
		return nil
	}
	x.account, err = x.srv.cfg.Directory.AccountByDomain(ctx, x.host.name)
	if !errors.Is(err, tenancy.ErrAccountUnknown) {
		return misdirected(err)
	}
	bucket, domain, _ := bytes.Cut(x.host.name, []byte{'.'})
	if tenancy.CheckBucketName(bucket) != nil || !bytes.Contains(domain, []byte{'.'}) || !x.covered() {
		return misdirected(err)
	}
	if x.account, err = x.srv.cfg.Directory.AccountByDomain(ctx, domain); err == nil {
		x.host.bucket = bucket
	}
	return misdirected(err)
}

// covered says whether a certificate of this server is good for the host's name: a
// client that came by TLS with another name has not been shown one that is.
func (x *exchange) covered() bool {
	return !x.conn.TLS() || x.srv.cfg.Covers != nil && x.srv.cfg.Covers(string(x.host.name))
}

func misdirected(err error) error {
	switch {
	case errors.Is(err, tenancy.ErrAccountUnknown):
		return &s3err.Error{Code: "MisdirectedRequest"}
	case errors.Is(err, tenancy.ErrDomainNotS3):
		return s3err.New("MisdirectedRequest", "This host is for a website or the portal, and S3 is not spoken on it.")
	}
	return err
}
