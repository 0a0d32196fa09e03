package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

// usageRow has the group's own field beside the account: bucket, key, class or hour.
type usageRow struct {
	Account         string `json:"account"`
	Bucket          string `json:"bucket,omitempty"`
	Key             string `json:"key,omitempty"`
	Class           string `json:"class,omitempty"`
	Hour            string `json:"hour,omitempty"`
	Requests        int64  `json:"requests"`
	Ingress         int64  `json:"ingress_bytes"`
	Egress          int64  `json:"egress_bytes"`
	DeclaredIngress int64  `json:"declared_ingress_bytes"`
	DeclaredEgress  int64  `json:"declared_egress_bytes"`
	// What of these came after their hours were sealed.
	AdjustedRequests int64 `json:"adjusted_requests"`
	AdjustedIngress  int64 `json:"adjusted_ingress_bytes"`
	AdjustedEgress   int64 `json:"adjusted_egress_bytes"`
	Final            bool  `json:"final"` // a seal covers these, and nothing else is in them
	// What came late for final hours, and is in none of the others until it is sealed.
	Unsealed *unsealedUsage `json:"unsealed,omitempty"`
}

type unsealedUsage struct {
	Requests        int64 `json:"requests"`
	Ingress         int64 `json:"ingress_bytes"`
	Egress          int64 `json:"egress_bytes"`
	DeclaredIngress int64 `json:"declared_ingress_bytes"`
	DeclaredEgress  int64 `json:"declared_egress_bytes"`
}

var usageColumns = []string{"REQUESTS", "INGRESS_BYTES", "EGRESS_BYTES", "ADJUSTED_REQUESTS", "ADJUSTED_INGRESS_BYTES", "ADJUSTED_EGRESS_BYTES", "FINAL"}

// unsealedColumns are there when there is something to say in them.
var unsealedColumns = []string{"UNSEALED_REQUESTS", "UNSEALED_INGRESS_BYTES", "UNSEALED_EGRESS_BYTES"}

func (r *usageRow) columns(beside bool) []string {
	cells := []string{r.Account, r.Bucket + r.Key + r.Class + r.Hour, fmt.Sprint(r.Requests), fmt.Sprint(r.Ingress), fmt.Sprint(r.Egress),
		fmt.Sprint(r.AdjustedRequests), fmt.Sprint(r.AdjustedIngress), fmt.Sprint(r.AdjustedEgress), fmt.Sprint(r.Final)}
	if n := r.Unsealed; n != nil {
		cells = append(cells, fmt.Sprint(n.Requests), fmt.Sprint(n.Ingress), fmt.Sprint(n.Egress))
	} else if beside {
		cells = append(cells, "0", "0", "0")
	}
	return cells
}

func (c *cli) usageShow(ctx context.Context, args []string) error {
	f := c.flags("usage show", "")
	by := f.String("by", "bucket", "bucket, key, class or hour")
	account := f.String("account", "", "only this one")
	q := metering.Query{}
	f.hours(&q.From, &q.To)
	asCSV := f.Bool("csv", false, "print CSV")
	storage := f.Bool("storage", false, "what was stored instead of what moved, by bucket or hour")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	q.By = metering.Group(*by)
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if q.Account, err = o.accountID(ctx, *account); err != nil {
		return err
	}
	if *storage {
		return c.storageShow(ctx, o, q, f.json, *asCSV)
	}
	return c.usageSums(ctx, o, q, f.json, *asCSV)
}

func (c *cli) usageSums(ctx context.Context, o *operator, q metering.Query, asJSON, asCSV bool) error {
	var sums []metering.Usage
	var final time.Time
	// Of one moment: sums that are older than final would miss what it promises.
	if err := pg.InSnapshot(ctx, o.pool, func(tx pg.Querier) (err error) {
		if sums, err = metering.Sum(ctx, tx, q); err == nil {
			final, err = metering.SealedUntil(ctx, tx)
		}
		return err
	}); err != nil {
		return err
	}
	named, err := o.names(ctx, q.By)
	if err != nil {
		return err
	}
	data, rows := make([]usageRow, 0, len(sums)), make([][]string, 0, len(sums))
	for _, s := range sums {
		row := usageRow{Account: named(s.Account.String())}
		*map[metering.Group]*string{
			metering.ByBucket: &row.Bucket, metering.ByKey: &row.Key, metering.ByClass: &row.Class, metering.ByHour: &row.Hour,
		}[q.By] = named(s.Value)
		until := q.To
		if q.By == metering.ByHour {
			hour, err := time.Parse(time.RFC3339, s.Value)
			if err != nil {
				return err
			}
			until = hour.Add(time.Hour)
		}
		row.Final = !until.IsZero() && !until.After(final)
		if n := s.Unsealed; row.Final && n != nil {
			row.Unsealed = &unsealedUsage{n.Requests, n.Ingress, n.Egress, n.DeclaredIngress, n.DeclaredEgress}
			s = s.Sealed()
		}
		row.Requests, row.Ingress, row.Egress, row.DeclaredIngress, row.DeclaredEgress = s.Requests, s.Ingress, s.Egress, s.DeclaredIngress, s.DeclaredEgress
		row.AdjustedRequests, row.AdjustedIngress, row.AdjustedEgress = s.AdjustedRequests, s.AdjustedIngress, s.AdjustedEgress
		data = append(data, row)
	}
	header := append([]string{"ACCOUNT", strings.ToUpper(string(q.By))}, usageColumns...)
	beside := slices.ContainsFunc(data, func(r usageRow) bool { return r.Unsealed != nil })
	if beside {
		header = append(header, unsealedColumns...)
	}
	for _, r := range data {
		rows = append(rows, r.columns(beside))
	}
	return c.printUsage(asJSON, asCSV, data, header, rows)
}

func (c *cli) printUsage(asJSON, asCSV bool, data any, header []string, rows [][]string) error {
	if asCSV {
		return csv.NewWriter(c.out).WriteAll(append([][]string{header}, rows...))
	}
	return c.print(asJSON, data, strings.Join(header, " "), rows)
}

func (c *cli) usageImportJournal(ctx context.Context, args []string) error {
	f := c.flags("usage import-journal", "FILE")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	done, err := metering.ImportJournal(ctx, pool, rest[0])
	if err != nil {
		return err
	}
	return c.print(f.json, map[string]any{"epoch": done.Epoch, "cells": done.Cells}, "EPOCH CELLS",
		[][]string{{done.Epoch.String(), fmt.Sprint(done.Cells)}})
}

// accountID is that of an account by its name; of "", the zero one, for all.
func (o *operator) accountID(ctx context.Context, name string) (tenancy.ID, error) {
	if name == "" {
		return tenancy.ID{}, nil
	}
	a, err := o.store.AccountByName(ctx, o.pool, name)
	if err != nil {
		return tenancy.ID{}, err
	}
	return a.ID, nil
}

// names turns row ids into what people call them. What is gone keeps its id;
// the zero id, which stands for unresolved names, is "-".
func (o *operator) names(ctx context.Context, groups ...metering.Group) (func(string) string, error) {
	all := map[string]string{tenancy.ID{}.String(): "-"}
	add := func(m map[tenancy.ID]string, err error) error {
		for id, name := range m {
			all[id.String()] = name
		}
		return err
	}
	if err := add(o.store.AccountNames(ctx, o.pool)); err != nil {
		return nil, err
	}
	if slices.Contains(groups, metering.ByBucket) {
		if err := add(o.store.BucketNames(ctx, o.pool)); err != nil {
			return nil, err
		}
	}
	if slices.Contains(groups, metering.ByKey) {
		if err := add(o.store.KeyIDs(ctx, o.pool)); err != nil {
			return nil, err
		}
	}
	return func(id string) string {
		if name, ok := all[id]; ok {
			return name
		}
		return id
	}, nil
}
