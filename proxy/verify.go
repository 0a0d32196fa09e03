package proxy

import (
	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// verify checks the signature over exactly what was parsed. It is the one
// place that decides whether a request is authenticated (S3-RULES.md A1).
func verify(x *exchange) error {
	if x.anonymous() {
		return nil
	}
	x.signing = signingKey(x)
	if err := x.auth.Verify(&x.req, x.signing); err != nil {
		return err
	}
	account, err := x.srv.cfg.Directory.Account(x.srv.ctx, x.identity.AccountID)
	if err != nil {
		return err
	}
	if x.account != nil && x.account.ID != account.ID {
		// The host belongs to another account than the key.
		x.bind() // it is the key's account that asks
		x.identity = nil
		return errDenied
	}
	x.setAuthenticated(account)
	return nil
}

// setAuthenticated takes the account for the requester's: the signature was good.
func (x *exchange) setAuthenticated(account *tenancy.Account) {
	x.account, x.authenticated = account, true
}

// signingKey derives the day's key once and keeps it with the identity: a
// rotated secret is another Identity, so the derived key cannot outlive it
// (S3-RULES.md B28).
func signingKey(x *exchange) *sigv4.SigningKey {
	if k, ok := x.identity.Attached.Load().(*sigv4.SigningKey); ok && k.Matches(x.auth.Day, x.auth.Region) {
		return k
	}
	k := sigv4.NewSigningKey(x.identity.Secret, string(x.auth.Day), string(x.auth.Region))
	x.identity.Attached.Store(k)
	return k
}
