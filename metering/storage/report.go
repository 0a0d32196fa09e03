package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
)

// Report is ledger.Report for what was stored, with the hours that have no sample when
// it is by bucket.
func Report(ctx context.Context, pool *pgxpool.Pool, q ledger.Query) (rows []ledger.Reported[Usage], gaps []Gap, err error) {
	var sums []Usage
	var final time.Time
	// Of one moment: a listing that ends meanwhile makes an hour final, and its
	// sample has to be in the sums then.
	if err := pg.InSnapshot(ctx, pool, func(tx pg.Querier) (err error) {
		var now, sealed time.Time // by the clock that hours are sealed by
		if now, err = pg.Now(ctx, tx); err != nil {
			return err
		}
		if sums, err = Sum(ctx, tx, q, now); err != nil {
			return err
		}
		if q.By == ledger.ByBucket {
			if gaps, err = Gaps(ctx, tx, q, now); err != nil {
				return err
			}
		}
		if final, err = Final(ctx, tx, now); err != nil {
			return err
		}
		if sealed, err = ledger.SealedUntil(ctx, tx); sealed.Before(final) {
			final = sealed
		}
		return err
	}); err != nil {
		return nil, nil, err
	}
	for _, s := range sums {
		row := ledger.Reported[Usage]{Sum: s}
		if row.Final, err = q.Final(s.Value, final); err != nil {
			return nil, nil, err
		}
		if row.Final {
			row.Sum, row.Unsealed = s.Sealed(), s.Unsealed
		}
		row.Sum.Unsealed = nil
		rows = append(rows, row)
	}
	return rows, gaps, nil
}
