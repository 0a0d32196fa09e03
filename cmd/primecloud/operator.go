package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/dev"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// operator is what commands that change tenancy need: the database as its
// owner, and the keyring.
type operator struct {
	pool  *pgxpool.Pool
	store *tenancy.Store
}

// operate runs f with the operator's tools.
func (c *cli) operate(ctx context.Context, f func(*operator) error) error {
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.pool.Close()
	if err := pg.CheckVersion(ctx, o.pool); err != nil {
		return err
	}
	return f(o)
}

// withAccount runs f with the operator's tools and the account of that name.
func (c *cli) withAccount(ctx context.Context, name string, f func(*operator, *tenancy.Account) error) error {
	return c.operate(ctx, func(o *operator) error {
		a, err := tenancy.AccountByName(ctx, o.pool, name)
		if err != nil {
			return err
		}
		return f(o, a)
	})
}

func (c *cli) operator(ctx context.Context) (*operator, error) {
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return nil, err
	}
	k, err := c.keyring()
	if err == nil && pg.CheckVersion(ctx, pool) == nil { // operate says what is wrong with the schema
		err = keyring.Check(ctx, pool, k)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &operator{pool, &tenancy.Store{Keyring: k}}, nil
}

// withPool runs f with the database as its owner, for commands that need no keyring
// or another one.
func (c *cli) withPool(ctx context.Context, f func(*pgxpool.Pool) error) error {
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.CheckVersion(ctx, pool); err != nil {
		return err
	}
	return f(pool)
}

func (c *cli) ownerPool(ctx context.Context) (*pgxpool.Pool, error) {
	url, err := c.ownerURL()
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("database.owner_url: %w", err)
	}
	return pool, nil
}

// ownerURL is the setting database.owner_url, or the development database below this folder.
func (c *cli) ownerURL() (string, error) {
	cfg, err := c.settings()
	if err != nil {
		return "", err
	}
	if url := cfg.Database.OwnerURL; url != "" {
		return url, nil
	}
	if url := dev.OwnerURL(dev.DefaultDir); url != "" {
		return url, nil
	}
	return "", settings.Invalid(errors.New("set PRIMECLOUD_OWNER_DATABASE_URL (the role primecloud_owner), or run `primecloud dev` in this folder"))
}

func (c *cli) keyring() (*secret.Keyring, error) {
	cfg, err := c.settings()
	if err != nil {
		return nil, err
	}
	if cfg.Keyring != "" {
		keyring, err := secret.Parse([]byte(cfg.Keyring))
		if err != nil {
			err = fmt.Errorf("keyring: %w", err)
		}
		return keyring, settings.Invalid(err)
	}
	k, err := dev.Keyring(dev.DefaultDir)
	if unreadable := (*fs.PathError)(nil); errors.As(err, &unreadable) {
		return nil, settings.Invalid(errors.New("set PRIMECLOUD_KEYRING_FILE, or run `primecloud dev` in this folder"))
	}
	return k, err
}

// accountID is that of an account by its name; of "", the zero one, for all.
func (o *operator) accountID(ctx context.Context, name string) (tenancy.ID, error) {
	if name == "" {
		return tenancy.ID{}, nil
	}
	a, err := tenancy.AccountByName(ctx, o.pool, name)
	if err != nil {
		return tenancy.ID{}, err
	}
	return a.ID, nil
}
