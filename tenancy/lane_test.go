package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// asking is a way to make PostgreSQL work for a name that is not known, or for
// one that anybody may choose.
type asking func(d *tenancy.Directory, account tenancy.ID, name string) error

var (
	// Without any proof.
	strangersAsk = map[string]asking{
		"keys": func(d *tenancy.Directory, _ tenancy.ID, name string) error {
			_, err := d.Identity(context.Background(), []byte(name))
			return err
		},
		"account names": func(d *tenancy.Directory, _ tenancy.ID, name string) error {
			_, err := d.AccountByName(context.Background(), []byte(name))
			return err
		},
		"domains": func(d *tenancy.Directory, _ tenancy.ID, name string) error {
			_, err := d.AccountByDomain(context.Background(), []byte(name+".test"))
			return err
		},
		"buckets": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			_, err := d.BucketForAnyone(context.Background(), account, []byte(name))
			return err
		},
	}
	// With a key of the account.
	holdersAsk = map[string]asking{
		"own buckets": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			_, err := d.Bucket(context.Background(), account, []byte(name))
			return err
		},
		"lists": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			_, err := d.ListBuckets(context.Background(), account, nil, name, "", 10)
			return err
		},
		"logging": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			return d.SetLogging(context.Background(), &tenancy.Bucket{AccountID: account, Name: name}, &tenancy.BucketLogging{Target: name})
		},
	}
	// The same, of which a gate cannot hold two at once by the name in them.
	alsoAsk = map[string]asking{
		"new buckets": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			_, err := d.ReserveBucket(context.Background(), account, name, false)
			return err
		},
		"deletions": func(d *tenancy.Directory, account tenancy.ID, name string) error {
			return d.BeginDeleteBucket(context.Background(), &tenancy.Bucket{AccountID: account, Name: name})
		},
	}
)

// flood asks for n names at once, of which all but those that run and wait are
// to be told to come again. It returns a wait for the rest.
func flood(t *testing.T, d *tenancy.Directory, ask asking, account tenancy.ID, n, remain int) (finish func()) {
	t.Helper()
	results := make(chan error, n)
	for i := range n {
		go func() { results <- ask(d, account, fmt.Sprintf("invented-%d", i)) }()
	}
	testenv.WaitFor(t, "the rest is told to come again", func() bool { return len(results) >= n-remain })
	for range n - remain {
		if err := <-results; !errors.Is(err, tenancy.ErrCrowded) || !errors.Is(err, tenancy.ErrUnavailable) {
			t.Fatalf("beyond the queue: %v", err)
		}
	}
	return func() {
		for range remain {
			if err := <-results; errors.Is(err, tenancy.ErrCrowded) {
				t.Error(err)
			}
		}
	}
}

// lanes is a directory with a pool of 10 connections: 4 for strangers, of
// which one kind of name gets 2, and 4 for holders, of which one account gets 2.
func lanes(t *testing.T, held string) (*fixture, *gate, *tenancy.Directory) {
	t.Helper()
	f, g := newFixture(t), &gate{about: held}
	d := f.directory(g.pool(f), func(c *tenancy.DirectoryConfig) { c.MaxStrangerLookups, c.MaxHolderLookups, c.LookupQueue = 4, 4, 3 })
	t.Cleanup(g.open) // the directory may wait for a connection before it ends
	for n := 0; d.ShareOf(f.a.ID) == d.ShareOf(f.b.ID); n++ {
		f.b = f.account(fmt.Sprint("another-", n))
	}
	return f, g, d
}

// Whatever sort of name is made up, by strangers or by a key's holder, a flood
// of them holds two connections, the rest wait, and beyond the queue they are
// told to come again. Nobody else waits with them: not issued keys, not what
// was known a while ago, not strangers who ask for something of another sort,
// and not another account.
func TestDirectory_floodsAreBounded(t *testing.T) {
	t.Parallel()
	all := map[string]asking{}
	for _, asks := range []map[string]asking{strangersAsk, holdersAsk} {
		for name, ask := range asks {
			all[name] = ask
		}
	}
	for kind, ask := range all {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, gate, d := lanes(t, "invented")
			f.imported("foreign-key")
			f.bucket(f.a, "photos")
			f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('files.example.test', $1, 'verified')`, f.a.ID)
			reload := map[string]func() error{
				"key":    func() error { return strangersAsk["keys"](d, f.a.ID, "foreign-key") },
				"name":   func() error { return strangersAsk["account names"](d, f.a.ID, f.a.Name) },
				"domain": func() error { return strangersAsk["domains"](d, f.a.ID, "files.example") },
				"bucket": func() error { return strangersAsk["buckets"](d, f.a.ID, "photos") },
				"own":    func() error { return holdersAsk["own buckets"](d, f.a.ID, "photos") },
			}
			for name, again := range reload {
				eventually(t, name+" is cached", func() bool {
					err := again()
					d.Settle()
					before := d.Misses()
					return err == nil && again() == nil && d.Misses() == before
				})
			}
			gate.arm(1000)
			finish := flood(t, d, ask, f.a.ID, 20, 5)
			gate.waitHeld(t, 2)

			known(t, d, f.key(f.a).KeyID)
			heard := d.KeyGeneration("foreign-key")
			f.exec(`SELECT tell_change(what) FROM unnest(ARRAY['name:' || $1, 'domain:files.example.test', 'bucket:' || $2 || '/photos', 'key:foreign-key']) what`,
				f.a.Name, f.a.ID.String())
			eventually(t, "the changes were heard of", func() bool { return d.KeyGeneration("foreign-key") > heard })
			before := d.Misses()
			for name, again := range reload {
				if err := again(); err != nil {
					t.Errorf("what was known, a %s: %v", name, err)
				}
			}
			if d.Misses()-before < 4 {
				t.Error("nothing was loaded again")
			}
			for _, asks := range []map[string]asking{strangersAsk, holdersAsk, alsoAsk} {
				for other, ask := range asks {
					if other == kind {
						continue
					}
					if err := ask(d, f.b.ID, "honest"); errors.Is(err, tenancy.ErrUnavailable) {
						t.Errorf("%s of somebody else: %v", other, err)
					}
				}
			}
			if holdersAsk[kind] != nil {
				for other, ask := range alsoAsk {
					if err := ask(d, f.a.ID, "honest"); !errors.Is(err, tenancy.ErrCrowded) {
						t.Errorf("%s of the account itself: %v", other, err)
					}
				}
				if err := ask(d, f.b.ID, "honest-too"); errors.Is(err, tenancy.ErrUnavailable) {
					t.Errorf("the same of another account: %v", err)
				}
			}
			if n := gate.held.Load(); n != 2 {
				t.Errorf("the flood holds %d connections", n)
			}
			gate.open()
			finish()
		})
	}
}

// All strangers' floods together have the strangers' connections and no more.
func TestDirectory_floodsTogether(t *testing.T) {
	t.Parallel()
	f, gate, d := lanes(t, "invented")
	gate.arm(1000)
	var finish []func()
	for _, ask := range strangersAsk {
		finish = append(finish, flood(t, d, ask, f.a.ID, 20, 5))
	}
	gate.waitHeld(t, 4)
	known(t, d, f.key(f.a).KeyID)
	if err := holdersAsk["lists"](d, f.a.ID, "honest"); err != nil {
		t.Error(err)
	}
	if n := gate.held.Load(); n != 4 {
		t.Errorf("strangers hold %d connections", n)
	}
	gate.open()
	for _, f := range finish {
		f()
	}
}

// A name that nobody knows yet is not asked for twice at once, but who comes
// with a key does not wait in the strangers' queue for it.
func TestDirectory_holderOvertakes(t *testing.T) {
	t.Parallel()
	f, gate, d := lanes(t, "photos")
	f.bucket(f.a, "photos")
	gate.arm(1)
	asked := make(chan error, 1)
	go func() { asked <- strangersAsk["buckets"](d, f.a.ID, "photos") }()
	gate.waitHeld(t, 1)
	if err := holdersAsk["own buckets"](d, f.a.ID, "photos"); err != nil {
		t.Error(err)
	}
	gate.open()
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

// Host names that no row of domains can have are refused from memory.
func TestDirectory_impossibleHosts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	label := "0123456789012345678901234567890123456789012345678901234567890123" // 64
	before := d.Misses()
	for _, host := range []string{"", ".", "a..b", "a b", "UPPER.test", "a:80", "ação.test", "nul\x00", label + ".test",
		label[1:] + "." + label[1:] + "." + label[1:] + "." + label[1:]} {
		if _, err := d.AccountByDomain(t.Context(), []byte(host)); !errors.Is(err, tenancy.ErrAccountUnknown) {
			t.Errorf("%q: %v", host, err)
		}
	}
	if n := d.Misses() - before; n > 0 {
		t.Errorf("%d look-ups went to PostgreSQL", n)
	}
}
