package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/tenancy"
)

// What `bucket sync` finds.
const (
	syncOrphan  = "without an owner"   // in the backend
	syncMissing = "not in the backend" // a record
	syncSize    = "size differs"       // from the last sample
	syncUnknown = "could not be measured"
	syncHidden  = "hidden by another object" // from every listing, and so from every sample
)

// syncRow is one finding. Its JSON has the bucket's name in the backend: the
// reader is the operator.
type syncRow struct {
	Finding       string           `json:"finding"`
	Backend       string           `json:"backend"`
	BackendBucket string           `json:"backend_bucket"`
	Account       string           `json:"account,omitempty"`
	Bucket        string           `json:"bucket,omitempty"`
	Difference    *metering.Stored `json:"difference,omitempty"` // what is there more than the last sample says
	Hidden        *hiddenObjects   `json:"hidden,omitempty"`
	ToDo          string           `json:"to_do"`
	Repaired      bool             `json:"repaired"`
}

// bucketSync compares the backends' buckets with their owners' records.
func (c *cli) bucketSync(ctx context.Context, args []string) error {
	f := c.flags("bucket sync", "")
	backend := f.String("backend", "", "only this one")
	names := f.Bool("names-only", false, "do not list the buckets' contents")
	hidden := f.Bool("hidden", false, "look in MinIO's files for objects that no listing shows: MinIO reads and sends the buckets' metadata, small objects within it")
	repair := f.Bool("repair", false, "measure anew where the size differs; remove the record of a missing bucket that was empty when it was last measured")
	if _, err := f.parse(args, 0); err != nil {
		return err
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
	list, err := o.store.ListBackends(ctx, o.pool)
	if err != nil {
		return err
	}
	found, seen := []syncRow{}, false
	var errs []error
	for _, b := range list {
		if *backend != "" && b.Name != *backend {
			continue
		}
		seen = true
		s := &syncing{operator: o, inventory: inventory, backend: b, repair: *repair, sizes: !*names, hidden: *hidden}
		// One that cannot be opened or does not answer keeps nobody from the others.
		if err := s.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", b.Name, err))
		}
		found = append(found, s.found...)
	}
	if *backend != "" && !seen {
		return tenancy.ErrBackendUnknown
	}
	rows := make([][]string, 0, len(found))
	for _, r := range found {
		difference := "-"
		if r.Difference != nil {
			difference = fmt.Sprintf("%+d", r.Difference.Bytes())
		}
		if r.Hidden != nil {
			difference = fmt.Sprintf("%+d", r.Hidden.Bytes)
		}
		rows = append(rows, []string{r.Finding, r.Backend, r.BackendBucket, r.Account, r.Bucket, difference, fmt.Sprint(r.Repaired), r.ToDo})
	}
	err = c.print(f.json, found, "FINDING BACKEND BACKEND_BUCKET ACCOUNT BUCKET DIFFERENCE_BYTES REPAIRED TO_DO", rows)
	return errors.Join(append(errs, err)...)
}

// syncing is the comparison of one backend.
type syncing struct {
	*operator
	inventory *metering.Inventory
	backend   *tenancy.Backend
	repair    bool
	sizes     bool
	hidden    bool
	found     []syncRow
}

func (s *syncing) run(ctx context.Context) error {
	full, err := s.store.Backend(ctx, s.pool, s.backend.ID)
	if err != nil {
		return err
	}
	client, err := full.Client()
	if err != nil {
		return err
	}
	// Owners are read twice: what was made or deleted in between is no finding.
	before, err := s.store.BucketOwners(ctx, s.pool, s.backend.ID)
	if err != nil {
		return err
	}
	there, err := client.ListBuckets(ctx)
	if err != nil {
		return err
	}
	owners, err := s.store.BucketOwners(ctx, s.pool, s.backend.ID)
	if err != nil {
		return err
	}
	var search *hiddenSearch
	if s.hidden {
		search = newHiddenSearch(ctx, full, client)
	}
	exists := map[string]bool{}
	for _, b := range there {
		exists[b.Name] = true
		if _, owned := owners[b.Name]; owned || b.Name == probeBucket {
			continue
		}
		if _, deleted := before[b.Name]; !deleted {
			s.add(syncRow{
				Finding: syncOrphan, BackendBucket: b.Name,
				ToDo: fmt.Sprintf("primecloud bucket import ACCOUNT %s --backend %s --name NAME, or delete it in the backend", b.Name, s.backend.Name),
			})
		}
	}
	for _, o := range inOrder(owners) {
		if _, made := before[o.BackendName]; !made || !o.Settled {
			continue
		}
		if err := s.compare(ctx, o, exists[o.BackendName]); err != nil {
			return err
		}
		if search == nil || !exists[o.BackendName] {
			continue
		}
		if err := s.lookForHidden(ctx, search, o); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(owners map[string]tenancy.Owner) []tenancy.Owner {
	list := make([]tenancy.Owner, 0, len(owners))
	for _, o := range owners {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b tenancy.Owner) int { return strings.Compare(a.Account+"/"+a.Name, b.Account+"/"+b.Name) })
	return list
}

func (s *syncing) add(r syncRow) {
	r.Backend = s.backend.Name
	s.found = append(s.found, r)
}

func (s *syncing) compare(ctx context.Context, o tenancy.Owner, exists bool) error {
	row := syncRow{BackendBucket: o.BackendName, Account: o.Account, Bucket: o.Name}
	last, sampled, err := metering.LastSample(ctx, s.pool, o.ID)
	if err != nil {
		return err
	}
	if !exists {
		row.Finding, row.ToDo = syncMissing, "find out where its data is: `bucket sync --repair` leaves it alone, because it was not empty when it was last measured"
		if sampled && last.Stored == (metering.Stored{}) && !o.ObjectLock {
			row.ToDo = "it was empty when it was last measured: `bucket sync --repair` removes the record"
			if s.repair {
				row.ToDo, row.Repaired = "the record was removed", true
				if err := s.store.ForgetBucket(ctx, s.pool, o.ID); err != nil {
					return err
				}
			}
		}
		s.add(row)
		return nil
	}
	if !s.sizes {
		return nil
	}
	now, err := s.inventory.Measure(ctx, &o.Bucket)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		row.Finding, row.ToDo = syncUnknown, err.Error()
		s.add(row)
		return nil
	}
	if sampled && now == last.Stored || !sampled && now == (metering.Stored{}) {
		return nil
	}
	difference := now.Minus(last.Stored)
	row.Finding, row.Difference = syncSize, &difference
	row.ToDo = "`usage sample`, or wait for the next hour: it was written to or deleted from since the last sample"
	if s.repair {
		if _, err := sampleNow(ctx, s.inventory, &o.Bucket); err != nil {
			return err
		}
		row.ToDo, row.Repaired = "measured anew", true
	}
	s.add(row)
	return nil
}
