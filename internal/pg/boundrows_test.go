package pg_test

import (
	"testing"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// Keys that were revoked before there were ended keys have ended, and their secrets
// are gone; the others are as they were.
func TestMigrate_endedKeys(t *testing.T) {
	t.Parallel()
	db := testenv.EmptyPostgres(t)
	if err := pg.MigrateTo(t.Context(), db.URL(""), 11); err != nil {
		t.Fatal(err)
	}
	pool := db.Pool(t, "")
	for _, sql := range []string{
		`INSERT INTO accounts (id, name, display_name, canonical_id, status) VALUES (gen_random_uuid(), 'a', 'a', repeat('a', 64), 'active')`,
		`INSERT INTO access_keys (id, key_id, account_id, kind, sealed_secret, permissions, revoked_at)
			SELECT gen_random_uuid(), k, id, 's3', '\x01', '{read}', at FROM accounts, (VALUES ('live', NULL), ('revoked', timestamptz '2026-01-01Z')) AS keys (k, at)`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := pg.Migrate(t.Context(), db.URL("")); err != nil {
		t.Fatal(err)
	}
	var live, ended string
	if err := pool.QueryRow(t.Context(), `SELECT
		(SELECT string_agg(key_id || ' ' || sealed_secret::text || ' ' || (binding IS NULL), ',') FROM access_keys WHERE sealed_secret <> ''),
		(SELECT string_agg(key_id || ' ' || (ended_at = '2026-01-01Z'), ',') FROM ended_keys JOIN access_keys USING (id, account_id, key_id))`).Scan(&live, &ended); err != nil {
		t.Fatal(err)
	}
	if live != `live \x01 true` || ended != "revoked true" {
		t.Errorf("live: %s; ended: %s", live, ended)
	}
}
