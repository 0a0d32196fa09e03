package node

import (
	"fmt"
	"syscall"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

// A client's connection takes two descriptors while it is busy, its own and the
// backend's, and a third while the names around what it writes are looked at. The
// rest of a node must never be short of any: PostgreSQL's connections and the pipes
// of downloads are counted, ownDescriptors are for the journal, the access log and
// its delivery, listeners, the operator's scrapes.
const (
	ownDescriptors = 128
	fewestUseful   = 16 // connections
)

// fitConnections lowers max_connections to what RLIMIT_NOFILE leaves. The limit
// is the hard one: Go's runtime has raised the soft one to it at start (package
// syscall, rlimit.go).
func (n *node) fitConnections() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("RLIMIT_NOFILE: %w", err)
	}
	reserve := ownDescriptors + socket.MostDescriptors
	for role, url := range map[string]string{RoleGateway: n.cfg.Database.URL, RoleWorker: n.cfg.Database.WorkerURL} {
		if !n.cfg.has(role) {
			continue
		}
		pool, err := pg.ParseConfig(url)
		if err != nil {
			return err
		}
		reserve += int(pool.MaxConns) + 1 // one listens
	}
	perConnection := 3
	if n.cfg.S3.AnyNames {
		perConnection = 2
	}
	most := connectionsWithin(limit.Cur, reserve, perConnection)
	need := n.cfg.S3.MaxConnections*perConnection + reserve
	switch {
	case most >= n.cfg.S3.MaxConnections:
		return nil
	case most < fewestUseful:
		return fmt.Errorf("RLIMIT_NOFILE is %d, which leaves descriptors for %d client connections; for max_connections %d it must be %d (LimitNOFILE= of a systemd unit, ulimit -n)",
			limit.Cur, most, n.cfg.S3.MaxConnections, need)
	}
	n.log.Warn("max_connections is lowered to what RLIMIT_NOFILE leaves", "max_connections", n.cfg.S3.MaxConnections, "lowered", most, "rlimit_nofile", limit.Cur, "needed", need)
	n.cfg.S3.MaxConnections = most
	return nil
}

// connectionsWithin is how many client connections a number of descriptors lets be.
func connectionsWithin(descriptors uint64, reserve, perConnection int) int {
	if descriptors > 1<<30 { // as good as none
		descriptors = 1 << 30
	}
	return max(0, (int(descriptors)-reserve)/perConnection)
}
