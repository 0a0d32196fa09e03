//go:build !race

package tenancy_test

import (
	"testing"
)

// Not parallel: AllocsPerRun counts what the whole process allocates.
func TestDirectory_cachedHitAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	d := f.directory()
	ctx := t.Context()
	k := f.key(f.a)
	f.bucket(f.a, "photos")
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('files.example.test', $1, 'verified')`, f.a.ID)
	keyID, name, host, bucket := []byte(k.KeyID), []byte("a"), []byte("files.example.test"), []byte("photos")
	for what, look := range map[string]func() error{
		"Identity":        func() error { _, err := d.Identity(ctx, keyID); return err },
		"Account":         func() error { _, err := d.Account(ctx, f.a.ID); return err },
		"AccountByName":   func() error { _, err := d.AccountByName(ctx, name); return err },
		"AccountByDomain": func() error { _, err := d.AccountByDomain(ctx, host); return err },
		"Bucket":          func() error { _, err := d.Bucket(ctx, f.a.ID, bucket); return err },
		"Backend":         func() error { _, err := d.Backend(ctx, f.backend.ID); return err },
	} {
		eventually(t, what+" is cached", func() bool {
			if err := look(); err != nil {
				t.Fatal(what, err)
			}
			d.Settle()
			before := d.Misses()
			_ = look()
			return d.Misses() == before
		})
		if n := testing.AllocsPerRun(2000, func() { _ = look() }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
