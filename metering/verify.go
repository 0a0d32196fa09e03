package metering

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	// Head is the newest seal. That newer ones were removed cannot be seen from
	// what is left: keep its hour and hash elsewhere, and hand them in as Known.
	Head Seal
	// Unsealed counts final hours after Head. Sealing follows within minutes.
	Unsealed   int
	Difference *Difference // nil: what is there is what was sealed
}

// Difference is the first that was found.
type Difference struct {
	Hour time.Time
	// What differs: "missing" (the seal), "chain" (the seal is not the next after
	// the one before), "rows", "adjustments" (how many there are), "hash" (what is
	// in them), "hmac" (not of a key of the keyring) or "known" (the copy).
	What   string
	Detail string
}

// Verify computes the seals anew from what they seal, and stops at the first
// difference. db needs to read all accounts: the owner, or the worker. All of it
// is of one moment: hours that are sealed meanwhile are neither verified nor
// Head nor Unsealed.
func Verify(ctx context.Context, db pg.Snapshotter, keys Keys, query VerifyQuery) (v Verification, err error) {
	err = pg.InSnapshot(ctx, db, func(q pg.Querier) error {
		v, err = verify(ctx, q, keys, query)
		return err
	})
	return v, err
}

func verify(ctx context.Context, q pg.Querier, keys Keys, query VerifyQuery) (v Verification, err error) {
	if v.Head, _, err = newest(ctx, q); err != nil {
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
		v.Difference = missing(query.Known, all)
		return v, nil
	} else if first := all[0]; first.Hour.Before(query.From) {
		before, all = first, all[1:]
	} else if v.Difference, err = beginning(ctx, q, first); err != nil || v.Difference != nil {
		return v, err
	}
	for _, s := range all {
		if v.Difference, err = s.verify(ctx, q, keys, before, query.Known); err != nil || v.Difference != nil {
			return v, err
		}
		v.Hours, v.Rows, v.Adjustments = v.Hours+1, v.Rows+s.Rows, v.Adjustments+s.Adjustments
		before = s
	}
	v.Difference = missing(query.Known, all)
	return v, nil
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
