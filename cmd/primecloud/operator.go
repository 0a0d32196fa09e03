package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// devDir is where `primecloud dev` keeps its data; operator commands find the
// database and the keyring there when nothing else is set.
const devDir = ".primecloud"

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
	return f(o)
}

// withAccount runs f with the operator's tools and the account of that name.
func (c *cli) withAccount(ctx context.Context, name string, f func(*operator, *tenancy.Account) error) error {
	return c.operate(ctx, func(o *operator) error {
		a, err := o.store.AccountByName(ctx, o.pool, name)
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
	keyring, err := c.keyring()
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &operator{pool, &tenancy.Store{Keyring: keyring}}, nil
}

// withPool runs f with the database as its owner, for commands that need no keyring
// or another one.
func (c *cli) withPool(ctx context.Context, f func(*pgxpool.Pool) error) error {
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	return f(pool)
}

func (c *cli) ownerPool(ctx context.Context) (*pgxpool.Pool, error) {
	url, err := c.ownerURL()
	if err != nil {
		return nil, err
	}
	return pg.Open(ctx, url)
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
	if b, err := os.ReadFile(filepath.Join(devDir, "dev.env")); err == nil {
		if url := dotenv(b)["DATABASE_URL"]; url != "" {
			return url, nil
		}
	}
	return "", settings.Invalid(errors.New("set PRIMECLOUD_OWNER_DATABASE_URL (the role primecloud_owner), or run `primecloud dev` in this folder"))
}

func (c *cli) keyring() (*secret.Keyring, error) {
	cfg, err := c.settings()
	if err != nil {
		return nil, err
	}
	if cfg.Keyring != "" {
		return secret.Parse([]byte(cfg.Keyring))
	}
	b, err := os.ReadFile(filepath.Join(devDir, "keyring"))
	if err != nil {
		return nil, settings.Invalid(errors.New("set PRIMECLOUD_KEYRING_FILE, or run `primecloud dev` in this folder"))
	}
	return secret.Parse(b)
}

// dotenv reads NAME='value' lines.
func dotenv(b []byte) map[string]string {
	m := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(name, "#") {
			m[name] = strings.Trim(value, "'")
		}
	}
	return m
}

// accountID is that of an account by its name; of "", the zero one, for all.
func (o *operator) accountID(ctx context.Context, name string) (tenancy.ID, error) {
	if name == "" {
		return tenancy.ID{}, nil
	}
	a, err := o.store.AccountByName(ctx, o.pool, name)
	if err != nil {
		return tenancy.ID{}, err
	}
	return a.ID, nil
}

// names turns row ids into what people call them. What is gone keeps its id;
// the zero id, which stands for unresolved names, is "-".
func (o *operator) names(ctx context.Context, groups ...ledger.Group) (func(string) string, error) {
	all := map[string]string{tenancy.ID{}.String(): "-"}
	add := func(m map[tenancy.ID]string, err error) error {
		for id, name := range m {
			all[id.String()] = name
		}
		return err
	}
	if err := add(o.store.AccountNames(ctx, o.pool)); err != nil {
		return nil, err
	}
	if slices.Contains(groups, ledger.ByBucket) {
		if err := add(o.store.BucketNames(ctx, o.pool)); err != nil {
			return nil, err
		}
	}
	if slices.Contains(groups, ledger.ByKey) {
		if err := add(o.store.KeyIDs(ctx, o.pool)); err != nil {
			return nil, err
		}
	}
	return func(id string) string {
		if name, ok := all[id]; ok {
			return name
		}
		return id
	}, nil
}
