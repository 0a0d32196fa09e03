package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/metering/usagereport"
)

type usageCommands struct {
	Show          usageShow          `cmd:"" help:"Show what the ledger has counted."`
	Verify        usageVerify        `cmd:"" help:"Check that the sealed hours are what was sealed; exit code 1 when not."`
	Adjustments   usageAdjustments   `cmd:"" help:"Show what came after its hour was sealed."`
	Sample        usageSample        `cmd:"" help:"Measure what is stored, now."`
	Reconcile     usageReconcile     `cmd:"" help:"Compare ledger, access log and backends, and say what differs."`
	ImportJournal usageImportJournal `cmd:"" help:"Hand in the journal of a node that never comes back."`
}

// The columns behind account and group. The unsealed ones are there when there is
// something to say in them.
var (
	usageColumns           = []string{"REQUESTS", "INGRESS_BYTES", "EGRESS_BYTES", "ADJUSTED_REQUESTS", "ADJUSTED_INGRESS_BYTES", "ADJUSTED_EGRESS_BYTES", "FINAL"}
	unsealedColumns        = []string{"UNSEALED_REQUESTS", "UNSEALED_INGRESS_BYTES", "UNSEALED_EGRESS_BYTES"}
	storageColumns         = []string{"CURRENT_BYTE_HOURS", "NONCURRENT_BYTE_HOURS", "INCOMPLETE_BYTE_HOURS", "MEASURED_HOURS", "MISSING_HOURS", "FINAL"}
	unsealedStorageColumns = []string{"UNSEALED_CURRENT_BYTE_HOURS", "UNSEALED_NONCURRENT_BYTE_HOURS", "UNSEALED_INCOMPLETE_BYTE_HOURS", "UNSEALED_MEASURED_HOURS"}
)

type usageShow struct {
	By      ledger.Group `default:"bucket" help:"account, bucket, key, class, day or hour (days and hours of UTC), each within its account."`
	Account string       `help:"Only this one."`
	hours
	CSV     bool `name:"csv" help:"Print CSV."`
	Storage bool `help:"What was stored instead of what moved, by bucket or hour."`
}

func (u *usageShow) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) (err error) {
		q := ledger.Query{From: u.From.Time, To: u.To.Time, By: u.By}
		if q.Account, err = o.accountID(ctx, u.Account); err != nil {
			return err
		}
		if u.Storage {
			return u.showStorage(ctx, c, o, q)
		}
		return u.show(ctx, c, o, q)
	})
}

func (u *usageShow) show(ctx context.Context, c *cli, o *operator, q ledger.Query) error {
	list, err := usagereport.ReadUsage(ctx, o.pool, q)
	if err != nil {
		return err
	}
	if len(list) > 0 && q.Endless() {
		fmt.Fprintln(c.err, "FINAL is false, since the range has no end and goes on; with --to it says whether the figures can still change.")
	}
	late := slices.ContainsFunc(list, func(r usagereport.Usage) bool { return r.Unsealed != nil })
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		cells := append(u.head(r.Account, r.Group()), numbers(r.Requests, r.Ingress, r.Egress, r.AdjustedRequests, r.AdjustedIngress, r.AdjustedEgress)...)
		cells = append(cells, fmt.Sprint(r.Final))
		if n := r.Unsealed; n != nil {
			cells = append(cells, numbers(n.Requests, n.Ingress, n.Egress)...)
		} else if late {
			cells = append(cells, numbers(0, 0, 0)...)
		}
		rows = append(rows, cells)
	}
	return u.print(c, list, usageColumns, unsealedColumns, late, rows)
}

// head begins a row: with the account, and what is summed within it.
func (u *usageShow) head(account, group string) []string {
	if u.By == ledger.ByAccount {
		return []string{account}
	}
	return []string{account, group}
}

func numbers(all ...int64) []string {
	cells := make([]string, len(all))
	for i, n := range all {
		cells[i] = fmt.Sprint(n)
	}
	return cells
}

func (u *usageShow) print(c *cli, data any, columns, lateColumns []string, late bool, rows [][]string) error {
	header := append(u.head("ACCOUNT", strings.ToUpper(string(u.By))), columns...)
	if late {
		header = append(header, lateColumns...)
	}
	if u.CSV {
		return csv.NewWriter(c.out).WriteAll(append([][]string{header}, rows...))
	}
	return c.print(data, strings.Join(header, " "), rows)
}

func (u *usageShow) showStorage(ctx context.Context, c *cli, o *operator, q ledger.Query) error {
	list, err := usagereport.ReadStorage(ctx, o.pool, q)
	if err != nil {
		return err
	}
	late := slices.ContainsFunc(list, func(r usagereport.Storage) bool { return r.Unsealed != nil })
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		cells := []string{r.Account, r.Group(), r.Current.String(), r.Noncurrent.String(), r.Incomplete.String(), fmt.Sprint(r.Measured), fmt.Sprint(r.Missing), fmt.Sprint(r.Final)}
		if n := r.Unsealed; n != nil {
			cells = append(cells, n.Current.String(), n.Noncurrent.String(), n.Incomplete.String(), fmt.Sprint(n.Measured))
		} else if late {
			cells = append(cells, numbers(0, 0, 0, 0)...)
		}
		rows = append(rows, cells)
	}
	return u.print(c, list, storageColumns, unsealedStorageColumns, late, rows)
}

func (c *cli) sampler(o *operator) (*storage.Sampler, error) {
	return storage.New(storage.Config{Pool: o.pool, Store: o.store, Logger: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))})
}

type usageSample struct {
	Account string `help:"Only this one's buckets."`
	Bucket  string `help:"Only this bucket, with --account."`
}

func (u *usageSample) Run(ctx context.Context, c *cli) error {
	if u.Bucket != "" && u.Account == "" {
		return fmt.Errorf("--bucket=%s: a bucket's name is one of its account; name that too: --account=NAME", u.Bucket)
	}
	return c.operate(ctx, func(o *operator) error {
		sampler, err := c.sampler(o)
		if err != nil {
			return err
		}
		account, err := o.accountID(ctx, u.Account)
		if err != nil {
			return err
		}
		list, err := sampler.SampleAll(ctx, account, u.Bucket)
		if list == nil && err != nil {
			return err
		}
		rows := make([][]string, 0, len(list))
		for _, m := range list {
			cells := make([]string, len(strings.Fields(storage.Columns)))
			if m.Sample != nil {
				cells = m.Cells()
			}
			rows = append(rows, append(append([]string{m.Account, m.Bucket}, cells...), m.Error))
		}
		return errors.Join(c.print(list, "ACCOUNT BUCKET "+storage.Columns+" ERROR", rows), err)
	})
}

type usageImportJournal struct {
	File string `arg:"" help:"The journal's file."`
}

func (u *usageImportJournal) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		done, err := metering.ImportJournal(ctx, pool, u.File)
		if err != nil {
			return err
		}
		return c.print(map[string]any{"epoch": done.Epoch, "cells": done.Series}, "EPOCH CELLS", [][]string{{done.Epoch.String(), fmt.Sprint(done.Series)}})
	})
}

type usageAdjustments struct {
	Account string `help:"Only this one."`
	hours
}

func (u *usageAdjustments) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		id, err := o.accountID(ctx, u.Account)
		if err != nil {
			return err
		}
		list, err := usagereport.ReadAdjustments(ctx, o.pool, id, u.From.Time, u.To.Time)
		if err != nil {
			return err
		}
		rows := make([][]string, 0, len(list))
		for _, r := range list {
			rows = append(rows, append([]string{r.Account, r.Bucket, r.Key, r.Class, r.Hour.Format(time.RFC3339), r.SealHour.Format(time.RFC3339)},
				numbers(r.Requests, r.Ingress, r.Egress)...))
		}
		return c.print(list, "ACCOUNT BUCKET KEY CLASS HOUR SEAL_HOUR REQUESTS INGRESS_BYTES EGRESS_BYTES", rows)
	})
}
