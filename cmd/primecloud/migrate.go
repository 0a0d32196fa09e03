package main

import (
	"context"
	"fmt"

	"github.com/primecloudpro/primecloud/internal/pg"
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
