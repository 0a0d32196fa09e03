package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
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
	in.must("secret", "add", in.keyring)
	for _, tc := range []struct {
		args []string
		says []string
	}{
		{[]string{"secret", "rotate", in.keyring, "--json"}, []string{`"moved": 2`, "key " + bad.KeyID + " of account acme", "backend broken"}},
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

// TestSecretRotate_wrongKeyring: a keyring that opens nothing changes nothing,
// neither in the database nor in its file.
func TestSecretRotate_wrongKeyring(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("key", "create", "acme")
	owner := in.db.Pool(t, pg.RoleOwner)
	state := func() (text string) {
		t.Helper()
		if err := owner.QueryRow(t.Context(), `SELECT jsonb_build_object('keys', (SELECT jsonb_agg(k ORDER BY id) FROM access_keys k),
			'backends', (SELECT jsonb_agg(b ORDER BY id) FROM backends b), 'channel', (SELECT channel FROM change_channel))::text`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := state()
	another := filepath.Join(t.TempDir(), "another")
	in.must("secret", "generate", another)
	public := filepath.Join(t.TempDir(), "public")
	k, err := secret.ReadFile(in.keyring)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.File(public).Create(k.Public()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{another, public} {
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := in.run("secret", "rotate", file); err == nil {
			t.Errorf("%s: %s", file, out)
		}
		if is, err := os.ReadFile(file); err != nil || !bytes.Equal(is, was) {
			t.Errorf("%s was changed: %v", file, err)
		}
		if state() != before {
			t.Errorf("%s: the database was changed", file)
		}
	}
}
