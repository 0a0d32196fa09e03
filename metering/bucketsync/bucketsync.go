// Package bucketsync compares the backends' buckets with the records of who owns them.
package bucketsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/probe"
)

// The findings.
const (
	Orphan      = "without an owner"   // in the backend
	Missing     = "not in the backend" // a record
	SizeDiffers = "size differs"       // from the last sample
	Unknown     = "could not be measured"
	Hidden      = "hidden by another object" // from every listing, and so from every sample
)

// Row is one finding. It has the bucket's name in the backend: the reader is the
// operator.
type Row struct {
	Finding       string          `json:"finding"`
	Backend       string          `json:"backend"`
	BackendBucket string          `json:"backend_bucket"`
	Account       string          `json:"account,omitempty"`
	Bucket        string          `json:"bucket,omitempty"`
	Difference    *storage.Totals `json:"difference,omitempty"` // what is there more than the last sample says
	Hidden        *HiddenObjects  `json:"hidden,omitempty"`
	ToDo          string          `json:"to_do"`
	Repaired      bool            `json:"repaired"`
}

// Config says what is compared.
type Config struct {
	Pool      *pgxpool.Pool
	Store     *tenancy.Store
	Sampler   *storage.Sampler
	Backend   string // only this one; "": all
	NamesOnly bool   // do not list the buckets' contents
	Hidden    bool   // look in MinIO's files for objects that no listing shows
	Repair    bool   // measure anew where the size differs; remove the record of a missing bucket that was empty when it was last measured
}

// Run compares each backend. A backend that fails is in the error and keeps the
// findings of the others, which are returned with it.
func Run(ctx context.Context, cfg Config) ([]Row, error) {
	list, err := tenancy.ListBackends(ctx, cfg.Pool)
	if err != nil {
		return nil, err
	}
	if cfg.Backend != "" {
		list = slices.DeleteFunc(list, func(b *tenancy.Backend) bool { return b.Name != cfg.Backend })
		if len(list) == 0 {
			return nil, &tenancy.NamedError{Err: tenancy.ErrBackendUnknown, Name: cfg.Backend}
		}
	}
	found := []Row{}
	var errs []error
	for _, b := range list {
		s := &comparison{cfg: cfg, backend: b}
		if err := s.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", b.Name, err))
		}
		found = append(found, s.found...)
	}
	return found, errors.Join(errs...)
}

// comparison is that of one backend.
type comparison struct {
	cfg     Config
	backend *tenancy.Backend
	found   []Row
}

func (s *comparison) run(ctx context.Context) error {
	full, err := s.cfg.Store.Backend(ctx, s.cfg.Pool, s.backend.ID)
	if err != nil {
		return err
	}
	client, err := full.Client()
	if err != nil {
		return err
	}
	// Owners are read twice: what was made or deleted in between is no finding.
	before, err := tenancy.BucketOwners(ctx, s.cfg.Pool, s.backend.ID)
	if err != nil {
		return err
	}
	there, err := client.ListBuckets(ctx)
	if err != nil {
		return err
	}
	owners, err := tenancy.BucketOwners(ctx, s.cfg.Pool, s.backend.ID)
	if err != nil {
		return err
	}
	var search *hiddenSearch
	if s.cfg.Hidden {
		search = newHiddenSearch(ctx, full, client)
	}
	exists := map[string]bool{}
	for _, b := range there {
		exists[b.Name] = true
		if _, owned := owners[b.Name]; owned || b.Name == probe.Bucket {
			continue
		}
		if _, deleted := before[b.Name]; !deleted {
			s.add(Row{
				Finding: Orphan, BackendBucket: b.Name,
				ToDo: fmt.Sprintf("primecloud bucket import ACCOUNT %s --backend %s --name NAME, or delete it in the backend", b.Name, s.backend.Name),
			})
		}
	}
	for _, o := range sorted(owners) {
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

func sorted(owners map[string]tenancy.Owner) []tenancy.Owner {
	list := make([]tenancy.Owner, 0, len(owners))
	for _, o := range owners {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b tenancy.Owner) int { return strings.Compare(a.Account+"/"+a.Name, b.Account+"/"+b.Name) })
	return list
}

func (s *comparison) add(r Row) {
	r.Backend = s.backend.Name
	s.found = append(s.found, r)
}

func (s *comparison) compare(ctx context.Context, o tenancy.Owner, exists bool) error {
	row := Row{BackendBucket: o.BackendName, Account: o.Account, Bucket: o.Name}
	last, sampled, err := storage.LastSample(ctx, s.cfg.Pool, o.ID)
	if err != nil {
		return err
	}
	if !exists {
		row.Finding, row.ToDo = Missing, "find out where its data is: `bucket sync --repair` leaves it alone, because it was not empty when it was last measured"
		if sampled && last.Totals == (storage.Totals{}) && !o.ObjectLock {
			row.ToDo = "it was empty when it was last measured: `bucket sync --repair` removes the record"
			if s.cfg.Repair {
				row.ToDo, row.Repaired = "the record was removed", true
				if err := tenancy.ForgetBucket(ctx, s.cfg.Pool, o.ID); err != nil {
					return err
				}
			}
		}
		s.add(row)
		return nil
	}
	if s.cfg.NamesOnly {
		return nil
	}
	now, err := s.cfg.Sampler.Measure(ctx, &o.Bucket)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		row.Finding, row.ToDo = Unknown, err.Error()
		s.add(row)
		return nil
	}
	if sampled && now == last.Totals || !sampled && now == (storage.Totals{}) {
		return nil
	}
	difference := now.Minus(last.Totals)
	row.Finding, row.Difference = SizeDiffers, &difference
	row.ToDo = "`usage sample`, or wait for the next hour: it was written to or deleted from since the last sample"
	if s.cfg.Repair {
		if _, err := s.cfg.Sampler.SampleNow(ctx, &o.Bucket); err != nil {
			return err
		}
		row.ToDo, row.Repaired = "measured anew", true
	}
	s.add(row)
	return nil
}
