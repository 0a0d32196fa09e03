package reconcile

import (
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/internal/table"
)

// Tables are the report as people read it.
func (r *Report) Tables() []table.Table {
	line := func(name string, f Figures) []string {
		return []string{name, fmt.Sprint(f.Requests), fmt.Sprint(f.Ingress), fmt.Sprint(f.Egress)}
	}
	sums := [][]string{line("ledger", r.Ledger)}
	if r.Log != nil {
		sums = append(sums, line("access log", r.Log.Sum), line("lines dropped", r.Log.Dropped))
	}
	var lines, cells, buckets [][]string
	if r.Log != nil {
		if r.Log.LeftOut > 0 {
			lines = append(lines, []string{"left out", fmt.Sprintf("%d of %d that nobody proved; their sums are there", r.Log.LeftOut, r.Log.Unproven)})
		}
		for _, s := range r.Log.Damaged {
			lines = append(lines, []string{"damaged", s})
		}
		for _, s := range r.Log.Torn {
			lines = append(lines, []string{"torn", s})
		}
	}
	for _, d := range r.Cells {
		cells = append(cells, []string{d.Account.String(), d.Bucket.String(), d.Key.String(), d.Class.String(), d.Hour.Format(time.RFC3339),
			fmt.Sprintf("%+d", d.Difference.Requests), fmt.Sprintf("%+d", d.Difference.Ingress), fmt.Sprintf("%+d", d.Difference.Egress), string(d.Verdict), d.Cause})
	}
	for _, b := range r.Buckets {
		for i, d := range []Comparison{b.Growth, b.Content} {
			what := []string{"holds, against its last sample", "stored, against uploaded"}[i]
			buckets = append(buckets, []string{b.Account.String(), b.Bucket.String(), what, fmt.Sprintf("%+d", d.Difference), string(d.Verdict), d.Cause + b.Error})
		}
	}
	return []table.Table{
		{Header: "WHAT REQUESTS INGRESS_BYTES EGRESS_BYTES", Rows: append(sums, line("unexplained", r.Unexplained))},
		{Header: "LINES WHERE", Rows: lines},
		{Header: "ACCOUNT BUCKET KEY CLASS HOUR REQUESTS INGRESS EGRESS VERDICT CAUSE", Rows: cells},
		{Header: "ACCOUNT BUCKET WHAT BYTES VERDICT CAUSE", Rows: buckets},
	}
}
