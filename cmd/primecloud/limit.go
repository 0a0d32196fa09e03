package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

// limitFlags are the limits that accounts and keys both have. A flag that is not given
// is nil, and the limit stays as it is.
type limitFlags struct {
	RequestsPerSecond *countLimit  `placeholder:"N" help:"Requests per second; none: no limit."`
	UploadRate        *sizeLimit   `placeholder:"SIZE" help:"Bytes per second, like 20MB; none: no limit."`
	DownloadRate      *sizeLimit   `placeholder:"SIZE" help:"Bytes per second, like 20MB; none: no limit."`
	Concurrent        *countLimit  `placeholder:"N" help:"Requests at once; none: no limit of its own."`
	EgressBudget      *sizeBudget  `placeholder:"SIZE" help:"Bytes sent in a month, like 10TB; /hard (the default) or /soft behind it; none: no budget."`
	RequestBudget     *countBudget `placeholder:"N" help:"Requests of the classes A and B in a month; /hard or /soft; none: no budget."`
	SpendBudget       *moneyBudget `placeholder:"AMOUNT" help:"Money in a month, in the rate card's currency, like 250.00; /hard or /soft; none: no budget."`
}

// apply returns the limits, nil being none, with what was given changed.
func (l *limitFlags) apply(to *tenancy.Limits) *tenancy.Limits {
	if to == nil {
		to = &tenancy.Limits{}
	}
	set(&to.RequestsPerSecond, l.RequestsPerSecond)
	set(&to.UploadRate, l.UploadRate)
	set(&to.DownloadRate, l.DownloadRate)
	set(&to.Concurrent, l.Concurrent)
	setBudget(to, tenancy.Egress, l.EgressBudget)
	setBudget(to, tenancy.Requests, l.RequestBudget)
	setBudget(to, tenancy.Spend, l.SpendBudget)
	return to
}

func set[T ~int64](to *int64, given *T) {
	if given != nil {
		*to = int64(*given)
	}
}

func setBudget[T countBudget | sizeBudget | moneyBudget](to *tenancy.Limits, which tenancy.Budget, given *T) {
	if given != nil {
		to.Caps[which] = budget(*given).limit
	}
}

// countLimit is a number, sizeLimit a number of bytes; 0 is "none".
type (
	countLimit int64
	sizeLimit  int64
)

func (l *countLimit) UnmarshalText(text []byte) (err error) {
	*l, err = limitOf[countLimit](string(text), quantity.ParseCount)
	return err
}

func (l *sizeLimit) UnmarshalText(text []byte) (err error) {
	*l, err = limitOf[sizeLimit](string(text), quantity.ParseSize)
	return err
}

func limitOf[T ~int64](text string, parse func(string) (int64, error)) (T, error) {
	if text == "none" {
		return 0, nil
	}
	n, err := parse(text)
	if err == nil && n == 0 {
		err = errors.New("0 would stop everything: suspend the account or revoke the key instead")
	}
	return T(n), err
}

// budget is a budget's flag: a cap, or none.
type budget struct{ limit *tenancy.Cap }

type (
	countBudget budget
	sizeBudget  budget
	moneyBudget budget
)

func (b *countBudget) UnmarshalText(text []byte) error {
	return (*budget)(b).parse(string(text), quantity.ParseCount)
}
func (b *sizeBudget) UnmarshalText(text []byte) error {
	return (*budget)(b).parse(string(text), quantity.ParseSize)
}
func (b *moneyBudget) UnmarshalText(text []byte) error {
	return (*budget)(b).parse(string(text), quantity.ParseMoney)
}

func (b *budget) parse(text string, amount func(string) (int64, error)) error {
	if text == "none" {
		return nil
	}
	number, kind, _ := strings.Cut(text, "/")
	n, err := amount(number)
	if err != nil {
		return err
	}
	if kind != "" && kind != "hard" && kind != "soft" {
		return fmt.Errorf("a budget is /hard or /soft, not %q", kind)
	}
	b.limit = &tenancy.Cap{Amount: n, Soft: kind == "soft"}
	return nil
}

// limited is what an account or a key is held to, and where it stands.
type limited struct {
	id      tenancy.ID // of the key, zero for the account
	name    string
	limits  *tenancy.Limits
	budgets []limits.Status
}

func (c *cli) printLimits(all []limited, alerts []limits.Event) error {
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
		fmt.Fprintln(c.out)
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
