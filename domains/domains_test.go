package domains_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/domains/dnstest"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

const target = "edge.platform.test"

// fixture is an installation with two accounts and a name server of its own, whose
// clock the test moves.
type fixture struct {
	*tenancytest.Installation
	t       *testing.T
	dns     *dnstest.Server
	service *domains.Service
	a, b    *tenancy.Account
	worker  *pgxpool.Pool

	mu  sync.Mutex
	now time.Time
}

func newFixture(t *testing.T, change ...func(*domains.Config)) *fixture {
	t.Helper()
	f := &fixture{Installation: tenancytest.New(t), t: t, dns: dnstest.New(t), now: time.Now()}
	cfg := domains.Config{
		DNS: dnslookup.New(dnslookup.Config{Resolver: f.dns.Addr}), Target: target, Now: f.clock,
		Platform: []string{"s3.platform.test", "tenants.platform.test"},
	}
	for _, c := range change {
		c(&cfg)
	}
	f.service = domains.New(cfg)
	f.a, f.b, f.worker = f.Account("a"), f.Account("b"), f.DB.Pool(t, pg.RoleWorker)
	f.dns.Set(t, target, "A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1")
	return f
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// later moves the service's clock.
func (f *fixture) later(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *fixture) claim(a *tenancy.Account, host string) *domains.Domain {
	f.t.Helper()
	return testenv.Must(f.service.Claim(f.t.Context(), f.Owner, a, host, domains.S3, ""))(f.t)
}

// prove makes the TXT record of a claim, among others.
func (f *fixture) prove(d *domains.Domain) {
	f.t.Helper()
	f.dns.Set(f.t, d.Records[0].Name, "TXT something-else", "TXT "+d.Records[0].Value)
}

func (f *fixture) verify(d *domains.Domain) *domains.Domain {
	f.t.Helper()
	return testenv.Must(f.service.Verify(f.t.Context(), f.Owner, f.idOf(d), d.Host))(f.t)
}

func (f *fixture) idOf(d *domains.Domain) tenancy.ID {
	if d.Account == f.b.Name {
		return f.b.ID
	}
	return f.a.ID
}

// verified claims, proves and verifies.
func (f *fixture) verified(a *tenancy.Account, host string) *domains.Domain {
	f.t.Helper()
	d := f.claim(a, host)
	f.prove(d)
	if d = f.verify(d); d.Ownership.State != domains.Verified {
		f.t.Fatalf("not verified: %+v", d)
	}
	return d
}

// refusedWith asserts that err is that sentence to the customer.
func refusedWith(t *testing.T, what string, err error, sentence string) {
	t.Helper()
	var refusal *domains.RefusedError
	if !errors.As(err, &refusal) || refusal.Sentence != sentence {
		t.Errorf("%s: %v\nwant: %s", what, err, sentence)
	}
}

// From the claim to the certificate: three states, each with its reason.
func TestDomain_life(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "S3.Customer.TEST.")
	want := []dnslookup.Record{{Type: "TXT", Name: "_primecloud.s3.customer.test", Value: d.Records[0].Value}, {Type: "CNAME", Name: "s3.customer.test", Value: target}}
	if fmt.Sprint(d.Records) != fmt.Sprint(want) || len(d.Records[0].Value) != 32 || d.State != domains.Pending {
		t.Errorf("claimed: %+v", d)
	}
	states := func(what string, ownership, dns, certificate, all domains.State) {
		t.Helper()
		if d.Ownership.State != ownership || d.DNS.State != dns || d.Certificate.State != certificate || d.State != all {
			t.Errorf("%s: %s, %s, %s: %s, want %s, %s, %s: %s", what, d.Ownership.State, d.DNS.State, d.Certificate.State, d.State, ownership, dns, certificate, all)
		}
		for part, reason := range map[string]string{"ownership": d.Ownership.Reason, "dns": d.DNS.Reason, "certificate": d.Certificate.Reason} {
			if reason == "" {
				t.Errorf("%s: %s has no reason", what, part)
			}
		}
	}
	states("claimed", domains.Pending, domains.Unknown, domains.None, domains.Pending)
	d = f.verify(d)
	states("nothing made", domains.Pending, domains.Missing, domains.None, domains.Pending)
	f.prove(d)
	d = f.verify(d)
	states("proven", domains.Verified, domains.Missing, domains.None, domains.Verified)
	f.dns.Set(t, d.Host, "CNAME "+target+".")
	d = f.verify(d)
	states("leads here", domains.Verified, domains.OK, domains.None, domains.Verified)
	gateway := f.DB.Pool(t, pg.RoleGateway)
	if account, refused, err := f.service.Allowed(t.Context(), gateway, d.Host); refused != "" || account != f.a.ID || err != nil {
		t.Errorf("no certificate is allowed: %v, %s, %v", account, refused, err)
	}
	if err := f.service.SetCertificate(t.Context(), gateway, "nobody.customer.test", domains.Active, ""); !errors.Is(err, domains.ErrNoDomain) {
		t.Errorf("a certificate of nobody's host: %v", err)
	}
	for _, state := range []domains.State{domains.Issuing, domains.Failed, domains.Active, domains.Expiring} {
		if err := f.service.SetCertificate(t.Context(), gateway, d.Host, state, "Because."); err != nil {
			t.Fatal(err)
		}
		d = testenv.Must(f.service.Show(t.Context(), f.Owner, f.a.ID, d.Host))(t)
		all := domains.Verified
		if state == domains.Active || state == domains.Expiring {
			all = domains.Active
		}
		states("certificate", domains.Verified, domains.OK, state, all)
		if d.Certificate.Reason != "Because." {
			t.Errorf("reason %q", d.Certificate.Reason)
		}
	}
}

// Where the host leads is compared exactly.
func TestDomain_dns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		records []string
		want    domains.State
		reason  string
	}{
		{nil, domains.Missing, "s3.customer.test leads nowhere: make the CNAME record to edge.platform.test, or at the top of a zone, where none can be, address records."},
		{[]string{"CNAME edge.platform.test."}, domains.OK, "The CNAME record points at edge.platform.test."},
		{[]string{"CNAME Edge.Platform.TEST."}, domains.OK, "The CNAME record points at edge.platform.test."},
		{[]string{"CNAME edge.x.evil.test."}, domains.Wrong, "The CNAME record points at edge.x.evil.test and not at edge.platform.test."},
		{[]string{"CNAME edge.platform.test.evil.test."}, domains.Wrong, "The CNAME record points at edge.platform.test.evil.test and not at edge.platform.test."},
		{[]string{"CNAME x.edge.platform.test."}, domains.Wrong, "The CNAME record points at x.edge.platform.test and not at edge.platform.test."},
		{[]string{"A 192.0.2.1"}, domains.OK, "The address records are those of the platform."},
		{[]string{"A 192.0.2.2", "AAAA 2001:db8::1"}, domains.OK, "The address records are those of the platform."},
		{[]string{"A 192.0.2.1", "A 198.51.100.9"}, domains.Wrong, "198.51.100.9: no such address is the platform's; make the CNAME record to edge.platform.test in place of address records, or correct them."},
		{[]string{"A 192.0.2.1", "AAAA 2001:db8::2"}, domains.Wrong, "2001:db8::2: no such address is the platform's; make the CNAME record to edge.platform.test in place of address records, or correct them."},
		{[]string{"A 104.16.1.1", "A 104.17.1.1"}, domains.Proxied, "104.16.1.1, 104.17.1.1 are addresses of Cloudflare's proxy: set the record to \"DNS only\", or certificates cannot be issued and clients are cut off."},
	} {
		t.Run(fmt.Sprint(c.records), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			d := f.claim(f.a, "s3.customer.test")
			f.prove(d)
			f.dns.Set(t, d.Host, c.records...)
			d = f.verify(d)
			if d.DNS.State != c.want || d.DNS.Reason != c.reason || len(d.DNS.Found) != len(c.records) {
				t.Errorf("%s: %s\nwant %s: %s\nfound %v", d.DNS.State, d.DNS.Reason, c.want, c.reason, d.DNS.Found)
			}
			if d.Ownership.State != domains.Verified {
				t.Errorf("the ownership is %s: it depends on where the host leads", d.Ownership.State)
			}
			want := c.reason
			if c.want == domains.OK || c.want == domains.Proxied {
				want = ""
			}
			if _, refused, err := f.service.Allowed(t.Context(), f.Owner, d.Host); refused != want || err != nil {
				t.Errorf("a certificate is refused because %q, %v, want %q", refused, err, want)
			}
		})
	}
}

// The operator may say which addresses are the platform's.
func TestDomain_addresses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *domains.Config) {
		c.Addresses = []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")}
	})
	d := f.claim(f.a, "customer-top.test")
	want := "[{TXT _primecloud.customer-top.test " + d.Records[0].Value + "} {CNAME customer-top.test edge.platform.test} {A customer-top.test 203.0.113.5} {AAAA customer-top.test 2001:db8::5}]"
	if fmt.Sprint(d.Records) != want {
		t.Errorf("%v, want %s", d.Records, want)
	}
	f.dns.Set(t, d.Host, "A 192.0.2.1") // of the target, and the operator says otherwise
	if d = f.verify(d); d.DNS.State != domains.Wrong {
		t.Errorf("%+v", d.DNS)
	}
	f.dns.Set(t, d.Host, "A 203.0.113.5")
	if d = f.verify(d); d.DNS.State != domains.OK {
		t.Errorf("%+v", d.DNS)
	}
}

// What the customer made wrong has a sentence, and what was found stands beside what
// was expected.
func TestDomain_proof(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "s3.customer.test")
	name := "_primecloud.s3.customer.test"
	for _, c := range []struct {
		records []string
		want    domains.State
		reason  string
	}{
		{nil, domains.Pending, "There is no TXT record " + name + "."},
		{[]string{"TXT wrong"}, domains.Pending, "The TXT record " + name + " has another value."},
		{[]string{"CNAME edge.platform.test."}, domains.Pending, "At " + name + " stands a CNAME record, perhaps one for *: make the TXT record there in its place."},
		{[]string{"TXT " + d.Records[0].Value + "x"}, domains.Pending, "The TXT record " + name + " has another value."},
		{[]string{"TXT x", "TXT " + d.Records[0].Value}, domains.Verified, "The TXT record proves it."},
	} {
		f.dns.Set(t, name, c.records...)
		if d = f.verify(d); d.Ownership.State != c.want || d.Ownership.Reason != c.reason || len(d.Ownership.Found) != len(c.records) {
			t.Errorf("%v: %s: %s, found %v", c.records, d.Ownership.State, d.Ownership.Reason, d.Ownership.Found)
		}
	}
}

// Who owns a zone answers what he likes: the proof is found wherever it stands, and of
// the rest no more is kept than people read.
func TestDomain_muchFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "s3.customer.test")
	var proofs, addresses []string
	for i := range 100 {
		proofs = append(proofs, fmt.Sprintf("TXT %q %q", fmt.Sprint(i, strings.Repeat("x", 200)), strings.Repeat("y", 200)))
		addresses = append(addresses, fmt.Sprintf("A 198.51.100.%d", i))
	}
	f.dns.Set(t, "_primecloud.s3.customer.test", append(proofs, "TXT "+d.Records[0].Value)...)
	f.dns.Set(t, d.Host, addresses...)
	d = f.verify(d)
	if d.Ownership.State != domains.Verified || d.DNS.State != domains.Wrong {
		t.Errorf("%+v, %+v", d.Ownership, d.DNS)
	}
	const want = "198.51.100.0, 198.51.100.1, 198.51.100.2, 198.51.100.3, 198.51.100.4 and 95 more: no such address is the platform's; "
	if !strings.HasPrefix(d.DNS.Reason, want) {
		t.Errorf("%s, want %s", d.DNS.Reason, want)
	}
	for what, found := range map[string][]dnslookup.Record{"proof": d.Ownership.Found, "route": d.DNS.Found} {
		if len(found) != 20 {
			t.Errorf("%s: %d records are kept, want 20", what, len(found))
		}
		for _, r := range found {
			if len(r.Value) > 303 {
				t.Errorf("%s: %d bytes of a record are kept", what, len(r.Value))
			}
		}
	}
}

// A directory serves a verified host until it is removed or lost, and no other.
func TestDomain_served(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := f.Directory()
	served := func(host string) bool {
		a, err := dir.AccountByDomain(t.Context(), []byte(host))
		if err != nil && !errors.Is(err, tenancy.ErrAccountUnknown) {
			t.Fatal(err)
		}
		return err == nil && a.ID == f.a.ID
	}
	d := f.claim(f.a, "s3.customer.test")
	if served(d.Host) {
		t.Error("a host is served that is only claimed")
	}
	f.prove(d)
	f.verify(d)
	testenv.WaitFor(t, "the host to be served", func() bool { return served(d.Host) })
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, d.Host, false); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the host not to be served", func() bool { return !served(d.Host) })
	closed := f.verified(f.a, "files.customer.test")
	testenv.WaitFor(t, "the host to be served", func() bool { return served(closed.Host) })
	if err := tenancy.SetStatus(t.Context(), f.Owner, f.a.ID, tenancy.Closed); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the closed account's host not to be served", func() bool { return !served(closed.Host) })
	if _, err := f.service.Show(t.Context(), f.Owner, f.a.ID, closed.Host); !errors.Is(err, domains.ErrNoDomain) {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *domains.Config) { c.Most = 2 })
	f.claim(f.a, "b.customer.test")
	f.claim(f.a, "a.customer.test")
	f.claim(f.b, "a.customer.test")
	for account, want := range map[tenancy.ID]string{{}: "[a.customer.test a.customer.test b.customer.test]", f.a.ID: "[a.customer.test b.customer.test]", f.b.ID: "[a.customer.test]", tenancy.NewID(): "[]"} {
		var hosts []string
		for _, d := range testenv.Must(f.service.List(t.Context(), f.Owner, account))(t) {
			hosts = append(hosts, d.Host)
		}
		if fmt.Sprint(hosts) != want {
			t.Errorf("%v: %v", account, hosts)
		}
	}
	_, err := f.service.Claim(t.Context(), f.Owner, f.a, "c.customer.test", domains.S3, "")
	refusedWith(t, "one too many", err, "The account a has 2 domains already, which is as many as it may; remove one first.")
	if _, err := f.service.Show(t.Context(), f.Owner, tenancy.ID{}, "a.customer.test"); err == nil || err.Error() != "2 accounts have claimed a.customer.test and none has proven it: say which with --account" {
		t.Error(err)
	}
}
