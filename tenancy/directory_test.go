package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

func unknown(d *tenancy.Directory, keyID string) func() bool {
	return func() bool { return errors.Is(lookup(d, keyID), tenancy.ErrKeyUnknown) }
}

// lookup asks, and waits no longer than a load may take.
func lookup(d *tenancy.Directory, keyID string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	_, err := d.Identity(ctx, []byte(keyID))
	return err
}

func known(t testing.TB, d *tenancy.Directory, keyID string) *tenancy.Identity {
	t.Helper()
	return must(d.Identity(t.Context(), []byte(keyID)))(t)
}

func TestDirectory_Identity(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	expiry := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	k := must(f.store.CreateKey(t.Context(), f.owner, tenancy.Key{
		AccountID: f.a.ID, Permissions: []string{"read", "list"}, Buckets: []string{"photos"}, Prefix: "2026/", ExpiresAt: &expiry,
	}))(t)
	i := known(t, d, k.KeyID)
	if i.KeyID != k.KeyID || i.Secret != k.Secret || i.AccountID != f.a.ID || i.ID != k.ID || i.Kind != tenancy.KindS3 ||
		i.Permission != tenancy.Read|tenancy.List || len(i.Buckets) != 1 || i.Prefix != "2026/" || !i.ExpiresAt.Equal(expiry) {
		t.Errorf("identity %+v differs from key %+v", i, k)
	}
	// Once the notification of its creation has come, it stays.
	eventually(t, "the key is cached", func() bool {
		d.Settle()
		one := known(t, d, k.KeyID)
		d.Settle()
		return one == known(t, d, k.KeyID)
	})
	none := must(f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.a.ID, Buckets: []string{}}))(t)
	if i := known(t, d, none.KeyID); i.Buckets == nil || !i.ExpiresAt.IsZero() {
		t.Errorf("a key for no bucket became one for all: %#v, expiry %v", i.Buckets, i.ExpiresAt)
	}
	if i := known(t, d, f.key(f.a).KeyID); i.Buckets != nil || i.Permission != tenancy.AllPermissions {
		t.Errorf("a plain key: buckets %#v, %s", i.Buckets, i.Permission)
	}
}

func TestDirectory_lookups(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	ctx := t.Context()
	bucket := f.bucket(f.a, "photos")
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('files.example.test', $1, 'verified'), ('claimed.example.test', $1, 'pending')`, f.a.ID)
	for range 2 { // loaded, then cached
		if a := must(d.Account(ctx, f.a.ID))(t); a.Name != "a" || a.CanonicalID != f.a.CanonicalID {
			t.Errorf("account %+v", a)
		}
		if a := must(d.AccountByName(ctx, []byte("a")))(t); a.ID != f.a.ID {
			t.Errorf("by name: %+v", a)
		}
		if a := must(d.AccountByDomain(ctx, []byte("files.example.test")))(t); a.ID != f.a.ID {
			t.Errorf("by domain: %+v", a)
		}
		if b := must(d.Bucket(ctx, f.a.ID, []byte("photos")))(t); b.ID != bucket.ID || b.BackendName != bucket.BackendName {
			t.Errorf("bucket %+v", b)
		}
		if b := must(d.Backend(ctx, f.backend.ID))(t); b.AccessKeyID != "root" || b.SecretKey != "rootsecret" || b.Endpoints[0] != "http://127.0.0.1:9000" {
			t.Errorf("backend %+v", b)
		}
		d.Settle()
	}
	for name, c := range map[string]struct {
		want error
		look func() error
	}{
		"account":        {tenancy.ErrAccountUnknown, func() error { _, err := d.Account(ctx, tenancy.NewID()); return err }},
		"zero account":   {tenancy.ErrAccountUnknown, func() error { _, err := d.Account(ctx, tenancy.ID{}); return err }},
		"name":           {tenancy.ErrAccountUnknown, func() error { _, err := d.AccountByName(ctx, []byte("nobody")); return err }},
		"no name":        {tenancy.ErrAccountUnknown, func() error { _, err := d.AccountByName(ctx, nil); return err }},
		"bad name":       {tenancy.ErrAccountUnknown, func() error { _, err := d.AccountByName(ctx, []byte("a\x00")); return err }},
		"domain":         {tenancy.ErrAccountUnknown, func() error { _, err := d.AccountByDomain(ctx, []byte("other.test")); return err }},
		"claimed domain": {tenancy.ErrAccountUnknown, func() error { _, err := d.AccountByDomain(ctx, []byte("claimed.example.test")); return err }},
		"bucket of B":    {tenancy.ErrBucketUnknown, func() error { _, err := d.Bucket(ctx, f.b.ID, []byte("photos")); return err }},
		"bad bucket":     {tenancy.ErrBucketUnknown, func() error { _, err := d.Bucket(ctx, f.a.ID, []byte("\xff\xff\xff")); return err }},
		"long bucket":    {tenancy.ErrBucketUnknown, func() error { _, err := d.Bucket(ctx, f.a.ID, make([]byte, 5000)); return err }},
		"backend":        {tenancy.ErrBackendUnknown, func() error { _, err := d.Backend(ctx, tenancy.NewID()); return err }},
	} {
		for range 2 {
			if err := c.look(); !errors.Is(err, c.want) || errors.Is(err, tenancy.ErrUnavailable) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			d.Settle()
		}
	}
}

// Whoever writes, the directory hears of it: also of what it had cached as absent.
func TestDirectory_hearsChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	ctx := t.Context()
	f.bucket(f.a, "photos")
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('files.example.test', $1, 'verified')`, f.a.ID)
	k := f.key(f.a)
	look := map[string]func() (string, error){
		"key":     func() (string, error) { i, err := d.Identity(ctx, []byte(k.KeyID)); return show(i, err) },
		"account": func() (string, error) { a, err := d.Account(ctx, f.a.ID); return show(a, err) },
		"name":    func() (string, error) { a, err := d.AccountByName(ctx, []byte("a")); return show(a, err) },
		"renamed": func() (string, error) { a, err := d.AccountByName(ctx, []byte("renamed")); return show(a, err) },
		"domain": func() (string, error) {
			a, err := d.AccountByDomain(ctx, []byte("files.example.test"))
			return show(a, err)
		},
		"bucket":  func() (string, error) { b, err := d.Bucket(ctx, f.a.ID, []byte("photos")); return show(b, err) },
		"backend": func() (string, error) { b, err := d.Backend(ctx, f.backend.ID); return show(b.Default, err) },
		"limits": func() (string, error) {
			a, err := d.Account(ctx, f.a.ID)
			if err != nil {
				return "", err
			}
			return inJSON(t, a.Limits), nil
		},
		"key's limits": func() (string, error) {
			i, err := d.Identity(ctx, []byte(k.KeyID))
			if err != nil {
				return "", err
			}
			return inJSON(t, i.Limits), nil
		},
		"logging": func() (string, error) {
			b, err := d.Bucket(ctx, f.a.ID, []byte("photos"))
			if err != nil {
				return "", err
			}
			return inJSON(t, b.Logging), nil
		},
	}
	for _, c := range []struct{ sql, changes, to string }{
		{`UPDATE backends SET is_default = false`, "backend", "false"},
		{`UPDATE accounts SET status = 'suspended' WHERE name = 'a'`, "account", "suspended"},
		{`UPDATE accounts SET status = 'read_only' WHERE name = 'a'`, "domain", "read_only"}, // and by another way
		{`UPDATE accounts SET status = 'active' WHERE name = 'a'`, "name", "active"},
		{`INSERT INTO account_limits (account_id, requests_per_second) SELECT id, 4711 FROM accounts WHERE name = 'a'`, "limits", "4711"},
		{`UPDATE account_limits SET requests_per_second = NULL, egress_budget = 4712`, "limits", "4712"},
		{`DELETE FROM account_limits`, "limits", "null"},
		{`INSERT INTO key_limits (key_id, account_id, concurrent) SELECT id, account_id, 4713 FROM access_keys`, "key's limits", "4713"},
		{`UPDATE key_limits SET concurrent = 4714`, "key's limits", "4714"},
		{`DELETE FROM key_limits`, "key's limits", "null"},
		{`INSERT INTO bucket_logging (bucket_id, target_name, target_prefix, key_format) SELECT id, 'target', 'first/', '' FROM buckets`, "logging", "first/"},
		{`UPDATE bucket_logging SET target_prefix = 'second/'`, "logging", "second/"},
		{`DELETE FROM bucket_logging`, "logging", "null"},
		{`UPDATE buckets SET public_blocked = true`, "bucket", "PublicBlocked:true"},
		{`UPDATE buckets SET state = 'creating'`, "bucket", "unknown"},
		{`UPDATE buckets SET state = 'deleting'`, "bucket", "PublicBlocked:true"},
		{`UPDATE domains SET ownership = 'lost'`, "domain", "unknown"},
		{`UPDATE domains SET ownership = 'verified'`, "domain", "Name:a"},
		{`UPDATE domains SET purpose = 'portal'`, "domain", "for a website or the portal"},
		{`UPDATE domains SET purpose = 's3'`, "domain", "Name:a"},
		{`UPDATE domains SET host = 'moved.example.test'`, "domain", "unknown"},
		{`UPDATE accounts SET name = 'renamed' WHERE name = 'a'`, "name", "unknown"},
		{`UPDATE access_keys SET key_id = key_id || 'x'`, "key", "unknown"},
		{`UPDATE access_keys SET key_id = left(key_id, 20)`, "key", k.KeyID},
		{`DELETE FROM access_keys`, "key", "unknown"},
		{`DELETE FROM domains; DELETE FROM buckets; DELETE FROM accounts WHERE name = 'renamed'`, "renamed", "unknown"},
	} {
		for _, l := range look {
			_, _ = l()
		}
		d.Settle()
		f.exec(c.sql)
		took := eventually(t, c.sql+" seen as "+c.changes, func() bool {
			s, err := look[c.changes]()
			return strings.Contains(fmt.Sprint(s, err), c.to)
		})
		t.Logf("%-12s %s", took.Round(10*time.Microsecond), c.sql)
	}
}

// inJSON shows what pointers lead to.
func inJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func show(v any, err error) (string, error) { return fmt.Sprintf("%+v", v), err }

// Issue 2, "what must be shown": revocation, from the commit to the refusal.
func TestDirectory_revocationTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.directory(), f.directory()
	var slowest time.Duration
	for range 50 {
		k := f.key(f.a)
		known(t, one, k.KeyID)
		known(t, two, k.KeyID)
		f.revoke(k.KeyID)
		began := time.Now()
		eventually(t, "revoked on one node", unknown(one, k.KeyID))
		eventually(t, "revoked on the other", unknown(two, k.KeyID))
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("slowest of 50 revocations, on two nodes: %s", slowest)
}

func TestDirectory_negative(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory(func(c *tenancy.DirectoryConfig) { c.NegativeTTL = time.Hour })
	id := tenancy.IssueKeyID(f.keyring)
	if !unknown(d, id)() {
		t.Fatal("a key that nobody made is known")
	}
	d.Settle()
	before := d.Misses()
	for range 100 {
		if !unknown(d, id)() {
			t.Fatal("known")
		}
	}
	if n := d.Misses() - before; n > 0 {
		t.Errorf("%d of 100 look-ups of an absent key went to PostgreSQL", n)
	}
	// It is made now: the absence, cached for an hour, ends at once.
	must(f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.a.ID, KeyID: id, Secret: "a secret of mine"}))(t)
	eventually(t, "the new key is known", func() bool { return !unknown(d, id)() })
}

// Ids of our own form with a wrong MAC, and what no store would take, never
// reach PostgreSQL, nor do they fill the memory.
func TestDirectory_inventedIDs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	before := d.Misses()
	for i := range 1000 {
		if id := fmt.Sprintf("PC%s", strings.Repeat(string(rune('A'+i%26)), 18)); !unknown(d, id)() {
			t.Fatalf("%s is known", id)
		}
	}
	for _, id := range []string{"", "ab", "with space", "a/b/c", "a,b", "a=b", "a&b", "nul\x00", "\xff\xfe\xfd", "ação", strings.Repeat("x", 129)} {
		if !unknown(d, id)() {
			t.Errorf("%q: want ErrKeyUnknown", id)
		}
	}
	if n := d.Misses() - before; n > 0 {
		t.Errorf("%d look-ups went to PostgreSQL", n)
	}
}

// Many ask for one key at once: one query.
func TestDirectory_singleFlight(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gate := &gate{contains: "FROM access_keys"}
	d := f.directory(gate.pool(f))
	k := f.key(f.a)
	eventually(t, "the creation was heard of", func() bool { return d.KeyGeneration(k.KeyID) > 0 })
	gate.arm(1)
	var asked, done sync.WaitGroup
	for range 50 {
		asked.Add(1)
		done.Go(func() { asked.Done(); known(t, d, k.KeyID) })
	}
	asked.Wait()
	gate.waitHeld(t, 1)
	gate.open()
	done.Wait()
	if n := gate.seen.Load(); n > 5 { // who asks late finds it loaded, or ristretto not yet ready
		t.Errorf("%d queries for one key", n)
	}
}

func TestDirectory_metrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := prometheus.NewPedanticRegistry()
	d := f.directory(func(c *tenancy.DirectoryConfig) { c.Metrics = r })
	known(t, d, f.key(f.a).KeyID)
	families, err := r.Gather()
	if err != nil || len(families) != 7 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
}

func TestNewDirectory_refuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	pool := f.db.Pool(t, pg.RoleGateway)
	for name, cfg := range map[string]tenancy.DirectoryConfig{
		"nothing":          {},
		"no keyring":       {Pool: pool},
		"a public keyring": {Pool: pool, Keyring: f.keyring.Public()},
	} {
		if _, err := tenancy.NewDirectory(cfg); err == nil {
			t.Errorf("made with %s", name)
		}
	}
}

// gate holds queries after PostgreSQL has answered them, before the answer is
// used: those whose text contains contains, or an argument of which contains about.
type gate struct {
	contains string
	about    string
	toHold   atomic.Int64
	held     atomic.Int64
	seen     atomic.Int64
	release  chan struct{}
	opening  sync.Once
}

func (g *gate) pool(f *fixture) func(*tenancy.DirectoryConfig) {
	g.release = make(chan struct{})
	cfg := must(pg.ParseConfig(f.db.URL(pg.RoleGateway)))(f.t)
	cfg.MaxConns = 10
	cfg.ConnConfig.Tracer = g
	pool := must(pgxpool.NewWithConfig(f.t.Context(), cfg))(f.t)
	f.t.Cleanup(pool.Close)
	f.t.Cleanup(g.open) // the pool waits for its connections
	return func(c *tenancy.DirectoryConfig) { c.Pool = pool }
}

func (g *gate) arm(n int64) { g.seen.Store(0); g.toHold.Store(n) }

// open lets what is held go, and whatever comes.
func (g *gate) open() {
	g.toHold.Store(0)
	g.opening.Do(func() { close(g.release) })
}

func (g *gate) waitHeld(t testing.TB, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d queries held", n), func() bool { return g.held.Load() == n })
}

type gateKey struct{}

func (g *gate) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	ours := g.contains != "" && strings.Contains(q.SQL, g.contains)
	for _, a := range q.Args {
		text, _ := a.(string)
		ours = ours || g.about != "" && strings.Contains(text, g.about)
	}
	return context.WithValue(ctx, gateKey{}, ours)
}

func (g *gate) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ours, _ := ctx.Value(gateKey{}).(bool); !ours {
		return
	}
	g.seen.Add(1)
	if g.toHold.Add(-1) < 0 {
		return
	}
	g.held.Add(1)
	<-g.release
}
