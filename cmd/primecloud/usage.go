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
	"github.com/primecloudpro/primecloud/tenancy"
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
	By      string `default:"bucket" help:"bucket, key, class or hour."`
	Account string `help:"Only this one."`
	hours
	CSV     bool `name:"csv" help:"Print CSV."`
	Storage bool `help:"What was stored instead of what moved, by bucket or hour."`
}

func (u *usageShow) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) (err error) {
		q := ledger.Query{From: u.From, To: u.To, By: ledger.Group(u.By)}
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
	late := slices.ContainsFunc(list, func(r usagereport.Usage) bool { return r.Unsealed != nil })
	rows := make([][]string, 0, len(list))
	for _, r := range list {
		cells := append([]string{r.Account, r.Group()}, numbers(r.Requests, r.Ingress, r.Egress, r.AdjustedRequests, r.AdjustedIngress, r.AdjustedEgress)...)
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

func numbers(all ...int64) []string {
	cells := make([]string, len(all))
	for i, n := range all {
		cells[i] = fmt.Sprint(n)
	}
	return cells
}

func (u *usageShow) print(c *cli, data any, columns, lateColumns []string, late bool, rows [][]string) error {
	header := append([]string{"ACCOUNT", strings.ToUpper(u.By)}, columns...)
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

// sampleRow is a bucket that was measured, or why it was not.
type sampleRow struct {
	Account string `json:"account"`
	Bucket  string `json:"bucket"`
	*storage.Sample
	Error string `json:"error,omitempty"`
}

// errNotMeasured is the end of a run with gaps; the table says which.
var errNotMeasured = errors.New("some buckets could not be measured, see above; their hour has a gap")

type usageSample struct {
	Account string `help:"Only this one's buckets."`
	Bucket  string `help:"Only this bucket, with --account."`
}

func (u *usageSample) Run(ctx context.Context, c *cli) error {
	if u.Bucket != "" && u.Account == "" {
		return errors.New("--bucket needs --account: names belong to accounts")
	}
	return c.operate(ctx, func(o *operator) error {
		sampler, err := c.sampler(o)
		if err != nil {
			return err
		}
		names, err := tenancy.ReadNames(ctx, o.pool, false, false)
		if err != nil {
			return err
		}
		var data []sampleRow
		var rows [][]string
		failed := false
		err = u.eachBucket(ctx, o, func(b *tenancy.Bucket) error {
			row := sampleRow{Account: names.Of(b.AccountID.String()), Bucket: b.Name}
			cells := make([]string, len(strings.Fields(storage.Columns)))
			sample, err := sampler.SampleNow(ctx, b)
			switch {
			case errors.Is(err, tenancy.ErrBucketUnknown): // deleted at this moment
				return nil
			case err != nil:
				failed, row.Error = true, err.Error()
			default:
				row.Sample, cells = sample, sample.Cells()
			}
			data = append(data, row)
			rows = append(rows, append(append([]string{row.Account, row.Bucket}, cells...), row.Error))
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		err = c.print(data, "ACCOUNT BUCKET "+storage.Columns+" ERROR", rows)
		if failed {
			return errors.Join(err, errNotMeasured)
		}
		return err
	})
}

// eachBucket calls f for an account's bucket, for all of an account, or for all.
func (u *usageSample) eachBucket(ctx context.Context, o *operator, f func(*tenancy.Bucket) error) error {
	account, err := o.accountID(ctx, u.Account)
	if err != nil {
		return err
	}
	if u.Bucket != "" {
		b, err := tenancy.BucketByName(ctx, o.pool, account, u.Bucket)
		if err != nil {
			return err
		}
		return f(b)
	}
	return tenancy.EachBucket(ctx, o.pool, account, f)
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
		list, err := usagereport.ReadAdjustments(ctx, o.pool, id, u.From, u.To)
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
