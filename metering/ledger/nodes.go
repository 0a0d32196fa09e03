package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Node is an epoch: one journal of one gateway process.
type Node struct {
	Epoch     rowid.ID
	Name      string
	FlushedAt time.Time // what it counted before is written
	ClosedAt  time.Time // zero: it may still count, and holds the figures after FlushedAt open
	// ContestedAt is when a second process was found to write the epoch; zero:
	// none was. Nothing becomes final after FlushedAt until it is retired.
	ContestedAt time.Time
}

// ErrNodeUnknown means that no open epoch has the id.
var ErrNodeUnknown = errors.New("metering: no open epoch has this id; see `primecloud node list`")

// Nodes lists the epochs that are open, and with all those that are over too.
func Nodes(ctx context.Context, q pg.Querier, all bool) ([]Node, error) {
	rows, err := q.Query(ctx, `SELECT epoch, node, flushed_at, coalesce(closed_at, '0001-01-01Z'), coalesce(contested_at, '0001-01-01Z') FROM usage_nodes
		WHERE $1 OR closed_at IS NULL ORDER BY flushed_at, epoch`, all)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (n Node, err error) {
		err = r.Scan(&n.Epoch, &n.Name, &n.FlushedAt, &n.ClosedAt, &n.ContestedAt)
		return n, err
	})
}

// RetireNode gives an epoch up: what its journal holds beyond the last flush
// will not be billed. If it comes back after all, its readings still count.
func RetireNode(ctx context.Context, q pg.Querier, epoch rowid.ID) error {
	tag, err := q.Exec(ctx, `UPDATE usage_nodes SET closed_at = now() WHERE epoch = $1 AND closed_at IS NULL`, epoch)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNodeUnknown
	}
	return err
}
