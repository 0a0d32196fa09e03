package proxy

import (
	"crypto/sha256"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv/pooled"
	"github.com/primecloudpro/primecloud/proxy/clientconn"
)

// A released exchange is a fresh one but for its buffers, which are empty: what
// a stage forgets, no request of another account can find.
func TestExchange_releasedIsFresh(t *testing.T) {
	t.Parallel()
	used, fresh := exchanges.New().(*exchange), exchanges.New().(*exchange)
	n := pooled.Fill(t, used, &clientconn.Conn{}, sha256.New(), emptyReader{}, errDenied, &countingReader{}, &requestBody{}, &exchange{})
	if n < 150 {
		t.Fatalf("only %d fields were filled", n)
	}
	// These give back what they hold: there is nothing behind it here.
	pooled.Zero(&used.tally, "series")
	pooled.Zero(&used.grant, "l")
	for _, name := range []string{"stranger", "asked", "response"} {
		pooled.Zero(&used.held, name, "of")
	}
	// Bound to their exchange once.
	used.out.x, used.out.head = used, fresh.out.head
	used.clear()
	if used.stream.x != used || used.body.x != used || used.out.x != used {
		t.Error("a released exchange is not its own")
	}
	used.stream.x, used.body.x, used.out.x = fresh, fresh, fresh
	pooled.Fresh(t, used, fresh,
		"exchange.buffers.chunks.ahead",                                           // a window of fixed size, emptied by Reset
		"exchange.buffers.chunks.chunkHash", "exchange.buffers.chunks.sumsByKind", // they begin anew with each body
	)
}
