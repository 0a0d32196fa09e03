package socket

import (
	"errors"
	"net"
	"testing"
)

// Pair is a Conn and its other side, which is the standard library's.
func Pair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(nc.Close(), other.Close()) })
	c, err := New(nc.(*net.TCPConn))
	if err != nil {
		t.Fatal(err)
	}
	return c, other.(*net.TCPConn)
}

// When no pipe may be made, nothing is taken; when pipes are free again, they
// are used again.
func TestConn_Splice_withoutPipes(t *testing.T) {
	from, source := Pair(t)
	to, sink := Pair(t)
	move := func() {
		t.Helper()
		if _, err := source.Write([]byte("abcdef")); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 6)
		for moved := int64(0); moved < 6; {
			n, err := to.Splice(from, 6-moved)
			if err != nil || n == 0 {
				t.Fatalf("%d, %v", n, err)
			}
			moved += n
		}
		if n, err := sink.Read(p); err != nil || string(p[:n]) != "abcdef" {
			t.Fatalf("%q, %v", p[:n], err)
		}
	}
	var all []*pipe
	for {
		p, err := takePipe()
		if errors.Is(err, ErrNoPipe) {
			break
		}
		all = append(all, p)
	}
	if len(all) == 0 || len(all) > mostPipes {
		t.Errorf("%d pipes", len(all))
	}
	if _, err := source.Write([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	if n, err := to.Splice(from, 4); n != 0 || !errors.Is(err, ErrNoPipe) {
		t.Errorf("without a pipe: %d, %v", n, err)
	}
	p := make([]byte, 4)
	if n, err := from.Read(p); string(p[:n]) != "kept" {
		t.Errorf("%q is left, %v", p[:n], err)
	}
	before := pipeCount.Load()
	for _, p := range all {
		p.close()
	}
	// Fewer: what earlier tests left in the pool is collected at any time.
	if got := pipeCount.Load(); got < 0 || got > before-int64(len(all)) {
		t.Errorf("%d pipes are counted of %d", got, before-int64(len(all)))
	}
	move()
	if pipeCount.Load() == 0 {
		t.Error("no pipe was used")
	}
}

// A pipe that is given back knows nothing of what it was used for.
func TestPipe_release(t *testing.T) {
	p, err := takePipe()
	if err != nil {
		t.Fatal(err)
	}
	fresh := *p
	p.holds = 7
	p.release()
	if *p != fresh {
		t.Errorf("%+v, was %+v", *p, fresh)
	}
}
