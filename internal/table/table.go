// Package table is how commands print rows: what there is to say of something, as its
// package says it.
package table

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table is rows under a header, whose words are the columns.
type Table struct {
	Header string
	Rows   [][]string
}

// Write writes the tables that have rows, and the first in any case, with an empty
// line between two.
func Write(w io.Writer, tables ...Table) error {
	for i, t := range tables {
		if i > 0 && len(t.Rows) == 0 {
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		columns := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(columns, strings.ReplaceAll(t.Header, " ", "\t"))
		for _, r := range t.Rows {
			fmt.Fprintln(columns, strings.Join(r, "\t"))
		}
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	return nil
}
