package ledger_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/metering/ledgertest"
)

// books are a ledger that tests break.
type books struct{ *ledgertest.Ledger }

func newBooks(t testing.TB) *books {
	t.Helper()
	return &books{ledgertest.New(t)}
}
