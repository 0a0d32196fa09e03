package tenancy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// A copy of a key's row from before its revocation, written again by whoever may.
func TestEnded_insertedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	columns := `id, key_id, account_id, kind, user_id, description, sealed_secret, permissions, buckets, prefix, cidrs, expires_at, created_at, binding`
	again := `INSERT INTO access_keys (` + columns + `) SELECT ` + columns + ` FROM copies`
	revoked, deleted := f.key(f.a), f.key(f.a)
	f.exec(`CREATE TABLE copies AS SELECT * FROM access_keys`)
	f.revoke(revoked.KeyID)
	if n := count(t, f.owner, `SELECT count(*) FROM access_keys WHERE sealed_secret <> '' AND revoked_at IS NOT NULL`); n != 0 {
		t.Error("a revoked key's row still has its secret")
	}
	f.exec(`DELETE FROM access_keys`)
	for _, sql := range []string{again, `DELETE FROM ended_keys`, `UPDATE ended_keys SET id = gen_random_uuid()`, `TRUNCATE ended_keys`, `TRUNCATE access_keys CASCADE`} {
		tag, err := f.owner.Exec(ctx, sql)
		denied(t, sql, tag, err)
	}
	// The owner of the tables can do without triggers.
	conn := f.unchecked()
	must(conn.Exec(ctx, again))(t)
	d := f.directory()
	for _, k := range []*tenancy.Key{revoked, deleted} {
		if err := lookup(d, k.KeyID); !errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Errorf("%s is back: %v", k.KeyID, err)
		}
	}
	for _, role := range []string{pg.RoleGateway, pg.RolePortal, pg.RoleWorker} {
		tag, err := f.db.Pool(t, role).Exec(ctx, `DELETE FROM ended_keys`)
		denied(t, role, tag, err)
	}
	// What he can do at most, until the keyring's older keys are retired: forget
	// that it has ended, too.
	must(conn.Exec(ctx, `DELETE FROM ended_keys`))(t)
	known(t, f.directory(), revoked.KeyID)
	must(conn.Exec(ctx, `DELETE FROM access_keys`))(t)
	f.keyring = must(f.keyring.Rotate())(t).Retire()
	must(conn.Exec(ctx, again))(t)
	if err := lookup(f.directory(), revoked.KeyID); err == nil {
		t.Error("a copy from before the rotation opens")
	}
	f.store.Keyring = f.keyring
	known(t, f.directory(), f.key(f.a).KeyID)
}

// A node that runs remembers what the database was made to forget.
func TestEnded_nodesRemember(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	log := &testenv.Buffer{}
	early, k := f.key(f.a), f.key(f.a)
	f.exec(`CREATE TABLE copies AS SELECT id, key_id, account_id, kind, sealed_secret, permissions, binding FROM access_keys`)
	f.revoke(early.KeyID)
	d := f.directory(func(c *tenancy.DirectoryConfig) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	known(t, d, k.KeyID)
	f.revoke(k.KeyID)
	for _, k := range []*tenancy.Key{early, k} {
		eventually(t, "its end is heard of", func() bool { return d.Remembers(k.ID) })
	}
	conn := f.unchecked()
	for _, sql := range []string{
		`DELETE FROM access_keys`, `DELETE FROM ended_keys`,
		`INSERT INTO access_keys (id, key_id, account_id, kind, sealed_secret, permissions, binding) SELECT * FROM copies`,
	} {
		must(conn.Exec(t.Context(), sql))(t)
	}
	for _, k := range []*tenancy.Key{early, k} {
		eventually(t, "the operator is told of "+k.KeyID, func() bool {
			if err := lookup(d, k.KeyID); !errors.Is(err, tenancy.ErrKeyUnknown) {
				t.Fatalf("%s is back: %v", k.KeyID, err)
			}
			return strings.Contains(log.Take(), k.KeyID)
		})
	}
	known(t, d, f.key(f.a).KeyID)
}

// A revocation that was taken back by hand gives nothing back.
func TestEnded_takenBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	k := f.key(f.a)
	f.revoke(k.KeyID)
	tag, err := f.owner.Exec(t.Context(), `UPDATE access_keys SET revoked_at = NULL`)
	denied(t, "a revocation was taken back", tag, err)
	conn := f.unchecked()
	for _, sql := range []string{`UPDATE access_keys SET revoked_at = NULL`, `DELETE FROM ended_keys`} {
		must(conn.Exec(t.Context(), sql))(t)
		if err := lookup(f.directory(), k.KeyID); !errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Errorf("after %s: %v", sql, err)
		}
	}
}

// older is the keyring as it was before rows were bound.
func older(t *testing.T, k *secret.Keyring) *secret.Keyring {
	t.Helper()
	text := must(k.Marshal())(t)
	return must(secret.Parse([]byte(strings.Replace(string(text), "\nbound\n", "\n", 1))))(t)
}

// Rows from before there were bindings work until the keyring asks for them, and
// are bound by the rotation that lets it ask.
func TestBinding_olderRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	bound := f.keyring
	f.keyring = older(t, bound)
	if f.keyring.Binding() || !bound.Binding() {
		t.Fatal("the keyring's text does not say whether it asks")
	}
	k, late := f.key(f.a), f.key(f.a)
	f.exec(`UPDATE access_keys SET binding = NULL`)
	f.exec(`UPDATE backends SET binding = NULL`)
	// Both versions beside each other: what an older program writes.
	f.exec(`UPDATE access_keys SET expires_at = now() + interval '1 hour' WHERE key_id = $1`, late.KeyID)
	old := f.directory()
	known(t, old, k.KeyID)
	known(t, old, late.KeyID)
	if _, err := old.Backend(ctx, f.backend.ID); err != nil {
		t.Error(err)
	}
	f.store.Keyring = f.keyring
	if err := f.store.ExpireKey(ctx, f.owner, late.KeyID, nil); err != nil {
		t.Error(err)
	}
	next := must(f.keyring.Rotate())(t)
	if n := must((&tenancy.Store{Keyring: next}).RewrapSecrets(ctx, f.owner, nil))(t); n != 3 {
		t.Errorf("moved %d", n)
	}
	f.keyring = next.WithBinding()
	d := f.directory()
	known(t, d, k.KeyID)
	known(t, d, late.KeyID)
	if b, err := d.Backend(ctx, f.backend.ID); err != nil || b.SecretKey != "rootsecret" {
		t.Error(err)
	}
	f.exec(`UPDATE access_keys SET binding = NULL WHERE key_id = $1`, k.KeyID)
	eventually(t, "the older form is over", unknown(d, k.KeyID))
	if _, err := (&tenancy.Store{Keyring: f.keyring}).RewrapSecrets(ctx, f.owner, nil); !slices.Equal(skipped(err), []string{"key " + k.KeyID + " of account a"}) {
		t.Errorf("the older form was bound again: %v", err)
	}
}

// A node with the keyring of before a rotation does not know: that is no "unknown", and
// not the database's fault, neither of a key nor of a backend.
func TestBinding_olderKeyring(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	k := f.key(f.a)
	next := must(f.keyring.Rotate())(t)
	must((&tenancy.Store{Keyring: next}).RewrapSecrets(t.Context(), f.owner, nil))(t)
	d := f.directory()
	_, backend := d.Backend(t.Context(), f.backend.ID)
	for name, err := range map[string]error{k.KeyID: lookup(d, k.KeyID), "minio": backend} {
		if !errors.Is(err, tenancy.ErrUnavailable) || !errors.Is(err, tenancy.ErrNotOpened) || errors.Is(err, tenancy.ErrKeyUnknown) || errors.Is(err, tenancy.ErrBackendChanged) {
			t.Errorf("%s with the older keyring: %v", name, err)
		}
		if text := err.Error(); strings.Contains(text, "database") || !strings.Contains(text, name) || !strings.Contains(text, "keyring") || !strings.Contains(text, next.Seals()) {
			t.Errorf("%s with the older keyring: %s", name, text)
		}
	}
}

func caPEM(t *testing.T) string {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der := must(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private))(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
