package socket

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// Pair is a Conn and its other side, which is the standard library's.
func Pair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	server, client := testenv.TCPPair(t)
	c, err := New(server)
	if err != nil {
		t.Fatal(err)
	}
	return c, client
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
		p, err := pipes.take()
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
	before := pipes.made
	for _, p := range all {
		pipes.drop(p)
	}
	if before != mostPipes || pipes.made != before-len(all) {
		t.Errorf("%d pipes were made, %d are left of %d", before, pipes.made, before-len(all))
	}
	move()
	if pipes.made == 0 || pipes.n == 0 {
		t.Error("no pipe was used")
	}
}

// A pipe that is given back knows nothing of what it was used for, and is the
// next one that is taken: none is lost, and none is made while one is free.
func TestPipeList_release(t *testing.T) {
	t.Parallel()
	var l pipeList
	first := takeFrom(t, &l)
	defer l.drop(first)
	p := takeFrom(t, &l)
	defer l.drop(p)
	fresh := *p
	for range 100 {
		p.holds = 7
		l.release(p)
		if again := takeFrom(t, &l); again != p || *p != fresh || l.made != 2 {
			t.Fatalf("%+v after %+v, %d are made", *again, fresh, l.made)
		}
	}
}

func takeFrom(t *testing.T, l *pipeList) *pipe {
	t.Helper()
	p, err := l.take()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Pipes that nobody needed from one look to the next are closed, and no others:
// those in use, and those that were, go on.
func TestPipeList_closeIdle(t *testing.T) {
	t.Parallel()
	var l pipeList
	var all []*pipe
	for range 10 {
		all = append(all, takeFrom(t, &l))
	}
	busy, rest := all[0], all[1:]
	for _, p := range rest {
		l.release(p)
	}
	look := func(made, free int) {
		t.Helper()
		l.closeIdle()
		if l.made != made || l.n != free || l.looking != (free > 0) {
			t.Errorf("%d are left, %d of them free, looks again: %v; wanted %d and %d", l.made, l.n, l.looking, made, free)
		}
		open := 0
		for _, p := range all {
			if _, err := unix.FcntlInt(uintptr(p.ends[0]), unix.F_GETPIPE_SZ, 0); err == nil {
				open++
			}
		}
		if open < made { // descriptors are numbers: others may have taken those that were closed
			t.Errorf("%d are open of %d", open, made)
		}
	}
	look(10, 9) // all were given back since the look before
	for range 3 {
		p, q := takeFrom(t, &l), takeFrom(t, &l) // two at a time
		l.release(p)
		l.release(q)
	}
	look(3, 2)
	look(1, 0)
	l.release(busy)
	look(1, 1)
	look(0, 0)
}
