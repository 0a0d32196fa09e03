package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/primecloudpro/primecloud/metering/bucketsync"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

type bucketCommands struct {
	Create bucketCreate `cmd:"" help:"Make a bucket for an account."`
	List   bucketList   `cmd:"" help:"List an account's buckets."`
	Import bucketImport `cmd:"" help:"Take over a bucket that exists in the backend."`
	Stat   bucketStat   `cmd:"" help:"List a bucket now, and compare with its last sample."`
	Sync   bucketSync   `cmd:"" help:"Compare the buckets of the backends with their owners' records."`
}

// bucketArgs are the bucket that a command is about.
type bucketArgs struct {
	Account string `arg:"" help:"The account's name."`
	Name    string `arg:"" help:"The bucket's name."`
}

func (c *cli) printBuckets(data any, list ...*tenancy.Bucket) error {
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		rows = append(rows, []string{b.Name, b.BackendName, b.ID.String(), b.CreatedAt.UTC().Format(stamp)})
	}
	return c.print(data, "NAME BACKEND_NAME ID CREATED", rows)
}

type bucketCreate struct{ bucketArgs }

func (b *bucketCreate) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, b.Account, func(o *operator, a *tenancy.Account) error {
		created, err := o.store.CreateBucket(ctx, o.pool, a.ID, b.Name)
		if err != nil {
			return err
		}
		return c.printBuckets(created, created)
	})
}

type bucketList struct {
	Account string `arg:"" help:"The account's name."`
}

func (b *bucketList) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, b.Account, func(o *operator, a *tenancy.Account) error {
		list := []*tenancy.Bucket{}
		for after := ""; ; {
			page, err := tenancy.ListBuckets(ctx, o.pool, a.ID, nil, "", after, 1000)
			if err != nil {
				return err
			}
			list = append(list, page...)
			if len(page) < 1000 {
				return c.printBuckets(list, list...)
			}
			after = page[len(page)-1].Name
		}
	})
}

type bucketImport struct {
	Account       string `arg:"" help:"The account's name."`
	BackendBucket string `arg:"" help:"The bucket's name in the backend."`
	Name          string `help:"What the account calls it; its name in the backend by default."`
	Backend       string `help:"Where it is; the default backend."`
}

func (b *bucketImport) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, b.Account, func(o *operator, a *tenancy.Account) error {
		taken, err := o.store.TakeOver(ctx, o.pool, a.ID, cmp.Or(b.Name, b.BackendBucket), b.Backend, b.BackendBucket)
		if err != nil {
			return err
		}
		return c.printBuckets(taken, taken)
	})
}

type bucketStat struct{ bucketArgs }

func (b *bucketStat) Run(ctx context.Context, c *cli) error {
	return c.withAccount(ctx, b.Account, func(o *operator, a *tenancy.Account) error {
		bucket, err := tenancy.BucketByName(ctx, o.pool, a.ID, b.Name)
		if err != nil {
			return err
		}
		sampler, err := c.sampler(o)
		if err != nil {
			return err
		}
		s, err := sampler.Status(ctx, bucket)
		if err != nil {
			return err
		}
		rows := [][]string{append([]string{"now"}, s.Now.Cells()...)}
		if s.Last != nil {
			rows = append(rows, append([]string{"sample of " + s.Last.MeasuredAt.UTC().Format(time.RFC3339)}, s.Last.Cells()...),
				append([]string{"difference"}, s.Difference.Cells()...))
		}
		return c.print(struct {
			Account string `json:"account"`
			Bucket  string `json:"bucket"`
			*storage.Status
		}{a.Name, bucket.Name, s}, "WHEN "+storage.Columns, rows)
	})
}

type bucketSync struct {
	Backend   string `help:"Only this one."`
	NamesOnly bool   `help:"Do not list the buckets' contents."`
	Hidden    bool   `help:"Look in MinIO's files for objects that no listing shows: MinIO reads and sends the buckets' metadata, small objects within it."`
	Repair    bool   `help:"Measure anew where the size differs; remove the record of a missing bucket that was empty when it was last measured."`
}

func (b *bucketSync) Run(ctx context.Context, c *cli) error {
	return c.operate(ctx, func(o *operator) error {
		sampler, err := c.sampler(o)
		if err != nil {
			return err
		}
		found, err := bucketsync.Run(ctx, bucketsync.Config{Pool: o.pool, Store: o.store, Sampler: sampler,
			Backend: b.Backend, NamesOnly: b.NamesOnly, Hidden: b.Hidden, Repair: b.Repair})
		if found == nil && err != nil {
			return err
		}
		t := bucketsync.Table(found)
		return errors.Join(err, c.print(found, t.Header, t.Rows))
	})
}
