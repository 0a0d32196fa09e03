package bucketsync

import (
	"fmt"

	"github.com/primecloudpro/primecloud/internal/table"
)

// Table is what was found as people read it.
func Table(found []Row) table.Table {
	t := table.Table{Header: "FINDING BACKEND BACKEND_BUCKET ACCOUNT BUCKET DIFFERENCE_BYTES REPAIRED TO_DO"}
	for _, f := range found {
		difference := "-"
		if f.Difference != nil {
			difference = fmt.Sprintf("%+d", f.Difference.Bytes())
		}
		if f.Hidden != nil {
			difference = fmt.Sprintf("%+d", f.Hidden.Bytes)
		}
		t.Rows = append(t.Rows, []string{f.Finding, f.Backend, f.BackendBucket, f.Account, f.Bucket, difference, fmt.Sprint(f.Repaired), f.ToDo})
	}
	return t
}
