package main

import (
	"context"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/limits/notation"
	"github.com/primecloudpro/primecloud/tenancy"
)

type accountCommands struct {
	Create  accountCreate  `cmd:"" help:"Add an account."`
	List    accountList    `cmd:"" help:"List accounts."`
	Show    accountShow    `cmd:"" help:"Show an account, its limits and where its budgets stand."`
	Limit   accountLimit   `cmd:"" help:"Limit rates and budgets of an account. What is not given stays as it is."`
	Suspend accountSuspend `cmd:"" help:"Refuse every request of an account."`
	Resume  accountResume  `cmd:"" help:"Make an account active again."`
	Close   accountClose   `cmd:"" help:"Close an account for good."`
}

// accountArg is the account that a command is about.
type accountArg struct {
	Name string `arg:"" help:"The account's name."`
}

func (c *cli) printAccounts(data any, list ...*tenancy.Account) error {
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		rows = append(rows, []string{a.Name, string(a.Status), a.ID.String(), a.CreatedAt.UTC().Format(stamp), a.DisplayName})
	}
	return c.print(data, "NAME STATUS ID CREATED DISPLAY_NAME", rows)
}

type accountCreate struct {
	accountArg
	DisplayName string `help:"What people read; the name by default."`
}

func (a *accountCreate) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		created, err := tenancy.CreateAccount(ctx, o.pool, a.Name, a.DisplayName, tenancy.Active)
		if err != nil {
			return err
		}
		return c.printAccounts(created, created)
	})
}

type accountList struct{}

func (*accountList) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		list, err := tenancy.ListAccounts(ctx, o.pool)
		if err != nil {
			return err
		}
		return c.printAccounts(list, list...)
	})
}

type accountShow struct{ accountArg }

func (a *accountShow) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, a.Name, func(o *operator, account *tenancy.Account) error {
		return c.showAccount(ctx, o, account)
	})
}

func (c *cli) showAccount(ctx context.Context, o *operator, a *tenancy.Account) error {
	overview, err := limits.ReadOverview(ctx, o.pool, a, time.Now())
	if err != nil {
		return err
	}
	if c.json {
		return c.print(overview, "", nil)
	}
	if err := c.printAccounts(nil, a); err != nil {
		return err
	}
	var all []limited
	if a.Limits != nil {
		all = append(all, limited{tenancy.ID{}, a.Name, a.Limits, overview.Budgets})
	}
	for _, k := range overview.Keys {
		all = append(all, limited{k.ID, k.KeyID, k.Limits, k.Budgets})
	}
	return c.printLimits(all, overview.Alerts, true)
}

type accountLimit struct {
	accountArg
	notation.AccountFlags
}

func (a *accountLimit) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, a.Name, func(o *operator, account *tenancy.Account) error {
		l := a.Apply(account.Limits)
		if err := limits.CheckSpend(ctx, o.pool, account.ID, l); err != nil {
			return err
		}
		if err := tenancy.SetLimits(ctx, o.pool, account.ID, l); err != nil {
			return err
		}
		account.Limits = l
		return c.showAccount(ctx, o, account)
	})
}

type accountSuspend struct {
	accountArg
	ReadOnly bool `help:"Let the account still read and delete."`
}

func (a *accountSuspend) Run(ctx context.Context, c *cli) error {
	if a.ReadOnly {
		return c.setStatus(ctx, a.Name, tenancy.ReadOnly)
	}
	return c.setStatus(ctx, a.Name, tenancy.Suspended)
}

type accountResume struct{ accountArg }

func (a *accountResume) Run(ctx context.Context, c *cli) error {
	return c.setStatus(ctx, a.Name, tenancy.Active)
}

type accountClose struct{ accountArg }

func (a *accountClose) Run(ctx context.Context, c *cli) error {
	return c.setStatus(ctx, a.Name, tenancy.Closed)
}

func (c *cli) setStatus(ctx context.Context, name string, status tenancy.Status) error {
	return c.withAccount(ctx, name, func(o *operator, a *tenancy.Account) error {
		if a.Status == tenancy.Closed {
			return fmt.Errorf("account %s is closed for good", a.Name)
		}
		if err := tenancy.SetStatus(ctx, o.pool, a.ID, status); err != nil {
			return err
		}
		a.Status = status
		return c.printAccounts(a, a)
	})
}
