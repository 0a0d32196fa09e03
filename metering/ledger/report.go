package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Reported is a sum and whether it is final. A final one is what seals cover, and
// Unsealed is what came late and is not in it; one that is not final has everything
// that is written, and no Unsealed.
type Reported[U any] struct {
	Sum      U
	Final    bool
	Unsealed *U
}

// Report sums usage and says which of the sums are final.
func Report(ctx context.Context, pool *pgxpool.Pool, q Query) ([]Reported[Usage], error) {
	var sums []Usage
	var final time.Time
	// Of one moment: sums that are older than final would miss what it promises.
	if err := pg.InSnapshot(ctx, pool, func(tx pg.Querier) (err error) {
		if sums, err = Sum(ctx, tx, q); err == nil {
			final, err = SealedUntil(ctx, tx)
		}
		return err
	}); err != nil {
		return nil, err
	}
	rows := make([]Reported[Usage], 0, len(sums))
	for _, s := range sums {
		row := Reported[Usage]{Sum: s}
		var err error
		if row.Final, err = q.Final(s.Value, final); err != nil {
			return nil, err
		}
		if row.Final {
			row.Sum, row.Unsealed = s.Sealed(), s.Unsealed
		}
		row.Sum.Unsealed = nil
		rows = append(rows, row)
	}
	return rows, nil
}

// Endless reports whether a query's sums are of a range without an end, so that none
// is ever final.
func (q Query) Endless() bool { return q.To.IsZero() && q.By != ByHour && q.By != ByDay }

// Final reports whether all hours of a sum that the query selects begin before
// final. value is the sum's; it matters when the query is by hour or day.
func (q Query) Final(value string, final time.Time) (bool, error) {
	until := q.To
	switch q.By {
	case ByHour:
		hour, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return false, err
		}
		until = hour.Add(time.Hour)
	case ByDay:
		day, err := time.Parse(time.DateOnly, value)
		if err != nil {
			return false, err
		}
		if end := day.AddDate(0, 0, 1); until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return !until.IsZero() && !until.After(final), nil
}
