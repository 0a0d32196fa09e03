package proxy_test

import (
	"net/http"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// Somebody who may write the database and has no keyring changes a key's row: the
// key is refused as one that does not exist, and nobody else notices.
func TestKeys_changedRows(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	victim, other := g.tenant(), g.tenant()
	victim.raw().must(t, &request{method: "PUT", path: "/victims"})
	other.raw().must(t, &request{method: "PUT", path: "/others"})
	for what, set := range map[string]string{
		"another account":   `account_id = '` + victim.account.ID.String() + `'`,
		"more rights":       `permissions = permissions || '{bypass-governance}'::text[]`,
		"a right of nobody": `permissions = '{everything}'`,
		"other buckets":     `buckets = '{others}'`,
		"other networks":    `cidrs = '{127.0.0.0/8,::/0}'`,
		"another end":       `expires_at = 'infinity'`,
		"another secret":    `sealed_secret = (SELECT sealed_secret FROM access_keys WHERE key_id = '` + victim.key.KeyID + `')`,
		"no binding":        `binding = NULL`,
	} {
		tn := g.tenant()
		tn.raw().must(t, &request{method: "GET", path: "/"})
		if _, err := g.owner.Exec(t.Context(), `UPDATE access_keys SET `+set+` WHERE key_id = $1`, tn.key.KeyID); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, what+" to be heard", func() bool {
			res := tn.raw().do(t, &request{method: "GET", path: "/victims/"})
			if res.status >= http.StatusInternalServerError {
				t.Fatalf("%s: %d %s", what, res.status, res.body)
			}
			return res.status == http.StatusForbidden && res.code() == "InvalidAccessKeyId"
		})
		other.raw().must(t, &request{method: "GET", path: "/others"})
	}
}
