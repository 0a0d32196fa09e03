package storage

import (
	"context"
	"errors"

	"github.com/primecloudpro/primecloud/tenancy"
)

// Sampled is a bucket that was measured, or why it was not.
type Sampled struct {
	Account string `json:"account"`
	Bucket  string `json:"bucket"`
	*Sample
	Error string `json:"error,omitempty"`
}

// ErrNotMeasured is the end of a run with gaps; the list beside it says which.
var ErrNotMeasured = errors.New("some buckets could not be measured, see above; their hour has a gap")

// SampleAll measures the account's bucket of that name now, all of the account's for
// "", or everybody's for the zero id. With ErrNotMeasured the list is complete; with
// another error it is nil.
func (v *Sampler) SampleAll(ctx context.Context, account tenancy.ID, name string) ([]Sampled, error) {
	names, err := tenancy.ReadNames(ctx, v.cfg.Pool, false, false)
	if err != nil {
		return nil, err
	}
	list := []Sampled{}
	var gap error
	sample := func(b *tenancy.Bucket) error {
		m := Sampled{Account: names.Of(b.AccountID.String()), Bucket: b.Name}
		measured, err := v.SampleNow(ctx, b)
		switch {
		case errors.Is(err, tenancy.ErrBucketUnknown): // deleted at this moment
			return nil
		case err != nil:
			gap, m.Error = ErrNotMeasured, err.Error()
		default:
			m.Sample = measured
		}
		list = append(list, m)
		return ctx.Err()
	}
	if name == "" {
		err = tenancy.EachBucket(ctx, v.cfg.Pool, account, sample)
	} else if b, unknown := tenancy.BucketByName(ctx, v.cfg.Pool, account, name); unknown != nil {
		err = unknown
	} else {
		err = sample(b)
	}
	if err != nil {
		return nil, err
	}
	return list, gap
}
