package ledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Group is what usage is summed by.
type Group string

// The groups of Usage.
const (
	ByBucket Group = "bucket"
	ByKey    Group = "key"
	ByClass  Group = "class"
	ByHour   Group = "hour"
	ByDay    Group = "day" // of UTC
	// ByAccount sums all of an account; Value is empty.
	ByAccount Group = "account"
)

// UnmarshalText reads a group's name.
func (g *Group) UnmarshalText(text []byte) error {
	*g = Group(text)
	if _, ok := groupColumns[*g]; !ok {
		return fmt.Errorf("usage cannot be summed by %q; write account, bucket, key, class, day or hour", text)
	}
	return nil
}

var groupColumns = map[Group]string{
	ByBucket: "bucket_id::text", ByKey: "key_id::text", ByClass: "class", ByHour: `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`,
	ByDay: `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD')`, ByAccount: "''",
}

// Usage is a sum. Value is the bucket's or key's row id, the class or the hour.
type Usage struct {
	Account         rowid.ID
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
	Account  rowid.ID
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
	if err := query.By.UnmarshalText([]byte(query.By)); err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, `SELECT account_id, `+groupColumns[query.By]+`, sealed, sum(requests)::bigint, sum(ingress_bytes)::bigint, sum(egress_bytes)::bigint,
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

// Row is a row of the ledger.
type Row struct {
	Account, Bucket, AccessKey rowid.ID
	usage.Delta
}

// Rows yields the rows that a query selects, whatever its By, in no order.
func Rows(ctx context.Context, q pg.Querier, query Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		from, to := query.Bounds()
		rows, err := q.Query(ctx, `SELECT account_id, bucket_id, key_id, class, hour, requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes
			FROM usage_hourly WHERE ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR account_id = $1) AND hour >= $2 AND hour < $3`, query.Account, from, to)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var c Row
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
			yield(Row{}, err)
		}
	}
}
