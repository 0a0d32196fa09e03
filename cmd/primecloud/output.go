package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// flags are a command's own, with --json for those that print data.
type flags struct {
	*flag.FlagSet
	json bool
}

func (c *cli) flags(name, usage string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(c.err)
	f.Usage = func() {
		fmt.Fprintf(c.err, "usage: primecloud %s %s\n", name, usage)
		f.PrintDefaults()
	}
	f.BoolVar(&f.json, "json", false, "print JSON")
	return f
}

// hours declares --from and --to, which bound a range of hours.
func (f *flags) hours(from, to *time.Time) {
	parse := func(t *time.Time) func(string) error {
		return func(text string) (err error) {
			*t, err = time.Parse(time.RFC3339, text)
			return err
		}
	}
	f.Func("from", "first hour, 2006-01-02T15:00:00Z", parse(from))
	f.Func("to", "the hour behind the last", parse(to))
}

// parse takes flags before, between and behind the n arguments.
func (f *flags) parse(args []string, n int) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
	if len(rest) != n {
		f.Usage()
		return nil, flag.ErrHelp
	}
	return rest, nil
}

// print writes data as JSON, or as a table with a header.
func (c *cli) print(asJSON bool, data any, header string, rows [][]string) error {
	if asJSON {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		return e.Encode(data)
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}
