package node_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/node/nodetest"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

func settings(t *testing.T, db *testenv.DB, roles ...string) node.Config {
	t.Helper()
	return nodetest.Config(t, db, testenv.Must(secret.Generate())(t), roles...)
}

// leftBehind fails when something of a node runs on: a goroutine of this process, a
// session of its database, or a listener. The tests that call it are not parallel: a
// goroutine of another test would be one.
func leftBehind(t *testing.T, db *testenv.DB, before goleak.Option, addrs node.Addresses) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before,
		// fasthttp's sweeper of idle workers looks every ten seconds whether it shall stop.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// Pools of the test's own, which end with it; those of a node show below as sessions.
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"),
	); err != nil {
		t.Error(err)
	}
	pool := db.Pool(t, "")
	testenv.WaitFor(t, "the sessions of the database to end", func() bool {
		var n int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND usename IN ('primecloud_gateway', 'primecloud_worker')`).Scan(&n)
		return err == nil && n == 0
	})
	for _, addr := range []string{addrs.S3, addrs.Admin} {
		if c, err := net.Dial("tcp", addr); addr != "" && err == nil {
			_ = c.Close()
			t.Errorf("%s is open", addr)
		}
	}
}

func TestRun_leavesNothing(t *testing.T) { //nolint:paralleltest // leftBehind
	for name, roles := range map[string][]string{"gateway": {node.RoleGateway}, "worker": {node.RoleWorker}, "both": {node.RoleGateway, node.RoleWorker}} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // leftBehind
			db := testenv.Postgres(t)
			before := goleak.IgnoreCurrent()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			cfg := settings(t, db, roles...)
			var addrs node.Addresses
			cfg.Output = t.Output()
			cfg.OnReady = func(a node.Addresses) {
				addrs = a
				resp, err := http.Get("http://" + a.Admin + "/readyz") //nolint:noctx // a test's
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("/readyz: %v, %v", resp, err)
				} else {
					_ = resp.Body.Close()
				}
				stop()
			}
			if err := node.Run(ctx, cfg); err != nil {
				t.Error(err)
			}
			if addrs.Admin == "" {
				t.Error("it was not ready")
			}
			leftBehind(t, db, before, addrs)
		})
	}
}

// Whichever listener cannot be opened, nothing stays behind of what had started.
func TestRun_portTaken(t *testing.T) { //nolint:paralleltest // leftBehind
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, take := range map[string]func(*node.Config){
		"S3":    func(cfg *node.Config) { cfg.S3.Addr = taken.Addr().String() },
		"admin": func(cfg *node.Config) { cfg.Admin.Addr = taken.Addr().String() },
		"no certificate": func(cfg *node.Config) {
			cfg.TLS.Addr, cfg.TLS.Cert, cfg.TLS.Key = "127.0.0.1:0", "/nowhere", "/nowhere"
		},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // leftBehind
			db := testenv.Postgres(t)
			before := goleak.IgnoreCurrent()
			cfg := settings(t, db, node.RoleGateway, node.RoleWorker)
			cfg.Output = t.Output()
			take(&cfg)
			cfg.OnReady = func(node.Addresses) { t.Error("it says that it is ready") }
			if err := node.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another process listens there") && !strings.Contains(err.Error(), "/nowhere") {
				t.Errorf("%v", err)
			}
			leftBehind(t, db, before, node.Addresses{})
		})
	}
}

// Usage that cannot be written at the end is an error: logged, and the process's own.
func TestRun_lastFlush(t *testing.T) { //nolint:paralleltest // leftBehind
	db := testenv.Postgres(t)
	before := goleak.IgnoreCurrent()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := settings(t, db, node.RoleGateway)
	cfg.Journal.FlushInterval = time.Hour // no other one
	var logs testenv.Buffer
	cfg.Output = &logs
	back := func() {}
	cfg.OnReady = func(node.Addresses) {
		back = db.TakeAway(t)
		stop()
	}
	err := node.Run(ctx, cfg)
	back()
	if err == nil || !strings.HasPrefix(err.Error(), "metering: ") {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(logs.String(), `level=ERROR msg="a service did not stop in order" service=metering`) {
		t.Errorf("the log does not say so:\n%s", &logs)
	}
	leftBehind(t, db, before, node.Addresses{})
}
