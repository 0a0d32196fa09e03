// Package nodetest runs nodes in tests: whole, as `primecloud serve` runs them.
package nodetest

import (
	"context"
	"testing"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

// Config is a node's with the roles, on free ports of loopback and folders of its own.
// The keyring is the database's from then on.
func Config(t testing.TB, db *testenv.DB, k *secret.Keyring, roles ...string) node.Config {
	t.Helper()
	if err := keyring.Check(t.Context(), db.Pool(t, pg.RoleOwner), k); err != nil {
		t.Fatal(err)
	}
	cfg := node.DefaultConfig()
	cfg.Roles, cfg.Node, cfg.Keyring = roles, "node-a", string(testenv.Must(k.Marshal())(t))
	cfg.Database.URL, cfg.Database.WorkerURL = db.URL(pg.RoleGateway), db.URL(pg.RoleWorker)
	cfg.DrainDelay = 0
	cfg.S3.Addr, cfg.Admin.Addr, cfg.Journal.Dir, cfg.AccessLog.Dir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir(), t.TempDir()
	return cfg
}

// Node is one that serves.
type Node struct {
	node.Addresses
	Log *testenv.Buffer

	t     testing.TB
	stop  context.CancelFunc
	ended chan error
}

// Start runs one until Stop or the end of the test, and waits until it serves.
func Start(t testing.TB, cfg node.Config) *Node {
	t.Helper()
	n := &Node{Log: &testenv.Buffer{}, t: t, ended: make(chan error, 1)}
	// Its own context: the test's ends before its cleanups run.
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	n.stop = stop
	serving := make(chan node.Addresses, 1)
	cfg.Output, cfg.OnReady = n.Log, func(a node.Addresses) { serving <- a }
	go func() { n.ended <- node.Run(ctx, cfg) }()
	select {
	case n.Addresses = <-serving:
	case err := <-n.ended:
		stop()
		t.Fatalf("the node ended before it served: %v\n%s", err, n.Log)
	}
	t.Cleanup(n.Stop)
	return n
}

// Stop ends the node in order, once; an error of it is the test's.
func (n *Node) Stop() {
	n.t.Helper()
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	if err := <-n.ended; err != nil {
		n.t.Errorf("the node: %v\n%s", err, n.Log)
	}
}
