package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

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

var storageColumns = []string{"CURRENT_BYTE_HOURS", "NONCURRENT_BYTE_HOURS", "INCOMPLETE_BYTE_HOURS", "MEASURED_HOURS", "MISSING_HOURS", "FINAL"}

// unsealedStorageColumns are there when there is something to say in them.
var unsealedStorageColumns = []string{"UNSEALED_CURRENT_BYTE_HOURS", "UNSEALED_NONCURRENT_BYTE_HOURS", "UNSEALED_INCOMPLETE_BYTE_HOURS", "UNSEALED_MEASURED_HOURS"}

func (c *cli) storageShow(ctx context.Context, o *operator, q metering.Query, asJSON, asCSV bool) error {
	var sums []metering.StorageUsage
	var list []metering.StorageGap
	var final time.Time
	// Of one moment: a listing that ends meanwhile makes an hour final, and its
	// sample has to be in the sums then.
	if err := pg.InSnapshot(ctx, o.pool, func(tx pg.Querier) (err error) {
		var now, sealed time.Time // by the clock that hours are sealed by
		if now, err = pg.Now(ctx, tx); err != nil {
			return err
		}
		if sums, err = metering.SumStorage(ctx, tx, q, now); err != nil {
			return err
		}
		if q.By == metering.ByBucket {
			if list, err = metering.StorageGaps(ctx, tx, q, now); err != nil {
				return err
			}
		}
		if final, err = metering.StorageFinal(ctx, tx, now); err != nil {
			return err
		}
		if sealed, err = metering.SealedUntil(ctx, tx); sealed.Before(final) {
			final = sealed
		}
		return err
	}); err != nil {
		return err
	}
	gaps := map[tenancy.ID][]gapRow{}
	for _, g := range list {
		gaps[g.Bucket] = append(gaps[g.Bucket], gapRow{g.From, g.To, g.Error})
	}
	named, err := o.names(ctx, q.By)
	if err != nil {
		return err
	}
	data, rows := make([]storageRow, 0, len(sums)), make([][]string, 0, len(sums))
	for _, s := range sums {
		row := storageRow{Account: named(s.Account.String())}
		until, value := q.To, named(s.Value)
		if q.By == metering.ByHour {
			hour, err := time.Parse(time.RFC3339, s.Value)
			if err != nil {
				return err
			}
			row.Hour, until = value, hour.Add(time.Hour)
		} else {
			id, err := tenancy.ParseID(s.Value)
			if err != nil {
				return err
			}
			row.Bucket, row.Gaps = value, gaps[id]
		}
		row.Final = !until.IsZero() && !until.After(final)
		if n := s.Unsealed; row.Final && n != nil {
			row.Unsealed = &unsealedStorage{n.Current, n.Noncurrent, n.Incomplete, n.Measured}
			s = s.Sealed()
		}
		row.Current, row.Noncurrent, row.Incomplete, row.Measured, row.Missing = s.Current, s.Noncurrent, s.Incomplete, s.Measured, s.Missing
		data = append(data, row)
	}
	header := append([]string{"ACCOUNT", strings.ToUpper(string(q.By))}, storageColumns...)
	beside := slices.ContainsFunc(data, func(r storageRow) bool { return r.Unsealed != nil })
	if beside {
		header = append(header, unsealedStorageColumns...)
	}
	for _, r := range data {
		cells := []string{r.Account, r.Bucket + r.Hour, r.Current.String(), r.Noncurrent.String(), r.Incomplete.String(), fmt.Sprint(r.Measured), fmt.Sprint(r.Missing), fmt.Sprint(r.Final)}
		if n := r.Unsealed; n != nil {
			cells = append(cells, n.Current.String(), n.Noncurrent.String(), n.Incomplete.String(), fmt.Sprint(n.Measured))
		} else if beside {
			cells = append(cells, "0", "0", "0", "0")
		}
		rows = append(rows, cells)
	}
	return c.printUsage(asJSON, asCSV, data, header, rows)
}

func (c *cli) inventory(o *operator) (*metering.Inventory, error) {
	return metering.NewInventory(metering.InventoryConfig{Pool: o.pool, Store: o.store, Logger: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))})
}

// sampleRow is a bucket that was measured, or why it was not.
type sampleRow struct {
	Account string `json:"account"`
	Bucket  string `json:"bucket"`
	*metering.Sample
	Error string `json:"error,omitempty"`
}

var storedColumns = []string{"CURRENT_BYTES", "NONCURRENT_BYTES", "INCOMPLETE_BYTES", "OBJECTS", "NONCURRENT_VERSIONS", "DELETE_MARKERS", "UPLOADS"}

func storedCells(s metering.Stored) []string {
	cells := make([]string, 0, len(storedColumns))
	for _, n := range []int64{s.CurrentBytes, s.NoncurrentBytes, s.IncompleteBytes, s.Objects, s.NoncurrentVersions, s.DeleteMarkers, s.Uploads} {
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}

// errNotMeasured is the end of a run with gaps; the table says which.
var errNotMeasured = errors.New("some buckets could not be measured, see above; their hour has a gap")

func (c *cli) usageSample(ctx context.Context, args []string) error {
	f := c.flags("usage sample", "")
	account := f.String("account", "", "only this one's buckets")
	bucket := f.String("bucket", "", "only this bucket, with --account")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	if *bucket != "" && *account == "" {
		return errors.New("--bucket needs --account: names belong to accounts")
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	inventory, err := c.inventory(o)
	if err != nil {
		return err
	}
	named, err := o.names(ctx, metering.ByBucket)
	if err != nil {
		return err
	}
	var data []sampleRow
	var rows [][]string
	failed := false
	err = o.eachBucket(ctx, *account, *bucket, func(b *tenancy.Bucket) error {
		row := sampleRow{Account: named(b.AccountID.String()), Bucket: b.Name}
		cells := make([]string, len(storedColumns))
		sample, err := sampleNow(ctx, inventory, b)
		switch {
		case errors.Is(err, tenancy.ErrBucketUnknown): // deleted at this moment
			return nil
		case err != nil:
			failed, row.Error = true, err.Error()
		default:
			row.Sample, cells = sample, storedCells(sample.Stored)
		}
		data = append(data, row)
		rows = append(rows, append(append([]string{row.Account, row.Bucket}, cells...), row.Error))
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	err = c.print(f.json, data, "ACCOUNT BUCKET "+strings.Join(storedColumns, " ")+" ERROR", rows)
	if failed {
		return errors.Join(err, errNotMeasured)
	}
	return err
}

// sampleNow waits while another process measures the bucket, for a minute: what
// was written before the command is to be in its sample.
func sampleNow(ctx context.Context, inventory *metering.Inventory, b *tenancy.Bucket) (*metering.Sample, error) {
	patience := time.After(time.Minute)
	for {
		sample, err := inventory.Sample(ctx, b)
		if !errors.Is(err, metering.ErrListed) {
			return sample, err
		}
		select {
		case <-patience:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// eachBucket calls f for an account's bucket, for all of an account, or for all.
func (o *operator) eachBucket(ctx context.Context, account, bucket string, f func(*tenancy.Bucket) error) error {
	of, err := o.accountID(ctx, account)
	if err != nil {
		return err
	}
	if bucket != "" {
		b, err := o.store.Bucket(ctx, o.pool, of, bucket)
		if err != nil {
			return err
		}
		return f(b)
	}
	for after := (tenancy.ID{}); ; {
		page, err := o.store.AllBuckets(ctx, o.pool, of, after, 1000)
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

// bucketStatus is a bucket at this moment and at its last sample.
type bucketStatus struct {
	Account    string           `json:"account"`
	Bucket     string           `json:"bucket"`
	Now        metering.Stored  `json:"now"`
	Last       *metering.Sample `json:"last_sample"` // null: never sampled
	Difference *metering.Stored `json:"difference"`  // Now - Last
}

func (c *cli) bucketStat(ctx context.Context, args []string) error {
	f := c.flags("bucket stat", "ACCOUNT NAME")
	rest, err := f.parse(args, 2)
	if err != nil {
		return err
	}
	return c.withAccount(ctx, rest[0], func(o *operator, a *tenancy.Account) error {
		b, err := o.store.Bucket(ctx, o.pool, a.ID, rest[1])
		if err != nil {
			return err
		}
		inventory, err := c.inventory(o)
		if err != nil {
			return err
		}
		s := bucketStatus{Account: a.Name, Bucket: b.Name}
		// The sample first: one that is made meanwhile is not what was before.
		last, ok, err := metering.LastSample(ctx, o.pool, b.ID)
		if err != nil {
			return err
		}
		if s.Now, err = inventory.Measure(ctx, b); err != nil {
			return err
		}
		rows := [][]string{append([]string{"now"}, storedCells(s.Now)...)}
		if ok {
			difference := s.Now.Minus(last.Stored)
			s.Last, s.Difference = &last, &difference
			rows = append(rows, append([]string{"sample of " + last.MeasuredAt.UTC().Format(time.RFC3339)}, storedCells(last.Stored)...),
				append([]string{"difference"}, storedCells(difference)...))
		}
		return c.print(f.json, s, "WHEN "+strings.Join(storedColumns, " "), rows)
	})
}

// How long a run of sampling may take, and how much longer its job: a job whose
// process died is taken up after that, within the same hour.
const (
	sampleEvery = 10 * time.Minute
	sampleRun   = 24 * time.Minute
	sampleJob   = 25 * time.Minute
)

// sampleStorage measures once an hour. It is due more often, so that buckets
// that are new or failed get their sample within the hour.
func sampleStorage(inventory *metering.Inventory) jobs.Periodic {
	return jobs.Periodic{Kind: "sample_storage", Every: sampleEvery, Timeout: sampleJob, Work: func(ctx context.Context) error {
		run, cancel := context.WithTimeout(ctx, sampleRun)
		defer cancel()
		_, err := inventory.SampleDue(run)
		if ctx.Err() == nil && run.Err() != nil {
			return nil // the next run goes on
		}
		return err
	}}
}
