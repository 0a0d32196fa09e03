package storage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Usage is what buckets held over some hours. A sample stands for its
// whole hour: byte-hours are the sum of the samples' bytes, exact, and of any
// size (12.4 PB over a month pass an int64). Hours without a sample add
// nothing and are counted as Missing; what to do about them is billing's.
type Usage struct {
	Account    tenancy.ID
	Value      string   // the bucket's row id, or the hour
	Current    *big.Int // byte-hours
	Noncurrent *big.Int
	Incomplete *big.Int
	Measured   int64 // bucket-hours with a sample
	Missing    int64 // bucket-hours without one, of those that the bucket was there for from beginning to end
	// Unsealed is what of Current, Noncurrent, Incomplete and Measured no seal
	// covers yet; nil: nothing.
	Unsealed *Usage
}

// Sealed is what seals cover of u.
func (u Usage) Sealed() Usage {
	if n := u.Unsealed; n != nil {
		less := func(a, b *big.Int) *big.Int { return (&big.Int{}).Sub(a, b) }
		u.Current, u.Noncurrent, u.Incomplete = less(u.Current, n.Current), less(u.Noncurrent, n.Noncurrent), less(u.Incomplete, n.Incomplete)
		u.Measured, u.Unsealed = u.Measured-n.Measured, nil
	}
	return u
}

// lifetimes are buckets' hours within a query: whole ones, that are over.
type lifetimes struct {
	ids, accounts []tenancy.ID
	first, last   []time.Time // last is excluded
}

// whole returns the hours that a bucket was there for and that are over.
func whole(q ledger.Query, l tenancy.Life, now time.Time) (first, last time.Time) {
	from, to := q.Bounds()
	if l.DeletedAt.Year() > 1 {
		now = l.DeletedAt
	}
	first = later(l.CreatedAt, from).UTC()
	if t := first.Truncate(time.Hour); t.Before(first) {
		first = t.Add(time.Hour)
	}
	last = now.UTC().Truncate(time.Hour)
	if to.Before(last) {
		last = to.UTC().Truncate(time.Hour)
	}
	return first, later(first, last)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func findLifetimes(ctx context.Context, q pg.Querier, query ledger.Query, now time.Time) (*lifetimes, error) {
	all, err := tenancy.BucketLives(ctx, q, query.Account)
	if err != nil {
		return nil, err
	}
	l := &lifetimes{}
	for _, one := range all {
		if first, last := whole(query, one, now); first.Before(last) {
			l.ids, l.accounts = append(l.ids, one.ID), append(l.accounts, one.AccountID)
			l.first, l.last = append(l.first, first), append(l.last, last)
		}
	}
	return l, nil
}

// hourColumn is a sample's hour as text, as ledger.ByHour has it.
const hourColumn = `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`

// Sum returns stored bytes by account and bucket or hour. The sample of
// the hour of now is in it, and may still be replaced.
func Sum(ctx context.Context, q pg.Querier, query ledger.Query, now time.Time) ([]Usage, error) {
	if query.By != ledger.ByBucket && query.By != ledger.ByHour {
		return nil, fmt.Errorf("what was stored cannot be summed by %q; write bucket or hour", query.By)
	}
	l, err := findLifetimes(ctx, q, query, now)
	if err != nil {
		return nil, err
	}
	from, to := query.Bounds()
	rows, err := q.Query(ctx, `SELECT s.account_id, `+map[ledger.Group]string{ledger.ByBucket: "s.bucket_id::text", ledger.ByHour: hourColumn}[query.By]+`,
			sum(s.current_bytes)::text, sum(s.noncurrent_bytes)::text, sum(s.incomplete_bytes)::text,
			count(*), count(*) FILTER (WHERE s.hour >= l.first AND s.hour < l.last),
			coalesce(sum(s.current_bytes) FILTER (WHERE NOT sealed), 0)::text, coalesce(sum(s.noncurrent_bytes) FILTER (WHERE NOT sealed), 0)::text,
			coalesce(sum(s.incomplete_bytes) FILTER (WHERE NOT sealed), 0)::text, count(*) FILTER (WHERE NOT sealed)
		FROM (SELECT *, EXISTS (SELECT FROM usage_seals u WHERE u.samples IS NOT NULL AND u.hour = greatest(p.seal_hour, (SELECT min(hour) FROM usage_seals))) AS sealed
				FROM storage_samples p) AS s
			LEFT JOIN unnest($4::uuid[], $5::timestamptz[], $6::timestamptz[]) AS l (bucket_id, first, last) USING (bucket_id)
		WHERE ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR s.account_id = $1) AND s.hour >= $2 AND s.hour < $3
		GROUP BY 1, 2`, query.Account, from, to, l.ids, l.first, l.last)
	if err != nil {
		return nil, err
	}
	expected := l.expected(query.By)
	sums, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Usage, error) {
		u, open := newUsage(), newUsage()
		var sums [6]string
		var whole int64
		if err := r.Scan(&u.Account, &u.Value, &sums[0], &sums[1], &sums[2], &u.Measured, &whole, &sums[3], &sums[4], &sums[5], &open.Measured); err != nil {
			return u, err
		}
		for i, n := range [...]*big.Int{u.Current, u.Noncurrent, u.Incomplete, open.Current, open.Noncurrent, open.Incomplete} {
			if _, ok := n.SetString(sums[i], 10); !ok {
				return u, fmt.Errorf("metering: a sum of samples is %q", sums[i])
			}
		}
		if open.Measured > 0 {
			u.Unsealed = &open
		}
		k := usageRow{u.Account, u.Value}
		u.Missing = expected[k] - whole
		delete(expected, k)
		return u, nil
	})
	if err != nil {
		return nil, err
	}
	for k, n := range expected { // of these there is no sample at all
		none := newUsage()
		none.Account, none.Value, none.Missing = k.account, k.value, n
		sums = append(sums, none)
	}
	slices.SortFunc(sums, func(a, b Usage) int {
		return cmp.Or(slices.Compare(a.Account[:], b.Account[:]), cmp.Compare(a.Value, b.Value))
	})
	return sums, nil
}

func newUsage() Usage {
	return Usage{Current: &big.Int{}, Noncurrent: &big.Int{}, Incomplete: &big.Int{}}
}

type usageRow struct {
	account tenancy.ID
	value   string
}

// expected counts the samples that there should be.
func (l *lifetimes) expected(by ledger.Group) map[usageRow]int64 {
	m := map[usageRow]int64{}
	if by == ledger.ByBucket {
		for i, id := range l.ids {
			m[usageRow{l.accounts[i], id.String()}] = int64(l.last[i].Sub(l.first[i]) / time.Hour)
		}
		return m
	}
	// Where buckets begin and end, summed up over the hours.
	changes := map[tenancy.ID]map[time.Time]int64{}
	for i, a := range l.accounts {
		if changes[a] == nil {
			changes[a] = map[time.Time]int64{}
		}
		changes[a][l.first[i]]++
		changes[a][l.last[i]]--
	}
	for a, at := range changes {
		hours := slices.SortedFunc(maps.Keys(at), time.Time.Compare)
		n := int64(0)
		for h := hours[0]; h.Before(hours[len(hours)-1]); h = h.Add(time.Hour) {
			if n += at[h]; n > 0 {
				m[usageRow{a, h.Format(time.RFC3339)}] = n
			}
		}
	}
	return m
}

// Gap is a run of hours in which a bucket was there and not measured.
type Gap struct {
	Account, Bucket tenancy.ID
	From, To        time.Time // To is excluded
	Error           string    // of the last failed try; "" when nobody tried
}

// Gaps returns the missing hours of Sum, each run in one.
func Gaps(ctx context.Context, q pg.Querier, query ledger.Query, now time.Time) ([]Gap, error) {
	l, err := findLifetimes(ctx, q, query, now)
	if err != nil {
		return nil, err
	}
	// Hours between neighbouring samples that are more than one apart; the first
	// and last hour of a bucket's life count as neighbours.
	rows, err := q.Query(ctx, `WITH l AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS l (bucket_id, account_id, first, last)),
		seen AS (
			SELECT l.bucket_id, s.hour FROM l JOIN storage_samples s ON s.bucket_id = l.bucket_id AND s.hour >= l.first AND s.hour < l.last
			UNION ALL SELECT bucket_id, first - interval '1 hour' FROM l UNION ALL SELECT bucket_id, last FROM l),
		steps AS (SELECT bucket_id, hour, lead(hour) OVER (PARTITION BY bucket_id ORDER BY hour) AS next FROM seen)
		SELECT l.account_id, l.bucket_id, steps.hour + interval '1 hour', steps.next,
			coalesce((SELECT g.error FROM storage_gaps g WHERE g.bucket_id = l.bucket_id AND g.hour > steps.hour AND g.hour < steps.next ORDER BY g.hour DESC LIMIT 1), '')
		FROM steps JOIN l USING (bucket_id) WHERE steps.next > steps.hour + interval '1 hour' ORDER BY 1, 2, 3`,
		l.ids, l.accounts, l.first, l.last)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (g Gap, err error) {
		err = r.Scan(&g.Account, &g.Bucket, &g.From, &g.To, &g.Error)
		g.From, g.To = g.From.UTC(), g.To.UTC()
		return g, err
	})
}

// Final returns the moment before which samples are not made any more:
// the hours before now's that no listing is still at. One that is held has not
// kept its hours for a while, or never: then it is of those since it began.
func Final(ctx context.Context, q pg.Querier, now time.Time) (time.Time, error) {
	final := now.UTC().Truncate(time.Hour)
	var open *time.Time
	if err := q.QueryRow(ctx, `SELECT min(coalesce(h, date_trunc('hour', started_at, 'UTC')))
		FROM storage_listings LEFT JOIN unnest(hours) AS h ON true WHERE h IS NOT NULL OR held_until > clock_timestamp()`).Scan(&open); err != nil {
		return time.Time{}, err
	}
	if open != nil && open.Before(final) {
		return open.UTC(), nil
	}
	return final, nil
}

// StoredBytes is what an account's buckets held when each was last measured,
// without the access logs that were delivered into them, and since when what was
// stored meanwhile may be missing in it: the beginning of the oldest of these
// listings, or of a bucket that was never measured.
func StoredBytes(ctx context.Context, q pg.Querier, account tenancy.ID) (bytes int64, since time.Time, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(sum(s.bytes - coalesce(d.bytes, 0)), 0)::bigint, coalesce(min(coalesce(s.started_at, b.created_at)), now())
		FROM buckets b LEFT JOIN LATERAL (
			SELECT current_bytes + noncurrent_bytes + incomplete_bytes AS bytes, started_at, measured_at FROM storage_samples
			WHERE bucket_id = b.id ORDER BY hour DESC LIMIT 1) s ON true
			LEFT JOIN storage_delivered d ON d.bucket_id = b.id AND d.measured_at = s.measured_at
		WHERE b.account_id = $1`, account).Scan(&bytes, &since)
	return bytes, since, err
}
