package main

import (
	"context"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/tenancy"
)

type ratesCommands struct {
	List ratesList `cmd:"" help:"Show the rate cards that spend budgets are counted with."`
	Set  ratesSet  `cmd:"" help:"Add a rate card."`
}

// amount is money in billionths of its unit.
type amount int64

func (a *amount) UnmarshalText(text []byte) error {
	n, err := quantity.ParseMoney(string(text))
	*a = amount(n)
	return err
}

type ratesSet struct {
	Account   string    `help:"Only for this one; everyone who has no own card by default."`
	From      time.Time `placeholder:"HOUR" help:"From this hour on, as 2006-01-02T15:00:00Z; the present one by default."`
	Currency  string    `help:"Three letters."`
	EgressGB  amount    `name:"egress-gb" default:"0" help:"Price of 10^9 bytes sent."`
	IngressGB amount    `name:"ingress-gb" default:"0" help:"Price of 10^9 bytes received."`
	ThousandA amount    `name:"thousand-a" default:"0" help:"Price of 1,000 requests of class A."`
	ThousandB amount    `name:"thousand-b" default:"0" help:"Price of 1,000 requests of class B."`
}

func (r *ratesSet) Run(ctx context.Context, c *cli) error {
	card := limits.Card{ValidFrom: time.Now().UTC().Truncate(time.Hour)}
	card.Currency = r.Currency
	card.EgressGB, card.IngressGB, card.ThousandA, card.ThousandB = int64(r.EgressGB), int64(r.IngressGB), int64(r.ThousandA), int64(r.ThousandB)
	if !r.From.IsZero() {
		if r.From.Before(card.ValidFrom) {
			return fmt.Errorf("a card cannot be in force from %s: that is past, and its prices were paid", r.From.Format(time.RFC3339))
		}
		card.ValidFrom = r.From
	}
	return c.operate(ctx, func(o *operator) (err error) {
		if card.Account, err = o.accountID(ctx, r.Account); err != nil {
			return err
		}
		if err := limits.AddCard(ctx, o.pool, card); err != nil {
			return err
		}
		return c.printCards(r.Account, []limits.Card{card})
	})
}

type ratesList struct {
	Account string `help:"With this one's own cards."`
}

func (r *ratesList) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		id, err := o.accountID(ctx, r.Account)
		if err != nil {
			return err
		}
		cards, err := limits.Cards(ctx, o.pool, id)
		if err != nil {
			return err
		}
		return c.printCards(r.Account, cards)
	})
}

func (c *cli) printCards(account string, cards []limits.Card) error {
	rows := make([][]string, 0, len(cards))
	for _, k := range cards {
		name := account
		if k.Account == (tenancy.ID{}) {
			name = "-"
		}
		rows = append(rows, []string{name, k.ValidFrom.UTC().Format(stamp), k.Currency, quantity.FormatMoney(k.EgressGB), quantity.FormatMoney(k.IngressGB), quantity.FormatMoney(k.ThousandA), quantity.FormatMoney(k.ThousandB)})
	}
	return c.print(cards, "ACCOUNT FROM CURRENCY EGRESS/GB INGRESS/GB 1000_A 1000_B", rows)
}
