package main

import (
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What cannot be opened is named, and keeps no command from doing the rest.
func TestBadRows(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	bad := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	in.must("key", "create", "acme")
	in.must("backend", "add", "broken", "--endpoints", testenv.MinIO(t).Endpoint)
	owner := in.db.Pool(t, pg.RoleOwner)
	for _, sql := range []string{
		`UPDATE access_keys SET sealed_secret = 'x' WHERE key_id = '` + bad.KeyID + `'`,
		`UPDATE backends SET sealed_credential = 'x' WHERE name = 'broken'`,
		// A bucket that "minio" does not have.
		`INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state)
			SELECT gen_random_uuid(), a.id, 'missing', b.id, 'pc-missing', 'active' FROM accounts a, backends b WHERE b.name = 'minio'`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		says []string
	}{
		{[]string{"secret", "rotate", in.keyring, "--json"}, []string{`"moved": 2`, "key " + bad.KeyID, "backend broken"}},
		{[]string{"bucket", "sync", "--names-only"}, []string{"backend broken: ", "pc-missing"}},
		{[]string{"doctor"}, []string{"backend broken", "credential works"}},
	} {
		code, out := in.exitCode(tc.args...)
		if code != 1 {
			t.Errorf("%v: exit code %d", tc.args, code)
		}
		for _, want := range tc.says {
			if !strings.Contains(out, want) {
				t.Errorf("%v: does not say %q:\n%s", tc.args, want, out)
			}
		}
		if strings.Contains(out, bad.Secret) {
			t.Errorf("%v: says the secret", tc.args)
		}
	}
}
