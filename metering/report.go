package metering

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
		if row.Final, err = isFinal(q, s.Value, final); err != nil {
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

// ReportStorage is Report for what was stored, with the hours that have no sample when
// it is by bucket.
func ReportStorage(ctx context.Context, pool *pgxpool.Pool, q Query) (rows []Reported[StorageUsage], gaps []StorageGap, err error) {
	var sums []StorageUsage
	var final time.Time
	// Of one moment: a listing that ends meanwhile makes an hour final, and its
	// sample has to be in the sums then.
	if err := pg.InSnapshot(ctx, pool, func(tx pg.Querier) (err error) {
		var now, sealed time.Time // by the clock that hours are sealed by
		if now, err = pg.Now(ctx, tx); err != nil {
			return err
		}
		if sums, err = SumStorage(ctx, tx, q, now); err != nil {
			return err
		}
		if q.By == ByBucket {
			if gaps, err = StorageGaps(ctx, tx, q, now); err != nil {
				return err
			}
		}
		if final, err = StorageFinal(ctx, tx, now); err != nil {
			return err
		}
		if sealed, err = SealedUntil(ctx, tx); sealed.Before(final) {
			final = sealed
		}
		return err
	}); err != nil {
		return nil, nil, err
	}
	for _, s := range sums {
		row := Reported[StorageUsage]{Sum: s}
		if row.Final, err = isFinal(q, s.Value, final); err != nil {
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

// isFinal reports whether all that a sum is over lies before final.
func isFinal(q Query, value string, final time.Time) (bool, error) {
	until := q.To
	if q.By == ByHour {
		hour, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return false, err
		}
		until = hour.Add(time.Hour)
	}
	return !until.IsZero() && !until.After(final), nil
}
