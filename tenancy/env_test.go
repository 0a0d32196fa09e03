package tenancy_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// fixture is a database with a backend and two accounts.
type fixture struct {
	*tenancytest.Installation
	t       testing.TB
	db      *testenv.DB
	keyring *secret.Keyring
	// store has the public half of the keyring only, as the portal does.
	store   *tenancy.Store
	owner   *pgxpool.Pool
	backend *tenancy.Backend
	a, b    *tenancy.Account
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	in := tenancytest.New(t)
	f := &fixture{t: t, Installation: in, db: in.DB, keyring: in.Keyring, store: in.Store, owner: in.Owner}
	f.backend = must(f.store.AddBackend(t.Context(), f.owner, tenancy.Backend{
		Name: "minio", Endpoints: []string{"http://127.0.0.1:9000"}, AccessKeyID: "root", SecretKey: "rootsecret",
	}))(t)
	f.a, f.b = f.account("a"), f.account("b")
	return f
}

func (f *fixture) account(name string) *tenancy.Account {
	f.t.Helper()
	return must(tenancy.CreateAccount(f.t.Context(), f.owner, name, "", tenancy.Active))(f.t)
}

func (f *fixture) key(account *tenancy.Account) *tenancy.Key {
	f.t.Helper()
	return must(f.store.CreateKey(f.t.Context(), f.owner, tenancy.Key{AccountID: account.ID}))(f.t)
}

func (f *fixture) imported(id string) *tenancy.Key {
	f.t.Helper()
	return must(f.store.CreateKey(f.t.Context(), f.owner, tenancy.Key{AccountID: f.a.ID, KeyID: id, Secret: "imported secret"}))(f.t)
}

func (f *fixture) revoke(keyID string) {
	f.t.Helper()
	if err := tenancy.RevokeKey(f.t.Context(), f.owner, keyID); err != nil {
		f.t.Fatal(err)
	}
}

// bucket is an active bucket of the account, without one in the backend.
func (f *fixture) bucket(account *tenancy.Account, name string) *tenancy.Bucket {
	f.t.Helper()
	return must(tenancy.ImportBucket(f.t.Context(), f.owner, account.ID, name, f.backend.ID, tenancy.BackendName(tenancy.NewID()), false))(f.t)
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	f.Exec(sql, args...)
}

// directory runs one with the present keyring, which tests rotate.
func (f *fixture) directory(config ...func(*tenancy.DirectoryConfig)) *tenancy.Directory {
	f.t.Helper()
	return f.Directory(append([]func(*tenancy.DirectoryConfig){func(c *tenancy.DirectoryConfig) { c.Keyring = f.keyring }}, config...)...)
}

func must[T any](v T, err error) func(testing.TB) T { return testenv.Must(v, err) }

// eventually asks again until it is so, and returns how long that took: to be
// told, not to be judged, since it is the machine's as much as the product's.
func eventually(t testing.TB, what string, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	testenv.WaitFor(t, what, so)
	return time.Since(began)
}
