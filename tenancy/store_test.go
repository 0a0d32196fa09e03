package tenancy_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

func TestStore_accounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	if f.a.DisplayName != "a" || f.a.Status != tenancy.Active || len(f.a.CanonicalID) != 64 || f.a.CanonicalID == f.b.CanonicalID || f.a.CreatedAt.IsZero() {
		t.Errorf("account %+v", f.a)
	}
	if _, err := tenancy.CreateAccount(ctx, f.owner, "a", "", tenancy.Active); !errors.Is(err, tenancy.ErrAccountExists) {
		t.Errorf("the same name: %v", err)
	}
	for _, c := range []struct{ name, display string }{{"Not a label", ""}, {"nul", "a\x00"}, {"utf8", "\xff"}, {"long", strings.Repeat("x", 201)}} {
		if _, err := tenancy.CreateAccount(ctx, f.owner, c.name, c.display, tenancy.Active); !errors.Is(err, tenancy.ErrInvalidName) {
			t.Errorf("%q, %q: %v", c.name, c.display, err)
		}
	}
	for _, s := range []tenancy.Status{tenancy.Suspended, tenancy.ReadOnly, tenancy.Closed, tenancy.Rejected, tenancy.Pending, tenancy.Active} {
		if err := tenancy.SetStatus(ctx, f.owner, f.a.ID, s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if a := must(tenancy.AccountByName(ctx, f.owner, "a"))(t); a.Status != s {
			t.Errorf("status %s, want %s", a.Status, s)
		}
	}
	if err := tenancy.SetStatus(ctx, f.owner, f.a.ID, "gone"); err == nil {
		t.Error("gone is a status")
	}
	if err := tenancy.SetStatus(ctx, f.owner, tenancy.NewID(), tenancy.Active); !errors.Is(err, tenancy.ErrAccountUnknown) {
		t.Errorf("nobody's status: %v", err)
	}
	if list := must(tenancy.ListAccounts(ctx, f.owner))(t); len(list) != 2 || list[0].Name != "a" {
		t.Errorf("list %v", list)
	}
}

func TestStore_CreateKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	k := must(f.store.CreateKey(ctx, f.owner, tenancy.Key{
		AccountID: f.a.ID, Description: "backup", Permissions: []string{"list", "read", "read"}, Buckets: []string{"photos"}, Prefix: "x/",
		CIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("::ffff:192.0.2.7/120"), netip.MustParsePrefix("2001:db8::1/32")},
	}))(t)
	if len(k.KeyID) != 20 || len(k.Secret) != 40 || strings.ContainsAny(k.Secret, "/+=") {
		t.Errorf("key %q", k.KeyID)
	}
	got := must(tenancy.KeyByID(ctx, f.owner, k.KeyID))(t)
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	if got.Secret != "" || !slices.Equal(got.Permissions, []string{"read", "list"}) || !slices.Equal(got.CIDRs, want) || got.Kind != tenancy.KindS3 ||
		got.Description != "backup" || !got.CreatedAt.Equal(k.CreatedAt) {
		t.Errorf("key %#v: %v %v", got, got.Permissions, got.CIDRs)
	}
	soon := time.Now().Add(30 * time.Minute)
	for _, kind := range []tenancy.Kind{tenancy.KindPortal, tenancy.KindSFTP, tenancy.KindJob} {
		must(f.store.CreateKey(ctx, f.owner, tenancy.Key{AccountID: f.a.ID, Kind: kind, ExpiresAt: &soon, UserID: tenancy.NewID()}))(t)
	}
	if list := must(tenancy.ListKeys(ctx, f.owner, f.a.ID))(t); len(list) != 1 || list[0].KeyID != k.KeyID {
		t.Errorf("internal keys are listed: %v", list)
	}
	imported := f.imported("AKIAIOSFODNN7EXAMPLE")
	late := time.Now().Add(2 * time.Hour)
	for what, c := range map[string]struct {
		key  tenancy.Key
		want error
	}{
		"taken":                    {tenancy.Key{AccountID: f.b.ID, KeyID: imported.KeyID, Secret: "12345678"}, tenancy.ErrKeyExists},
		"nobody's":                 {tenancy.Key{AccountID: tenancy.NewID()}, tenancy.ErrAccountUnknown},
		"short id":                 {tenancy.Key{AccountID: f.a.ID, KeyID: "ab", Secret: "12345678"}, tenancy.ErrInvalidName},
		"id with a slash":          {tenancy.Key{AccountID: f.a.ID, KeyID: "a/b/c", Secret: "12345678"}, tenancy.ErrInvalidName},
		"id with a line feed":      {tenancy.Key{AccountID: f.a.ID, KeyID: "abc\n", Secret: "12345678"}, tenancy.ErrInvalidName},
		"short secret":             {tenancy.Key{AccountID: f.a.ID, KeyID: "abcd", Secret: "1234567"}, tenancy.ErrInvalidName},
		"an invented id":           {tenancy.Key{AccountID: f.a.ID, KeyID: "PCABCDEFGHIJKLMNOPQR", Secret: "12345678"}, tenancy.ErrInvalidName},
		"unknown permission":       {tenancy.Key{AccountID: f.a.ID, Permissions: []string{"everything"}}, nil},
		"bad bucket":               {tenancy.Key{AccountID: f.a.ID, Buckets: []string{"*"}}, tenancy.ErrInvalidName},
		"bad prefix":               {tenancy.Key{AccountID: f.a.ID, Prefix: "a\x00"}, tenancy.ErrInvalidName},
		"no network":               {tenancy.Key{AccountID: f.a.ID, CIDRs: []netip.Prefix{{}}}, tenancy.ErrInvalidName},
		"a long internal key":      {tenancy.Key{AccountID: f.a.ID, Kind: tenancy.KindSFTP, ExpiresAt: &late}, nil},
		"an endless internal key":  {tenancy.Key{AccountID: f.a.ID, Kind: tenancy.KindJob}, nil},
		"a key of an unknown kind": {tenancy.Key{AccountID: f.a.ID, Kind: "root", ExpiresAt: &soon}, nil},
	} {
		if _, err := f.store.CreateKey(ctx, f.owner, c.key); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// S3-RULES.md B28: rotated keys overlap, then stop; revoked and expired ones stop.
func TestStore_keyLife_B28(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	expiry := time.Now().Add(90 * 24 * time.Hour).Truncate(time.Microsecond)
	user := tenancy.NewID()
	old := must(f.store.CreateKey(ctx, f.owner, tenancy.Key{AccountID: f.a.ID, UserID: user, Permissions: []string{"read"}, Buckets: []string{"photos"}, ExpiresAt: &expiry}))(t)
	next := must(f.store.RotateKey(ctx, f.owner, old.KeyID, time.Hour))(t)
	if next.KeyID == old.KeyID || next.Secret == old.Secret || next.AccountID != f.a.ID || next.UserID != user ||
		!slices.Equal(next.Permissions, []string{"read"}) || !slices.Equal(next.Buckets, []string{"photos"}) {
		t.Errorf("successor %#v has other rights", next)
	}
	if next.ExpiresAt == nil || !next.ExpiresAt.Equal(expiry) {
		t.Errorf("a key for 90 days became one until %v", next.ExpiresAt)
	}
	if k := must(tenancy.KeyByID(ctx, f.owner, old.KeyID))(t); k.ExpiresAt == nil || time.Until(*k.ExpiresAt) > time.Hour || k.RevokedAt != nil {
		t.Errorf("the old key lives until %v", k.ExpiresAt)
	}
	if _, err := f.store.RotateKey(ctx, f.owner, old.KeyID, time.Hour); !errors.Is(err, tenancy.ErrKeyRetired) {
		t.Errorf("rotated twice: %v", err)
	}
	f.revoke(next.KeyID)
	for _, id := range []string{next.KeyID, "absent"} {
		if err := tenancy.RevokeKey(ctx, f.owner, id); !errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Errorf("revoke %s: %v", id, err)
		}
		if err := f.store.ExpireKey(ctx, f.owner, id, &expiry); !errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Errorf("expire %s: %v", id, err)
		}
	}
	if _, err := f.store.RotateKey(ctx, f.owner, next.KeyID, time.Hour); !errors.Is(err, tenancy.ErrKeyRetired) {
		t.Errorf("a revoked key was rotated: %v", err)
	}
	if _, err := f.store.RotateKey(ctx, f.owner, "absent", time.Hour); !errors.Is(err, tenancy.ErrKeyUnknown) {
		t.Errorf("an absent key was rotated: %v", err)
	}
	short := f.key(f.a)
	if err := f.store.ExpireKey(ctx, f.owner, short.KeyID, ptr(time.Now().Add(-time.Second))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.RotateKey(ctx, f.owner, short.KeyID, time.Hour); !errors.Is(err, tenancy.ErrKeyRetired) {
		t.Errorf("an expired key was rotated: %v", err)
	}
	// Two at once: one successor.
	k := f.key(f.a)
	errs := make([]error, 5)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = f.store.RotateKey(ctx, f.owner, k.KeyID, 0) })
	}
	all.Wait()
	slices.SortFunc(errs, func(a, b error) int { return boolInt(a != nil) - boolInt(b != nil) })
	if errs[0] != nil || !errors.Is(errs[1], tenancy.ErrKeyRetired) {
		t.Errorf("rotated at once: %v", errs)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestStore_RevokeInternalKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	ctx := t.Context()
	user, other, soon := tenancy.NewID(), tenancy.NewID(), time.Now().Add(time.Hour)
	make := func(kind tenancy.Kind, user tenancy.ID) string {
		return must(f.store.CreateKey(ctx, f.owner, tenancy.Key{AccountID: f.a.ID, Kind: kind, UserID: user, ExpiresAt: &soon}))(t).KeyID
	}
	dead := []string{make(tenancy.KindPortal, user), make(tenancy.KindSFTP, user)}
	alive := []string{make(tenancy.KindPortal, other), make(tenancy.KindS3, user)}
	for _, id := range append(dead, alive...) {
		known(t, d, id)
	}
	if err := tenancy.RevokeInternalKeys(ctx, f.owner, f.a.ID, user); err != nil {
		t.Fatal(err)
	}
	for _, id := range dead {
		eventually(t, "the internal key is dead", unknown(d, id))
	}
	for _, id := range alive {
		known(t, d, id)
	}
}

// The database holds no secret that it could open, and a row's cannot be moved
// to another.
func TestStore_sealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	k, other := f.key(f.a), f.key(f.b)
	if n := count(t, f.owner, `SELECT count(*) FROM access_keys
		WHERE position(convert_to($1, 'UTF8') in sealed_secret) > 0 OR access_keys::text LIKE '%' || $1 || '%'`, k.Secret); n != 0 {
		t.Error("a secret is in its row")
	}
	if n := count(t, f.owner, `SELECT count(*) FROM backends WHERE position(convert_to('rootsecret', 'UTF8') in sealed_credential) > 0`); n != 0 {
		t.Error("a backend's secret is in its row")
	}
	f.exec(`UPDATE access_keys SET sealed_secret = (SELECT sealed_secret FROM access_keys WHERE key_id = $2) WHERE key_id = $1`, k.KeyID, other.KeyID)
	eventually(t, "a moved secret does not open", func() bool {
		return errors.Is(lookup(d, k.KeyID), tenancy.ErrKeyUnknown)
	})
	if _, err := f.store.Backend(t.Context(), f.owner, f.backend.ID); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("the public keyring opened a backend's credential: %v", err)
	}
}

func TestStore_RewrapSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	keys := []*tenancy.Key{f.key(f.a), f.key(f.b)}
	f.exec(`INSERT INTO accounts (id, name, display_name, canonical_id, status) VALUES (gen_random_uuid(), 'many', 'many', repeat('e', 64), 'active')`)
	many := must(tenancy.AccountByName(ctx, f.owner, "many"))(t)
	for range 600 { // more than a batch
		keys = append(keys, f.key(many))
	}
	next := must(f.keyring.Rotate())(t)
	store := &tenancy.Store{Keyring: next}
	if n := must(store.RewrapSecrets(ctx, f.owner, nil))(t); n != len(keys)+1 {
		t.Errorf("moved %d of %d", n, len(keys)+1)
	}
	if n := must(store.RewrapSecrets(ctx, f.owner, nil))(t); n != 0 {
		t.Errorf("moved %d again", n)
	}
	f.keyring = next
	d := f.directory()
	for _, k := range []*tenancy.Key{keys[0], keys[len(keys)-1]} {
		if i := known(t, d, k.KeyID); i.Secret != k.Secret {
			t.Errorf("%s has another secret", k.KeyID)
		}
	}
	if b := must(d.Backend(ctx, f.backend.ID))(t); b.SecretKey != "rootsecret" {
		t.Error("the backend has another secret")
	}
}

// A value that cannot be opened keeps no other from being moved, wherever it
// stands, and is named without a secret.
func TestStore_RewrapSecrets_badRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	bad, good := f.key(f.a), f.key(f.b)
	f.exec(`UPDATE access_keys SET sealed_secret = '\x01' WHERE key_id = $1`, bad.KeyID)
	second := must(f.store.AddBackend(ctx, f.owner, tenancy.Backend{Name: "second", Endpoints: []string{"http://127.0.0.1:1"}, AccessKeyID: "id", SecretKey: "secret"}))(t)
	f.exec(`UPDATE backends SET sealed_credential = (SELECT sealed_credential FROM backends WHERE id = $1) WHERE id = $2`, second.ID, f.backend.ID)
	f.keyring = must(f.keyring.Rotate())(t)
	store := &tenancy.Store{Keyring: f.keyring}
	for _, want := range []int{2, 0} {
		n, err := store.RewrapSecrets(ctx, f.owner, nil)
		if n != want || !slices.Equal(skipped(err), []string{"key " + bad.KeyID + " of account a", "backend " + f.backend.Name}) {
			t.Errorf("moved %d, want %d: %v", n, want, err)
		}
	}
	d := f.directory()
	if i := known(t, d, good.KeyID); i.Secret != good.Secret {
		t.Error("the other key has another secret")
	}
	if b := must(d.Backend(ctx, second.ID))(t); b.SecretKey != "secret" {
		t.Error("the other backend has another secret")
	}
	if _, err := d.Identity(ctx, []byte(bad.KeyID)); !errors.Is(err, tenancy.ErrKeyUnknown) {
		t.Errorf("the bad key: %v", err)
	}
}

// skipped are the rows that an error of RewrapSecrets names.
func skipped(err error) []string {
	var e *tenancy.SkippedError
	if !errors.As(err, &e) {
		return nil
	}
	return e.Rows
}

func TestStore_backends(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	good := tenancy.Backend{Name: "second", Endpoints: []string{"https://minio-1:9000/", "https://minio-2:9000"}, AccessKeyID: "id", SecretKey: "secret"}
	open := &tenancy.Store{Keyring: f.keyring}
	if !f.backend.Default {
		t.Error("the first backend is not the default")
	}
	second := must(f.store.AddBackend(ctx, f.owner, good))(t)
	if second.Default || second.Endpoints[0] != "https://minio-1:9000" || second.Region != "us-east-1" || good.Endpoints[0] != "https://minio-1:9000/" {
		t.Errorf("second: %+v %v", second, second.Endpoints)
	}
	if _, err := f.store.AddBackend(ctx, f.owner, good); !errors.Is(err, tenancy.ErrBackendExists) {
		t.Errorf("the same name: %v", err)
	}
	good.Name, good.Default, good.Kind = "third", true, tenancy.BackendS3
	must(f.store.AddBackend(ctx, f.owner, good))(t)
	if b := must(open.BackendByName(ctx, f.owner, ""))(t); b.Name != "third" || b.Kind != tenancy.BackendS3 {
		t.Errorf("the default is %s, of kind %s", b.Name, b.Kind)
	}
	if err := f.store.RotateBackend(ctx, f.owner, "second", "id2", "secret2", []string{"http://new:1"}); err != nil {
		t.Error(err)
	}
	if b := must(open.BackendByName(ctx, f.owner, "second"))(t); b.AccessKeyID != "id2" || b.SecretKey != "secret2" || b.Endpoints[0] != "http://new:1" || b.Kind != tenancy.BackendMinIO {
		t.Errorf("rotated: %v %v %s", b, b.Endpoints, b.Kind)
	}
	if err := f.store.RotateBackend(ctx, f.owner, "absent", "id", "secret", nil); !errors.Is(err, tenancy.ErrBackendUnknown) {
		t.Errorf("rotate nothing: %v", err)
	}
	if list := must(tenancy.ListBackends(ctx, f.owner))(t); len(list) != 3 || list[1].SecretKey != "" {
		t.Errorf("list %v", list)
	}
	for what, change := range map[string]func(*tenancy.Backend){
		"name":        func(b *tenancy.Backend) { b.Name = "Not a label" },
		"no endpoint": func(b *tenancy.Backend) { b.Endpoints = nil },
		"no scheme":   func(b *tenancy.Backend) { b.Endpoints = []string{"minio:9000"} },
		"path":        func(b *tenancy.Backend) { b.Endpoints = []string{"http://minio/x"} },
		"query":       func(b *tenancy.Backend) { b.Endpoints = []string{"http://minio?x"} },
		"password":    func(b *tenancy.Backend) { b.Endpoints = []string{"http://a:b@minio"} },
		"no key":      func(b *tenancy.Backend) { b.AccessKeyID = "" },
		"CA":          func(b *tenancy.Backend) { b.CA = "not PEM" },
		"kind":        func(b *tenancy.Backend) { b.Kind = "azure" },
	} {
		b := good
		b.Name = "bad"
		change(&b)
		if _, err := f.store.AddBackend(ctx, f.owner, b); err == nil {
			t.Errorf("%s: added", what)
		}
	}
	if err := tenancy.SetAccountBackend(ctx, f.owner, f.a.ID, second.ID); err != nil {
		t.Error(err)
	}
	gateway := f.db.Pool(t, pg.RoleGateway)
	if b := must(tenancy.ReserveBucket(ctx, gateway, f.a.ID, "photos", false, 0))(t); b.BackendID != second.ID {
		t.Error("not on the account's own backend")
	}
	if b := must(tenancy.ReserveBucket(ctx, gateway, f.b.ID, "photos", false, 0))(t); b.BackendID == second.ID {
		t.Error("not on the default backend")
	}
	if err := tenancy.SetAccountBackend(ctx, f.owner, f.a.ID, tenancy.NewID()); !errors.Is(err, tenancy.ErrBackendUnknown) {
		t.Errorf("an absent backend: %v", err)
	}
	if err := tenancy.SetAccountBackend(ctx, f.owner, f.a.ID, tenancy.ID{}); err != nil {
		t.Error(err)
	}
}

// Many adding a default at once: one default, no failure.
func TestStore_AddBackend_race(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := f.store.AddBackend(t.Context(), f.owner, tenancy.Backend{
				Name: "n" + string(rune('a'+i)), Endpoints: []string{"http://x:1"}, AccessKeyID: "i", SecretKey: "s", Default: true,
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, f.owner, `SELECT count(*) FROM backends WHERE is_default`); n != 1 {
		t.Errorf("%d defaults", n)
	}
}

// What cannot be meant is refused: a rate that would keep a connection for hours,
// and what a key has no part in.
func TestStore_limitsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	k := f.key(f.a)
	for what, c := range map[string]struct {
		account, key bool // it is refused there
		limits       tenancy.Limits
	}{
		"the least upload rate":     {false, false, tenancy.Limits{UploadRate: 65536}},
		"a smaller upload rate":     {true, true, tenancy.Limits{UploadRate: 65535}},
		"the least download rate":   {false, false, tenancy.Limits{DownloadRate: 65536}},
		"a smaller download rate":   {true, true, tenancy.Limits{DownloadRate: 65535}},
		"a negative budget":         {true, true, tenancy.Limits{Caps: [tenancy.Budgets]*tenancy.Cap{tenancy.Egress: {Amount: -1}}}},
		"requests less than none":   {true, true, tenancy.Limits{RequestsPerSecond: -1}},
		"a quota":                   {false, true, tenancy.Limits{Caps: [tenancy.Budgets]*tenancy.Cap{tenancy.Storage: {Amount: 1}}}},
		"a number of buckets":       {false, true, tenancy.Limits{Buckets: 1}},
		"a budget of no bytes more": {false, false, tenancy.Limits{Caps: [tenancy.Budgets]*tenancy.Cap{tenancy.Egress: {}}}},
	} {
		if err := tenancy.SetLimits(t.Context(), f.owner, f.a.ID, &c.limits); errors.Is(err, tenancy.ErrInvalidLimit) != c.account || (err != nil) != c.account {
			t.Errorf("%s, an account's: %v", what, err)
		}
		if err := tenancy.SetKeyLimits(t.Context(), f.owner, k, &c.limits); errors.Is(err, tenancy.ErrInvalidLimit) != c.key || (err != nil) != c.key {
			t.Errorf("%s, a key's: %v", what, err)
		}
	}
}
