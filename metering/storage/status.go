package storage

import (
	"context"
	"fmt"

	"github.com/primecloudpro/primecloud/tenancy"
)

// Status is a bucket at this moment and at its last sample.
type Status struct {
	Now        Totals  `json:"now"`
	Last       *Sample `json:"last_sample"` // null: never sampled
	Difference *Totals `json:"difference"`  // Now - Last
}

// Status lists the bucket now.
func (v *Sampler) Status(ctx context.Context, b *tenancy.Bucket) (*Status, error) {
	// The sample first: one that is made meanwhile is not what was before.
	last, ok, err := LastSample(ctx, v.cfg.Pool, b.ID)
	if err != nil {
		return nil, err
	}
	s := &Status{}
	if s.Now, err = v.Measure(ctx, b); err != nil {
		return nil, err
	}
	if ok {
		difference := s.Now.Minus(last.Totals)
		s.Last, s.Difference = &last, &difference
	}
	return s, nil
}

// Columns are the names of what Cells returns.
const Columns = "CURRENT_BYTES NONCURRENT_BYTES INCOMPLETE_BYTES OBJECTS NONCURRENT_VERSIONS DELETE_MARKERS UPLOADS"

// Cells are the totals as tables show them.
func (s Totals) Cells() []string {
	var cells []string
	for _, n := range []int64{s.CurrentBytes, s.NoncurrentBytes, s.IncompleteBytes, s.Objects, s.NoncurrentVersions, s.DeleteMarkers, s.Uploads} {
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}
