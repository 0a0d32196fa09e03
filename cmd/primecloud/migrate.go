package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

type migrateCommand struct{}

func (*migrateCommand) Run(ctx context.Context, c *cli) error {
	url, err := c.ownerURL()
	if err != nil {
		return err
	}
	if err := pg.Migrate(ctx, url); err != nil {
		return err
	}
	switch o, err := c.operator(ctx); { // the database learns which keyring is its own
	case err == nil:
		o.pool.Close()
	case c.loaded.Keyring != "" || errors.Is(err, keyring.ErrWrong):
		return err
	default:
		fmt.Fprintln(c.err, "No keyring is set (PRIMECLOUD_KEYRING_FILE): the first command that has one tells the database which is its own, and no node starts before.")
	}
	v, err := pg.Version()
	if err != nil {
		return err
	}
	return c.print(map[string]int64{"version": v}, "VERSION", [][]string{{fmt.Sprint(v)}})
}

// versionText is set by the build.
var versionText = "development"

type versionCommand struct{}

func (*versionCommand) Run(c *cli) error {
	return c.print(map[string]string{"version": versionText}, "VERSION", [][]string{{versionText}})
}
