package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

// limitFlags declares a flag for each limit. What is not given stays as it is.
type limitFlags struct {
	set []func(*tenancy.Limits)
}

func (l *limitFlags) declare(f *flags, storage bool) {
	number := func(name, help string, parse func(string) (int64, error), field func(*tenancy.Limits) *int64) {
		f.Func(name, help, func(s string) error {
			n := int64(0)
			if s != "none" {
				var err error
				if n, err = parse(s); err != nil {
					return err
				}
				if n == 0 {
					return fmt.Errorf("0 would stop everything: suspend the account or revoke the key instead")
				}
			}
			l.set = append(l.set, func(to *tenancy.Limits) { *field(to) = n })
			return nil
		})
	}
	whole := func(s string) (int64, error) { return scaled(s, 1) }
	const none = "; none: no limit"
	number("requests-per-second", "requests per second"+none, whole, func(to *tenancy.Limits) *int64 { return &to.RequestsPerSecond })
	number("upload-rate", "bytes per second, like 20MB"+none, parseSize, func(to *tenancy.Limits) *int64 { return &to.UploadRate })
	number("download-rate", "bytes per second, like 20MB"+none, parseSize, func(to *tenancy.Limits) *int64 { return &to.DownloadRate })
	number("concurrent", "requests at once"+none, whole, func(to *tenancy.Limits) *int64 { return &to.Concurrent })
	budget := func(name, help string, b tenancy.Budget, parse func(string) (int64, error)) {
		f.Func(name, help+", /hard (the default) or /soft behind it; none: no budget", func(s string) error {
			var c *tenancy.Cap
			if s != "none" {
				text, kind, _ := strings.Cut(s, "/")
				n, err := parse(text)
				if err != nil {
					return err
				}
				if kind != "" && kind != "hard" && kind != "soft" {
					return fmt.Errorf("a budget is /hard or /soft, not %q", kind)
				}
				c = &tenancy.Cap{Amount: n, Soft: kind == "soft"}
			}
			l.set = append(l.set, func(to *tenancy.Limits) { to.Caps[b] = c })
			return nil
		})
	}
	if storage {
		number("buckets", "buckets that the account may have; none: as the gateways' max_buckets says", whole,
			func(to *tenancy.Limits) *int64 { return &to.Buckets })
		budget("storage-quota", "bytes stored, like 5TiB", tenancy.Storage, parseSize)
	}
	budget("egress-budget", "bytes sent in a month, like 10TB", tenancy.Egress, parseSize)
	budget("request-budget", "requests of the classes A and B in a month", tenancy.Requests, whole)
	budget("spend-budget", "money in a month, in the rate card's currency, like 250.00", tenancy.Spend, parseAmount)
}

// apply returns the limits with what was given changed.
func (l *limitFlags) apply(to *tenancy.Limits) *tenancy.Limits {
	if to == nil {
		to = &tenancy.Limits{}
	}
	for _, set := range l.set {
		set(to)
	}
	return to
}

// checkSpend refuses a spend budget that nothing would ever count against.
func (o *operator) checkSpend(ctx context.Context, account tenancy.ID, l *tenancy.Limits) error {
	if l.Caps[tenancy.Spend] == nil {
		return nil
	}
	cards, err := limits.Cards(ctx, o.pool, account)
	if err == nil && len(cards) == 0 {
		err = limits.ErrNoRates
	}
	return err
}

func (c *cli) accountLimit(ctx context.Context, args []string) error {
	f, given := c.flags("account limit", "ACCOUNT [flags]"), limitFlags{}
	given.declare(f, true)
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	a, err := o.store.AccountByName(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	l := given.apply(a.Limits)
	if err := o.checkSpend(ctx, a.ID, l); err != nil {
		return err
	}
	if err := o.store.SetLimits(ctx, o.pool, a.ID, l); err != nil {
		return err
	}
	return c.accountShow(ctx, showArgs(f, rest[0]))
}

func showArgs(f *flags, name string) []string {
	if f.json {
		return []string{name, "--json"}
	}
	return []string{name}
}

func (c *cli) keyLimit(ctx context.Context, args []string) error {
	f, given := c.flags("key limit", "KEY_ID [flags]"), limitFlags{}
	given.declare(f, false)
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	k, err := o.store.Key(ctx, o.pool, rest[0])
	if err != nil {
		return err
	}
	l, err := o.store.Limits(ctx, o.pool, k.AccountID, k.ID)
	if err != nil {
		return err
	}
	l = given.apply(l)
	if err := o.checkSpend(ctx, k.AccountID, l); err != nil {
		return err
	}
	if err := o.store.SetKeyLimits(ctx, o.pool, k, l); err != nil {
		return err
	}
	budgets, err := limits.Report(ctx, o.pool, metering.StoredBytes, k.AccountID, k.ID, time.Now())
	if err != nil {
		return err
	}
	return c.printLimits(f.json, keyLimits{k.KeyID, l, budgets}, []limitsOf{{k.ID, k.KeyID, l, budgets}}, nil)
}

type keyLimits struct {
	KeyID   string          `json:"access_key_id"`
	Limits  *tenancy.Limits `json:"limits"`
	Budgets []limits.Status `json:"budgets"`
}

type accountDetail struct {
	*tenancy.Account
	Budgets []limits.Status `json:"budgets"`
	Keys    []keyLimits     `json:"limited_keys,omitempty"`
	Alerts  []limits.Event  `json:"alerts"`
}

// limitsOf is what an account or a key is held to, and where it stands.
type limitsOf struct {
	id      tenancy.ID // of the key, zero for the account
	whose   string
	limits  *tenancy.Limits
	budgets []limits.Status
}

// detail is all that `account show` shows.
func (o *operator) detail(ctx context.Context, a *tenancy.Account, now time.Time) (d accountDetail, all []limitsOf, err error) {
	d = accountDetail{Account: a}
	if d.Budgets, err = limits.Report(ctx, o.pool, metering.StoredBytes, a.ID, tenancy.ID{}, now); err != nil {
		return d, nil, err
	}
	month := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	if d.Alerts, err = limits.Events(ctx, o.pool, a.ID, month); err != nil {
		return d, nil, err
	}
	if a.Limits != nil {
		all = append(all, limitsOf{tenancy.ID{}, a.Name, a.Limits, d.Budgets})
	}
	keys, err := o.store.LimitedKeys(ctx, o.pool, a.ID)
	if err != nil {
		return d, nil, err
	}
	names, err := o.store.KeyIDs(ctx, o.pool)
	if err != nil {
		return d, nil, err
	}
	for _, id := range keys {
		k := keyLimits{KeyID: names[id]}
		if k.Limits, err = o.store.Limits(ctx, o.pool, a.ID, id); err != nil {
			return d, nil, err
		}
		if k.Budgets, err = limits.Report(ctx, o.pool, metering.StoredBytes, a.ID, id, now); err != nil {
			return d, nil, err
		}
		d.Keys = append(d.Keys, k)
		all = append(all, limitsOf{id, k.KeyID, k.Limits, k.Budgets})
	}
	return d, all, nil
}

func (c *cli) printLimits(asJSON bool, data any, all []limitsOf, alerts []limits.Event) error {
	if asJSON {
		return c.print(true, data, "", nil)
	}
	var rates, budgets [][]string
	for _, l := range all {
		rates = append(rates, []string{l.whose, count(l.limits.RequestsPerSecond), size(l.limits.UploadRate), size(l.limits.DownloadRate), count(l.limits.Concurrent), count(l.limits.Buckets)})
		for _, b := range l.budgets {
			kind, show := "hard", formatSize
			if b.Soft {
				kind = "soft"
			}
			switch b.Budget {
			case tenancy.Requests:
				show = func(n int64) string { return fmt.Sprint(n) }
			case tenancy.Spend:
				show = func(n int64) string { return formatAmount(n) + " " + b.Currency }
			}
			budgets = append(budgets, []string{l.whose, b.Name, show(b.Amount), kind, show(b.Used), strconv.FormatFloat(b.Percent, 'f', 1, 64) + "%", show(b.Leased), show(b.Overshoot)})
		}
	}
	print := func(header string, rows [][]string) error {
		if len(rows) == 0 {
			return nil
		}
		fmt.Fprintln(c.out)
		return c.print(false, nil, header, rows)
	}
	if err := print("LIMITS_OF REQUESTS/S UPLOAD/S DOWNLOAD/S CONCURRENT BUCKETS", rates); err != nil {
		return err
	}
	if err := print("BUDGET_OF BUDGET AMOUNT KIND USED PERCENT LEASED_TO_NODES OVERSHOOT_BOUND", budgets); err != nil {
		return err
	}
	var events [][]string
	for _, e := range alerts {
		whose := e.Key.String() // of a key that is not limited any more
		for _, l := range all {
			if l.id == e.Key {
				whose = l.whose
			}
		}
		events = append(events, []string{e.At.UTC().Format(stamp), whose, e.Name, fmt.Sprintf("%d%%", e.Threshold)})
	}
	return print("ALERT_AT BUDGET_OF BUDGET REACHED", events)
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
	return formatSize(n)
}

func (c *cli) ratesSet(ctx context.Context, args []string) error {
	f := c.flags("rates set", "--currency BRL [flags]")
	card := limits.Card{}
	account := f.String("account", "", "only for this one; everyone who has no own card by default")
	from := f.String("from", "", "from this hour on, 2006-01-02T15:00:00Z; the present one by default")
	f.StringVar(&card.Currency, "currency", "", "three letters")
	for name, field := range map[string]*int64{
		"egress-gb": &card.EgressGB, "ingress-gb": &card.IngressGB, "thousand-a": &card.ThousandA, "thousand-b": &card.ThousandB,
	} {
		f.Func(name, map[bool]string{true: "price of 10^9 bytes", false: "price of 1,000 requests of the class"}[strings.HasSuffix(name, "gb")], func(s string) (err error) {
			*field, err = parseAmount(s)
			return err
		})
	}
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	card.ValidFrom = time.Now().UTC().Truncate(time.Hour)
	if *from != "" {
		t, err := time.Parse(time.RFC3339, *from)
		if err != nil {
			return err
		}
		if t.Before(card.ValidFrom) {
			return fmt.Errorf("a card cannot be in force from %s: that is past, and its prices were paid", *from)
		}
		card.ValidFrom = t
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if *account != "" {
		a, err := o.store.AccountByName(ctx, o.pool, *account)
		if err != nil {
			return err
		}
		card.Account = a.ID
	}
	if err := limits.AddCard(ctx, o.pool, card); err != nil {
		return err
	}
	return c.printCards(f.json, *account, []limits.Card{card})
}

func (c *cli) ratesList(ctx context.Context, args []string) error {
	f := c.flags("rates list", "")
	account := f.String("account", "", "with this one's own cards")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	var id tenancy.ID
	if *account != "" {
		a, err := o.store.AccountByName(ctx, o.pool, *account)
		if err != nil {
			return err
		}
		id = a.ID
	}
	cards, err := limits.Cards(ctx, o.pool, id)
	if err != nil {
		return err
	}
	return c.printCards(f.json, *account, cards)
}

func (c *cli) printCards(asJSON bool, account string, cards []limits.Card) error {
	rows := make([][]string, 0, len(cards))
	for _, k := range cards {
		whose := account
		if k.Account == (tenancy.ID{}) {
			whose = "-"
		}
		rows = append(rows, []string{whose, k.ValidFrom.UTC().Format(stamp), k.Currency, formatAmount(k.EgressGB), formatAmount(k.IngressGB), formatAmount(k.ThousandA), formatAmount(k.ThousandB)})
	}
	return c.print(asJSON, cards, "ACCOUNT FROM CURRENCY EGRESS/GB INGRESS/GB 1000_A 1000_B", rows)
}
