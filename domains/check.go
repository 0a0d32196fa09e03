package domains

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// How long things may take. A verified host is lost when its proof was missing in
// every check of sevenDays that had an answer, and in three at least: a worker that
// stood still has not looked.
const (
	provedWithin  = 30 * 24 * time.Hour // of a claim
	lostAfter     = 7 * 24 * time.Hour
	lostAfterLook = 3
	checkTimeout  = 40 * time.Second
)

// observation is what the DNS says of a domain, or why it is not known.
type observation struct {
	proof     []dnslookup.Record // at the name of the TXT record
	proofErr  error
	routes    []dnslookup.Record // CNAME, A and AAAA of the host
	expected  []netip.Addr
	routesErr error
}

// observe asks the DNS. It changes nothing.
func (s *Service) observe(ctx context.Context, host string) *observation {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	o := &observation{expected: s.cfg.Addresses}
	var asking errgroup.Group // without a context of its own: one failure ends no other question
	asking.Go(func() error {
		o.proof, o.proofErr = s.cfg.DNS.Lookup(ctx, proofLabel+host, dnslookup.TXT)
		return nil
	})
	asking.Go(func() error {
		o.routes, o.routesErr = s.routes(ctx, host)
		return nil
	})
	var targetErr error
	if o.expected == nil {
		asking.Go(func() error {
			o.expected, targetErr = s.cfg.DNS.Addresses(ctx, s.cfg.Target)
			return nil
		})
	}
	_ = asking.Wait()
	// The platform's own addresses matter only for a host that has addresses.
	if o.routesErr == nil && targetErr != nil && slices.ContainsFunc(o.routes, func(r dnslookup.Record) bool { return r.Type != dnslookup.CNAME }) {
		o.routesErr = targetErr
	}
	return o
}

func (s *Service) routes(ctx context.Context, host string) ([]dnslookup.Record, error) {
	four, err := s.cfg.DNS.Lookup(ctx, host, dnslookup.A)
	if err != nil || len(four) > 0 && four[0].Type == dnslookup.CNAME {
		return four, err
	}
	six, err := s.cfg.DNS.Lookup(ctx, host, dnslookup.AAAA)
	return append(four, six...), err
}

// check asks the DNS about a claim and keeps what it says. unknown is why that is not
// known; err, that the claim is not there or that the database did not take it.
func (s *Service) check(ctx context.Context, q pg.Querier, id rowid.ID) (unknown, err error) {
	d, err := readOne(ctx, q, `id = $1`, id)
	if err != nil {
		return nil, err
	}
	seen := s.observe(ctx, d.host)
	if unknown = seen.proofErr; unknown == nil {
		unknown = seen.routesErr
	}
	if unknown != nil {
		s.checks.WithLabelValues("unknown").Inc()
	} else {
		s.checks.WithLabelValues("answered").Inc()
	}
	err = s.keep(ctx, q, id, seen, "")
	if refusal := (*RefusedError)(nil); errors.As(err, &refusal) {
		// Proven, but another account has proven it first, or had it until a short time ago.
		err = s.keep(ctx, q, id, seen, refusal.Sentence)
	}
	return unknown, err
}

// keep applies an observation to the claim as it is now. held is why the claim
// cannot be verified even though it is proven.
func (s *Service) keep(ctx context.Context, q pg.Querier, id rowid.ID, seen *observation, held string) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		d, err := readOne(ctx, tx, `id = $1 FOR NO KEY UPDATE`, id)
		if err != nil {
			return err // removed meanwhile
		}
		before := d.ownership.State
		s.apply(d, seen, held, s.cfg.Now())
		if err := d.write(ctx, tx); err != nil {
			return err
		}
		if d.ownership.State != before {
			s.cfg.Logger.Info("ownership of a domain changed", "host", d.host, "account", d.account, "from", before, "to", d.ownership.State, "reason", d.ownership.Reason)
		}
		return nil
	})
}

// apply is what an observation makes of a claim.
func (s *Service) apply(d *row, seen *observation, held string, now time.Time) {
	d.checkedAt, d.checkError = &now, ""
	if seen.proofErr != nil || seen.routesErr != nil {
		d.checkError = "The name servers did not answer all questions of the last check; what was known before stays, and the check is repeated."
	}
	if seen.proofErr == nil {
		d.applyProof(seen.proof, held, now)
	}
	if seen.routesErr == nil {
		d.dns.State, d.dns.Reason = s.judge(d.host, seen.routes, seen.expected)
		d.dns.Found = seen.routes
	}
	d.schedule(now)
}

// applyProof moves the state of the ownership.
func (d *row) applyProof(found []dnslookup.Record, held string, now time.Time) {
	o := &d.ownership
	o.Found = found
	proven := slices.ContainsFunc(found, func(r dnslookup.Record) bool { return r.Type == dnslookup.TXT && r.Value == d.token })
	switch {
	case proven && held != "":
		o.State, o.Reason = Failed, held
	case proven:
		o.State, o.Reason = Verified, "The TXT record proves it."
		d.failingSince, d.failures = nil, 0
		if d.verifiedAt == nil {
			d.verifiedAt = &now
		}
	case o.State == Verified:
		if d.failures++; d.failingSince == nil {
			d.failingSince = &now
		}
		o.Reason = d.unproven(found)
		if end := d.failingSince.Add(lostAfter); now.Before(end) || d.failures < lostAfterLook {
			o.Reason += fmt.Sprintf(" The host is served until %s.", end.UTC().Format(time.DateOnly))
			return
		}
		o.State = Lost
		o.Reason += " It was missing for seven days: the host is not served any more."
	case o.State == Pending && now.Sub(d.createdAt) >= provedWithin:
		o.State = Failed
		fallthrough
	case o.State == Failed:
		o.Reason = d.unproven(found) + " Nobody looks for it any more: make it and have it checked."
	default:
		o.Reason = d.unproven(found)
	}
}

// unproven says what is wrong with the TXT record.
func (d *row) unproven(found []dnslookup.Record) string {
	name := proofLabel + d.host
	switch {
	case len(found) == 0:
		return fmt.Sprintf("There is no TXT record %s.", name)
	case found[0].Type == dnslookup.CNAME:
		return fmt.Sprintf("At %s stands a CNAME record, perhaps one for *: make the TXT record there in its place.", name)
	}
	return fmt.Sprintf("The TXT record %s has another value.", name)
}

// judge compares where the host leads with where it should.
func (s *Service) judge(host string, found []dnslookup.Record, expected []netip.Addr) (State, string) {
	target := strings.ToLower(strings.TrimSuffix(s.cfg.Target, "."))
	if len(found) == 0 {
		return Missing, fmt.Sprintf("%s leads nowhere: make the CNAME record to %s, or at the top of a zone, where none can be, address records.", host, target)
	}
	if found[0].Type == dnslookup.CNAME {
		if found[0].Value == target {
			return OK, fmt.Sprintf("The CNAME record points at %s.", target)
		}
		return Wrong, fmt.Sprintf("The CNAME record points at %s and not at %s.", found[0].Value, target)
	}
	var foreign []string
	behind := false
	for _, r := range found {
		a, err := netip.ParseAddr(r.Value)
		if err != nil || !slices.Contains(expected, a) {
			foreign = append(foreign, r.Value)
			behind = behind || inCloudflare(a)
		}
	}
	switch {
	case len(foreign) == 0:
		return OK, "The address records are those of the platform."
	case behind:
		return Proxied, fmt.Sprintf("%s are addresses of Cloudflare's proxy: set the record to \"DNS only\", or certificates cannot be issued and clients are cut off.", finding.Some(foreign, maxNamed))
	}
	return Wrong, fmt.Sprintf("%s: no such address is the platform's; make the CNAME record to %s in place of address records, or correct them.", finding.Some(foreign, maxNamed), target)
}

// maxNamed is how many addresses a sentence has.
const maxNamed = 5

// schedule says when to look again: soon while somebody waits for it. A tenth more or
// less spreads what began together.
func (d *row) schedule(now time.Time) {
	age, wait := now.Sub(d.createdAt), 24*time.Hour
	switch {
	case d.checkError == "" && (d.ownership.State == Failed || d.ownership.State == Lost):
		d.nextCheckAt = nil
		return
	case d.ownership.State == Pending && age < 24*time.Hour:
		wait = 5 * time.Minute
	case d.checkError != "":
		wait = time.Hour
	case d.ownership.State == Pending || d.failures > 0:
		wait = 6 * time.Hour
	case d.dns.State != OK && age < 7*24*time.Hour:
		wait = time.Hour
	}
	next := now.Add(wait + time.Duration((rand.Float64()-0.5)*0.2*float64(wait)))
	d.nextCheckAt = &next
}

// inCloudflare knows the addresses at which Cloudflare's proxy stands
// (cloudflare.com/ips): customers' most frequent mistake there has its own sentence.
func inCloudflare(a netip.Addr) bool {
	return slices.ContainsFunc(cloudflare, func(p netip.Prefix) bool { return p.Contains(a) })
}

var cloudflare = []netip.Prefix{
	netip.MustParsePrefix("173.245.48.0/20"), netip.MustParsePrefix("103.21.244.0/22"), netip.MustParsePrefix("103.22.200.0/22"), netip.MustParsePrefix("103.31.4.0/22"),
	netip.MustParsePrefix("141.101.64.0/18"), netip.MustParsePrefix("108.162.192.0/18"), netip.MustParsePrefix("190.93.240.0/20"), netip.MustParsePrefix("188.114.96.0/20"),
	netip.MustParsePrefix("197.234.240.0/22"), netip.MustParsePrefix("198.41.128.0/17"), netip.MustParsePrefix("162.158.0.0/15"), netip.MustParsePrefix("104.16.0.0/13"),
	netip.MustParsePrefix("104.24.0.0/14"), netip.MustParsePrefix("172.64.0.0/13"), netip.MustParsePrefix("131.0.72.0/22"), netip.MustParsePrefix("2400:cb00::/32"),
	netip.MustParsePrefix("2606:4700::/32"), netip.MustParsePrefix("2803:f800::/32"), netip.MustParsePrefix("2405:b500::/32"), netip.MustParsePrefix("2405:8100::/32"),
	netip.MustParsePrefix("2a06:98c0::/29"), netip.MustParsePrefix("2c0f:f248::/32"),
}
