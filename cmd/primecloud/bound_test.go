package main

import (
	"os"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// An installation from before rows were bound: it works, says what to do, and is
// bound by the keyring's next rotation.
func TestBinding_upgrade(t *testing.T) {
	t.Parallel()
	in := install(t)
	text, err := os.ReadFile(in.keyring)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.keyring, []byte(strings.Replace(string(text), "\nbound\n", "\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	owner := in.db.Pool(t, pg.RoleOwner)
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE access_keys SET binding = NULL`)
	exec(`UPDATE backends SET binding = NULL`)
	rows := func() finding.Finding {
		t.Helper()
		out, _ := in.run("doctor", "--json")
		for _, f := range decode[[]finding.Finding](t, out) {
			if strings.HasPrefix(f.Check, "rows") {
				return f
			}
		}
		t.Fatal("the doctor does not look at rows")
		return finding.Finding{}
	}
	if f := rows(); f.Result != "warning" || !strings.Contains(f.Detail, "secret rotate") {
		t.Errorf("before: %+v", f)
	}
	in.must("secret", "add", in.keyring)
	if moved := decode[keyring.Moved](t, in.must("secret", "rotate", in.keyring, "--json")); moved.Moved != 2 {
		t.Errorf("moved %v", moved)
	}
	if text, err = os.ReadFile(in.keyring); err != nil || !strings.Contains(string(text), "\nbound\n") {
		t.Errorf("the keyring does not ask for bindings: %v", err)
	}
	if f := rows(); f.Result != "ok" {
		t.Errorf("after: %+v", f)
	}
	exec(`UPDATE access_keys SET prefix = 'elsewhere/'`)
	if f := rows(); f.Result != "failure" || !strings.Contains(f.Detail, k.KeyID) {
		t.Errorf("a changed row: %+v", f)
	}
	if out, err := in.run("key", "rotate", k.KeyID); err == nil {
		t.Errorf("its key was rotated: %s", out)
	}
	in.must("key", "revoke", k.KeyID)
	in.must("secret", "retire", in.keyring)
	if after, err := os.ReadFile(in.keyring); err != nil || strings.Count(string(after), "\nprivate ") != 1 || strings.Count(string(text), "\nprivate ") != 2 {
		t.Errorf("the keyring has more than its newest key: %v", err)
	}
	if f := rows(); f.Result != "ok" {
		t.Errorf("at the end: %+v", f)
	}
}
