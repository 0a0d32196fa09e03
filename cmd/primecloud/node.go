package main

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

type nodeRow struct {
	Epoch     tenancy.ID `json:"epoch"`
	Node      string     `json:"node"`
	FlushedAt time.Time  `json:"flushed_at"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
	Contested *time.Time `json:"contested_at,omitempty"`
}

func (c *cli) nodeList(ctx context.Context, args []string) error {
	f := c.flags("node list", "")
	all := f.Bool("all", false, "also those that are over")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	nodes, err := metering.Nodes(ctx, pool, *all)
	if err != nil {
		return err
	}
	data, rows := make([]nodeRow, 0, len(nodes)), make([][]string, 0, len(nodes))
	for _, n := range nodes {
		row, closed, contested := nodeRow{Epoch: n.Epoch, Node: n.Name, FlushedAt: n.FlushedAt}, "-", "-"
		if n.ClosedAt.Year() > 1 {
			row.ClosedAt, closed = &n.ClosedAt, n.ClosedAt.UTC().Format(time.RFC3339)
		}
		if n.ContestedAt.Year() > 1 {
			row.Contested, contested = &n.ContestedAt, n.ContestedAt.UTC().Format(time.RFC3339)
		}
		data = append(data, row)
		rows = append(rows, []string{n.Epoch.String(), n.Name, n.FlushedAt.UTC().Format(time.RFC3339), closed, contested})
	}
	return c.print(f.json, data, "EPOCH NODE FINAL_UNTIL CLOSED CONTESTED", rows)
}

func (c *cli) nodeRetire(ctx context.Context, args []string) error {
	f := c.flags("node retire", "EPOCH")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	epoch, err := tenancy.ParseID(rest[0])
	if err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := metering.RetireNode(ctx, pool, epoch); err != nil {
		return err
	}
	return c.print(f.json, map[string]string{"retired": epoch.String()}, "RETIRED", [][]string{{epoch.String()}})
}
