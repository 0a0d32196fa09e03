package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// EpochUsage is what one epoch has counted in one class, in the piece'th of
// the pieces into which the period was cut.
type EpochUsage struct {
	Epoch    rowid.ID
	Closed   bool // it will count nothing more: this is complete
	Class    usage.Class
	Piece    int
	Requests int64
	Ingress  int64
	Egress   int64
}

// SumEpochs sums an account's billable usage (classes A and B) in [from, to) by
// epoch, class and price interval. A key that is not zero selects what was used
// with it. cuts are the ascending instants at which prices change: EpochUsage.Piece
// is 0 before the first of them.
func SumEpochs(ctx context.Context, q pg.Querier, account, key rowid.ID, from, to time.Time, cuts []time.Time) ([]EpochUsage, error) {
	rows, err := q.Query(ctx, `SELECT epoch, class, width_bucket(hour, $5::timestamptz[]) AS piece,
			sum(requests)::bigint, sum(ingress_bytes)::bigint, sum(egress_bytes)::bigint,
			EXISTS (SELECT FROM usage_nodes n WHERE n.epoch = counted.epoch AND n.closed_at IS NOT NULL)
		FROM (
			SELECT epoch, account_id, key_id, class, hour, requests, ingress_bytes, egress_bytes FROM usage_readings
			UNION ALL
			SELECT epoch, account_id, key_id, class, hour, requests, ingress_bytes, egress_bytes FROM usage_adjustments
		) AS counted WHERE account_id = $1 AND hour >= $3 AND hour < $4 AND class IN ('A', 'B')
			AND ($2 = '00000000-0000-0000-0000-000000000000'::uuid OR key_id = $2)
		GROUP BY 1, 2, 3`, account, key, from, to, cuts)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (u EpochUsage, err error) {
		var class string
		err = r.Scan(&u.Epoch, &class, &u.Piece, &u.Requests, &u.Ingress, &u.Egress, &u.Closed)
		u.Class = usage.ClassA
		if class == usage.ClassB.String() {
			u.Class = usage.ClassB
		}
		return u, err
	})
}

// ClosedEpochs returns those of the epochs that will count nothing more, like
// EpochUsage.Closed: readings that are read after it are complete for them.
func ClosedEpochs(ctx context.Context, q pg.Querier, epochs []rowid.ID) (map[rowid.ID]bool, error) {
	rows, err := q.Query(ctx, `SELECT epoch FROM usage_nodes WHERE closed_at IS NOT NULL AND epoch = ANY($1)`, epochs)
	if err != nil {
		return nil, err
	}
	closed := map[rowid.ID]bool{}
	var epoch rowid.ID
	_, err = pgx.ForEachRow(rows, []any{&epoch}, func() error { closed[epoch] = true; return nil })
	return closed, err
}

// LiveNodes counts the nodes that have written within the time given.
func LiveNodes(ctx context.Context, q pg.Querier, within time.Duration) (n int, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM usage_nodes WHERE closed_at IS NULL AND reported_at > now() - $1::interval`, within).Scan(&n)
	return n, err
}
