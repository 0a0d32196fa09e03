package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/node/nodetest"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// A node whose clock is off is not ready and no worker, at start and later; put
// right it is both. Each role tells it by its own.
func TestClock_node(t *testing.T) {
	t.Parallel()
	for _, roles := range []string{node.RoleGateway, node.RoleWorker, node.RoleGateway + "," + node.RoleWorker} {
		for _, off := range []time.Duration{2 * time.Hour, -72 * time.Hour} {
			t.Run(roles+off.String(), func(t *testing.T) {
				t.Parallel()
				in := install(t)
				keyring := testenv.Must(secret.Parse(testenv.Must(os.ReadFile(in.keyring))(t)))(t)
				cfg := nodetest.Config(t, in.db, keyring, strings.Split(roles, ",")...)
				cfg.Journal.FlushInterval = 50 * time.Millisecond
				var ahead atomic.Int64
				ahead.Store(int64(off))
				now := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) } // a clock that is set has no monotonic reading
				cfg.Now = now
				served := nodetest.Start(t, cfg)
				p, log := process{addrs: served.Addresses}, served.Log
				pool := in.db.Pool(t, "")
				works := func() (n int) {
					t.Helper()
					if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE state = 'completed'`).Scan(&n); err != nil {
						t.Fatal(err)
					}
					return n
				}
				if status(t, &p, "/readyz") != http.StatusServiceUnavailable || !strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("it starts as if nothing were: %s", log)
				}
				if body := adminPage(t, &p, "/metrics"); !strings.Contains(body, "primecloud_clock_offset_seconds") {
					t.Error("no metric")
				}
				if works() != 0 {
					t.Error("it works")
				}
				ahead.Store(0)
				testenv.WaitFor(t, "the node to be ready", func() bool { return status(t, &p, "/readyz") == http.StatusOK })
				if strings.Contains(roles, node.RoleWorker) {
					testenv.WaitFor(t, "the worker", func() bool { return works() > 0 })
				}
				ahead.Store(int64(-off))
				testenv.WaitFor(t, "the node not to be ready", func() bool { return status(t, &p, "/readyz") == http.StatusServiceUnavailable })
				ahead.Store(int64(10 * time.Second))
				testenv.WaitFor(t, "the warning", func() bool { return strings.Contains(log.String(), "level=WARN") })
				testenv.WaitFor(t, "the node to be ready though it is ten seconds off", func() bool { return status(t, &p, "/readyz") == http.StatusOK })
			})
		}
	}
}

func adminPage(t *testing.T, p *process, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.addrs.Admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
