package main

import (
	"context"
	"errors"
	"fmt"
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
		if c.json {
			err = c.print(report, "", nil)
		} else {
			err = c.printReport(report)
		}
		return errors.Join(err, report.Over(u.Tolerance))
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

func (c *cli) printReport(r *reconcile.Report) error {
	line := func(name string, f reconcile.Figures) []string {
		return []string{name, fmt.Sprint(f.Requests), fmt.Sprint(f.Ingress), fmt.Sprint(f.Egress)}
	}
	sums := [][]string{line("ledger", r.Ledger)}
	if r.Log != nil {
		sums = append(sums, line("access log", r.Log.Sum), line("lines dropped", r.Log.Dropped))
	}
	errs := []error{c.table("WHAT REQUESTS INGRESS_BYTES EGRESS_BYTES", append(sums, line("unexplained", r.Unexplained)))}
	table := func(header string, rows [][]string) {
		if len(rows) > 0 {
			fmt.Fprintln(c.out)
			errs = append(errs, c.table(header, rows))
		}
	}
	var rows [][]string
	if r.Log != nil {
		if r.Log.LeftOut > 0 {
			rows = append(rows, []string{"left out", fmt.Sprintf("%d of %d that nobody proved; their sums are there", r.Log.LeftOut, r.Log.Unproven)})
		}
		for _, s := range r.Log.Damaged {
			rows = append(rows, []string{"damaged", s})
		}
		for _, s := range r.Log.Torn {
			rows = append(rows, []string{"torn", s})
		}
	}
	table("LINES WHERE", rows)
	rows = nil
	for _, d := range r.Cells {
		rows = append(rows, []string{d.Account.String(), d.Bucket.String(), d.Key.String(), d.Class.String(), d.Hour.Format(time.RFC3339),
			fmt.Sprintf("%+d", d.Difference.Requests), fmt.Sprintf("%+d", d.Difference.Ingress), fmt.Sprintf("%+d", d.Difference.Egress), string(d.Verdict), d.Cause})
	}
	table("ACCOUNT BUCKET KEY CLASS HOUR REQUESTS INGRESS EGRESS VERDICT CAUSE", rows)
	rows = nil
	for _, b := range r.Buckets {
		for i, d := range []reconcile.Comparison{b.Growth, b.Content} {
			what := []string{"holds, against its last sample", "stored, against uploaded"}[i]
			rows = append(rows, []string{b.Account.String(), b.Bucket.String(), what, fmt.Sprintf("%+d", d.Difference), string(d.Verdict), d.Cause + b.Error})
		}
	}
	table("ACCOUNT BUCKET WHAT BYTES VERDICT CAUSE", rows)
	return errors.Join(errs...)
}
