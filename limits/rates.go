package limits

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Rates value use for spend budgets, in billionths of the currency's unit: for
// 10^9 bytes, and for 1,000 requests.
type Rates struct {
	Currency  string `json:"currency"`
	EgressGB  int64  `json:"egress_gb"`
	IngressGB int64  `json:"ingress_gb"`
	ThousandA int64  `json:"thousand_a"`
	ThousandB int64  `json:"thousand_b"`
}

// Cost is the price of requests of a class and of the bytes that they moved,
// each rounded up. A nil card is free.
func (r *Rates) Cost(class usage.Class, requests, ingress, egress int64) int64 {
	if r == nil {
		return 0
	}
	thousand := r.ThousandB
	if class == usage.ClassA {
		thousand = r.ThousandA
	}
	return part(requests, thousand, 1000) + part(ingress, r.IngressGB, 1e9) + part(egress, r.EgressGB, 1e9)
}

// part is n × rate / per, rounded up; none is negative. A sum of three parts
// does not overflow.
func part(n, rate, per int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(rate))
	lo, carry := bits.Add64(lo, uint64(per-1), 0)
	hi += carry
	if hi >= uint64(per) {
		return math.MaxInt64 / 4
	}
	q, _ := bits.Div64(hi, lo, uint64(per))
	return int64(min(q, math.MaxInt64/4))
}

// Card is rates that are in force from a moment on, an account's own or
// everyone's.
type Card struct {
	Account   tenancy.ID // zero: all accounts that have no card of their own
	ValidFrom time.Time
	Rates
}

var (
	// ErrCardExists means that a card of the same accounts begins at the same hour.
	ErrCardExists = errors.New("limits: there is a rate card from that hour on")
	// ErrInvalidCard means that nothing can be valued with a card.
	ErrInvalidCard = errors.New("limits: invalid rate card")
)

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

func (c *Card) check() error {
	switch {
	case !currency.MatchString(c.Currency):
		return fmt.Errorf("%w: %q is not a currency; write its three capital letters, like EUR", ErrInvalidCard, c.Currency)
	case min(c.EgressGB, c.IngressGB, c.ThousandA, c.ThousandB) < 0:
		return fmt.Errorf("%w: a price is negative; write 0 or more", ErrInvalidCard)
	case !c.ValidFrom.Equal(c.ValidFrom.Truncate(time.Hour)):
		return fmt.Errorf("%w: it begins within an hour; write a whole one", ErrInvalidCard)
	}
	return nil
}

// ErrNoRates means that a spend budget would have nothing to be valued with.
var ErrNoRates = errors.New("limits: there is no rate card; add one with `primecloud rates set`")

// AddCard adds a rate card, from the beginning of an hour on. It returns
// ErrInvalidCard, ErrCardExists, or tenancy.ErrAccountUnknown.
func AddCard(ctx context.Context, q pg.Querier, c Card) error {
	if err := c.check(); err != nil {
		return err
	}
	var account *tenancy.ID
	if c.Account != (tenancy.ID{}) {
		account = &c.Account
	}
	_, err := q.Exec(ctx, `INSERT INTO rate_cards (id, account_id, valid_from, currency, egress_gb, ingress_gb, thousand_a, thousand_b)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		tenancy.NewID(), account, c.ValidFrom, c.Currency, c.EgressGB, c.IngressGB, c.ThousandA, c.ThousandB)
	switch {
	case err == nil:
		return nil
	case pg.IsUnique(err):
		return ErrCardExists
	case pg.IsForeign(err):
		return tenancy.ErrAccountUnknown
	}
	return fmt.Errorf("add rate card: %w", err)
}

// Cards returns the cards that an account may be valued with, by the moment
// from which they are in force. The zero account has everyone's.
func Cards(ctx context.Context, q pg.Querier, account tenancy.ID) ([]Card, error) {
	rows, err := q.Query(ctx, `SELECT account_id, valid_from, currency, egress_gb, ingress_gb, thousand_a, thousand_b
		FROM rate_cards WHERE account_id IS NULL OR account_id = $1 ORDER BY valid_from, account_id NULLS FIRST`, account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Card, err error) {
		err = r.Scan(&c.Account, &c.ValidFrom, &c.Currency, &c.EgressGB, &c.IngressGB, &c.ThousandA, &c.ThousandB)
		return c, err
	})
}

// ratesAt is where prices come from: the account's own card in force, else
// everyone's; nil when there is none. Another owner of prices replaces it.
func ratesAt(cards []Card, at time.Time) (found *Rates) {
	own := false
	for i := range cards {
		c := &cards[i]
		if !c.ValidFrom.After(at) && (c.Account != (tenancy.ID{}) || !own) {
			found, own = &c.Rates, c.Account != (tenancy.ID{})
		}
	}
	return found
}

// cutsOf are the moments within a period at which prices may change.
func cutsOf(cards []Card, from, to time.Time) []time.Time {
	cuts := []time.Time{}
	for i := range cards {
		if at := cards[i].ValidFrom; at.After(from) && at.Before(to) && !slices.ContainsFunc(cuts, at.Equal) {
			cuts = append(cuts, at)
		}
	}
	return cuts
}
