package socket

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Splice moves at most n bytes of src to c within the kernel, and tells how
// many c took. None and no error: src has ended. After an error other than
// ErrNoPipe src is of no use: bytes of it may be lost.
func (c *Conn) Splice(src *Conn, n int64) (moved int64, err error) {
	for moved < n {
		p, err := src.drain(int(min(n-moved, longPipe)))
		if err != nil || p == nil {
			return moved, err
		}
		k, err := c.pump(p)
		moved += int64(k)
		if err != nil {
			pipes.drop(p) // what it still holds must not reach another connection
			return moved, fmt.Errorf("%w: %w", ErrTaker, err)
		}
		pipes.release(p)
	}
	return moved, nil
}

// drain waits for bytes and takes at most n of them into a pipe: nil at the
// end. A pipe is held while it holds bytes, not while there are none to come.
func (c *Conn) drain(n int) (*pipe, error) {
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = n
	n, err := d.run(d.spliced)
	p := d.pipe
	d.pipe = nil
	if p != nil && n == 0 {
		pipes.release(p)
		p = nil
	}
	if p != nil {
		p.holds = n
	}
	return p, err
}

// pump empties a pipe into the socket.
func (c *Conn) pump(p *pipe) (int, error) {
	d := &c.out
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipe, d.left = p, p.holds
	n, err := d.run(d.spliced)
	d.pipe = nil
	return n, err
}

func (d *direction) drain(fd uintptr) bool {
	if d.pipe, d.err = pipes.take(); d.err != nil {
		return true
	}
	n, wait := d.call(syscall.SYS_SPLICE, fd, 0, uintptr(d.pipe.ends[1]), uintptr(d.left), unix.SPLICE_F_NONBLOCK)
	d.n = n
	if wait {
		pipes.release(d.pipe)
		d.pipe = nil
	}
	return !wait
}

func (d *direction) pump(fd uintptr) bool {
	for d.n < d.left && d.err == nil {
		n, wait := d.call(syscall.SYS_SPLICE, uintptr(d.pipe.ends[0]), 0, fd, uintptr(d.left-d.n), unix.SPLICE_F_NONBLOCK)
		if wait {
			return false
		}
		d.n += n
	}
	return true
}

// Linux lets a user without privileges have 16,384 pages of pipes
// (fs.pipe-user-pages-soft) and makes pipes of two pages beyond that, which are
// worse than copying. Through a long pipe a body costs an eighth less than
// through a usual one: the first pipes are long. 48 × 256 + 200 × 16 pages fit.
const (
	longPipe  = 1 << 20
	usualPipe = 64 << 10
	mostLong  = 48
	mostPipes = mostLong + 200

	// MostDescriptors is how many all pipes take at most.
	MostDescriptors = 2 * mostPipes
)

// ErrTaker is Splice's error when it is c that failed, and not src.
var ErrTaker = errors.New("socket: not taken")

// ErrNoPipe is Splice's error when the bytes that are left must be copied.
var ErrNoPipe = errors.New("socket: no pipe of a useful size")
