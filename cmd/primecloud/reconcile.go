package main

import (
	"context"
	"errors"
	"time"

	"github.com/primecloudpro/primecloud/metering/reconcile"
	"github.com/primecloudpro/primecloud/tenancy"
)

type usageReconcile struct {
	Account string `help:"Only this one."`
	hours
	NoListing bool                `help:"Do not ask the backends."`
	Tolerance reconcile.Tolerance `default:"0" help:"Bytes, or percent of the ledger's as 0.1%, that may stay unexplained."`
	AccessLog []string            `sep:"none" placeholder:"FOLDER" help:"A folder of access log files; again for each node."`
}

// Help implements kong.HelpProvider.
func (*usageReconcile) Help() string {
	return "Without --from and --to it is of the last 24 whole hours."
}

func (u *usageReconcile) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		report, err := u.report(ctx, c, o)
		if err != nil {
			return err
		}
		return errors.Join(c.printAll(report, report.Tables), report.Over(u.Tolerance))
	})
}

func (u *usageReconcile) report(ctx context.Context, c *cli, o *operator) (*reconcile.Report, error) {
	from, to := u.From.Time, u.To.Time
	present := time.Now().UTC().Truncate(time.Hour)
	if from.IsZero() {
		from = present.Add(-24 * time.Hour)
	}
	if to.IsZero() {
		to = present
	}
	cfg := reconcile.Config{Pool: o.pool, From: from, To: to, Logs: u.AccessLog}
	var err error
	if cfg.Account, err = o.accountID(ctx, u.Account); err != nil {
		return nil, err
	}
	if !u.NoListing {
		if cfg.Sampler, err = c.sampler(o); err != nil {
			return nil, err
		}
	}
	report, err := reconcile.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	names, err := tenancy.ReadNames(ctx, o.pool, true, true)
	if err != nil {
		return nil, err
	}
	report.Rename(names.Of)
	return report, nil
}
