package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/node/nodetest"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// rotateKeyring adds a key to the keyring, and rotates once the processes that run,
// which watch the file, have it.
func (in *installation) rotateKeyring() (done keyring.Moved) {
	in.t.Helper()
	in.must("secret", "add", in.keyring)
	testenv.WaitFor(in.t, "every process to have the new key", func() bool {
		out, err := in.run("secret", "rotate", in.keyring, "--json")
		if err == nil {
			done = decode[keyring.Moved](in.t, out)
		} else if !strings.Contains(err.Error(), "cannot seal yet") {
			in.t.Fatal(err)
		}
		return err == nil
	})
	return done
}

// wrongKeyrings are keyrings that may not be used in an installation, and what is said
// of each: of another installation, and from before a rotation.
func wrongKeyrings(in *installation) map[string][]string {
	another, older := filepath.Join(in.t.TempDir(), "another"), filepath.Join(in.t.TempDir(), "older")
	in.must("secret", "generate", another)
	if err := os.WriteFile(older, testenv.Must(os.ReadFile(in.keyring))(in.t), 0o600); err != nil {
		in.t.Fatal(err)
	}
	in.rotateKeyring()
	return map[string][]string{
		another: {"its fingerprint is " + testenv.Must(keyring.File(another).Read())(in.t).Fingerprint(), testenv.Must(keyring.File(in.keyring).Read())(in.t).Fingerprint()},
		older:   {"it is from before a rotation and lacks the key " + testenv.Must(keyring.File(in.keyring).Read())(in.t).Seals()},
	}
}

// Every command that uses the keyring refuses a wrong one in a sentence, before it has
// changed anything; so does every role. `go test -v` prints what is said.
func TestWrongKeyring(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	in.must("bucket", "create", "acme", "data")
	wrong := wrongKeyrings(in)
	state := in.state()
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("imported-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range wrong {
		with := *in
		with.env = append(slices.Clone(in.env), "PRIMECLOUD_KEYRING_FILE="+file)
		for _, args := range [][]string{
			{"key", "create", "acme"}, {"key", "create", "acme", "--import-id", "AKIAIMPORTED", "--import-secret-file", secretFile}, {"key", "rotate", k.KeyID},
			{"backend", "add", "second", "--endpoints", testenv.MinIO(t).Endpoint}, {"backend", "rotate", "minio"},
			{"account", "create", "other"}, {"account", "suspend", "acme"}, {"bucket", "create", "acme", "more"}, {"bucket", "sync"}, {"bucket", "stat", "acme", "data"},
			{"usage", "verify"}, {"usage", "sample"}, {"usage", "show"}, {"usage", "adjustments"}, {"usage", "reconcile"}, {"rates", "list"}, {"account", "list"}, {"key", "list", "acme"}, {"key", "limit", k.KeyID, "--concurrent", "5"}, {"doctor"}, {"migrate"},
			{"secret", "add", file}, {"secret", "rotate", file}, {"secret", "retire", file}, {"secret", "adopt", file},
		} {
			was := testenv.Must(os.ReadFile(file))(t)
			code, out := with.exitCode(args...)
			for _, want := range says {
				if code != 1 || !strings.Contains(out, want) {
					t.Errorf("%v: exit code %d, and %q is not in: %s", args, code, want, out)
				}
			}
			if is := testenv.Must(os.ReadFile(file))(t); string(is) != string(was) {
				t.Errorf("%v: the keyring was changed", args)
			}
			if now := in.state(); now != state {
				t.Errorf("%v: the database was changed:\n%s\n%s", args, state, now)
			}
			t.Logf("%-36s %d  %s", strings.Join(args[:min(2, len(args))], " "), code, lastLine(out))
		}
		for _, role := range []string{node.RoleGateway, node.RoleWorker} {
			cfg := nodetest.Config(t, in.db, testenv.Must(keyring.File(in.keyring).Read())(t), role)
			cfg.Keyring = string(testenv.Must(os.ReadFile(file))(t))
			cfg.OnReady = func(node.Addresses) { t.Errorf("%s serves", role) }
			err := node.Run(context.WithoutCancel(t.Context()), cfg)
			for _, want := range says {
				if !errors.Is(err, keyring.ErrWrong) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v", role, err)
				}
			}
			t.Logf("%-36s 1  %s", "serve --roles "+role, err)
		}
	}
	if list := decode[[]keyring.Holder](t, in.must("secret", "status", "--json")); len(list) > 0 {
		t.Errorf("processes that did not start are there: %+v", list)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// state is what commands change.
func (in *installation) state() (text string) {
	in.t.Helper()
	if err := in.db.Pool(in.t, pg.RoleOwner).QueryRow(in.t.Context(), `SELECT jsonb_build_object('keys', (SELECT jsonb_agg(k ORDER BY id) FROM access_keys k),
		'backends', (SELECT jsonb_agg(b ORDER BY id) FROM backends b), 'accounts', (SELECT jsonb_agg(a ORDER BY id) FROM accounts a),
		'buckets', (SELECT jsonb_agg(b ORDER BY id) FROM buckets b), 'channel', (SELECT channel FROM change_channel),
		'keyring', (SELECT to_jsonb(k) FROM keyring k))::text`).Scan(&text); err != nil {
		in.t.Fatal(err)
	}
	return text
}

// An installation from before keyrings had fingerprints takes the keyring that opens
// all of it; one that opens a part needs the operator's word, and one that opens nothing
// is never taken.
func TestSecretAdopt(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	good := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	another := filepath.Join(t.TempDir(), "another")
	in.must("secret", "generate", another)
	forget := func() {
		t.Helper()
		if _, err := in.db.Pool(t, pg.RoleOwner).Exec(t.Context(), `DELETE FROM keyring`); err != nil {
			t.Fatal(err)
		}
	}
	with := *in
	with.env = append(slices.Clone(in.env), "PRIMECLOUD_KEYRING_FILE="+another)
	forget()
	for _, args := range [][]string{{"key", "create", "acme"}, {"migrate"}, {"secret", "adopt", another}} {
		if code, out := with.exitCode(args...); code != 1 || !strings.Contains(out, "it opens none of the 2 secrets") {
			t.Errorf("%v with another keyring: %d, %s", args, code, out)
		}
	}
	in.must("migrate")
	forget()
	// As it was with the other keyring, before there were fingerprints.
	store := &tenancy.Store{Keyring: testenv.Must(keyring.File(another).Read())(t)}
	a := testenv.Must(tenancy.AccountByName(t.Context(), in.db.Pool(t, pg.RoleOwner), "acme"))(t)
	bad := testenv.Must(store.CreateKey(t.Context(), in.db.Pool(t, pg.RoleOwner), tenancy.Key{AccountID: a.ID}))(t)
	name := "key " + bad.KeyID + " of account acme"
	if code, out := in.exitCode("account", "list"); code != 1 || !strings.Contains(out, "it opens 2 secrets of this database and does not open those of "+name) {
		t.Errorf("with a row that it does not open: %d, %s", code, out)
	}
	if code, out := in.exitCode("secret", "adopt", in.keyring); code != 1 || !strings.Contains(out, name) || strings.Contains(out, good.KeyID) {
		t.Errorf("adopt: %d, %s", code, out)
	}
	if code, out := with.exitCode("account", "list"); code != 1 || !strings.Contains(out, "its fingerprint is") {
		t.Errorf("the other keyring afterwards: %d, %s", code, out)
	}
	in.must("secret", "add", in.keyring)
	code, out := in.exitCode("secret", "rotate", in.keyring)
	if code != 1 || !strings.Contains(out, name) || !strings.Contains(out, "primecloud key revoke") {
		t.Errorf("rotate: %d, %s", code, out)
	}
	if code, out := in.exitCode("key", "delete", bad.KeyID); code != 1 || !strings.Contains(out, "primecloud key revoke "+bad.KeyID) {
		t.Errorf("a key that works was deleted: %d, %s", code, out)
	}
	in.must("key", "revoke", bad.KeyID)
	in.must("key", "delete", bad.KeyID)
	if list := decode[[]tenancy.Key](t, in.must("key", "list", "acme", "--json")); len(list) != 1 || list[0].KeyID != good.KeyID {
		t.Errorf("key list: %+v", list)
	}
	if code, out := in.exitCode("secret", "rotate", in.keyring); code != 1 || !strings.Contains(out, "no key waits") {
		t.Errorf("rotate when all is done: %d, %s", code, out)
	}
	in.must("secret", "retire", in.keyring)
}

// A backend whose credential nothing opens can go when no bucket lives on it.
func TestBackendRemove(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("backend", "add", "broken", "--endpoints", testenv.MinIO(t).Endpoint)
	if _, err := in.db.Pool(t, pg.RoleOwner).Exec(t.Context(), `UPDATE backends SET sealed_credential = 'x' WHERE name = 'broken'`); err != nil {
		t.Fatal(err)
	}
	in.must("bucket", "create", "acme", "data")
	for name, says := range map[string]string{"minio": "minio: buckets live on it", "nobody": `there is no backend "nobody"`} {
		if name == "minio" {
			if code, out := in.exitCode("backend", "remove", name); code != 1 || !strings.Contains(out, "minio: new buckets are put there") {
				t.Errorf("the default: %d, %s", code, out)
			}
			in.must("backend", "add", "third", "--endpoints", testenv.MinIO(t).Endpoint, "--default")
		}
		if code, out := in.exitCode("backend", "remove", name); code != 1 || !strings.Contains(out, says) {
			t.Errorf("%s: %d, %s", name, code, out)
		}
	}
	in.must("backend", "remove", "broken")
	if out := in.must("backend", "list"); strings.Contains(out, "broken") || !strings.Contains(out, "minio") {
		t.Errorf("backend list:\n%s", out)
	}
}

// A key's name stays in reports when the key is gone.
func TestKeyDelete_usage(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	next := decode[tenancy.Key](t, in.must("key", "rotate", k.KeyID, "--json"))
	in.must("key", "limit", next.KeyID, "--concurrent", "5")
	if _, err := in.db.Pool(t, pg.RoleOwner).Exec(t.Context(), fmt.Sprintf(`INSERT INTO usage_readings SELECT '%s', '%s', '%[1]s', '%[3]s', 'A', '2026-03-01T10:00:00Z', 1, 1, 1, 1, 1`,
		tenancy.NewID(), next.AccountID, next.ID)); err != nil {
		t.Fatal(err)
	}
	in.must("key", "revoke", next.KeyID)
	in.must("key", "delete", next.KeyID)
	if out := in.must("usage", "show", "--by", "key"); !strings.Contains(out, next.KeyID) {
		t.Errorf("the deleted key has no name any more:\n%s", out)
	}
	if _, err := in.run("key", "rotate", k.KeyID); err != nil {
		t.Errorf("the key that it followed: %v", err)
	}
}
