package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
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
	report, err := ledger.Report(ctx, o.pool, q)
	if err != nil {
		return err
	}
	named, err := o.names(ctx, q.By)
	if err != nil {
		return err
	}
	late := slices.ContainsFunc(report, func(r ledger.Reported[ledger.Usage]) bool { return r.Unsealed != nil })
	data, rows := make([]usageRow, 0, len(report)), make([][]string, 0, len(report))
	for _, r := range report {
		s := r.Sum
		row := usageRow{Account: named(s.Account.String()), Final: r.Final, Requests: s.Requests, Ingress: s.Ingress, Egress: s.Egress,
			DeclaredIngress: s.DeclaredIngress, DeclaredEgress: s.DeclaredEgress,
			AdjustedRequests: s.AdjustedRequests, AdjustedIngress: s.AdjustedIngress, AdjustedEgress: s.AdjustedEgress}
		value := named(s.Value)
		*map[ledger.Group]*string{
			ledger.ByBucket: &row.Bucket, ledger.ByKey: &row.Key, ledger.ByClass: &row.Class, ledger.ByHour: &row.Hour,
		}[q.By] = value
		cells := append([]string{row.Account, value}, numbers(s.Requests, s.Ingress, s.Egress, s.AdjustedRequests, s.AdjustedIngress, s.AdjustedEgress)...)
		cells = append(cells, fmt.Sprint(r.Final))
		var unsealed ledger.Usage
		if n := r.Unsealed; n != nil {
			unsealed = *n
			row.Unsealed = &unsealedUsage{n.Requests, n.Ingress, n.Egress, n.DeclaredIngress, n.DeclaredEgress}
		}
		if late {
			cells = append(cells, numbers(unsealed.Requests, unsealed.Ingress, unsealed.Egress)...)
		}
		data, rows = append(data, row), append(rows, cells)
	}
	return u.print(c, data, usageColumns, unsealedColumns, late, rows)
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

// storageRow is what was stored over some hours. Byte-hours can pass 2^63:
// they are JSON numbers of any length.
type storageRow struct {
	Account    string   `json:"account"`
	Bucket     string   `json:"bucket,omitempty"`
	Hour       string   `json:"hour,omitempty"`
	Current    *big.Int `json:"current_byte_hours"`
	Noncurrent *big.Int `json:"noncurrent_byte_hours"`
	Incomplete *big.Int `json:"incomplete_byte_hours"`
	Measured   int64    `json:"measured_hours"` // of every bucket
	Missing    int64    `json:"missing_hours"`  // in which a bucket was there and nobody measured it
	Gaps       []gapRow `json:"gaps,omitempty"`
	Final      bool     `json:"final"` // no sample is made any more, and a seal covers these
	// What came late for a final hour, and is in none of the others until it is sealed.
	Unsealed *unsealedStorage `json:"unsealed,omitempty"`
}

type unsealedStorage struct {
	Current    *big.Int `json:"current_byte_hours"`
	Noncurrent *big.Int `json:"noncurrent_byte_hours"`
	Incomplete *big.Int `json:"incomplete_byte_hours"`
	Measured   int64    `json:"measured_hours"`
}

// gapRow is a run of hours without a sample.
type gapRow struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Error string    `json:"error,omitempty"` // empty: nobody tried
}

func (u *usageShow) showStorage(ctx context.Context, c *cli, o *operator, q ledger.Query) error {
	report, list, err := storage.Report(ctx, o.pool, q)
	if err != nil {
		return err
	}
	gaps := map[string][]gapRow{} // by the bucket's row id
	for _, g := range list {
		gaps[g.Bucket.String()] = append(gaps[g.Bucket.String()], gapRow{g.From, g.To, g.Error})
	}
	named, err := o.names(ctx, q.By)
	if err != nil {
		return err
	}
	late := slices.ContainsFunc(report, func(r ledger.Reported[storage.Usage]) bool { return r.Unsealed != nil })
	data, rows := make([]storageRow, 0, len(report)), make([][]string, 0, len(report))
	for _, r := range report {
		s, value := r.Sum, named(r.Sum.Value)
		row := storageRow{Account: named(s.Account.String()), Final: r.Final, Current: s.Current, Noncurrent: s.Noncurrent, Incomplete: s.Incomplete, Measured: s.Measured, Missing: s.Missing}
		if q.By == ledger.ByHour {
			row.Hour = value
		} else {
			row.Bucket, row.Gaps = value, gaps[s.Value]
		}
		cells := []string{row.Account, value, s.Current.String(), s.Noncurrent.String(), s.Incomplete.String(), fmt.Sprint(s.Measured), fmt.Sprint(s.Missing), fmt.Sprint(r.Final)}
		if n := r.Unsealed; n != nil {
			row.Unsealed = &unsealedStorage{n.Current, n.Noncurrent, n.Incomplete, n.Measured}
			cells = append(cells, n.Current.String(), n.Noncurrent.String(), n.Incomplete.String(), fmt.Sprint(n.Measured))
		} else if late {
			cells = append(cells, "0", "0", "0", "0")
		}
		data, rows = append(data, row), append(rows, cells)
	}
	return u.print(c, data, storageColumns, unsealedStorageColumns, late, rows)
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
		named, err := o.names(ctx, ledger.ByBucket)
		if err != nil {
			return err
		}
		var data []sampleRow
		var rows [][]string
		failed := false
		err = u.eachBucket(ctx, o, func(b *tenancy.Bucket) error {
			row := sampleRow{Account: named(b.AccountID.String()), Bucket: b.Name}
			cells := make([]string, len(strings.Fields(storedColumns)))
			sample, err := sampler.SampleNow(ctx, b)
			switch {
			case errors.Is(err, tenancy.ErrBucketUnknown): // deleted at this moment
				return nil
			case err != nil:
				failed, row.Error = true, err.Error()
			default:
				row.Sample, cells = sample, storedCells(sample.Totals)
			}
			data = append(data, row)
			rows = append(rows, append(append([]string{row.Account, row.Bucket}, cells...), row.Error))
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		err = c.print(data, "ACCOUNT BUCKET "+storedColumns+" ERROR", rows)
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
		b, err := o.store.Bucket(ctx, o.pool, account, u.Bucket)
		if err != nil {
			return err
		}
		return f(b)
	}
	for after := (tenancy.ID{}); ; {
		page, err := o.store.AllBuckets(ctx, o.pool, account, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
		for _, b := range page {
			if err := f(b); err != nil {
				return err
			}
		}
	}
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

type adjustmentRow struct {
	Account    string    `json:"account"`
	Bucket     string    `json:"bucket"`
	Key        string    `json:"key"`
	Class      string    `json:"class"`
	Hour       time.Time `json:"hour"`
	SealHour   time.Time `json:"seal_hour"`
	RecordedAt time.Time `json:"recorded_at"`
	Requests   int64     `json:"requests"`
	Ingress    int64     `json:"ingress_bytes"`
	Egress     int64     `json:"egress_bytes"`
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
		all, err := ledger.Adjustments(ctx, o.pool, id, u.From, u.To)
		if err != nil {
			return err
		}
		named, err := o.names(ctx, ledger.ByBucket, ledger.ByKey)
		if err != nil {
			return err
		}
		data, rows := make([]adjustmentRow, 0, len(all)), make([][]string, 0, len(all))
		for _, a := range all {
			r := adjustmentRow{
				named(a.Account.String()), named(a.Bucket.String()), named(a.AccessKey.String()), a.Class.String(), a.Hour, a.SealHour, a.Recorded.UTC(),
				a.Requests, a.Ingress, a.Egress,
			}
			data = append(data, r)
			rows = append(rows, append([]string{r.Account, r.Bucket, r.Key, r.Class, r.Hour.Format(time.RFC3339), r.SealHour.Format(time.RFC3339)},
				numbers(r.Requests, r.Ingress, r.Egress)...))
		}
		return c.print(data, "ACCOUNT BUCKET KEY CLASS HOUR SEAL_HOUR REQUESTS INGRESS_BYTES EGRESS_BYTES", rows)
	})
}
