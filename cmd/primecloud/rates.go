package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primecloudpro/primecloud/internal/quantity"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/limits/notation"
	"github.com/primecloudpro/primecloud/tenancy"
)

type ratesCommands struct {
	List ratesList `cmd:"" help:"Show the rate cards that spend budgets are counted with."`
	Set  ratesSet  `cmd:"" help:"Add a rate card."`
}

type ratesSet struct {
	Account   string         `help:"Only for this one; everyone who has no own card by default."`
	From      quantity.Hour  `placeholder:"HOUR" help:"From this hour on: 2026-11-27 or 2026-11-27T15:00Z, in UTC; the present one by default."`
	Currency  string         `required:"" help:"Three capital letters, like EUR."`
	EgressGB  notation.Money `name:"egress-gb" default:"0" help:"Price of 10^9 bytes sent."`
	IngressGB notation.Money `name:"ingress-gb" default:"0" help:"Price of 10^9 bytes received."`
	ThousandA notation.Money `name:"thousand-a" default:"0" help:"Price of 1,000 requests of class A."`
	ThousandB notation.Money `name:"thousand-b" default:"0" help:"Price of 1,000 requests of class B."`
}

func (r *ratesSet) Run(ctx context.Context, c *cli) error {
	card := limits.Card{ValidFrom: time.Now().UTC().Truncate(time.Hour)}
	card.Currency = r.Currency
	card.EgressGB, card.IngressGB, card.ThousandA, card.ThousandB = int64(r.EgressGB), int64(r.IngressGB), int64(r.ThousandA), int64(r.ThousandB)
	if !r.From.IsZero() {
		if r.From.Before(card.ValidFrom) {
			return fmt.Errorf("--from: a card cannot be in force from %s, whose prices were paid; write the present hour, %s, or a later one", r.From, quantity.Hour{Time: card.ValidFrom})
		}
		card.ValidFrom = r.From.Time
	}
	return c.operate(ctx, func(o *operator) (err error) {
		if card.Account, err = o.accountID(ctx, r.Account); err != nil {
			return err
		}
		switch err := limits.AddCard(ctx, o.pool, card); {
		case errors.Is(err, limits.ErrCardExists):
			return fmt.Errorf("--from: there is a rate card from %s on already, and its prices stay; write a later hour, like %s", quantity.Hour{Time: card.ValidFrom}, quantity.Hour{Time: card.ValidFrom.Add(time.Hour)})
		case err != nil:
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
