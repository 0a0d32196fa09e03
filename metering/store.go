package metering

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// write records what an epoch has counted. It is idempotent: a reading that
// comes late or twice changes nothing. What is of an hour that is sealed by now
// becomes an adjustment; the lock is held until the end, so that no hour is
// sealed meanwhile.
func write(ctx context.Context, q pg.Querier, epoch tenancy.ID, readings []reading) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		var open *time.Time
		if err := tx.QueryRow(ctx, `SELECT usage_open_from()`).Scan(&open); err != nil {
			return err
		}
		if open == nil {
			return upsert(ctx, tx, epoch, readings)
		}
		var late, timely []reading
		for _, r := range readings {
			if r.key.hour.time().Before(*open) {
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
func upsert(ctx context.Context, q pg.Querier, epoch tenancy.ID, readings []reading) error {
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
func columns(readings []reading) []any {
	n := len(readings)
	accounts, buckets, keys := make([]tenancy.ID, n), make([]tenancy.ID, n), make([]tenancy.ID, n)
	classes, hours := make([]string, n), make([]time.Time, n)
	requests, ingress, egress := make([]int64, n), make([]int64, n), make([]int64, n)
	declaredIn, declaredOut := make([]int64, n), make([]int64, n)
	for i := range readings {
		k, t := &readings[i].key, &readings[i].totals
		accounts[i], buckets[i], keys[i] = k.Account, k.Bucket, k.AccessKey
		classes[i], hours[i] = k.Class.String(), k.hour.time()
		requests[i], ingress[i], egress[i], declaredIn[i], declaredOut[i] = t.requests, t.ingress, t.egress, t.declaredIngress, t.declaredEgress
	}
	return []any{accounts, buckets, keys, classes, hours, requests, ingress, egress, declaredIn, declaredOut}
}

// progress is what a process says of an epoch.
type progress struct {
	epoch tenancy.ID
	node  string
	// watermark is the moment before which all is written. The zero time says
	// nothing but that the epoch exists.
	watermark time.Time
	over      bool       // it will count nothing more
	writer    tenancy.ID // the process
	takesOver bool       // the epoch is of another process, which is believed to be gone
	contested bool       // the process has seen that it is not alone
}

// report stores how far an epoch has got, and returns how far it is. An epoch
// that another process has written meanwhile is contested: it stays where it is
// and open, so that nothing becomes final, until somebody retires it.
func report(ctx context.Context, q pg.Querier, p progress, clock *pg.Clock) (flushed time.Time, contested bool, err error) {
	answer := clock.Ask()
	var there time.Time
	err = q.QueryRow(ctx, `INSERT INTO usage_nodes AS n (epoch, node, flushed_at, closed_at, writer, hears_changes)
		VALUES ($1, $2, $3, CASE WHEN $4 THEN now() END, $5, true)
		ON CONFLICT (epoch) DO UPDATE SET writer = excluded.writer, reported_at = now(),
			contested_at = coalesce(n.contested_at, CASE WHEN $7 OR n.writer <> $5 AND NOT $6 THEN now() END),
			flushed_at = CASE WHEN n.contested_at IS NOT NULL OR $7 OR n.writer <> $5 AND NOT $6 THEN n.flushed_at
				ELSE greatest(n.flushed_at, excluded.flushed_at) END,
			closed_at = CASE WHEN n.contested_at IS NOT NULL THEN n.closed_at WHEN $7 OR n.writer <> $5 AND NOT $6 THEN NULL
				ELSE coalesce(n.closed_at, excluded.closed_at) END
		RETURNING flushed_at, contested_at IS NOT NULL, clock_timestamp()`,
		p.epoch, p.node, p.watermark, p.over, p.writer, p.takesOver, p.contested).Scan(&flushed, &contested, &there)
	if err == nil {
		answer(there)
	}
	return flushed, contested, err
}

// Final returns the moment before which everything is written, and may be
// sealed: each node has written what it counted until then, or its journal is
// accounted for. ok is false when no node has ever reported. Figures that are
// shown are final when they are sealed: SealedUntil.
func Final(ctx context.Context, q pg.Querier) (moment time.Time, ok bool, err error) {
	var open, last *time.Time
	err = q.QueryRow(ctx, `SELECT min(flushed_at) FILTER (WHERE closed_at IS NULL), max(greatest(flushed_at, closed_at)) FROM usage_nodes`).Scan(&open, &last)
	switch {
	case err != nil:
		return time.Time{}, false, err
	case open != nil:
		return *open, true, nil
	case last != nil:
		return *last, true, nil
	}
	return time.Time{}, false, nil
}

// SealedUntil returns the moment before which figures are final: the end of the
// newest sealed hour, zero when nothing is sealed.
func SealedUntil(ctx context.Context, q pg.Querier) (moment time.Time, err error) {
	var end *time.Time
	if err = q.QueryRow(ctx, `SELECT max(hour) + interval '1 hour' FROM usage_seals`).Scan(&end); end != nil {
		moment = end.UTC()
	}
	return moment, err
}

// Group is what usage is summed by.
type Group string

// The groups of Usage.
const (
	ByBucket Group = "bucket"
	ByKey    Group = "key"
	ByClass  Group = "class"
	ByHour   Group = "hour"
)

var groupColumns = map[Group]string{
	ByBucket: "bucket_id::text", ByKey: "key_id::text", ByClass: "class", ByHour: `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`,
}

// Usage is a sum. Value is the bucket's or key's row id, the class or the hour.
type Usage struct {
	Account         tenancy.ID
	Value           string
	Requests        int64
	Ingress         int64
	Egress          int64
	DeclaredIngress int64
	DeclaredEgress  int64
	// What of these came after their hours were sealed.
	AdjustedRequests, AdjustedIngress, AdjustedEgress int64
	// Unsealed is what of all that no seal covers yet; what it is part of is not
	// final.
	Unsealed *Usage
}

// Sealed is what seals cover of u.
func (u Usage) Sealed() Usage {
	if n := u.Unsealed; n != nil {
		u.Requests, u.Ingress, u.Egress = u.Requests-n.Requests, u.Ingress-n.Ingress, u.Egress-n.Egress
		u.DeclaredIngress, u.DeclaredEgress = u.DeclaredIngress-n.DeclaredIngress, u.DeclaredEgress-n.DeclaredEgress
		u.AdjustedRequests, u.AdjustedIngress, u.AdjustedEgress = u.AdjustedRequests-n.AdjustedRequests, u.AdjustedIngress-n.AdjustedIngress, u.AdjustedEgress-n.AdjustedEgress
		u.Unsealed = nil
	}
	return u
}

// Query selects usage. A zero Account means all. From and To bound the hours
// by their beginning, To excluded; zero for no bound.
type Query struct {
	Account  tenancy.ID
	From, To time.Time
	By       Group
}

// Bounds returns the query's range of hours, with an end far away when it has none.
func (q Query) Bounds() (from, to time.Time) { return q.From, until(q.To) }

// until is the end of a range of hours; the zero time is none.
func until(to time.Time) time.Time {
	if to.IsZero() {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return to
}

// Sum returns usage by account and group. Figures of the present hour are
// provisional: up to FlushInterval old.
func Sum(ctx context.Context, q pg.Querier, query Query) ([]Usage, error) {
	column, ok := groupColumns[query.By]
	if !ok {
		return nil, fmt.Errorf("metering: usage cannot be summed by %q; use bucket, key, class or hour", query.By)
	}
	rows, err := q.Query(ctx, `SELECT account_id, `+column+`, sealed, sum(requests)::bigint, sum(ingress_bytes)::bigint, sum(egress_bytes)::bigint,
			sum(declared_ingress_bytes)::bigint, sum(declared_egress_bytes)::bigint, coalesce(sum(requests) FILTER (WHERE late), 0)::bigint,
			coalesce(sum(ingress_bytes) FILTER (WHERE late), 0)::bigint, coalesce(sum(egress_bytes) FILTER (WHERE late), 0)::bigint
		FROM usage_written WHERE ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR account_id = $1) AND hour >= $2 AND hour < $3
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC`, query.Account, query.From, until(query.To))
	if err != nil {
		return nil, err
	}
	var all []Usage
	var u Usage
	var sealed bool
	_, err = pgx.ForEachRow(rows, []any{&u.Account, &u.Value, &sealed, &u.Requests, &u.Ingress, &u.Egress, &u.DeclaredIngress, &u.DeclaredEgress,
		&u.AdjustedRequests, &u.AdjustedIngress, &u.AdjustedEgress}, func() error {
		if sealed || len(all) == 0 || all[len(all)-1].Account != u.Account || all[len(all)-1].Value != u.Value {
			all = append(all, Usage{Account: u.Account, Value: u.Value})
		}
		sum := &all[len(all)-1]
		sum.add(u)
		if !sealed {
			part := u
			sum.Unsealed = &part
		}
		return nil
	})
	return all, err
}

func (u *Usage) add(v Usage) {
	u.Requests, u.Ingress, u.Egress = u.Requests+v.Requests, u.Ingress+v.Ingress, u.Egress+v.Egress
	u.DeclaredIngress, u.DeclaredEgress = u.DeclaredIngress+v.DeclaredIngress, u.DeclaredEgress+v.DeclaredEgress
	u.AdjustedRequests, u.AdjustedIngress, u.AdjustedEgress = u.AdjustedRequests+v.AdjustedRequests, u.AdjustedIngress+v.AdjustedIngress, u.AdjustedEgress+v.AdjustedEgress
}

// Cell is a row of the ledger.
type Cell struct {
	Account, Bucket, AccessKey tenancy.ID
	Counted
}

// Cells yields the rows that a query selects, whatever its By, in no order.
func Cells(ctx context.Context, q pg.Querier, query Query) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		from, to := query.Bounds()
		rows, err := q.Query(ctx, `SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes
			FROM usage_hourly WHERE ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR account_id = $1) AND hour >= $2 AND hour < $3`, query.Account, from, to)
		if err != nil {
			yield(Cell{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var c Cell
			var class string
			err := rows.Scan(&c.Account, &c.Bucket, &c.AccessKey, &class, &c.Hour, &c.Requests, &c.Ingress, &c.Egress, &c.DeclaredIngress, &c.DeclaredEgress)
			if err == nil {
				err = c.Class.UnmarshalText([]byte(class))
			}
			c.Hour = c.Hour.UTC()
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Cell{}, err)
		}
	}
}
