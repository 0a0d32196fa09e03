package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/product"
)

// database are attacks by somebody who reads the operator's database, or his
// backup of it, or who has a user on the machine.
var database = part{"database", []attack{
	{"reading every row", "Each row of each table as text: no secret of an access key, of a backend or of the keyring is in any of them.", readEverything},
	{"changing a key's row", "As the tables' owner, without the keyring: the attacker's key is given the victim's account, more rights, a later end, and its row is put back after it was revoked. It opens nothing.", changeKey},
	{"without a password", "The development server from another local user, as each role: refused.", withoutPassword},
}}

// secrets are what must be nowhere but in their owners' hands and the keyring.
func (p *site) secrets() (map[string]string, error) {
	all := map[string]string{
		"the victim's secret":   p.victim.secret,
		"the attacker's secret": p.rogue.secret,
		"a demo key's secret":   p.Env["TENANT_A_SECRET_KEY"],
		"the backend's secret":  p.Env["BACKEND_SECRET_KEY"],
		"a new backend's":       "attackersecret",
	}
	b, err := os.ReadFile(p.Path("keyring"))
	if err != nil {
		return nil, err
	}
	for i, word := range strings.FieldsFunc(string(b), func(r rune) bool { return strings.ContainsRune(" \t\r\n\":,{}[]=", r) }) {
		if len(word) >= 32 {
			all[fmt.Sprintf("word %d of the keyring", i)] = word
		}
	}
	return all, nil
}

func readEverything(ctx context.Context, p *site) error {
	secrets, err := p.secrets()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, p.Env["DATABASE_URL"])
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(tables) < 5 {
		return fmt.Errorf("there are only the tables %q", tables)
	}
	var errs []error
	for _, table := range tables {
		rows, err := conn.Query(ctx, `SELECT row_to_json(t)::text FROM `+table+` t`)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, line := range lines {
			for what, secret := range secrets {
				// As text, or as the bytes of a column.
				if strings.Contains(line, secret) || strings.Contains(line, fmt.Sprintf("%x", secret)) {
					errs = append(errs, broken("%s has %s", table, what))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// changeKey changes rows of keys whose secrets the attacker knows.
func changeKey(ctx context.Context, p *site) error {
	conn, err := pgx.Connect(ctx, p.Env["DATABASE_URL"])
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	const columns = `id, key_id, account_id, kind, description, sealed_secret, permissions, buckets, prefix, cidrs, binding`
	theirs := "/" + p.victim.bucket + "/" + object
	var errs []error
	for what, try := range map[string]struct{ sql, target string }{
		"another account": {`UPDATE access_keys SET account_id = (SELECT account_id FROM access_keys WHERE key_id = '` + p.victim.id + `') WHERE key_id = $1`, theirs},
		"more rights":     {`UPDATE access_keys SET permissions = '{read,write,list}' WHERE key_id = $1`, "/" + p.rogue.bucket + "/" + object},
		"a later end":     {`UPDATE access_keys SET expires_at = NULL WHERE key_id = $1`, "/" + p.rogue.bucket + "/" + object},
		"a row put back":  {`INSERT INTO access_keys (` + columns + `) SELECT ` + columns + ` FROM attacked WHERE key_id = $1`, "/" + p.rogue.bucket + "/" + object},
	} {
		t := *p.rogue
		flags := map[string][]string{"more rights": {"--permissions", "list"}, "a later end": {"--expires", "1ms"}}[what]
		if err := p.newKey(ctx, &t, flags...); err != nil {
			return err
		}
		if what == "a row put back" {
			if _, err := conn.Exec(ctx, `CREATE TEMPORARY TABLE attacked AS SELECT * FROM access_keys`); err != nil {
				return err
			}
			if _, err := p.Command(ctx, "key", "revoke", t.id); err != nil {
				return err
			}
			// Without triggers, which would remember that the row is gone, and refuse it.
			if _, err := conn.Exec(ctx, `SET session_replication_role = replica; DELETE FROM access_keys WHERE revoked_at IS NOT NULL`); err != nil {
				return err
			}
		}
		_, err := conn.Exec(ctx, try.sql, t.id)
		if _, err2 := conn.Exec(ctx, `SET session_replication_role = origin`); err != nil || err2 != nil {
			return errors.Join(err, err2)
		}
		if err := product.Await(ctx, what+" to be known", func() (bool, error) {
			a, err := p.do(ctx, &t, "GET", try.target, nil)
			if err != nil {
				return false, err
			}
			if a.status == 200 || a.status >= 500 {
				errs = append(errs, broken("%s: %s", what, a))
				return true, nil
			}
			return strings.Contains(string(a.body), "InvalidAccessKeyId"), nil
		}); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

func withoutPassword(ctx context.Context, p *site) error {
	u, err := url.Parse(p.Env["DATABASE_URL"])
	if err != nil {
		return err
	}
	var errs []error
	for _, role := range []string{"postgres", "primecloud_owner", "primecloud_gateway", "primecloud_portal", "primecloud_worker"} {
		for _, user := range []*url.Userinfo{url.User(role), url.UserPassword(role, ""), url.UserPassword(role, role)} {
			u.User = user
			cfg, err := pgx.ParseConfig(u.String())
			if err != nil {
				return err
			}
			if _, given := user.Password(); !given {
				cfg.Password = "" // whatever this machine's environment says
			}
			if conn, err := pgx.ConnectConfig(ctx, cfg); err == nil {
				_ = conn.Close(ctx)
				errs = append(errs, broken("%s gets in", role))
			}
		}
	}
	return errors.Join(errs...)
}
