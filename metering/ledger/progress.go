package ledger

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Progress is what a process says of an epoch.
type Progress struct {
	Epoch rowid.ID
	Node  string // a label for people
	// Watermark is the moment before which all is written. The zero time says
	// nothing but that the epoch exists.
	Watermark          time.Time
	Closed             bool     // it will count nothing more
	Writer             rowid.ID // the process
	TakesOver          bool     // the epoch is of another process, which is believed to be gone
	ConflictingWriters bool     // the process has seen that another one writes the epoch
}

// EpochState is how an epoch is after a report.
type EpochState struct {
	Flushed            time.Time // how far it is
	ConflictingWriters bool      // another process has written it
	Over               bool      // it is closed: by the process itself, or it was retired
}

// ReportProgress stores how far an epoch has got, and returns how it is. An epoch
// that another process has written meanwhile is contested: it stays where it is
// and open, so that nothing becomes final, until somebody retires it.
func ReportProgress(ctx context.Context, q pg.Querier, p Progress, clock *pg.Clock) (r EpochState, err error) {
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
		RETURNING flushed_at, contested_at IS NOT NULL, closed_at IS NOT NULL, clock_timestamp()`,
		p.Epoch, p.Node, p.Watermark, p.Closed, p.Writer, p.TakesOver, p.ConflictingWriters).Scan(&r.Flushed, &r.ConflictingWriters, &r.Over, &there)
	if err == nil {
		answer(there)
	}
	return r, err
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
