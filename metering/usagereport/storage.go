package usagereport

import (
	"cmp"
	"context"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Storage is what was stored over some hours, by bucket or hour. Byte-hours can
// pass 2^63: they are JSON numbers of any length.
type Storage struct {
	Account    string   `json:"account"`
	Bucket     string   `json:"bucket,omitempty"`
	Hour       string   `json:"hour,omitempty"`
	Current    *big.Int `json:"current_byte_hours"`
	Noncurrent *big.Int `json:"noncurrent_byte_hours"`
	Incomplete *big.Int `json:"incomplete_byte_hours"`
	Measured   int64    `json:"measured_hours"` // of every bucket
	Missing    int64    `json:"missing_hours"`  // in which a bucket was there and nobody measured it
	Gaps       []Gap    `json:"gaps,omitempty"`
	Final      bool     `json:"final"` // no sample is made any more, and a seal covers these
	// What came late for a final hour, and is in none of the others until it is sealed.
	Unsealed *UnsealedStorage `json:"unsealed,omitempty"`
}

// UnsealedStorage is what of a sum no seal covers.
type UnsealedStorage struct {
	Current    *big.Int `json:"current_byte_hours"`
	Noncurrent *big.Int `json:"noncurrent_byte_hours"`
	Incomplete *big.Int `json:"incomplete_byte_hours"`
	Measured   int64    `json:"measured_hours"`
}

// Gap is a run of hours without a sample; To is excluded.
type Gap struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Error string    `json:"error,omitempty"` // empty: nobody tried
}

// Group is what the sum is of, beside the account.
func (s *Storage) Group() string { return cmp.Or(s.Bucket, s.Hour) }

// ReadStorage returns the sums of a query, by bucket with their gaps. The pool's
// role has to see all accounts.
func ReadStorage(ctx context.Context, pool *pgxpool.Pool, q ledger.Query) ([]Storage, error) {
	report, missing, err := storage.Report(ctx, pool, q)
	if err != nil {
		return nil, err
	}
	gaps := map[string][]Gap{} // by the bucket's row id
	for _, g := range missing {
		gaps[g.Bucket.String()] = append(gaps[g.Bucket.String()], Gap{g.From, g.To, g.Error})
	}
	names, err := tenancy.ReadNames(ctx, pool, q.By == ledger.ByBucket, false)
	if err != nil {
		return nil, err
	}
	list := make([]Storage, 0, len(report))
	for _, r := range report {
		n := r.Sum
		s := Storage{Account: names.Of(n.Account.String()), Final: r.Final, Current: n.Current, Noncurrent: n.Noncurrent, Incomplete: n.Incomplete, Measured: n.Measured, Missing: n.Missing}
		if q.By == ledger.ByHour {
			s.Hour = names.Of(n.Value)
		} else {
			s.Bucket, s.Gaps = names.Of(n.Value), gaps[n.Value]
		}
		if n := r.Unsealed; n != nil {
			s.Unsealed = &UnsealedStorage{n.Current, n.Noncurrent, n.Incomplete, n.Measured}
		}
		list = append(list, s)
	}
	return list, nil
}
