package tenancy_test

import (
	"context"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// A load begun before an invalidation is not stored after it (ARCHITECTURE.md,
// invariant 6). The load has read the key while it was good, and is held there;
// the key is revoked, and the node has heard of it; then the load goes on.
func TestDirectory_pausedLoadNeverResurrects(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*testing.T, *tenancy.Directory, string){
		// The late load comes to an empty place …
		"nothing cached": func(*testing.T, *tenancy.Directory, string) {},
		// … or on top of what was learned meanwhile.
		"absence cached": func(t *testing.T, d *tenancy.Directory, keyID string) {
			if !unknown(d, keyID)() {
				t.Error("who asks after the change joined the load begun before it")
			}
			d.Settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			gate := &gate{contains: "FROM access_keys"}
			d := f.directory(gate.pool(f), func(c *tenancy.DirectoryConfig) { c.NegativeTTL = time.Hour })
			k := f.key(f.a)
			eventually(t, "the creation was heard of", func() bool { return d.KeyGeneration(k.KeyID) > 0 })
			gate.arm(1)
			asked := make(chan error, 1)
			go func() {
				_, err := d.Identity(context.Background(), []byte(k.KeyID))
				asked <- err
			}()
			gate.waitHeld(t, 1)
			heard := d.KeyGeneration(k.KeyID)
			f.revoke(k.KeyID)
			eventually(t, "the revocation was heard of", func() bool { return d.KeyGeneration(k.KeyID) > heard })
			between(t, d, k.KeyID)
			gate.open()
			if err := <-asked; err != nil {
				t.Errorf("who asked before the revocation: %v", err)
			}
			d.Settle() // ristretto has taken all it was given
			for range 100 {
				if !unknown(d, k.KeyID)() {
					t.Fatal("the revoked key is known again")
				}
			}
		})
	}
}

// The same for a change that is not heard of, because the connection is down
// meanwhile: the new connection's epoch makes the late load dead, and who asks
// then does not join it.
func TestDirectory_pausedLoadAcrossReconnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gate := &gate{contains: "FROM access_keys"}
	d := f.directory(gate.pool(f))
	k := f.key(f.a)
	eventually(t, "the creation was heard of", func() bool { return d.KeyGeneration(k.KeyID) > 0 })
	gate.arm(1)
	asked := make(chan error, 1)
	go func() {
		_, err := d.Identity(context.Background(), []byte(k.KeyID))
		asked <- err
	}()
	gate.waitHeld(t, 1)
	// No trigger fires: as if nobody had been listening.
	connects := d.Connects()
	super := f.db.Pool(t, "")
	for _, sql := range []string{
		`ALTER TABLE access_keys DISABLE TRIGGER notify`,
		`UPDATE access_keys SET revoked_at = now()`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'primecloud directory' AND datname = current_database()`,
	} {
		must(super.Exec(t.Context(), sql))(t)
	}
	eventually(t, "reconnected", func() bool { return d.Connects() > connects })
	if !unknown(d, k.KeyID)() {
		t.Error("who asks after the reconnection joined the load begun before it")
	}
	// What is read late is no row that was put back.
	eventually(t, "its end is heard of", func() bool { return d.Remembers(k.ID) })
	gate.open()
	if err := <-asked; err != nil {
		t.Errorf("who asked before: %v", err)
	}
	d.Settle()
	for range 100 {
		if !unknown(d, k.KeyID)() {
			t.Fatal("the revoked key is known again")
		}
	}
}

// ristretto may drop anything at any time: slower, never wrong.
func TestDirectory_cacheForgets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory(func(c *tenancy.DirectoryConfig) { c.Entries = 1 })
	keys := []*tenancy.Key{f.key(f.a), f.key(f.b), f.imported("AKIAIMPORTED")}
	for range 50 {
		for _, k := range keys {
			if i := known(t, d, k.KeyID); i.Secret != k.Secret || i.AccountID != k.AccountID {
				t.Fatalf("%s got %s", k.KeyID, i)
			}
			d.Forget(k.KeyID)
		}
	}
}
