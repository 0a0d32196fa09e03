package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Installation is a PrimeCloud with a PostgreSQL of its own and one account
// with a key, set up by the operator's commands. Nodes are started from it.
type Installation struct {
	Account              string
	AccessKey, SecretKey string

	lab      *Lab
	postgres *devstack.Postgres
	nodes    int
}

const account = "bench"

// Install sets one up, without backends.
func (l *Lab) Install(ctx context.Context) (*Installation, error) {
	p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: l.path("postgres"), Durable: true, Progress: l.Log})
	if err != nil {
		return nil, err
	}
	l.stop = append(l.stop, p.Stop)
	i := &Installation{lab: l, postgres: p, Account: account}
	if err := i.SQL(ctx, "postgres", `CREATE DATABASE primecloud`); err != nil {
		return nil, err
	}
	if err := i.Command(ctx, nil, "secret", "generate", l.path("keyring")); err != nil {
		return nil, err
	}
	if err := i.Command(ctx, nil, "migrate"); err != nil {
		return nil, err
	}
	if err := i.SQL(ctx, "", p.LoginSQL(pg.RoleGateway)+"; "+p.LoginSQL(pg.RoleWorker)); err != nil {
		return nil, err
	}
	return i, i.Command(ctx, nil, "account", "create", account)
}

// URL is the database as its owner sees it.
func (i *Installation) URL() string { return i.postgres.URL("", "primecloud") }

// SQL runs statements in a database, by default the installation's.
func (i *Installation) SQL(ctx context.Context, database, statements string) error {
	if database == "" {
		database = "primecloud"
	}
	conn, err := pgx.Connect(ctx, i.postgres.URL("", database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statements)
	return errors.Join(err, conn.Close(ctx))
}

// environ is what the operator's commands and the nodes run with: nothing of
// the harness's own PRIMECLOUD_ settings.
func (i *Installation) environ(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PRIMECLOUD_") && !strings.HasPrefix(kv, "BACKEND_") {
			env = append(env, kv)
		}
	}
	return append(append(env, "PRIMECLOUD_OWNER_DATABASE_URL="+i.URL(), "PRIMECLOUD_KEYRING_FILE="+i.lab.path("keyring")), more...)
}

// Command runs one of the operator's commands; out, unless nil, takes its JSON.
func (i *Installation) Command(ctx context.Context, out any, args ...string) error {
	return i.command(ctx, out, nil, args...)
}

func (i *Installation) command(ctx context.Context, out any, env []string, args ...string) error {
	if out != nil {
		args = append(args, "--json")
	}
	cmd := exec.CommandContext(ctx, i.lab.Binary, args...)
	cmd.Dir, cmd.Env = i.lab.dir, i.environ(env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("primecloud %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(stdout.Bytes(), out)
}

// CreateKeys issues n keys of the account.
func (i *Installation) CreateKeys(ctx context.Context, n int) ([]*tenancy.Key, error) {
	text, err := os.ReadFile(i.lab.path("keyring"))
	if err != nil {
		return nil, err
	}
	keyring, err := secret.Parse(text)
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, i.URL())
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	store := &tenancy.Store{Keyring: keyring}
	a, err := tenancy.AccountByName(ctx, pool, account)
	if err != nil {
		return nil, err
	}
	keys := make([]*tenancy.Key, n)
	return keys, pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		for k := range keys {
			if keys[k], err = store.CreateKey(ctx, tx, tenancy.Key{AccountID: a.ID}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Attach adds a backend and takes its bucket over.
func (i *Installation) Attach(ctx context.Context, behind *Server) error {
	name := fileName(behind.Name)
	if err := i.command(ctx, nil, []string{"BACKEND_ACCESS_KEY=" + behind.AccessKey, "BACKEND_SECRET_KEY=" + behind.SecretKey},
		"backend", "add", name, "--endpoints", "http://"+behind.Addr); err != nil {
		return err
	}
	if err := i.Command(ctx, nil, "bucket", "import", account, Bucket, "--backend", name); err != nil {
		return err
	}
	if i.AccessKey != "" {
		return nil
	}
	var k tenancy.Key
	err := i.Command(ctx, &k, "key", "create", account)
	i.AccessKey, i.SecretKey = k.KeyID, k.Secret
	return err
}

// Node starts a gateway as it is shipped: no setting but where things are.
func (i *Installation) Node(ctx context.Context, flags ...string) (*Server, error) {
	return i.NodeOf(ctx, i.lab.Binary, flags...)
}

// NodeOf is Node with another build of the gateway.
func (i *Installation) NodeOf(ctx context.Context, binary string, flags ...string) (*Server, error) {
	i.nodes++
	name := "PrimeCloud"
	if i.nodes > 1 {
		name = fmt.Sprintf("PrimeCloud %d", i.nodes)
	}
	s := &Server{Name: name, AccessKey: i.AccessKey, SecretKey: i.SecretKey}
	if err := freeAddrs(&s.Addr, &s.TLSAddr, &s.AdminAddr); err != nil {
		return nil, err
	}
	s.Host = s.Addr
	l := i.lab
	cmd := exec.Command(binary, append([]string{"serve", "--s3-addr", s.Addr, "--tls-addr", s.TLSAddr, "--admin-addr", s.AdminAddr,
		"--tls-cert", l.path("tls.crt"), "--tls-key", l.path("tls.key"), "--journal-dir", l.path(fileName(name) + "-journal"), "--access-log-dir", l.path(fileName(name) + "-access-log"),
		"--node", fileName(name), "--drain-delay", "0s", "--drain-timeout", "2s", "--s3-connections-per-address", "0"}, flags...)...)
	cmd.Env = i.environ("PRIMECLOUD_DATABASE_URL="+i.postgres.URL(pg.RoleGateway, "primecloud"),
		"PRIMECLOUD_WORKER_DATABASE_URL="+i.postgres.URL(pg.RoleWorker, "primecloud"))
	if err := l.start(ctx, s, cmd); err != nil {
		return nil, err
	}
	return s, i.ready(ctx, s)
}

// ready waits until the node hears of changes.
func (i *Installation) ready(ctx context.Context, s *Server) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.AdminAddr+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", s.Name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
