package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

// database are attacks by somebody who reads the operator's database, or his
// backup of it, or who has a user on the machine.
var database = part{"database", []attack{
	{"reading every row", "Each row of each table as text: no secret of an access key, of a backend or of the keyring is in any of them.", readEverything},
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
