package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/limits/notation"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

type keyCommands struct {
	Create keyCreate `cmd:"" help:"Issue an access key; its secret is shown once."`
	List   keyList   `cmd:"" help:"List an account's access keys."`
	Limit  keyLimit  `cmd:"" help:"Limit rates and budgets of an access key. What is not given stays as it is."`
	Rotate keyRotate `cmd:"" help:"Issue a successor and let the old key live for --overlap."`
	Revoke keyRevoke `cmd:"" help:"End an access key at once, everywhere."`
	Delete keyDelete `cmd:"" help:"Forget a revoked access key; usage that it had keeps its name."`
}

// keyArg is the access key that a command is about.
type keyArg struct {
	KeyID string `arg:"" name:"key-id" help:"The access key's id."`
}

func (c *cli) printKeys(data any, list ...*tenancy.Key) error {
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
	return c.print(data, header, rows)
}

type keyCreate struct {
	Account          string         `arg:"" help:"The account's name."`
	Permissions      string         `default:"all" help:"Of read,write,delete,list,manage,bypass-governance."`
	Buckets          []string       `help:"Only these."`
	Prefix           string         `help:"Only keys that begin with it."`
	CIDRs            []netip.Prefix `name:"cidrs" placeholder:"NETWORK" help:"Only from these networks, like 192.0.2.0/24."`
	Expires          time.Duration  `placeholder:"DURATION" help:"End after this time, like 12h or 30d; never by default."`
	Description      string         `help:"What it is for."`
	ImportID         string         `name:"import-id" help:"Take over this access key id instead of making one."`
	ImportSecretFile string         `help:"With --import-id: the file that holds its secret."`
}

func (k *keyCreate) Run(ctx context.Context, c *cli) error {
	p, err := tenancy.ParsePermissions(k.Permissions)
	if err != nil {
		return err
	}
	if (k.ImportID == "") != (k.ImportSecretFile == "") {
		return fmt.Errorf("--import-id=%s, --import-secret-file=%s: an access key is taken over with both, or with neither one is made; give the other one too", k.ImportID, k.ImportSecretFile)
	}
	key := tenancy.Key{Permissions: p.Names(), Buckets: k.Buckets, Prefix: k.Prefix, CIDRs: k.CIDRs, Description: k.Description, KeyID: k.ImportID}
	if k.Expires > 0 {
		t := time.Now().Add(k.Expires)
		key.ExpiresAt = &t
	}
	if k.ImportID != "" {
		text, err := readFile("import-secret-file", k.ImportSecretFile)
		if err != nil {
			return err
		}
		key.Secret = strings.TrimSpace(text)
	}
	return c.withAccount(ctx, k.Account, func(o *operator, a *tenancy.Account) error {
		key.AccountID = a.ID
		created, err := o.store.CreateKey(ctx, o.pool, key)
		if err != nil {
			return err
		}
		return c.printKeys(created, created)
	})
}

type keyList struct {
	Account string `arg:"" help:"The account's name."`
}

func (k *keyList) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, k.Account, func(o *operator, a *tenancy.Account) error {
		list, err := tenancy.ListKeys(ctx, o.pool, a.ID)
		if err != nil {
			return err
		}
		return c.printKeys(list, list...)
	})
}

type keyLimit struct {
	keyArg
	notation.Flags
}

func (k *keyLimit) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		key, err := tenancy.KeyByID(ctx, o.pool, k.KeyID)
		if err != nil {
			return err
		}
		l, err := tenancy.LimitsOf(ctx, o.pool, key.AccountID, key.ID)
		if err != nil {
			return err
		}
		l = k.Apply(l)
		if err := limits.CheckSpend(ctx, o.pool, key.AccountID, l); err != nil {
			return err
		}
		if err := tenancy.SetKeyLimits(ctx, o.pool, key, l); err != nil {
			return err
		}
		budgets, err := limits.Report(ctx, o.pool, storage.StoredBytes, key.AccountID, key.ID, time.Now())
		if err != nil {
			return err
		}
		if c.json {
			return c.print(limits.KeyOverview{ID: key.ID, KeyID: key.KeyID, Limits: l, Budgets: budgets}, "", nil)
		}
		return c.printLimits([]limited{{key.ID, key.KeyID, l, budgets}}, nil, false)
	})
}

type keyRotate struct {
	keyArg
	Overlap time.Duration `default:"24h" help:"How long the old key still works."`
}

func (k *keyRotate) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		var created *tenancy.Key
		if err := pg.InTx(ctx, o.pool, func(tx pgx.Tx) (err error) {
			created, err = o.store.RotateKey(ctx, tx, k.KeyID, k.Overlap)
			return err
		}); err != nil {
			return err
		}
		return c.printKeys(created, created)
	})
}

type keyRevoke struct{ keyArg }

// Run needs no keyring: a key that no keyring opens can be ended, too.
func (k *keyRevoke) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		if err := tenancy.RevokeKey(ctx, pool, k.KeyID); err != nil {
			return err
		}
		revoked, err := tenancy.KeyByID(ctx, pool, k.KeyID)
		if err != nil {
			return err
		}
		return c.printKeys(revoked, revoked)
	})
}

type keyDelete struct{ keyArg }

func (k *keyDelete) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		deleted, err := tenancy.DeleteKey(ctx, pool, k.KeyID)
		if err != nil {
			return err
		}
		return c.printKeys(deleted, deleted)
	})
}
