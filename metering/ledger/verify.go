package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// VerifyQuery is what to verify: the hours from From until before To, zero for
// no bound. Known is the hash that a seal had when a copy of it was taken, by
// its hour, which must be one of these.
type VerifyQuery struct {
	From, To time.Time
	Known    map[time.Time]Digest
}

// Verification is what Verify found.
type Verification struct {
	Hours             int // that were verified, up to the first difference
	Rows, Adjustments int64
	Samples           int64 // of stored bytes
	// Open is what no seal covers yet. The next seals do, by hour and kind.
	Open []Open
	// Head is the newest seal. That newer ones were removed cannot be seen from
	// what is left: keep its hour and hash elsewhere, and hand them in as Known.
	Head Seal
	// Unsealed counts final hours after Head. Sealing follows within minutes.
	Unsealed   int
	Difference *Difference // nil: what is there is what was sealed
}

// Open is how many rows of a kind wait for the seal of an hour.
type Open struct {
	Hour time.Time
	What string // "readings", "adjustments" or "samples"
	Rows int64
}

// Difference is the first that was found.
type Difference struct {
	Hour time.Time
	// What differs: "missing" (the seal), "chain" (the seal is not the next after
	// the one before), "rows", "adjustments" (how many there are), "hash" (what is
	// in them), "samples" (how many there are), "hmac" (not of a key of the
	// keyring), "known" (the copy), "unsealed" (rows that no seal covers and that the
	// next will not) or "negative" (figures below zero).
	What   string
	Detail string
}

// Verify computes the seals anew from what they seal, and then looks at what
// they do not cover; it stops at the first difference. db needs to read all
// accounts: the owner, or the worker. All of it is of one moment: hours that are
// sealed meanwhile are neither verified nor Head nor Unsealed.
func Verify(ctx context.Context, db pg.Snapshotter, keys Keys, query VerifyQuery) (v Verification, err error) {
	err = pg.InSnapshot(ctx, db, func(q pg.Querier) error {
		v, err = verify(ctx, q, keys, query)
		return err
	})
	return v, err
}

func verify(ctx context.Context, q pg.Querier, keys Keys, query VerifyQuery) (v Verification, err error) {
	if v.Head, err = newest(ctx, q); err != nil {
		return v, err
	}
	if final, ok, err := Final(ctx, q); err != nil {
		return v, err
	} else if ok && !v.Head.Hour.IsZero() {
		v.Unsealed = max(0, int(final.Sub(v.Head.Hour)/time.Hour)-1)
	}
	to := until(query.To)
	// One more than asked for: the first one's predecessor.
	all, err := seals(ctx, q, query.From.Add(-time.Hour), to)
	if err != nil {
		return v, err
	}
	for hour := range query.Known {
		if hour.Before(query.From) || !hour.Before(to) {
			return v, fmt.Errorf("metering: the seal of %s is known and is not to be verified", hour.Format(time.RFC3339))
		}
	}
	before := Seal{}
	if len(all) == 0 {
		if v.Difference = missing(query.Known, all); v.Difference == nil {
			err = v.uncovered(ctx, q, query)
		}
		return v, err
	} else if first := all[0]; first.Hour.Before(query.From) {
		before, all = first, all[1:]
	} else if v.Difference, err = beginning(ctx, q, first); err != nil || v.Difference != nil {
		return v, err
	}
	for _, s := range all {
		if v.Difference, err = s.verify(ctx, q, keys, before, query.Known); err != nil || v.Difference != nil {
			return v, err
		}
		v.Hours, v.Rows, v.Adjustments, v.Samples = v.Hours+1, v.Rows+s.Rows, v.Adjustments+s.Adjustments, v.Samples+s.Samples
		before = s
	}
	if v.Difference = missing(query.Known, all); v.Difference == nil {
		err = v.uncovered(ctx, q, query)
	}
	return v, err
}

// uncoveredRows are, for each table that figures are read from and each seal
// that its rows name, how many rows there are without that seal, and how many
// with a figure below zero. A seal of before there were samples covers none; the
// first covers those of before it.
var uncoveredRows = map[string]string{
	"readings": `SELECT r.hour, count(*) FILTER (WHERE s.hour IS NULL) AS open,
			count(*) FILTER (WHERE least(requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes) < 0) AS negative
		FROM usage_readings r LEFT JOIN usage_seals s ON s.hour = r.hour GROUP BY 1`,
	"adjustments": `SELECT a.seal_hour, count(*) FILTER (WHERE s.hour IS NULL) AS open,
			count(*) FILTER (WHERE least(requests, ingress_bytes, egress_bytes, declared_ingress_bytes, declared_egress_bytes) < 0) AS negative
		FROM usage_adjustments a LEFT JOIN usage_seals s ON s.hour = a.seal_hour GROUP BY 1`,
	"samples": `SELECT greatest(p.seal_hour, f.hour), count(*) FILTER (WHERE s.samples IS NULL) AS open,
			count(*) FILTER (WHERE least(current_bytes, noncurrent_bytes, incomplete_bytes, objects, noncurrent_versions, delete_markers, uploads) < 0) AS negative
		FROM storage_samples p CROSS JOIN (SELECT min(hour) AS hour FROM usage_seals) AS f LEFT JOIN usage_seals s ON s.hour = greatest(p.seal_hour, f.hour) GROUP BY 1`,
}

// clockAhead is how far the clock of a node that works may be ahead.
const clockAhead = time.Minute

// uncovered looks at what no seal covers: at what waits for its seal, and at what
// is of no seal that comes next, so that it would be shown and never checked.
func (v *Verification) uncovered(ctx context.Context, q pg.Querier, query VerifyQuery) error {
	now, err := pg.Now(ctx, q)
	if err != nil {
		return err
	}
	from, to := any(query.From), until(query.To)
	if query.From.IsZero() {
		from = pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true} // before there were seals
	}
	for _, what := range []string{"readings", "adjustments", "samples"} {
		rows, err := q.Query(ctx, `SELECT CASE WHEN isfinite(hour) THEN hour ELSE '0001-01-01Z' END, open, negative FROM (`+uncoveredRows[what]+`) AS found (hour, open, negative)
			WHERE hour >= $1 AND hour < $2 AND open + negative > 0 ORDER BY hour`, from, to)
		if err != nil {
			return err
		}
		var hour time.Time
		var open, negative int64
		if _, err = pgx.ForEachRow(rows, []any{&hour, &open, &negative}, func() error {
			at := hour.UTC()
			if negative > 0 {
				v.differs(at, "negative", "%d %s have figures below zero", negative, what)
			}
			if open > 0 && !v.opens(what, at, now) {
				v.differs(at, "unsealed", "%d %s are of no seal that is there or comes next", open, what)
			}
			if open > 0 {
				v.Open = append(v.Open, Open{at, what, open})
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// differs keeps the first difference.
func (v *Verification) differs(hour time.Time, what, format string, args ...any) {
	if v.Difference == nil {
		v.Difference = &Difference{hour, what, fmt.Sprintf(format, args...)}
	}
}

// opens reports whether rows of a seal that is not there may be of one that
// comes: an adjustment's is the next, of an hour that has not begun there is
// nothing.
func (v *Verification) opens(what string, hour, now time.Time) bool {
	next := v.Head.Hour.Add(time.Hour)
	switch {
	case what == "adjustments":
		return !v.Head.Hour.IsZero() && hour.Equal(next)
	case !v.Head.Hour.IsZero() && hour.Before(next):
		return false
	}
	return !hour.After(now.Add(clockAhead))
}

// missing is a seal that is known and not there.
func missing(known map[time.Time]Digest, there []Seal) *Difference {
	for hour := range known {
		if !slices.ContainsFunc(there, func(s Seal) bool { return s.Hour.Equal(hour) }) {
			return &Difference{hour, "missing", "a copy of its seal is known, and it is not there"}
		}
	}
	return nil
}

// beginning checks that the first seal is the first of the chain, and that
// nothing is before it.
func beginning(ctx context.Context, q pg.Querier, first Seal) (*Difference, error) {
	var hour *time.Time
	if first.Previous != (Digest{}) {
		missing := first.Hour.Add(-time.Hour)
		if err := q.QueryRow(ctx, `SELECT max(hour) FROM usage_seals WHERE hour < $1`, first.Hour).Scan(&hour); err != nil {
			return nil, err
		}
		if hour != nil {
			missing = hour.UTC().Add(time.Hour)
		}
		return &Difference{missing, "missing", "there is a seal after it and none of it"}, nil
	}
	if err := q.QueryRow(ctx, `SELECT min(hour) FROM usage_readings WHERE hour < $1`, first.Hour).Scan(&hour); err != nil {
		return nil, err
	}
	if hour != nil {
		return &Difference{hour.UTC(), "rows", "there are readings of an hour before the first seal"}, nil
	}
	if err := q.QueryRow(ctx, `SELECT min(seal_hour) FROM usage_adjustments WHERE seal_hour < $1`, first.Hour).Scan(&hour); err != nil {
		return nil, err
	}
	if hour != nil {
		return &Difference{hour.UTC(), "adjustments", "there are adjustments of an hour before the first seal"}, nil
	}
	return nil, nil
}

// verify compares one seal with what is there and with the seal before.
func (s Seal) verify(ctx context.Context, q pg.Querier, keys Keys, before Seal, known map[time.Time]Digest) (*Difference, error) {
	differs := func(what, format string, args ...any) (*Difference, error) {
		return &Difference{s.Hour, what, fmt.Sprintf(format, args...)}, nil
	}
	if expected := before.Hour.Add(time.Hour); !before.Hour.IsZero() && s.Hour != expected {
		return &Difference{expected, "missing", "there is a seal after it and none of it"}, nil
	}
	if s.Previous != before.Hash {
		return differs("chain", "the seal was not made after the one of the hour before")
	}
	now := s
	if err := now.compute(ctx, q); err != nil {
		return nil, err
	}
	switch {
	case now.Rows != s.Rows:
		return differs("rows", "%d readings were sealed and %d are there", s.Rows, now.Rows)
	case now.Adjustments != s.Adjustments:
		return differs("adjustments", "%d adjustments were sealed and %d are there", s.Adjustments, now.Adjustments)
	case now.Samples != s.Samples:
		return differs("samples", "%d samples were sealed and %d are there", s.Samples, now.Samples)
	case now.Hash != s.Hash:
		return differs("hash", "what is there, or the seal, has been changed: %x was sealed, %x is there", s.Hash, now.Hash)
	}
	if err := keys.Attested(sealLabel, s.KeyID, s.Hash[:], s.HMAC); err != nil {
		return differs("hmac", "key %q: %v", s.KeyID, err)
	}
	if hash, ok := known[s.Hour]; ok && hash != s.Hash {
		return differs("known", "the copy says %x, the seal %x", hash, s.Hash)
	}
	return nil, nil
}
