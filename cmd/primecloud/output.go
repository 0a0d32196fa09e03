package main

import (
	"encoding/json"
	"time"

	"github.com/primecloudpro/primecloud/internal/table"
)

// stamp is how tables show moments.
const stamp = "2006-01-02 15:04:05Z"

// hours bound a range of hours.
type hours struct {
	From time.Time `placeholder:"HOUR" help:"First hour, as 2006-01-02T15:00:00Z."`
	To   time.Time `placeholder:"HOUR" help:"The hour behind the last."`
}

// print writes data as JSON with --json, or as a table with a header.
func (c *cli) print(data any, header string, rows [][]string) error {
	if c.json {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		return e.Encode(data)
	}
	return c.table(header, rows)
}

func (c *cli) table(header string, rows [][]string) error {
	return table.Write(c.out, table.Table{Header: header, Rows: rows})
}

// printAll writes data as JSON with --json, or as tables.
func (c *cli) printAll(data any, tables func() []table.Table) error {
	if c.json {
		return c.print(data, "", nil)
	}
	return table.Write(c.out, tables()...)
}
