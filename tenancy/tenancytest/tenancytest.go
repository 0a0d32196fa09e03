// Package tenancytest gives tests an installation's database: accounts, keys and
// backends in it, made as the operator makes them, and directories that read it.
package tenancytest

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Installation is a migrated database of a test's own and a keyring.
type Installation struct {
	t       testing.TB
	DB      *testenv.DB
	Keyring *secret.Keyring
	Store   *tenancy.Store // with the keyring's public half, as the portal's
	Owner   *pgxpool.Pool
}

// New makes one without accounts, keys and backends.
func New(t testing.TB) *Installation {
	t.Helper()
	in := &Installation{t: t, DB: testenv.Postgres(t), Keyring: testenv.Must(secret.Generate())(t)}
	in.Owner, in.Store = in.DB.Pool(t, pg.RoleOwner), &tenancy.Store{Keyring: in.Keyring.Public()}
	return in
}

// Account makes an active one.
func (in *Installation) Account(name string) *tenancy.Account {
	in.t.Helper()
	return testenv.Must(tenancy.CreateAccount(in.t.Context(), in.Owner, name, "", tenancy.Active))(in.t)
}

// Key makes one of the account; k says what is not to be the default.
func (in *Installation) Key(account *tenancy.Account, k tenancy.Key) *tenancy.Key {
	in.t.Helper()
	k.AccountID = account.ID
	return testenv.Must(in.Store.CreateKey(in.t.Context(), in.Owner, k))(in.t)
}

// Backend adds one; Endpoints and credentials that b has not are the server's.
func (in *Installation) Backend(name string, m *devstack.MinIO, b tenancy.Backend) *tenancy.Backend {
	in.t.Helper()
	b.Name, b.AccessKeyID, b.SecretKey = name, m.AccessKey, m.SecretKey
	if b.Endpoints == nil {
		b.Endpoints = []string{m.Endpoint}
	}
	if m.CAFile != "" {
		b.CA = string(testenv.Must(os.ReadFile(m.CAFile))(in.t))
	}
	return testenv.Must(in.Store.AddBackend(in.t.Context(), in.Owner, b))(in.t)
}

// Exec runs a statement as the tables' owner.
func (in *Installation) Exec(sql string, args ...any) {
	in.t.Helper()
	if _, err := in.Owner.Exec(in.t.Context(), sql, args...); err != nil {
		in.t.Fatalf("%s: %v", sql, err)
	}
}

// Directory runs one as the gateway's role until the test ends, and waits until it
// is ready. change says what is not to be the default.
func (in *Installation) Directory(change ...func(*tenancy.DirectoryConfig)) *tenancy.Directory {
	in.t.Helper()
	cfg := tenancy.DirectoryConfig{Keyring: in.Keyring, Logger: slog.New(slog.NewTextHandler(in.t.Output(), nil))}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.Pool == nil {
		cfg.Pool = in.DB.Pool(in.t, pg.RoleGateway)
	}
	d := testenv.Must(tenancy.NewDirectory(cfg))(in.t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			in.t.Error(err)
		}
	})
	in.t.Cleanup(func() {
		cancel()
		running.Wait()
		if d.Connected() {
			in.t.Error("a directory that does not run counts as connected")
		}
		d.Close()
	})
	testenv.WaitFor(in.t, "the directory to listen", func() bool {
		select {
		case <-d.Ready():
			return true
		default:
			return false
		}
	})
	return d
}
