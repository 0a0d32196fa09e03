package domains_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/internal/jobs"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

const day = 24 * time.Hour

// work does the checks that are due by the service's clock, as the worker does them,
// and returns how many there were.
func (f *fixture) work() (done int) {
	f.t.Helper()
	if err := f.service.EnqueueDue(f.t.Context(), f.worker); err != nil {
		f.t.Fatal(err)
	}
	rows, err := f.Owner.Query(f.t.Context(), `DELETE FROM river_job WHERE kind = 'check_domain' RETURNING (args->>'domain')::uuid`)
	if err != nil {
		f.t.Fatal(err)
	}
	check := f.service.Checker(f.worker)
	for _, id := range testenv.Must(pgx.CollectRows(rows, pgx.RowTo[tenancy.ID]))(f.t) {
		if err := check(f.t.Context(), domains.Check{Domain: id}); err != nil {
			f.t.Fatal(err)
		}
		done++
	}
	return done
}

func (f *fixture) show(d *domains.Domain) *domains.Domain {
	f.t.Helper()
	return testenv.Must(f.service.Show(f.t.Context(), f.Owner, f.idOf(d), d.Host))(f.t)
}

// Whatever keeps the name servers from answering, for however long, nothing changes
// but what the customer reads of the last check.
func TestRecheck_resolverFails(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(*fixture){
		"SERVFAIL": func(f *fixture) { f.dns.Fail(dns.RcodeServerFailure) },
		"REFUSED":  func(f *fixture) { f.dns.Fail(dns.RcodeRefused) },
		"nobody answers": func(f *fixture) {
			f.service = domains.New(domains.Config{DNS: dnslookup.New(dnslookup.Config{Resolver: "127.0.0.9:1"}), Target: target, Now: f.clock})
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			held, waiting := f.verified(f.a, "held.customer.test"), f.claim(f.a, "waiting.customer.test")
			f.dns.Set(t, held.Host, "CNAME "+target+".")
			held = f.verify(held)
			gone := f.verified(f.a, "failing.customer.test")
			f.dns.Set(t, gone.Records[0].Name)
			f.later(day)
			gone = f.verify(gone)
			fail(f)
			for range 10 {
				f.later(4 * day)
				if n := f.work(); n != 3 {
					t.Fatalf("%d checks, want 3", n)
				}
			}
			for _, before := range []*domains.Domain{held, waiting, gone} {
				after := f.show(before)
				if after.Ownership.State != before.Ownership.State || after.DNS.State != before.DNS.State || after.Ownership.Reason != before.Ownership.Reason {
					t.Errorf("%s: %+v, %+v became %+v, %+v", before.Host, before.Ownership, before.DNS, after.Ownership, after.DNS)
				}
				if !strings.HasPrefix(after.CheckError, "The name servers did not answer") {
					t.Errorf("%s: %q", before.Host, after.CheckError)
				}
			}
		})
	}
}

// A proof that is gone is looked for during seven days, while the host is served; then
// it is lost. Found again meanwhile, nothing has happened.
func TestRecheck_lost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.verified(f.a, "s3.customer.test")
	f.dns.Set(t, d.Host, "CNAME "+target+".")
	d = f.verify(d)
	records := d.Records[0]
	for round := range 2 {
		f.dns.Set(t, records.Name)
		f.later(27 * time.Hour)
		missing := f.clock()
		for f.clock().Sub(missing) < 7*day-8*time.Hour {
			if f.work() != 1 {
				t.Fatal("the check is not due")
			}
			d = f.show(d)
			if until := missing.Add(7 * day).UTC().Format(time.DateOnly); d.Ownership.State != domains.Verified || !strings.HasSuffix(d.Ownership.Reason, "The host is served until "+until+".") {
				t.Fatalf("after %s: %+v", f.clock().Sub(missing), d.Ownership)
			}
			f.later(7 * time.Hour)
		}
		if round == 0 {
			f.prove(d)
			if f.work(); f.show(d).Ownership.Reason != "The TXT record proves it." {
				t.Fatalf("%+v", f.show(d).Ownership)
			}
		}
	}
	f.later(9 * time.Hour)
	f.work()
	if d = f.show(d); d.Ownership.State != domains.Lost || d.State != domains.Lost {
		t.Fatalf("%+v", d)
	}
	if _, refused, err := f.service.Allowed(t.Context(), f.Owner, d.Host); refused == "" || err != nil {
		t.Error("a certificate may be ordered for a lost host")
	}
	f.later(30 * day)
	if n := f.work(); n != 0 {
		t.Errorf("%d checks of a lost host", n)
	}
	// Another may have it now; or the same, who has it checked.
	f.claim(f.b, d.Host)
	f.prove(d)
	if d = f.verify(d); d.Ownership.State != domains.Verified {
		t.Errorf("%+v", d.Ownership)
	}
}

// A worker that stood still for long has not looked: one more failure is not seven days of them.
func TestRecheck_stoodStill(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.verified(f.a, "s3.customer.test")
	f.dns.Set(t, d.Records[0].Name)
	f.later(2 * day)
	f.work()
	f.later(20 * day)
	f.work()
	if d = f.show(d); d.Ownership.State != domains.Verified {
		t.Errorf("lost after two looks: %+v", d.Ownership)
	}
	f.later(day)
	f.work()
	if d = f.show(d); d.Ownership.State != domains.Lost {
		t.Errorf("%+v", d.Ownership)
	}
}

// A claim is looked at often while somebody waits for it, and after 30 days no more.
func TestRecheck_claims(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "s3.customer.test")
	f.later(time.Minute) // the claim was made by the database's clock
	for _, c := range []struct {
		age, every time.Duration
	}{{time.Minute, 5 * time.Minute}, {20 * time.Hour, 5 * time.Minute}, {2 * day, 6 * time.Hour}, {29 * day, 6 * time.Hour}} {
		f.later(d.CreatedAt.Add(c.age + time.Minute).Sub(f.clock()))
		if f.work() != 1 {
			t.Errorf("at %s nothing is due", c.age)
		}
		if next := f.show(d).NextCheckAt.Sub(f.clock()); next < c.every*8/10 || next > c.every*12/10 {
			t.Errorf("at %s the next check is in %s, want %s", c.age, next, c.every)
		}
		if n := f.work(); n != 0 {
			t.Errorf("at %s it is due again at once", c.age)
		}
	}
	f.later(2 * day)
	f.work()
	if d = f.show(d); d.Ownership.State != domains.Failed || d.NextCheckAt != nil {
		t.Errorf("%+v, %v", d.Ownership, d.NextCheckAt)
	}
	f.prove(d)
	if d = f.verify(d); d.Ownership.State != domains.Verified {
		t.Errorf("%+v", d.Ownership)
	}
	// Verified, it is looked at hourly until it leads here, and then daily.
	if next := d.NextCheckAt.Sub(f.clock()); next > 27*time.Hour {
		t.Errorf("%s", next)
	}
}

// The fleet's workers do it by themselves, with their own rights, beside zones whose
// name servers do not answer; and forget what was removed.
func TestJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.claim(f.a, "s3.customer.test")
	f.prove(d)
	removed := f.claim(f.a, "removed.customer.test")
	if err := f.service.Remove(t.Context(), f.Owner, f.a.ID, removed.Host, false); err != nil {
		t.Fatal(err)
	}
	f.later(time.Minute) // the claims were made by the database's clock
	due := f.service.Due(f.worker)
	due.Every = time.Second
	runner := testenv.Must(jobs.New(jobs.Config{Pool: f.worker, Periodic: []jobs.Periodic{due},
		Jobs: []jobs.Job{jobs.Register(domains.CheckDomain, f.service.Checker(f.worker))}, Metrics: prometheus.NewRegistry()}))(t)
	var running sync.WaitGroup
	running.Go(func() {
		if err := runner.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(running.Wait)
	testenv.WaitFor(t, "the worker to verify it", func() bool { return f.show(d).Ownership.State == domains.Verified })
	testenv.WaitFor(t, "the removed claim to be forgotten", func() bool {
		var n int
		if err := f.Owner.QueryRow(t.Context(), `SELECT count(*) FROM domains WHERE removed_at IS NOT NULL`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}

// The portal claims and removes for its account alone, and cannot prove, take or
// prolong anything; it does so with the functions that the commands use.
func TestPortal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	portal := f.DB.Pool(t, pg.RolePortal)
	as := func(account *tenancy.Account, do func(pgx.Tx) error) error {
		return tenancy.AsAccount(t.Context(), portal, account.ID, do)
	}
	var d *domains.Domain
	if err := as(f.a, func(tx pgx.Tx) (err error) {
		d, err = f.service.Claim(t.Context(), tx, f.a, "s3.customer.test", domains.S3, "")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	f.prove(d)
	f.verify(d)
	if err := as(f.a, func(tx pgx.Tx) error {
		d, err := f.service.Show(t.Context(), tx, f.a.ID, d.Host)
		if err == nil && (d.Ownership.State != domains.Verified || d.Account != "a") {
			t.Errorf("%+v", d)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	refusedWith(t, "another account's claim", as(f.b, func(tx pgx.Tx) error {
		_, err := f.service.Claim(t.Context(), tx, f.b, d.Host, domains.S3, "")
		return err
	}), "s3.customer.test belongs to another account, which has proven it; whoever has the name now can ask the support to release it.")
	for _, sql := range []string{
		`UPDATE domains SET ownership = 'verified'`, `UPDATE domains SET token = 'x'`, `UPDATE domains SET reserved_until = now()`, `DELETE FROM domains`, `SELECT forget_domains()`,
		`INSERT INTO domains (host, account_id, token) VALUES ('x.test', current_account(), 'x')`,
	} {
		if err := as(f.a, func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), sql); return err }); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := as(f.b, func(tx pgx.Tx) error { return f.service.Remove(t.Context(), tx, tenancy.ID{}, d.Host, false) }); err == nil {
		t.Error("another account removed it")
	}
	if err := as(f.a, func(tx pgx.Tx) error { return f.service.Remove(t.Context(), tx, f.a.ID, d.Host, false) }); err != nil {
		t.Error(err)
	}
}
