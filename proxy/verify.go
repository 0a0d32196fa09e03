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

// signingKey is the key that the request must be signed with.
func signingKey(x *exchange) *sigv4.SigningKey {
	return x.srv.signingKeys.get(x.identity, x.auth.Day, x.auth.Region)
}
