package reconcile

import (
	"fmt"
	"time"
)

// Table is a part of a report as people read it.
type Table struct {
	Header string
	Rows   [][]string
}

// Tables are the report as people read it: first the sums, then what there is to say.
func (r *Report) Tables() []Table {
	line := func(name string, f Figures) []string {
		return []string{name, fmt.Sprint(f.Requests), fmt.Sprint(f.Ingress), fmt.Sprint(f.Egress)}
	}
	sums := [][]string{line("ledger", r.Ledger)}
	var lines, cells, buckets [][]string
	if r.Log != nil {
		sums = append(sums, line("access log", r.Log.Sum), line("lines dropped", r.Log.Dropped))
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
	all := []Table{{"WHAT REQUESTS INGRESS_BYTES EGRESS_BYTES", append(sums, line("unexplained", r.Unexplained))}}
	for _, t := range []Table{
		{"LINES WHERE", lines},
		{"ACCOUNT BUCKET KEY CLASS HOUR REQUESTS INGRESS EGRESS VERDICT CAUSE", cells},
		{"ACCOUNT BUCKET WHAT BYTES VERDICT CAUSE", buckets},
	} {
		if len(t.Rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}
