package main

import (
	"fmt"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// limited is what an account or a key is held to, and where it stands.
type limited struct {
	id      tenancy.ID // of the key, zero for the account
	name    string
	limits  *tenancy.Limits
	budgets []limits.Status
}

// printLimits prints tables, with an empty line between two; apart: and in front.
func (c *cli) printLimits(all []limited, alerts []limits.Event, apart bool) error {
	var rates, budgets, events [][]string
	names := map[tenancy.ID]string{}
	for _, l := range all {
		names[l.id] = l.name
		rates = append(rates, []string{l.name, count(l.limits.RequestsPerSecond), size(l.limits.UploadRate), size(l.limits.DownloadRate), count(l.limits.Concurrent), count(l.limits.Buckets)})
		for _, b := range l.budgets {
			budgets = append(budgets, append([]string{l.name}, b.Cells()...))
		}
	}
	for _, e := range alerts {
		name, ok := names[e.Key]
		if !ok { // a key that is not limited any more
			name = e.Key.String()
		}
		events = append(events, []string{e.At.UTC().Format(stamp), name, e.Name, fmt.Sprintf("%d%%", e.Threshold)})
	}
	for _, t := range []struct {
		header string
		rows   [][]string
	}{
		{"LIMITS_OF REQUESTS/S UPLOAD/S DOWNLOAD/S CONCURRENT BUCKETS", rates},
		{"BUDGET_OF BUDGET AMOUNT KIND USED PERCENT LEASED_TO_NODES OVERSHOOT_BOUND", budgets},
		{"ALERT_AT BUDGET_OF BUDGET REACHED", events},
	} {
		if len(t.rows) == 0 {
			continue
		}
		if apart {
			fmt.Fprintln(c.out)
		}
		apart = true
		if err := c.table(t.header, t.rows); err != nil {
			return err
		}
	}
	return nil
}

func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func size(n int64) string {
	if n == 0 {
		return "-"
	}
	return quantity.FormatSize(n)
}
