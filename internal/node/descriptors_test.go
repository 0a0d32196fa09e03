package node

import (
	"strings"
	"testing"
)

func TestConnectionsWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		descriptors        uint64
		reserve, per, most int
	}{
		{1024, 640, 2, 192}, {1024, 640, 3, 128}, {1024, 1024, 2, 0}, {256, 640, 2, 0}, {65536, 640, 2, 32448}, {1 << 63, 640, 2, 1<<29 - 320}, {642, 640, 3, 0}, {643, 640, 3, 1},
	} {
		if got := connectionsWithin(c.descriptors, c.reserve, c.per); got != c.most {
			t.Errorf("%d with a reserve of %d: %d, wanted %d", c.descriptors, c.reserve, got, c.most)
		}
	}
}

// So few that nobody could be served are refused, with what is needed.
func TestDescriptors_tooFew(t *testing.T) {
	t.Parallel()
	n := &node{cfg: DefaultConfig()}
	n.cfg.S3.MaxConnections = 1 << 30
	n.cfg.Database.URL, n.cfg.Database.WorkerURL = "postgres:///?pool_max_conns=1000000000", "postgres:///"
	if err := n.fitConnections(); err == nil || !strings.Contains(err.Error(), "LimitNOFILE") {
		t.Errorf("%v", err)
	}
}
