package socket_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/proxy/socket"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// What is written in pieces of any size, longer ones than the kernel takes at
// once among them, arrives as it was, in both directions at once.
func TestConn_bytes(t *testing.T) {
	t.Parallel()
	c, other := socket.Pair(t)
	content := noise(9 << 20)
	var g sync.WaitGroup
	send := func(w io.Writer, end func() error) {
		r := rand.New(rand.NewPCG(1, 2))
		for rest := content; len(rest) > 0; {
			k := min(len(rest), 1+r.IntN(1<<r.IntN(22)))
			n, err := w.Write(rest[:k])
			if n != k || err != nil {
				t.Errorf("%d of %d written, %v", n, k, err)
				return
			}
			rest = rest[k:]
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	g.Go(func() { send(c, c.CloseWrite) })
	g.Go(func() { send(other, other.CloseWrite) })
	for _, r := range []io.Reader{c, other} {
		g.Go(func() {
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%T: %d bytes, %v", r, len(got), err)
			}
		})
	}
	g.Wait()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing read: %d, %v", n, err)
	}
}

// Errors are those of net: time-outs, ends and resets can be told apart.
func TestConn_errors(t *testing.T) {
	t.Parallel()
	one := make([]byte, 1)
	t.Run("time-out of a read", func(t *testing.T) {
		t.Parallel()
		c, other := socket.Pair(t)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := c.Read(one)
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v", err)
		}
		_ = c.SetReadDeadline(time.Time{})
		_, _ = other.Write(one)
		if n, err := c.Read(one); n != 1 || err != nil {
			t.Errorf("afterwards: %d, %v", n, err)
		}
	})
	t.Run("time-out of a write says how much went out", func(t *testing.T) {
		t.Parallel()
		c, other := socket.Pair(t)
		content, first := noise(64<<20), make([]byte, 1)
		go func() {
			_, _ = io.ReadFull(other, first)
			_ = c.SetWriteDeadline(time.Now())
		}()
		n, err := c.Write(content)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		_ = c.Close()
		if got, err := io.Copy(io.Discard, other); got+1 != int64(n) || err != nil {
			t.Errorf("%d arrived of %d, %v", got, n, err)
		}
	})
	t.Run("closed while waiting", func(t *testing.T) {
		t.Parallel()
		c, _ := socket.Pair(t)
		got := make(chan error)
		go func() {
			_, err := c.Read(one)
			got <- err
		}()
		_ = c.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, err := c.Write(one); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		c, other := socket.Pair(t)
		_ = other.SetLinger(0)
		_ = other.Close()
		if _, err := c.Read(one); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if _, err := c.Write(one); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write: %v", err)
		}
	})
}

// ReadNow takes what is there and waits for nothing, also when the deadline has
// passed, and leaves it to Read to wait.
// A call that waits is asked now and then whether it may: its pace's Look ends it.
func TestConn_look(t *testing.T) {
	t.Parallel()
	c, other := socket.Pair(t)
	stop := errors.New("stop")
	looks := 0
	pace := socket.Pace{Window: 20 * time.Millisecond, Look: func() error {
		if looks++; looks%3 == 0 {
			return stop
		}
		return nil
	}}
	c.KeepWriting(&pace)
	if n, err := c.Write(noise(64 << 20)); !errors.Is(err, stop) || looks != 3 {
		t.Errorf("to somebody who does not read: %d written, %v after %d looks", n, err, looks)
	}
	c.KeepReading(&pace)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, stop) || looks != 6 {
		t.Errorf("from somebody who does not write: %v after %d looks", err, looks)
	}
	_ = other.Close()
}

func TestConn_ReadNow(t *testing.T) {
	t.Parallel()
	c, other := socket.Pair(t)
	p := make([]byte, 1)
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if n, err := c.ReadNow(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("of a quiet connection: %d, %v", n, err)
	}
	now := func() (n int, err error) {
		testenv.WaitFor(t, "what was sent", func() bool {
			n, err = c.ReadNow(p)
			return !errors.Is(err, os.ErrDeadlineExceeded)
		})
		return n, err
	}
	_, _ = other.Write([]byte("xyz"))
	for _, want := range "xy" {
		if n, err := now(); n != 1 || err != nil || p[0] != byte(want) {
			t.Errorf("%d, %q, %v", n, p, err)
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	if n, err := c.Read(p); n != 1 || err != nil || p[0] != 'z' {
		t.Errorf("Read: %d, %q, %v", n, p, err)
	}
	_ = other.Close()
	if n, err := now(); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %d, %v", n, err)
	}
	_ = c.Close()
	if _, err := c.ReadNow(p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Splice moves what was asked for, at most, and leaves the rest.
func TestConn_Splice(t *testing.T) {
	t.Parallel()
	content := noise(5<<20 + 12345)
	from, source := socket.Pair(t)
	to, sink := socket.Pair(t)
	var g sync.WaitGroup
	g.Go(func() { _, _ = source.Write(content); _ = source.CloseWrite() })
	g.Go(func() {
		got, err := io.ReadAll(sink)
		if err != nil || !bytes.Equal(got, content[:len(content)-100]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
	for rest := int64(len(content) - 100); rest > 0; {
		n, err := to.Splice(from, min(rest, 1<<20))
		if err != nil || n != min(rest, 1<<20) {
			t.Fatalf("%d, %v", n, err)
		}
		rest -= n
	}
	_ = to.CloseWrite()
	g.Wait()
	if tail, err := io.ReadAll(from); err != nil || !bytes.Equal(tail, content[len(content)-100:]) {
		t.Errorf("%d bytes are left, %v", len(tail), err)
	}
	if n, err := to.Splice(from, 1); n != 0 || err != nil {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// What is cut is counted to the byte: the other side has what Splice says.
func TestConn_Splice_cut(t *testing.T) {
	t.Parallel()
	t.Run("the source ends early", func(t *testing.T) {
		t.Parallel()
		from, source := socket.Pair(t)
		to, _ := socket.Pair(t)
		_, _ = source.Write([]byte("abc"))
		_ = source.Close()
		if n, err := to.Splice(from, 10); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("the source is silent", func(t *testing.T) {
		t.Parallel()
		from, source := socket.Pair(t)
		to, sink := socket.Pair(t)
		_, _ = source.Write([]byte("abc"))
		go func() {
			_, _ = io.ReadFull(sink, make([]byte, 1))
			_ = from.SetReadDeadline(time.Now())
		}()
		n, err := to.Splice(from, 10)
		if n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		_ = to.Close()
		if got, _ := io.ReadAll(sink); string(got) != "bc" {
			t.Errorf("%q arrived", got)
		}
	})
	t.Run("the sink is slow", func(t *testing.T) {
		t.Parallel()
		from, source := socket.Pair(t)
		to, sink := socket.Pair(t)
		go func() { _, _ = source.Write(noise(64 << 20)) }()
		go func() {
			_, _ = io.ReadFull(sink, make([]byte, 1))
			_ = to.SetWriteDeadline(time.Now())
		}()
		n, err := to.Splice(from, 64<<20)
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d, %v", n, err)
		}
		_ = to.Close()
		if got, _ := io.Copy(io.Discard, sink); got+1 != n {
			t.Errorf("%d arrived, %d counted", got+1, n)
		}
		// The pipe that still held bytes must not serve another connection.
		from, source = socket.Pair(t)
		to, sink = socket.Pair(t)
		_, _ = source.Write([]byte("clean"))
		_ = source.Close()
		if n, err := to.Splice(from, 100); n != 5 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		_ = to.Close()
		if got, _ := io.ReadAll(sink); string(got) != "clean" {
			t.Errorf("%q arrived", got)
		}
	})
}
