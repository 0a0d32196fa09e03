// Package usagereport has what the ledger knows as people and programs read it:
// with names in place of row ids, and in the JSON form that the command line prints.
package usagereport

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Usage is a sum of what moved. It has the group's own field beside the account:
// bucket, key, class, hour or day.
type Usage struct {
	Account         string `json:"account"`
	Bucket          string `json:"bucket,omitempty"`
	Key             string `json:"key,omitempty"`
	Class           string `json:"class,omitempty"`
	Hour            string `json:"hour,omitempty"`
	Day             string `json:"day,omitempty"`
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
	Unsealed *UnsealedUsage `json:"unsealed,omitempty"`
}

// UnsealedUsage is what of a sum no seal covers.
type UnsealedUsage struct {
	Requests        int64 `json:"requests"`
	Ingress         int64 `json:"ingress_bytes"`
	Egress          int64 `json:"egress_bytes"`
	DeclaredIngress int64 `json:"declared_ingress_bytes"`
	DeclaredEgress  int64 `json:"declared_egress_bytes"`
}

// Group is what the sum is of, beside the account.
func (u *Usage) Group() string { return cmp.Or(u.Bucket, u.Key, u.Class, u.Hour, u.Day) }

// ReadUsage returns the sums of a query. The pool's role has to see all accounts.
func ReadUsage(ctx context.Context, pool *pgxpool.Pool, q ledger.Query) ([]Usage, error) {
	report, err := ledger.Report(ctx, pool, q)
	if err != nil {
		return nil, err
	}
	names, err := tenancy.ReadNames(ctx, pool, q.By == ledger.ByBucket, q.By == ledger.ByKey)
	if err != nil {
		return nil, err
	}
	list := make([]Usage, 0, len(report))
	for _, r := range report {
		s := r.Sum
		u := Usage{Account: names.Of(s.Account.String()), Final: r.Final, Requests: s.Requests, Ingress: s.Ingress, Egress: s.Egress,
			DeclaredIngress: s.DeclaredIngress, DeclaredEgress: s.DeclaredEgress,
			AdjustedRequests: s.AdjustedRequests, AdjustedIngress: s.AdjustedIngress, AdjustedEgress: s.AdjustedEgress}
		if field := map[ledger.Group]*string{
			ledger.ByBucket: &u.Bucket, ledger.ByKey: &u.Key, ledger.ByClass: &u.Class, ledger.ByHour: &u.Hour, ledger.ByDay: &u.Day,
		}[q.By]; field != nil {
			*field = names.Of(s.Value)
		}
		if n := r.Unsealed; n != nil {
			u.Unsealed = &UnsealedUsage{n.Requests, n.Ingress, n.Egress, n.DeclaredIngress, n.DeclaredEgress}
		}
		list = append(list, u)
	}
	return list, nil
}
