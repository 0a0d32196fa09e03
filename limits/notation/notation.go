// Package notation reads limits as people write them: 20MB, 10TB/soft, none.
package notation

import (
	"fmt"
	"strings"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Flags are the limits that accounts and keys both have, as the flags of a command.
// One that is not given is nil, and the limit stays as it is.
type Flags struct {
	RequestsPerSecond *count       `placeholder:"N" help:"Requests per second; none: no limit."`
	UploadRate        *size        `placeholder:"SIZE" help:"Bytes per second, like 20MB; none: no limit."`
	DownloadRate      *size        `placeholder:"SIZE" help:"Bytes per second, like 20MB; none: no limit."`
	Concurrent        *count       `placeholder:"N" help:"Requests at once; none: no limit of its own."`
	EgressBudget      *sizeBudget  `placeholder:"SIZE" help:"Bytes sent in a month, like 10TB; /hard (the default) or /soft behind it; none: no budget."`
	RequestBudget     *countBudget `placeholder:"N" help:"Requests of the classes A and B in a month; /hard or /soft; none: no budget."`
	SpendBudget       *moneyBudget `placeholder:"AMOUNT" help:"Money in a month, in the rate card's currency, like 250.00; /hard or /soft; none: no budget."`
}

// AccountFlags are the limits of an account.
type AccountFlags struct {
	Flags
	Buckets      *count      `placeholder:"N" help:"Buckets that the account may have; none: as the gateways' max_buckets says."`
	StorageQuota *sizeBudget `placeholder:"SIZE" help:"Bytes stored, like 5TiB; /hard (the default) or /soft behind it; none: no budget."`
}

// Apply returns the limits, nil being none, with what was given changed.
func (f *Flags) Apply(to *tenancy.Limits) *tenancy.Limits {
	if to == nil {
		to = &tenancy.Limits{}
	}
	set(&to.RequestsPerSecond, f.RequestsPerSecond)
	set(&to.UploadRate, f.UploadRate)
	set(&to.DownloadRate, f.DownloadRate)
	set(&to.Concurrent, f.Concurrent)
	setBudget(to, tenancy.Egress, f.EgressBudget)
	setBudget(to, tenancy.Requests, f.RequestBudget)
	setBudget(to, tenancy.Spend, f.SpendBudget)
	return to
}

// Apply is Flags.Apply, and changes what only accounts have.
func (f *AccountFlags) Apply(to *tenancy.Limits) *tenancy.Limits {
	to = f.Flags.Apply(to)
	set(&to.Buckets, f.Buckets)
	setBudget(to, tenancy.Storage, f.StorageQuota)
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

// count is a number, size a number of bytes; 0 is "none".
type (
	count int64
	size  int64
)

func (l *count) UnmarshalText(text []byte) (err error) {
	*l, err = limit[count](string(text), quantity.ParseCount)
	return err
}

func (l *size) UnmarshalText(text []byte) (err error) {
	*l, err = limit[size](string(text), quantity.ParseSize)
	return err
}

const none = "none"

func limit[T ~int64](text string, parse func(string) (int64, error)) (T, error) {
	if text == none {
		return 0, nil
	}
	n, err := parse(text)
	switch {
	case err != nil:
		return 0, orNone(err)
	case n == 0:
		return 0, fmt.Errorf("%q would stop everything; suspend the account or revoke the key instead, or write %s for no limit", text, none)
	}
	return T(n), nil
}

func orNone(err error) error { return fmt.Errorf("%w, or %s", err, none) }

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
	if text == none {
		return nil
	}
	number, kind, _ := strings.Cut(text, "/")
	n, err := amount(number)
	if err != nil {
		return orNone(err)
	}
	if kind != "" && kind != "hard" && kind != "soft" {
		return fmt.Errorf("%q is no kind of budget; write %s/hard or %[2]s/soft", kind, number)
	}
	b.limit = &tenancy.Cap{Amount: n, Soft: kind == "soft"}
	return nil
}

// Money is an amount in billionths of its unit, as quantity has it.
type Money int64

// UnmarshalText reads what quantity.FormatMoney writes.
func (m *Money) UnmarshalText(text []byte) error {
	n, err := quantity.ParseMoney(string(text))
	*m = Money(n)
	return err
}
