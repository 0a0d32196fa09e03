// Package reconcile compares what three parties say of the same hours: the
// ledger, the access log and the backends. It finds; it repairs nothing.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/metering/storage"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Config says what to compare.
type Config struct {
	Pool     pg.Pool          // as the owner
	Sampler  *storage.Sampler // nil: the backends are not asked
	Account  tenancy.ID       // zero: every account
	From, To time.Time        // whole hours, To excluded: the ledger knows no parts of them
	Logs     []string         // files and folders of the access log, of every node; none: it is not compared
	Now      func() time.Time // time.Now
}

// Figures are sums, or differences of sums.
type Figures struct {
	Requests int64 `json:"requests"`
	Ingress  int64 `json:"ingress_bytes"`
	Egress   int64 `json:"egress_bytes"`
}

func (f Figures) plus(g Figures) Figures {
	return Figures{f.Requests + g.Requests, f.Ingress + g.Ingress, f.Egress + g.Egress}
}

func (f Figures) minus(g Figures) Figures {
	return Figures{f.Requests - g.Requests, f.Ingress - g.Ingress, f.Egress - g.Egress}
}

func (f Figures) size() Figures {
	return Figures{max(f.Requests, -f.Requests), max(f.Ingress, -f.Ingress), max(f.Egress, -f.Egress)}
}

// Bytes is what moved in both directions.
func (f Figures) Bytes() int64 { return f.Ingress + f.Egress }

func figures(c *usage.Delta) Figures { return Figures{c.Requests, c.Ingress, c.Egress} }

// Name is a row and what people call it.
type Name struct {
	ID   tenancy.ID
	Name string
}

// MarshalText makes JSON show the name, or the id of what has none.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

func (n Name) String() string {
	if n.Name != "" {
		return n.Name
	}
	return n.ID.String()
}

// Verdict says how well a difference is understood.
type Verdict string

// From the best to the worst. Only what is unexplained fails a reconciliation.
const (
	Exact       Verdict = "exact"       // there is no difference
	Explained   Verdict = "explained"   // a known cause of at least that size
	Possible    Verdict = "possible"    // a cause that was at work, of unknown size
	Unexplained Verdict = "unexplained" // nothing that is known makes it
)

// Report is the outcome.
type Report struct {
	From        time.Time    `json:"from"`
	To          time.Time    `json:"to"`
	FinalUntil  *time.Time   `json:"final_until"` // null: no node has ever reported
	Ledger      Figures      `json:"ledger"`
	Log         *LogReport   `json:"access_log,omitempty"`
	Cells       []CellResult `json:"cells"` // that differ
	Buckets     []Bucket     `json:"buckets"`
	Unexplained Figures      `json:"unexplained"` // sizes, whatever their direction
}

// Rename gives ids the names that f knows.
func (r *Report) Rename(f func(id string) string) {
	for i := range r.Cells {
		c := &r.Cells[i]
		for _, n := range []*Name{&c.Account, &c.Bucket, &c.Key} {
			n.Name = f(n.ID.String())
		}
	}
	for i := range r.Buckets {
		r.Buckets[i].Account.Name = f(r.Buckets[i].Account.ID.String())
	}
}

// errHours means that the window is not of whole hours.
var errHours = errors.New("reconcile: from and to must be whole hours, from before to")

// Run compares.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.From, cfg.To = cfg.From.UTC(), cfg.To.UTC()
	if !cfg.From.Before(cfg.To) || cfg.From.Truncate(time.Hour) != cfg.From || cfg.To.Truncate(time.Hour) != cfg.To {
		return nil, errHours
	}
	r := &Report{From: cfg.From, To: cfg.To, Cells: []CellResult{}, Buckets: []Bucket{}}
	l, err := begin(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	r.FinalUntil = l.final
	// The log before the ledger: what ends in between is in the ledger alone,
	// and counts as still under way.
	log, err := readLog(&cfg)
	if err != nil {
		return nil, err
	}
	if err := l.read(ctx, &cfg); err != nil {
		return nil, err
	}
	r.Ledger = l.sum
	if log != nil {
		r.Log = &log.LogReport
		r.compareCells(l, log)
	}
	if cfg.Sampler != nil {
		if err := r.compareBuckets(ctx, &cfg, l, log); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Tolerance is a number of bytes, or percent of what the ledger has.
type Tolerance struct {
	Bytes   int64
	Percent float64
}

// UnmarshalText reads 1000000, or 0.1%.
func (t *Tolerance) UnmarshalText(text []byte) (err error) {
	if number, ok := strings.CutSuffix(string(text), "%"); ok {
		t.Percent, err = strconv.ParseFloat(number, 64)
	} else {
		t.Bytes, err = strconv.ParseInt(string(text), 10, 64)
	}
	if err != nil || t.Bytes < 0 || !(t.Percent >= 0 && t.Percent <= 100) { // NaN is neither
		return fmt.Errorf("%q is no tolerance; write bytes like 1000000, or percent like 0.1%%", text)
	}
	return nil
}

// Over reports what of the unexplained is above a tolerance: bytes, or percent
// of what the ledger has. Without a tolerance a single request is too much, as
// is a damaged line whatever the tolerance: nobody knows what it said.
func (r *Report) Over(t Tolerance) error {
	if r.Log != nil && len(r.Log.Damaged) > 0 {
		return fmt.Errorf("reconcile: %d lines of the access log are damaged", len(r.Log.Damaged))
	}
	allowed := max(t.Bytes, int64(t.Percent/100*float64(r.Ledger.Bytes())))
	switch {
	case r.Unexplained.Bytes() > allowed:
		return fmt.Errorf("reconcile: %d bytes are unexplained, %d are tolerated", r.Unexplained.Bytes(), allowed)
	case r.Unexplained.Requests > 0 && t.Bytes == 0 && float64(r.Unexplained.Requests) > t.Percent/100*float64(r.Ledger.Requests):
		return fmt.Errorf("reconcile: %d requests are unexplained", r.Unexplained.Requests)
	}
	return nil
}
