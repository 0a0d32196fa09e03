package main

import (
	"encoding/json"
	"fmt"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/internal/table"
)

// stamp is how tables show moments.
const stamp = "2006-01-02 15:04:05Z"

// hours bound a range of hours.
type hours struct {
	From quantity.Hour `placeholder:"HOUR" help:"The first hour: 2026-11-27 or 2026-11-27T15:00Z, in UTC; from the beginning by default."`
	To   quantity.Hour `placeholder:"HOUR" help:"The hour behind the last, written so too; up to now by default."`
}

// Validate refuses a range in which there is nothing; kong calls it.
func (h *hours) Validate() error {
	if !h.From.IsZero() && !h.To.IsZero() && !h.From.Before(h.To.Time) {
		return fmt.Errorf("--from=%s is not before --to=%s; write a later end", h.From, h.To)
	}
	return nil
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
