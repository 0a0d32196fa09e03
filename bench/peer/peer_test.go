package peer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/primecloudpro/primecloud/bench/load"
	"github.com/primecloudpro/primecloud/bench/nullbackend"
	"github.com/primecloudpro/primecloud/bench/peer"
)

// The test binary is the null backend too, as the harness is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == peer.NullCommand {
		s, err := nullbackend.Listen(os.Args[2], 2)
		if err == nil {
			err = s.Serve()
		}
		panic(err)
	}
	os.Exit(m.Run())
}

func lab(t *testing.T) *peer.Lab {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "primecloud")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "../../cmd/primecloud")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	l, err := peer.NewLab(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestInstallation: a node serves the null backend's objects over both
// listeners, to issued keys, imported keys and in imported buckets, and its
// processor time can be read.
func TestInstallation(t *testing.T) {
	t.Parallel()
	l := lab(t)
	null, err := l.Null(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i, err := l.Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Attach(t.Context(), null); err != nil {
		t.Fatal(err)
	}
	issued, err := i.CreateKeys(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.ImportKeys(t.Context(), 0, 10, 3); err != nil {
		t.Fatal(err)
	}
	if err := i.ImportBuckets(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	node, err := i.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := node.Group().CPU()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, secret, path string
		secure            bool
	}{
		{i.AccessKey, i.SecretKey, peer.ObjectPath(1024, 0), false},
		{i.AccessKey, i.SecretKey, peer.ObjectPath(1024, 0), true},
		{issued[1].KeyID, issued[1].Secret, peer.ObjectPath(1024, 0), false},
		{peer.ImportedKey(2), peer.ImportedSecret, "/" + peer.ImportedBucket(4) + "/1024/0", false},
	} {
		r, err := load.NewSigner(node.Host, c.key, c.secret, peer.Region).Read("GET", c.path, 200, 1024)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := load.Dial(l.Target(node, c.secure))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Do(r); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		_ = conn.Close()
	}
	if after, err := node.Group().CPU(); err != nil || after <= before {
		t.Errorf("the node's processor time was %v and is %v, %v", before, after, err)
	}
}
