package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usagereport"
	"github.com/primecloudpro/primecloud/tenancy"
)

// TestNode: a node is killed and never comes back. It holds the figures open
// until its journal is handed in; twice is as good as once.
func TestNode(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.must("account", "create", "acme")
	in.must("bucket", "create", "acme", "backups")
	k := decode[tenancy.Key](t, in.must("key", "create", "acme", "--json"))
	journal := t.TempDir()
	p := in.serveOn(journal)
	testenv.WaitFor(t, "the node to be known", func() bool { return len(decode[[]nodeRow](t, in.must("node", "list", "--json"))) == 1 })
	const size = 12345
	if _, err := client(p.addrs.S3, k).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("backups"), Key: aws.String("k"), Body: bytes.NewReader(make([]byte, size))}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(journal, "*.journal"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if _, err := in.run("usage", "import-journal", files[0]); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a journal in use: %v", err)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	nodes := decode[[]nodeRow](t, in.must("node", "list", "--json"))
	if len(nodes) != 1 || nodes[0].ClosedAt != nil {
		t.Fatalf("after the kill: %+v", nodes)
	}
	for range 2 {
		in.must("usage", "import-journal", files[0])
		if rows := decode[[]usagereport.Usage](t, in.must("usage", "show", "--json")); len(rows) != 1 || rows[0].Ingress != size || rows[0].Requests != 1 {
			t.Errorf("usage: %+v", rows)
		}
	}
	if nodes := decode[[]nodeRow](t, in.must("node", "list", "--json")); len(nodes) != 0 {
		t.Errorf("after the import: %+v", nodes)
	}
	if all := decode[[]nodeRow](t, in.must("node", "list", "--all", "--json")); len(all) != 1 || all[0].ClosedAt == nil {
		t.Errorf("all: %+v", all)
	}
	if _, err := in.run("node", "retire", nodes[0].Epoch.String()); !errors.Is(err, ledger.ErrNodeUnknown) {
		t.Errorf("retiring what is over: %v", err)
	}
	// An hour that is sealed is final, the present one is not.
	earlier := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	if _, err := in.db.Pool(t, "").Exec(t.Context(), `INSERT INTO usage_readings SELECT epoch, account_id, bucket_id, key_id, class, $1, 1, 2, 3, 2, 3 FROM usage_readings`, earlier); err != nil {
		t.Fatal(err)
	}
	keyring, err := (&cli{environ: in.env}).keyring()
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.NewSealer(ledger.SealerConfig{Pool: in.db.Pool(t, pg.RoleWorker), Keys: keyring, AtOnce: 1}).Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	hours, err := csv.NewReader(strings.NewReader(in.must("usage", "show", "--by", "hour", "--csv"))).ReadAll()
	if err != nil || len(hours) != 3 || !slices.Equal(hours[1], []string{"acme", earlier.Format(time.RFC3339), "1", "2", "3", "0", "0", "0", "true"}) || hours[2][8] != "false" {
		t.Errorf("hours: %q, %v", hours, err)
	}
	lost := in.serveOn(t.TempDir())
	testenv.WaitFor(t, "the second node", func() bool { return len(decode[[]nodeRow](t, in.must("node", "list", "--json"))) == 1 })
	_ = lost.cmd.Process.Kill()
	in.must("node", "retire", decode[[]nodeRow](t, in.must("node", "list", "--json"))[0].Epoch.String())
	if nodes := decode[[]nodeRow](t, in.must("node", "list", "--json")); len(nodes) != 0 {
		t.Errorf("after it was given up: %+v", nodes)
	}
}
