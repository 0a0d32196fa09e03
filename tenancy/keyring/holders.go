package keyring

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Holder is what a process has said of the keys that it has.
type Holder struct {
	Role       string    `json:"role"`
	Node       string    `json:"node"`
	Keys       []string  `json:"keys"`  // that it has; none: its version does not say
	Seals      string    `json:"seals"` // the one it would seal with
	ReportedAt time.Time `json:"reported_at"`
	Live       bool      `json:"live"` // it has reported within LivePeriod
}

// LivePeriod is how long a process counts as live after it has reported. What has been
// silent for longer cannot have read anything since: to read the database is to report.
const LivePeriod = time.Minute

// Holders lists the processes that have reported within a week, the live ones first. It
// needs the owner's role.
func Holders(ctx context.Context, q pg.Querier) ([]Holder, error) {
	rows, err := q.Query(ctx, `SELECT role, node, keys, seals, reported_at, reported_at > now() - $1::interval FROM keyring_members
		ORDER BY 6 DESC, node, role, reported_at`, LivePeriod)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (h Holder, err error) {
		err = r.Scan(&h.Role, &h.Node, &h.Keys, &h.Seals, &h.ReportedAt, &h.Live)
		return h, err
	})
}

func (h *Holder) String() string {
	s := h.Role + " on " + h.Node
	switch {
	case len(h.Keys) == 0:
		s += " (a version that does not say which keys it has)"
	case !h.Live:
		s += " (silent since " + h.ReportedAt.UTC().Format(time.RFC3339) + ")"
	}
	return s
}

// Cells are the holder as a row of a table; stamp is how it shows moments.
func (h *Holder) Cells(stamp string) []string {
	return []string{h.Role, h.Node, fmt.Sprint(h.Live), h.Seals, strings.Join(h.Keys, ","), h.ReportedAt.UTC().Format(stamp)}
}

func (h *Holder) has(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(h.Keys, id) })
}

// without lists the holders for which is not so: those that live, and those that are silent.
func without(all []Holder, so func(*Holder) bool) (live, silent []string) {
	for i := range all {
		switch h := &all[i]; {
		case so(h):
		case h.Live:
			live = append(live, h.String())
		default:
			silent = append(silent, h.String())
		}
	}
	return live, silent
}
