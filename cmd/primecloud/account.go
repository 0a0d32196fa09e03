package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

const stamp = "2006-01-02 15:04:05Z"

func (c *cli) printAccounts(asJSON bool, data any, list ...*tenancy.Account) error {
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		rows = append(rows, []string{a.Name, string(a.Status), a.ID.String(), a.CreatedAt.UTC().Format(stamp), a.DisplayName})
	}
	return c.print(asJSON, data, "NAME STATUS ID CREATED DISPLAY_NAME", rows)
}

func (c *cli) accountCreate(ctx context.Context, args []string) error {
	f := c.flags("account create", "NAME")
	display := f.String("display-name", "", "what people read; the name by default")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.CreateAccount(ctx, o.pool, rest[0], *display, tenancy.Active)
	if err != nil {
		return err
	}
	return c.printAccounts(f.json, a, a)
}

func (c *cli) accountList(ctx context.Context, args []string) error {
	f := c.flags("account list", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	list, err := o.store.ListAccounts(ctx, o.pool)
	if err != nil {
		return err
	}
	return c.printAccounts(f.json, list, list...)
}

func (c *cli) accountShow(ctx context.Context, args []string) error {
	f := c.flags("account show", "NAME")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	d, all, err := o.detail(ctx, a, time.Now())
	if err != nil {
		return err
	}
	if !f.json {
		if err := c.printAccounts(false, nil, a); err != nil {
			return err
		}
	}
	return c.printLimits(f.json, d, all, d.Alerts)
}

func (c *cli) accountSuspend(ctx context.Context, args []string) error {
	return c.setStatus(ctx, "account suspend", args, tenancy.Suspended)
}

func (c *cli) accountResume(ctx context.Context, args []string) error {
	return c.setStatus(ctx, "account resume", args, tenancy.Active)
}

func (c *cli) accountClose(ctx context.Context, args []string) error {
	return c.setStatus(ctx, "account close", args, tenancy.Closed)
}

func (c *cli) setStatus(ctx context.Context, name string, args []string, status tenancy.Status) error {
	f := c.flags(name, "NAME")
	readOnly := false
	if status == tenancy.Suspended {
		f.BoolVar(&readOnly, "read-only", false, "let the account still read and delete")
	}
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	if readOnly {
		status = tenancy.ReadOnly
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	if a.Status == tenancy.Closed {
		return fmt.Errorf("account %s is closed for good", a.Name)
	}
	if err := o.store.SetStatus(ctx, o.pool, a.ID, status); err != nil {
		return err
	}
	a.Status = status
	return c.printAccounts(f.json, a, a)
}

func (c *cli) printKeys(asJSON bool, data any, list ...*tenancy.Key) error {
	rows := make([][]string, 0, len(list))
	for _, k := range list {
		state := "active"
		switch {
		case k.RevokedAt != nil:
			state = "revoked " + k.RevokedAt.UTC().Format(stamp)
		case k.ExpiresAt != nil && k.ExpiresAt.Before(time.Now()):
			state = "expired " + k.ExpiresAt.UTC().Format(stamp)
		case k.ExpiresAt != nil:
			state = "until " + k.ExpiresAt.UTC().Format(stamp)
		}
		row := []string{k.KeyID, state, strings.Join(k.Permissions, ","), strings.Join(k.Buckets, ","), k.Prefix, k.Description}
		if k.Secret != "" {
			row = append([]string{row[0], k.Secret}, row[1:]...)
		}
		rows = append(rows, row)
	}
	header := "ACCESS_KEY_ID STATE PERMISSIONS BUCKETS PREFIX DESCRIPTION"
	if len(list) == 1 && list[0].Secret != "" {
		header = "ACCESS_KEY_ID SECRET_ACCESS_KEY STATE PERMISSIONS BUCKETS PREFIX DESCRIPTION"
	}
	return c.print(asJSON, data, header, rows)
}

func (c *cli) keyCreate(ctx context.Context, args []string) error {
	f := c.flags("key create", "ACCOUNT")
	permissions := f.String("permissions", "all", "of read,write,delete,list,manage,bypass-governance")
	buckets := f.String("buckets", "", "only these, comma-separated")
	prefix := f.String("prefix", "", "only keys that begin with it")
	cidrs := f.String("cidrs", "", "only from these networks, comma-separated")
	expires := f.Duration("expires", 0, "end after this time; 0: never")
	description := f.String("description", "", "what it is for")
	importID := f.String("import-id", "", "take over this access key id instead of making one")
	importSecret := f.String("import-secret-file", "", "with --import-id: the file that holds its secret")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	p, err := tenancy.ParsePermissions(*permissions)
	if err != nil {
		return err
	}
	k := tenancy.Key{Permissions: p.Names(), Prefix: *prefix, Description: *description, KeyID: *importID}
	if *buckets != "" {
		k.Buckets = strings.Split(*buckets, ",")
	}
	if *expires > 0 {
		t := time.Now().Add(*expires)
		k.ExpiresAt = &t
	}
	for _, s := range strings.FieldsFunc(*cidrs, func(r rune) bool { return r == ',' }) {
		network, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		k.CIDRs = append(k.CIDRs, network.Masked())
	}
	if *importID != "" {
		b, err := os.ReadFile(*importSecret)
		if err != nil {
			return fmt.Errorf("--import-secret-file: %w", err)
		}
		k.Secret = strings.TrimSpace(string(b))
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	k.AccountID = a.ID
	created, err := o.store.CreateKey(ctx, o.pool, k)
	if err != nil {
		return err
	}
	return c.printKeys(f.json, created, created)
}

func (c *cli) keyList(ctx context.Context, args []string) error {
	f := c.flags("key list", "ACCOUNT")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	list, err := o.store.ListKeys(ctx, o.pool, a.ID)
	if err != nil {
		return err
	}
	return c.printKeys(f.json, list, list...)
}

func (c *cli) keyRotate(ctx context.Context, args []string) error {
	f := c.flags("key rotate", "KEY_ID")
	overlap := f.Duration("overlap", 24*time.Hour, "how long the old key still works")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	var created *tenancy.Key
	err = pg.InTx(ctx, o.pool, func(tx pgx.Tx) error {
		created, err = o.store.RotateKey(ctx, tx, rest[0], *overlap)
		return err
	})
	if err != nil {
		return err
	}
	return c.printKeys(f.json, created, created)
}

func (c *cli) keyRevoke(ctx context.Context, args []string) error {
	f := c.flags("key revoke", "KEY_ID")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if err := o.store.RevokeKey(ctx, o.pool, rest[0]); err != nil {
		return err
	}
	k, err := o.store.Key(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	return c.printKeys(f.json, k, k)
}
