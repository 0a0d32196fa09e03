package proxy_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/metering/ledger"
)

// TestDownload_steps: a download is counted while it moves. Whenever its client
// looks, no more than a step of what it has read is missing in the ledger.
func TestDownload_steps(t *testing.T) {
	t.Parallel()
	const size, step, look = 40 << 20, 1 << 20, 512 << 10
	g := newGateway(t, options{})
	tn := g.tenant()
	tn.put(t, "k", 1)
	tn.raw().must(t, &request{method: "PUT", path: "/broken/large", body: make([]byte, size)})
	counted := func() int64 { return usageBy(t, g, tn, ledger.ByClass)["B"].Egress }
	if n := counted(); n != 0 {
		t.Fatalf("%d bytes are counted before anything is read", n)
	}
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The less the sockets hold, the less the gateway is ahead of its client.
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(exchangeTime))
	if _, err := io.WriteString(c, wireOf(t, tn.raw().build(t, &request{method: "GET", path: "/broken/large"}))); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	if status, err := skipHead(br); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	for read := int64(0); read < size; {
		n, err := io.CopyN(io.Discard, br, look)
		if read += n; err != nil {
			t.Fatal(err)
		}
		if n := counted(); n < read-step || n > size {
			t.Fatalf("the client has read %d bytes, and %d are counted", read, n)
		}
	}
	testenv.WaitFor(t, "the last step to be counted", func() bool { return counted() >= size })
	if n := counted(); n != size {
		t.Errorf("%d bytes are counted of %d", n, size)
	}
}
