//go:build !race

package socket_test

import (
	"io"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/socket"
)

// Not parallel: AllocsPerRun counts what the whole process allocates.
func TestConn_allocates(t *testing.T) {
	c, other := socket.Pair(t)
	to, sink := socket.Pair(t)
	p := make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() {
		_, _ = c.Write(p)
		_, _ = io.ReadFull(other, p)
		_, _ = other.Write(p)
		_, _ = c.Read(p)
		_, _ = c.ReadNow(p)
		_, _ = other.Write(p)
		_, _ = to.Splice(c, int64(len(p)))
		_, _ = io.ReadFull(sink, p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
