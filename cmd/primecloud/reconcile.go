package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/metering/reconcile"
	"github.com/primecloudpro/primecloud/tenancy"
)

// tolerance is a number of bytes, or percent of what the ledger has.
type tolerance struct {
	bytes   int64
	percent float64
}

func (t *tolerance) UnmarshalText(text []byte) (err error) {
	if number, ok := strings.CutSuffix(string(text), "%"); ok {
		t.percent, err = strconv.ParseFloat(number, 64)
	} else {
		t.bytes, err = strconv.ParseInt(string(text), 10, 64)
	}
	if err != nil || t.bytes < 0 || t.percent < 0 {
		return errors.New("expected bytes, as 1000000, or percent, as 0.1%")
	}
	return nil
}

type usageReconcile struct {
	Account string `help:"Only this one."`
	hours
	NoListing bool      `help:"Do not ask the backends."`
	Tolerance tolerance `default:"0" help:"Bytes, or percent of the ledger's as 0.1%, that may stay unexplained."`
	AccessLog []string  `sep:"none" placeholder:"FOLDER" help:"A folder of access log files; again for each node."`
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
		if c.json {
			err = c.print(report, "", nil)
		} else {
			err = c.printReport(report)
		}
		return errors.Join(err, report.Over(u.Tolerance.bytes, u.Tolerance.percent))
	})
}

func (u *usageReconcile) report(ctx context.Context, c *cli, o *operator) (*reconcile.Report, error) {
	from, to := u.From, u.To
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

func (c *cli) printReport(r *reconcile.Report) (err error) {
	for i, t := range r.Tables() {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		err = errors.Join(err, c.table(t.Header, t.Rows))
	}
	return err
}
