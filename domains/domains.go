// Package domains keeps the hosts of their own under which customers reach the
// platform: who has claimed which, what proves it, what the DNS says, and how the
// certificate is. These are three states, and each has a reason that the customer
// reads (docs/DOMAINS.md, docs/decisions/0039).
//
// A host is served once its ownership is verified: tenancy.Directory reads that from
// the table, and hears of each change. DNS and certificate say what is still to be
// done; they take nothing away.
package domains

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// Purpose is what a host is for.
type Purpose string

// The purposes. S3 alone is served by this version.
const (
	S3      Purpose = "s3"
	Website Purpose = "website" // one bucket, at the root
	Portal  Purpose = "portal"
)

// UnmarshalText refuses what is none of them.
func (p *Purpose) UnmarshalText(text []byte) error {
	switch *p = Purpose(text); *p {
	case S3, Website, Portal:
		return nil
	}
	return fmt.Errorf("there is no purpose %q; write s3, website or portal", text)
}

// States of a part of a domain.
type State string

// Ownership is pending, verified, failed (never proven, and no longer looked for) or
// lost. DNS is unknown before the first check, ok, missing, wrong or proxied (behind
// somebody else's proxy). A certificate is none, issuing, active, failed or expiring.
const (
	Pending  State = "pending"
	Verified State = "verified"
	Failed   State = "failed"
	Lost     State = "lost"

	Unknown State = "unknown"
	OK      State = "ok"
	Missing State = "missing"
	Wrong   State = "wrong"
	Proxied State = "proxied"

	None     State = "none"
	Issuing  State = "issuing"
	Active   State = "active"
	Expiring State = "expiring"
)

// Part is one of the three things that a domain needs.
type Part struct {
	State    State              `json:"state"`
	Reason   string             `json:"reason"` // a sentence to the customer
	Expected []dnslookup.Record `json:"expected,omitempty"`
	Found    []dnslookup.Record `json:"found,omitempty"` // in the last check that found out something
}

// Domain is an account's claim of a host.
type Domain struct {
	ID      rowid.ID `json:"id"`
	Host    string   `json:"host"`
	Account string   `json:"account"`
	Purpose Purpose  `json:"purpose"`
	Bucket  string   `json:"bucket,omitempty"` // the website's
	// State is the one word for the three: pending, failed or lost as its ownership
	// is, verified when that is proven, active when nothing is left to do.
	State State `json:"state"`
	// Records are those that the customer has to make; either of CNAME or addresses.
	Records     []dnslookup.Record `json:"records"`
	Ownership   Part               `json:"ownership"`
	DNS         Part               `json:"dns"`
	Certificate Part               `json:"certificate"`
	CreatedAt   time.Time          `json:"created_at"`
	VerifiedAt  *time.Time         `json:"verified_at"` // first
	CheckedAt   *time.Time         `json:"checked_at"`
	CheckError  string             `json:"check_error,omitempty"` // why the last check found out nothing
	NextCheckAt *time.Time         `json:"next_check_at"`         // null: when somebody asks for it
}

// Config is what an installation has decided.
type Config struct {
	DNS       *dnslookup.Client
	Target    string       // what customers' CNAME records point at
	Addresses []netip.Addr // what their address records may have; nil: those of Target
	Platform  []string     // names that nobody may claim, with all below them, beside Target
	Most      int          // domains of an account; 0: 50

	Now     func() time.Time      // nil: time.Now
	Logger  *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // nil: none
}

// Service does what can be done with domains. Its methods take the pool or
// transaction of the role that asks.
type Service struct {
	cfg    Config
	checks *prometheus.CounterVec
}

// New makes a service.
func New(cfg Config) *Service {
	cfg.Most = cmp.Or(cfg.Most, 50)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, checks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "primecloud_domains_checks_total", Help: "Checks of customers' domains in the DNS.",
	}, []string{"outcome"})}
	for _, outcome := range []string{"answered", "unknown"} {
		s.checks.WithLabelValues(outcome)
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(s.checks)
	}
	return s
}

// RefusedError is a claim that cannot be, in a sentence to the customer.
type RefusedError struct{ Sentence string }

func (e *RefusedError) Error() string { return e.Sentence }

// ErrNoDomain is that no account, or not the one that was named, has claimed the host.
var ErrNoDomain = errors.New("no such domain: `primecloud domain list` shows those that there are")

// ErrNoTarget is that the operator has not said where customers' hosts are to point.
var ErrNoTarget = errors.New("domains.target is not set: set PRIMECLOUD_DOMAINS_TARGET, --domains-target or target in [domains] to the host name that customers' CNAME records are to point at, such as edge.example.com")
