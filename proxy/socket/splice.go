package socket

import (
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Splice moves at most n bytes of src to c within the kernel, and tells how
// many c took. None and no error: src has ended. After an error src is of no
// use: bytes of it may be lost.
func (c *Conn) Splice(src *Conn, n int64) (moved int64, err error) {
	p, err := takePipe()
	if err != nil {
		return 0, err
	}
	defer p.give()
	for moved < n {
		if p.held, err = src.drain(p, int(min(n-moved, most))); err != nil || p.held == 0 {
			return moved, err
		}
		// More may come at once: the kernel need not send a segment for each piece.
		k, err := c.pump(p, moved+int64(p.held) < n)
		p.held -= k
		moved += int64(k)
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

func (c *Conn) drain(p *pipe, n int) (int, error) {
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipe, d.left = uintptr(p.in), n
	return d.run(d.spliced, "splice")
}

func (c *Conn) pump(p *pipe, more bool) (int, error) {
	d := &c.out
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipe, d.left, d.flag = uintptr(p.out), p.held, 0
	if more {
		d.flag = unix.SPLICE_F_MORE
	}
	return d.run(d.spliced, "splice")
}

func (d *direction) drain(fd uintptr) bool {
	n, wait := d.call(syscall.SYS_SPLICE, fd, 0, d.pipe, 0, uintptr(d.left), unix.SPLICE_F_NONBLOCK)
	d.n = n
	return !wait
}

func (d *direction) pump(fd uintptr) bool {
	for d.n < d.left && d.errno == 0 {
		n, wait := d.call(syscall.SYS_SPLICE, d.pipe, 0, fd, 0, uintptr(d.left-d.n), unix.SPLICE_F_NONBLOCK|d.flag)
		if wait {
			return false
		}
		d.n += n
	}
	return true
}

// pipe is where spliced bytes pass. A pipe that still holds some after an error
// is not used again.
type pipe struct {
	in, out int // ends: in is written to
	held    int
}

var pipes sync.Pool

func takePipe() (*pipe, error) {
	if p, ok := pipes.Get().(*pipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	p := &pipe{out: fds[0], in: fds[1]}
	// A smaller pipe works as well, in smaller steps.
	_, _ = unix.FcntlInt(uintptr(p.in), unix.F_SETPIPE_SZ, most)
	// The pool drops what was not used for a while.
	runtime.AddCleanup(p, closePipe, fds)
	return p, nil
}

func closePipe(fds [2]int) {
	_ = unix.Close(fds[0])
	_ = unix.Close(fds[1])
}

func (p *pipe) give() {
	if p.held == 0 {
		pipes.Put(p)
	}
}
