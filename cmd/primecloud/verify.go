package main

import (
	"context"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usagereport"
)

type usageVerify struct {
	hours
	Known []usagereport.KnownSeal `placeholder:"HOUR=HASH" help:"A seal as it was noted down; may be repeated."`
}

func (u *usageVerify) Run(ctx context.Context, c *cli) error {
	q := ledger.VerifyQuery{From: u.From.Time, To: u.To.Time, Known: map[time.Time]ledger.Digest{}}
	for _, k := range u.Known {
		q.Known[k.Hour] = k.Hash
	}
	return c.operate(ctx, func(o *operator) error {
		v, err := ledger.Verify(ctx, o.pool, o.store.Keyring, q)
		if err != nil {
			return err
		}
		row := usagereport.OfVerification(&v)
		var open [][]string
		for _, n := range row.Open {
			open = append(open, []string{n.Hour.Format(time.RFC3339), n.What, fmt.Sprint(n.Rows)})
		}
		head := "-"
		if h := row.Head; h != nil {
			head = h.Hour.Format(time.RFC3339) + "=" + h.Hash
		}
		err = c.print(row, "OK HOURS READINGS ADJUSTMENTS UNSEALED HEAD", [][]string{{
			fmt.Sprint(row.OK), fmt.Sprint(row.Hours), fmt.Sprint(row.Readings), fmt.Sprint(row.Adjustments), fmt.Sprint(row.Unsealed), head,
		}})
		if err == nil && !c.json && len(open) > 0 {
			_, _ = fmt.Fprintln(c.out)
			err = c.table("WAITS_FOR_SEAL WHAT ROWS", open)
		}
		if err != nil || row.OK {
			return err
		}
		return fmt.Errorf("usage of %s is not what was sealed: %s: %s", row.Difference.Hour.Format(time.RFC3339), row.Difference.What, row.Difference.Detail)
	})
}
