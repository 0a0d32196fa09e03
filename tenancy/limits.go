package tenancy

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Budget is a kind of budget.
type Budget uint8

// The budgets. Storage is what is kept at a time; the others begin anew with
// each calendar month, UTC.
const (
	Storage  Budget = iota // bytes
	Egress                 // bytes of answers' bodies
	Requests               // of the classes A and B
	Spend                  // billionths of the rate card's currency
	Budgets                // how many there are
)

var budgetNames = [Budgets]string{"storage", "egress", "requests", "spend"}

func (b Budget) String() string { return budgetNames[b] }

// ParseBudget reads the name that String writes.
func ParseBudget(s string) (Budget, error) {
	if i := slices.Index(budgetNames[:], s); i >= 0 {
		return Budget(i), nil
	}
	return 0, fmt.Errorf("tenancy: unknown budget %q; known are %q", s, budgetNames)
}

// Cap is how much of a budget there is. A hard one refuses what does not fit,
// and what cannot be checked; a soft one only alerts.
type Cap struct {
	Amount int64
	Soft   bool
}

// minRate is the least that a transfer rate may be limited to, in bytes per
// second: less would keep a connection for hours over one object.
const minRate = 64 << 10

// Limits bound what an account, or one of its access keys, may do, over all
// nodes together. Zero fields, and nil caps, do not limit.
type Limits struct {
	RequestsPerSecond int64
	UploadRate        int64 // bytes per second
	DownloadRate      int64 // bytes per second
	Concurrent        int64 // requests at once
	Buckets           int64 // of an account; zero: DirectoryConfig.MaxBuckets
	Caps              [Budgets]*Cap
}

// None reports whether nothing is limited.
func (l *Limits) None() bool { return l == nil || *l == Limits{} }

func (l *Limits) check() error {
	for _, rate := range [...]int64{l.UploadRate, l.DownloadRate} {
		if rate != 0 && rate < minRate {
			return fmt.Errorf("%w: a transfer rate of %d bytes per second is too little; write %dB or more", ErrInvalidLimit, rate, minRate)
		}
	}
	if l.RequestsPerSecond < 0 || l.Concurrent < 0 || l.Buckets < 0 {
		return fmt.Errorf("%w: it may not be negative", ErrInvalidLimit)
	}
	for b, c := range l.Caps {
		if c != nil && c.Amount < 0 {
			return fmt.Errorf("%w: a budget of %s may not be negative", ErrInvalidLimit, Budget(b))
		}
	}
	return nil
}

// limitsRow is Limits as its table has it, and as JSON shows it.
type limitsRow struct {
	RequestsPerSecond int64  `json:"requests_per_second,omitempty"`
	UploadRate        int64  `json:"upload_rate,omitempty"`
	DownloadRate      int64  `json:"download_rate,omitempty"`
	Concurrent        int64  `json:"concurrent,omitempty"`
	Buckets           int64  `json:"buckets,omitempty"`
	StorageBudget     *int64 `json:"storage_budget,omitempty"`
	EgressBudget      *int64 `json:"egress_budget,omitempty"`
	RequestsBudget    *int64 `json:"requests_budget,omitempty"`
	SpendBudget       *int64 `json:"spend_budget,omitempty"`
	StorageSoft       bool   `json:"storage_soft,omitempty"`
	EgressSoft        bool   `json:"egress_soft,omitempty"`
	RequestsSoft      bool   `json:"requests_soft,omitempty"`
	SpendSoft         bool   `json:"spend_soft,omitempty"`
}

func (r *limitsRow) budgets() [Budgets]**int64 {
	return [...]**int64{&r.StorageBudget, &r.EgressBudget, &r.RequestsBudget, &r.SpendBudget}
}

func (r *limitsRow) soft() [Budgets]*bool {
	return [...]*bool{&r.StorageSoft, &r.EgressSoft, &r.RequestsSoft, &r.SpendSoft}
}

func (l *Limits) row() limitsRow {
	r := limitsRow{RequestsPerSecond: l.RequestsPerSecond, UploadRate: l.UploadRate, DownloadRate: l.DownloadRate, Concurrent: l.Concurrent, Buckets: l.Buckets}
	for b, c := range l.Caps {
		if c != nil {
			amount := c.Amount
			*r.budgets()[b], *r.soft()[b] = &amount, c.Soft
		}
	}
	return r
}

// MarshalJSON names the fields as the tables do.
func (l Limits) MarshalJSON() ([]byte, error) { return json.Marshal(l.row()) }

// UnmarshalJSON reads what MarshalJSON writes, and a row of the tables.
func (l *Limits) UnmarshalJSON(b []byte) error {
	var r limitsRow
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	*l = Limits{RequestsPerSecond: r.RequestsPerSecond, UploadRate: r.UploadRate, DownloadRate: r.DownloadRate, Concurrent: r.Concurrent, Buckets: r.Buckets}
	for b, amount := range r.budgets() {
		if *amount != nil {
			l.Caps[b] = &Cap{Amount: **amount, Soft: *r.soft()[b]}
		}
	}
	return nil
}
