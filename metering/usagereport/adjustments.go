package usagereport

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Adjustment is usage that came after its hour was sealed.
type Adjustment struct {
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

// ReadAdjustments is ledger.Adjustments with names.
func ReadAdjustments(ctx context.Context, q pg.Querier, account tenancy.ID, from, to time.Time) ([]Adjustment, error) {
	all, err := ledger.Adjustments(ctx, q, account, from, to)
	if err != nil {
		return nil, err
	}
	names, err := tenancy.ReadNames(ctx, q, true, true)
	if err != nil {
		return nil, err
	}
	list := make([]Adjustment, 0, len(all))
	for _, a := range all {
		list = append(list, Adjustment{
			names.Of(a.Account.String()), names.Of(a.Bucket.String()), names.Of(a.AccessKey.String()), a.Class.String(), a.Hour, a.SealHour, a.Recorded.UTC(),
			a.Requests, a.Ingress, a.Egress,
		})
	}
	return list, nil
}
