package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

type nodeCommands struct {
	List   nodeList   `cmd:"" help:"List the gateway nodes whose usage is not final yet."`
	Retire nodeRetire `cmd:"" help:"Give up what a lost node has not written."`
}

type nodeRow struct {
	Epoch     tenancy.ID `json:"epoch"`
	Node      string     `json:"node"`
	FlushedAt time.Time  `json:"flushed_at"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
	Contested *time.Time `json:"contested_at,omitempty"`
}

type nodeList struct {
	All bool `help:"Also those that are over."`
}

func (l *nodeList) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		nodes, err := ledger.Nodes(ctx, pool, l.All)
		if err != nil {
			return err
		}
		data, rows := make([]nodeRow, 0, len(nodes)), make([][]string, 0, len(nodes))
		for _, n := range nodes {
			closedAt, closed := optional(n.ClosedAt)
			contestedAt, contested := optional(n.ContestedAt)
			data = append(data, nodeRow{n.Epoch, n.Name, n.FlushedAt, closedAt, contestedAt})
			rows = append(rows, []string{n.Epoch.String(), n.Name, n.FlushedAt.UTC().Format(time.RFC3339), closed, contested})
		}
		return c.print(data, "EPOCH NODE FINAL_UNTIL CLOSED CONTESTED", rows)
	})
}

// optional is a moment that may not have come, and as a table shows it.
func optional(t time.Time) (*time.Time, string) {
	if t.Year() <= 1 {
		return nil, "-"
	}
	return &t, t.UTC().Format(time.RFC3339)
}

type nodeRetire struct {
	Epoch tenancy.ID `arg:"" help:"As node list prints it."`
}

func (r *nodeRetire) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		if err := ledger.RetireNode(ctx, pool, r.Epoch); err != nil {
			return err
		}
		return c.print(map[string]string{"retired": r.Epoch.String()}, "RETIRED", [][]string{{r.Epoch.String()}})
	})
}
