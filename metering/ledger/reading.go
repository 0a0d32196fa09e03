package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Totals are a series' counters at one moment. They only grow.
type Totals struct{ Requests, Ingress, Egress, DeclaredIngress, DeclaredEgress int64 }

// Reading is what a series had counted in an hour when it was read.
type Reading struct {
	usage.Key
	Hour time.Time // its beginning, UTC
	Totals
}

// Write records what an epoch has counted. It is idempotent: a reading that
// comes late or twice changes nothing. What is of an hour that is sealed by now
// becomes an adjustment; the lock is held until the end, so that no hour is
// sealed meanwhile.
func Write(ctx context.Context, q pg.Querier, epoch rowid.ID, readings []Reading) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		var open *time.Time
		if err := tx.QueryRow(ctx, `SELECT usage_open_from()`).Scan(&open); err != nil {
			return err
		}
		if open == nil {
			return upsert(ctx, tx, epoch, readings)
		}
		var late, timely []Reading
		for _, r := range readings {
			if r.Hour.Before(*open) {
				late = append(late, r)
			} else {
				timely = append(timely, r)
			}
		}
		if len(late) > 0 {
			if err := adjust(ctx, tx, epoch, *open, late); err != nil {
				return err
			}
		}
		if len(timely) == 0 {
			return nil
		}
		return upsert(ctx, tx, epoch, timely)
	})
}

// upsert keeps the larger total of each counter.
func upsert(ctx context.Context, q pg.Querier, epoch rowid.ID, readings []Reading) error {
	_, err := q.Exec(ctx, `INSERT INTO usage_readings AS r
		(epoch, account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes)
		SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
		ON CONFLICT (epoch, account_id, bucket_id, key_id, class, hour) DO UPDATE SET
			requests = greatest(r.requests, excluded.requests),
			ingress_bytes = greatest(r.ingress_bytes, excluded.ingress_bytes),
			egress_bytes = greatest(r.egress_bytes, excluded.egress_bytes),
			declared_ingress_bytes = greatest(r.declared_ingress_bytes, excluded.declared_ingress_bytes),
			declared_egress_bytes = greatest(r.declared_egress_bytes, excluded.declared_egress_bytes),
			read_at = now()`,
		append([]any{epoch}, columns(readings)...)...)
	return err
}

// columns are readings as arrays, in the order of the tables' columns.
func columns(readings []Reading) []any {
	n := len(readings)
	accounts, buckets, keys := make([]rowid.ID, n), make([]rowid.ID, n), make([]rowid.ID, n)
	classes, hours := make([]string, n), make([]time.Time, n)
	requests, ingress, egress := make([]int64, n), make([]int64, n), make([]int64, n)
	declaredIn, declaredOut := make([]int64, n), make([]int64, n)
	for i := range readings {
		k, t := &readings[i].Key, &readings[i].Totals
		accounts[i], buckets[i], keys[i] = k.Account, k.Bucket, k.AccessKey
		classes[i], hours[i] = k.Class.String(), readings[i].Hour
		requests[i], ingress[i], egress[i], declaredIn[i], declaredOut[i] = t.Requests, t.Ingress, t.Egress, t.DeclaredIngress, t.DeclaredEgress
	}
	return []any{accounts, buckets, keys, classes, hours, requests, ingress, egress, declaredIn, declaredOut}
}
