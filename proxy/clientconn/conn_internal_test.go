package clientconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

// socketPair is a socket and its other side; small bounds what the kernel keeps
// of them.
func socketPair(t *testing.T, small bool) (*socket.Conn, *net.TCPConn) {
	t.Helper()
	tcp, other := testenv.TCPPair(t)
	for _, c := range []*net.TCPConn{tcp, other} {
		if !small {
			break
		}
		if err := errors.Join(c.SetReadBuffer(4096), c.SetWriteBuffer(4096)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := socket.New(tcp)
	if err != nil {
		t.Fatal(err)
	}
	return c, other
}

// While clients that do not read hold all pipes, downloads are copied.
func TestConn_ReadFrom_withoutPipes(t *testing.T) { //nolint:paralleltest // takes every pipe of the process
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	var stalled sync.WaitGroup
	var sinks []*socket.Conn
	defer stalled.Wait()
	defer func() {
		for _, s := range sinks {
			_ = s.Close()
		}
	}()
	stall := func() {
		from, source := socketPair(t, true)
		to, _ := socketPair(t, true)
		sinks = append(sinks, to, from)
		stalled.Go(func() { _, _ = source.Write(content) })
		stalled.Go(func() { _, _ = to.Splice(from, int64(len(content))) })
	}
	probe := func() bool {
		from, source := socketPair(t, true)
		to, _ := socketPair(t, true)
		_, _ = source.Write([]byte("x"))
		_, err := to.Splice(from, 1)
		return errors.Is(err, socket.ErrNoPipe)
	}
	for range 200 {
		stall()
	}
	for deadline := time.Now().Add(time.Minute); !probe(); stall() {
		if time.Now().After(deadline) {
			t.Fatal("there is always a pipe")
		}
	}

	from, source := socketPair(t, false)
	to, sink := socketPair(t, false)
	stalled.Go(func() { _, _ = source.Write(content) })
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(sink)
		got <- b
	}()
	c := &Conn{Conn: to, socket: to, cfg: &Config{Spliced: prometheus.NewCounter(prometheus.CounterOpts{})}}
	c.head.seen = true
	n, err := c.ReadFrom(&io.LimitedReader{R: from, N: int64(len(content))})
	if err != nil || n != int64(len(content)) || c.sent != n {
		t.Errorf("%d of %d bytes, %d counted, %v", n, len(content), c.sent, err)
	}
	_ = to.CloseWrite()
	if b := <-got; !bytes.Equal(b, content) {
		t.Errorf("%d bytes arrived", len(b))
	}
}
