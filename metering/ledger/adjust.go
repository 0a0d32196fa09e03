package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// adjust records readings of hours that are sealed, open being the first hour
// that is not: for each counter, what it is above all that is sealed of it. What
// is sealed does not change, so that the same reading gives the same adjustment
// however often it comes, and the larger one stays.
func adjust(ctx context.Context, q pg.Querier, epoch rowid.ID, open time.Time, readings []Reading) error {
	_, err := q.Exec(ctx, `INSERT INTO usage_adjustments AS a
		(epoch, account_id, bucket_id, key_id, class, hour, seal_hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
		SELECT $1, l.account_id, l.bucket_id, l.key_id, l.class, l.hour, $12,
			greatest(l.requests - s.requests, 0), greatest(l.ingress_bytes - s.ingress_bytes, 0), greatest(l.egress_bytes - s.egress_bytes, 0),
			greatest(l.declared_ingress_bytes - s.declared_ingress_bytes, 0), greatest(l.declared_egress_bytes - s.declared_egress_bytes, 0)
		FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
			AS l (account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes),
		LATERAL (SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(ingress_bytes), 0) AS ingress_bytes, coalesce(sum(egress_bytes), 0) AS egress_bytes,
				coalesce(sum(declared_ingress_bytes), 0) AS declared_ingress_bytes, coalesce(sum(declared_egress_bytes), 0) AS declared_egress_bytes
			FROM (
				SELECT requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes FROM usage_readings AS r
				WHERE r.epoch = $1 AND (r.account_id, r.bucket_id, r.key_id, r.class, r.hour) = (l.account_id, l.bucket_id, l.key_id, l.class, l.hour)
				UNION ALL
				SELECT requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes FROM usage_adjustments AS r
				WHERE r.epoch = $1 AND (r.account_id, r.bucket_id, r.key_id, r.class, r.hour) = (l.account_id, l.bucket_id, l.key_id, l.class, l.hour) AND r.seal_hour < $12
			) AS sealed) AS s
		WHERE l.requests > s.requests OR l.ingress_bytes > s.ingress_bytes OR l.egress_bytes > s.egress_bytes
			OR l.declared_ingress_bytes > s.declared_ingress_bytes OR l.declared_egress_bytes > s.declared_egress_bytes
		ON CONFLICT (epoch, account_id, bucket_id, key_id, class, hour, seal_hour) DO UPDATE SET
			requests = greatest(a.requests, excluded.requests),
			ingress_bytes = greatest(a.ingress_bytes, excluded.ingress_bytes),
			egress_bytes = greatest(a.egress_bytes, excluded.egress_bytes),
			declared_ingress_bytes = greatest(a.declared_ingress_bytes, excluded.declared_ingress_bytes),
			declared_egress_bytes = greatest(a.declared_egress_bytes, excluded.declared_egress_bytes)`,
		append(append([]any{epoch}, columns(readings)...), open)...)
	return err
}

// Adjustment is usage that came after its hour was sealed, summed over the
// epochs that it came from.
type Adjustment struct {
	usage.Key
	Hour     time.Time
	SealHour time.Time // its seal covers the adjustment
	Recorded time.Time // when the first of it came

	Requests, Ingress, Egress, DeclaredIngress, DeclaredEgress int64
}

// Adjustments returns those of an account, or of all with a zero one, whose
// SealHour is from the one given until before the other; zero for no bound.
// Each belongs to exactly one SealHour, and one that is sealed does not change:
// a bill that goes on where the last one ended misses none and has none twice.
func Adjustments(ctx context.Context, q pg.Querier, account rowid.ID, from, to time.Time) ([]Adjustment, error) {
	rows, err := q.Query(ctx, `SELECT account_id, bucket_id, key_id, class, hour, seal_hour, min(recorded_at), sum(requests)::bigint, sum(ingress_bytes)::bigint,
			sum(egress_bytes)::bigint, sum(declared_ingress_bytes)::bigint, sum(declared_egress_bytes)::bigint
		FROM usage_adjustments WHERE ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR account_id = $1) AND seal_hour >= $2 AND seal_hour < $3
		GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY seal_hour, account_id, hour, bucket_id, key_id, class`, account, from, until(to))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (a Adjustment, err error) {
		var class string
		err = r.Scan(&a.Account, &a.Bucket, &a.AccessKey, &class, &a.Hour, &a.SealHour, &a.Recorded,
			&a.Requests, &a.Ingress, &a.Egress, &a.DeclaredIngress, &a.DeclaredEgress)
		a.Hour, a.SealHour = a.Hour.UTC(), a.SealHour.UTC()
		return a, errors.Join(err, a.Class.UnmarshalText([]byte(class)))
	})
}
