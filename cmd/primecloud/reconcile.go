package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/reconcile"
)

// tolerance is a number of bytes, or percent of what the ledger has.
type tolerance struct {
	bytes   int64
	percent float64
}

func (t *tolerance) set(s string) (err error) {
	if number, ok := strings.CutSuffix(s, "%"); ok {
		t.percent, err = strconv.ParseFloat(number, 64)
	} else {
		t.bytes, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil || t.bytes < 0 || t.percent < 0 {
		return errors.New("expected bytes, as 1000000, or percent, as 0.1%")
	}
	return nil
}

func (c *cli) usageReconcile(ctx context.Context, args []string) error {
	f := c.flags("usage reconcile", "")
	present := time.Now().UTC().Truncate(time.Hour)
	q := metering.Query{From: present.Add(-24 * time.Hour), To: present}
	var tolerated tolerance
	var logs []string
	account := f.String("account", "", "only this one")
	f.hours(&q.From, &q.To) // of the last day, unless they are given
	noListing := f.Bool("no-listing", false, "do not ask the backends")
	f.Func("tolerance", "bytes, or percent of the ledger's as 0.1%, that may stay unexplained (none)", tolerated.set)
	f.Func("access-log", "a folder of access log files; again for each node", func(s string) error {
		logs = append(logs, s)
		return nil
	})
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	cfg := reconcile.Config{Pool: o.pool, Store: o.store, From: q.From, To: q.To, Logs: logs}
	if cfg.Account, err = o.accountID(ctx, *account); err != nil {
		return err
	}
	if !*noListing {
		if cfg.Inventory, err = c.inventory(o); err != nil {
			return err
		}
	}
	report, err := reconcile.Run(ctx, cfg)
	if err != nil {
		return err
	}
	named, err := o.names(ctx, metering.ByBucket, metering.ByKey)
	if err != nil {
		return err
	}
	report.Rename(named)
	if f.json {
		err = c.print(true, report, "", nil)
	} else {
		err = c.printReport(report)
	}
	return errors.Join(err, report.Over(tolerated.bytes, tolerated.percent))
}

func (c *cli) printReport(r *reconcile.Report) error {
	line := func(name string, f reconcile.Figures) []string {
		return []string{name, fmt.Sprint(f.Requests), fmt.Sprint(f.Ingress), fmt.Sprint(f.Egress)}
	}
	sums := [][]string{line("ledger", r.Ledger)}
	if r.Log != nil {
		sums = append(sums, line("access log", r.Log.Sum), line("lines dropped", r.Log.Dropped))
	}
	errs := []error{c.print(false, nil, "WHAT REQUESTS INGRESS_BYTES EGRESS_BYTES", append(sums, line("unexplained", r.Unexplained)))}
	table := func(header string, rows [][]string) {
		if len(rows) > 0 {
			fmt.Fprintln(c.out)
			errs = append(errs, c.print(false, nil, header, rows))
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
