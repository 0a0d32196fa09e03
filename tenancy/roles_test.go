package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// denied wants PostgreSQL's refusal: no privilege or row security
// (42501), or no row in sight.
func denied(t *testing.T, what string, tag pgconn.CommandTag, err error) {
	t.Helper()
	var e *pgconn.PgError
	switch {
	case errors.As(err, &e) && (e.Code == "42501" || e.Code == "23514"):
	case err != nil:
		t.Errorf("%s: %v, want a refusal", what, err)
	case tag.RowsAffected() > 0:
		t.Errorf("%s: did that to %d rows", what, tag.RowsAffected())
	}
}

func count(t *testing.T, q pg.Querier, sql string, args ...any) (n int) {
	t.Helper()
	if err := q.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// The portal sees and changes one account's rows, chosen in the transaction,
// and no secret; without a choice it sees nothing.
func TestRoles_portal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.bucket(f.a, "photos")
	f.bucket(f.b, "photos")
	keyA, keyB := f.key(f.a), f.key(f.b)
	f.exec(`INSERT INTO domains (host, account_id) VALUES ('a.test', $1), ('b.test', $2)`, f.a.ID, f.b.ID)
	portal := f.db.Pool(t, pg.RolePortal)
	for _, table := range []string{"accounts", "access_keys", "buckets", "domains"} {
		column := "account_id"
		if table == "accounts" {
			column = "id"
		}
		sql := `SELECT count(*) FROM (SELECT ` + column + ` FROM ` + table + `) x`
		if n := count(t, portal, sql); n != 0 {
			t.Errorf("%s: %d rows without an account", table, n)
		}
		if err := tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) error {
			if n := count(t, tx, sql); n != 1 {
				t.Errorf("%s: %d rows as A, want 1", table, n)
			}
			if n := count(t, tx, sql+` WHERE `+column+` = $1`, f.b.ID); n != 0 {
				t.Errorf("%s: %d rows of B as A", table, n)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n := count(t, portal, sql); n != 0 {
			t.Errorf("%s: the account outlives its transaction: %d rows", table, n)
		}
	}
	asA := func(sql string, args ...any) (tag pgconn.CommandTag, err error) {
		err = tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) (err error) {
			tag, err = tx.Exec(t.Context(), sql, args...)
			return err
		})
		return tag, err
	}
	if err := tenancy.RevokeKey(t.Context(), f.owner, f.key(f.a).KeyID); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() (pgconn.CommandTag, error){
		"read a secret":    func() (pgconn.CommandTag, error) { return asA(`SELECT sealed_secret FROM access_keys`) },
		"read a whole key": func() (pgconn.CommandTag, error) { return asA(`SELECT * FROM access_keys`) },
		"read backends":    func() (pgconn.CommandTag, error) { return asA(`SELECT id FROM backends`) },
		"revoke B's key": func() (pgconn.CommandTag, error) {
			return asA(`UPDATE access_keys SET revoked_at = now() WHERE key_id = $1`, keyB.KeyID)
		},
		"take a revocation back": func() (pgconn.CommandTag, error) {
			return asA(`UPDATE access_keys SET revoked_at = NULL WHERE revoked_at IS NOT NULL`)
		},
		"delete a key":      func() (pgconn.CommandTag, error) { return asA(`DELETE FROM access_keys`) },
		"give a key to B":   func() (pgconn.CommandTag, error) { return asA(`UPDATE access_keys SET account_id = $1`, f.b.ID) },
		"widen a key":       func() (pgconn.CommandTag, error) { return asA(`UPDATE access_keys SET permissions = '{read}'`) },
		"create an account": func() (pgconn.CommandTag, error) { return asA(insertAccount, tenancy.NewID()) },
		"change the status": func() (pgconn.CommandTag, error) { return asA(`UPDATE accounts SET status = 'active'`) },
		"make a bucket": func() (pgconn.CommandTag, error) {
			return asA(`INSERT INTO buckets (id, account_id, name, backend_id, backend_name, state) VALUES (gen_random_uuid(), $1, 'new', $2, 'pc-new', 'active')`, f.a.ID, f.backend.ID)
		},
		"steal B's bucket": func() (pgconn.CommandTag, error) { return asA(`UPDATE buckets SET account_id = $1`, f.a.ID) },
		"prove a domain":   func() (pgconn.CommandTag, error) { return asA(`UPDATE domains SET ownership = 'verified'`) },
		"claim a proven domain": func() (pgconn.CommandTag, error) {
			return asA(`INSERT INTO domains (host, account_id, ownership) VALUES ('x.test', $1, 'verified')`, f.a.ID)
		},
		"claim a domain for B": func() (pgconn.CommandTag, error) {
			return asA(`INSERT INTO domains (host, account_id) VALUES ('x.test', $1)`, f.b.ID)
		},
		"read where a bucket is":  func() (pgconn.CommandTag, error) { return asA(`SELECT backend_name FROM buckets`) },
		"read the backend's id":   func() (pgconn.CommandTag, error) { return asA(`SELECT backend_id FROM accounts`) },
		"read nodes":              func() (pgconn.CommandTag, error) { return asA(`SELECT epoch FROM usage_readings`) },
		"read the channel":        func() (pgconn.CommandTag, error) { return asA(`SELECT channel FROM change_channel`) },
		"hear changes":            func() (pgconn.CommandTag, error) { return asA(`SELECT hear_changes()`) },
		"tell changes":            func() (pgconn.CommandTag, error) { return asA(`SELECT tell_change('key:x')`) },
		"renew the channel":       func() (pgconn.CommandTag, error) { return asA(`SELECT renew_change_channel()`) },
		"drop B's domain":         func() (pgconn.CommandTag, error) { return asA(`DELETE FROM domains WHERE account_id = $1`, f.b.ID) },
		"read goose's table":      func() (pgconn.CommandTag, error) { return asA(`SELECT * FROM goose_db_version`) },
		"create a table":          func() (pgconn.CommandTag, error) { return asA(`CREATE TABLE public.x (n int)`) },
		"switch row security off": func() (pgconn.CommandTag, error) { return asA(`ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY`) },
		"become the owner":        func() (pgconn.CommandTag, error) { return asA(`SET ROLE primecloud_owner`) },
	} {
		tag, err := try()
		denied(t, what, tag, err)
	}
	// What it is there for.
	if err := tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) error {
		k, err := f.store.CreateKey(t.Context(), tx, tenancy.Key{AccountID: f.a.ID, Description: "made in the portal"})
		if err != nil {
			return err
		}
		if _, err = f.store.RotateKey(t.Context(), tx, keyA.KeyID, time.Hour); err != nil {
			return err
		}
		for rows, l := range []tenancy.Limits{1: {Concurrent: 1}} { // with the limits, and when they are gone
			if err := tenancy.SetKeyLimits(t.Context(), tx, k, &l); err != nil {
				return err
			}
			if n := count(t, tx, `SELECT count(*) FROM key_limits`); n != rows {
				t.Errorf("%d rows of limits, want %d", n, rows)
			}
		}
		if err := tenancy.SetKeyLimits(t.Context(), tx, k, nil); err != nil {
			return err
		}
		if n := count(t, tx, `SELECT count(*) FROM key_limits`); n != 0 {
			t.Errorf("limits that are none leave %d rows", n)
		}
		return tenancy.RevokeKey(t.Context(), tx, k.KeyID)
	}); err != nil {
		t.Errorf("the portal's own work: %v", err)
	}
	if err := tenancy.AsAccount(t.Context(), portal, f.a.ID, func(tx pgx.Tx) error {
		_, err := f.store.CreateKey(t.Context(), tx, tenancy.Key{AccountID: f.b.ID})
		return err
	}); err == nil {
		t.Error("made a key for B as A")
	}
}

const insertAccount = `INSERT INTO accounts (id, name, display_name, canonical_id, status) VALUES ($1, 'new', 'new', repeat('f', 64), 'active')`

// The gateway reads every account, writes buckets, and nothing else.
func TestRoles_gateway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.bucket(f.a, "photos")
	f.key(f.a)
	gateway := f.db.Pool(t, pg.RoleGateway)
	if n := count(t, gateway, `SELECT count(*) FROM accounts`); n != 2 {
		t.Errorf("sees %d accounts", n)
	}
	for what, sql := range map[string]string{
		"create an account":      strings.ReplaceAll(insertAccount, "$1", "gen_random_uuid()"),
		"change a status":        `UPDATE accounts SET status = 'active'`,
		"make a key":             `INSERT INTO access_keys (id, key_id, account_id, kind, sealed_secret, permissions) SELECT gen_random_uuid(), 'made-up', id, 's3', '\x00', '{read}' FROM accounts`,
		"widen a key":            `UPDATE access_keys SET permissions = '{read,write}'`,
		"revoke a key":           `UPDATE access_keys SET revoked_at = now()`,
		"delete a key":           `DELETE FROM access_keys`,
		"change a backend":       `UPDATE backends SET endpoints = '{http://evil}'`,
		"move a bucket":          `UPDATE buckets SET backend_name = 'pc-other'`,
		"give a bucket away":     `UPDATE buckets SET account_id = (SELECT id FROM accounts WHERE name = 'b')`,
		"open a blocked bucket":  `UPDATE buckets SET public_blocked = false`,
		"prove a domain":         `INSERT INTO domains (host, account_id, ownership) SELECT 'x.test', id, 'verified' FROM accounts`,
		"empty a table":          `TRUNCATE buckets`,
		"see goose's table":      `SELECT * FROM goose_db_version`,
		"read the channel":       `SELECT channel FROM change_channel`,
		"tell changes":           `SELECT tell_change('key:x')`,
		"see seals":              `SELECT hour FROM usage_seals`,
		"become the owner":       `SET ROLE primecloud_owner`,
		"stop the notifications": `ALTER TABLE access_keys DISABLE TRIGGER notify`,
		"prove a claim":          `UPDATE domains SET ownership = 'verified'`,
		"read a server file":     `SELECT pg_read_file('/etc/passwd')`,
	} {
		tag, err := gateway.Exec(t.Context(), sql)
		denied(t, what, tag, err)
	}
}

func TestRoles_worker(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.key(f.a)
	f.bucket(f.b, "photos")
	f.exec(`INSERT INTO domains (host, account_id) VALUES ('a.test', $1)`, f.a.ID)
	worker := f.db.Pool(t, pg.RoleWorker)
	if n := count(t, worker, `SELECT count(*) FROM buckets`); n != 1 {
		t.Errorf("sees %d buckets", n)
	}
	// It lists what backends hold; a customer's secret it does not see.
	if n := count(t, worker, `SELECT count(sealed_credential) FROM backends`); n != 1 {
		t.Errorf("sees %d backends", n)
	}
	for what, sql := range map[string]string{
		"read keys":         `SELECT id FROM access_keys`,
		"change a backend":  `UPDATE backends SET region = ''`,
		"change a status":   `UPDATE accounts SET status = 'active'`,
		"change a bucket":   `UPDATE buckets SET state = 'active'`,
		"read accounts":     `SELECT id FROM accounts`,
		"choose a proof":    `UPDATE domains SET token = ''`,
		"claim a domain":    `INSERT INTO domains (host, account_id) VALUES ('x.test', gen_random_uuid())`,
		"drop a domain":     `DELETE FROM domains`,
		"move a domain":     `UPDATE domains SET account_id = NULL`,
		"create an account": strings.ReplaceAll(insertAccount, "$1", "gen_random_uuid()"),
	} {
		tag, err := worker.Exec(t.Context(), sql)
		denied(t, what, tag, err)
	}
}

// FORCE: the owner is held by policies too; it has one for everything, and who
// is no role of ours has none.
func TestRoles_forced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if n := count(t, f.owner, `SELECT count(*) FROM accounts`); n != 2 {
		t.Errorf("the owner sees %d accounts", n)
	}
	f.exec(`DROP POLICY owner_all ON accounts`)
	if n := count(t, f.owner, `SELECT count(*) FROM accounts`); n != 0 {
		t.Errorf("row security is not forced: the owner without a policy sees %d accounts", n)
	}
}

// An internal key lives an hour at most, whoever writes the row.
func TestRows_internalKeysExpire(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	insert := `INSERT INTO access_keys (id, key_id, account_id, kind, sealed_secret, permissions, expires_at)
		VALUES (gen_random_uuid(), $1, $2, 'portal', '\x00', '{read}', now() + $3::interval)`
	if _, err := f.owner.Exec(t.Context(), insert, "short", f.a.ID, "1 hour"); err != nil {
		t.Error(err)
	}
	internal := must(f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.a.ID, Kind: tenancy.KindPortal, ExpiresAt: ptr(time.Now().Add(time.Minute))}))(t)
	for _, long := range []any{nil, "2 hours"} {
		tag, err := f.owner.Exec(t.Context(), insert, "long", f.a.ID, long)
		denied(t, "an internal key without an end", tag, err)
	}
	for _, at := range []*time.Time{nil, ptr(time.Now().Add(3 * time.Hour))} {
		denied(t, fmt.Sprintf("extended to %v", at), pgconn.CommandTag{}, f.store.ExpireKey(context.Background(), f.owner, internal.KeyID, at))
	}
}

func ptr[T any](v T) *T { return &v }
