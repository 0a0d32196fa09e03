// Package socket reads and writes TCP connections without telling the Go
// scheduler about each system call.
//
// The runtime's own way says before each call that the thread may be gone for
// long. Its watcher then wakes every 20 µs to see whether it is, and hands work
// to other threads; for a socket, which never blocks, all of that is cost
// (docs/decisions/0015). Here a call runs as plain computing would. Waiting for
// a socket is the runtime's as ever, with its deadlines.
package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// most is how much one system call moves, and so how long it may keep its
// processor from the scheduler: some hundred microseconds.
const most = 256 << 10

// Conn is a TCP connection. As with any net.Conn, several goroutines may use it
// at once.
type Conn struct {
	tcp     *net.TCPConn
	in, out direction
	onClose func() // nil: nothing
	closed  atomic.Bool
}

// direction is one call at a time, with what it moves.
type direction struct {
	mu      sync.Mutex
	wait    func(step func(fd uintptr) bool) error // until step says that it is done
	control func(step func(fd uintptr)) error      // step once, whatever the deadline
	plain   func(fd uintptr) bool                  // moves between the socket and p
	now     func(fd uintptr)                       // plain, if it can be done at once
	spliced func(fd uintptr) bool                  // moves between the socket and a pipe
	p       []byte
	pipe    *pipe
	left    int // bytes to splice
	n       int // bytes moved
	err     error

	pace     atomic.Pointer[Pace] // nil: deadlines are the caller's
	deadline func(time.Time) error
	pending  func() int64 // bytes written that have not arrived; nil: none
	until    time.Time    // the deadline that pace has set
	since    time.Time    // the socket is waited for; zero: it is not
}

// New takes a connection over: from now on it is used through the Conn alone.
func New(tcp *net.TCPConn) (*Conn, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &Conn{tcp: tcp}
	c.in.wait, c.in.plain, c.in.spliced = raw.Read, c.in.receive, c.in.drain
	c.in.control, c.in.now = raw.Control, c.in.receiveNow
	c.out.wait, c.out.plain, c.out.spliced = raw.Write, c.out.send, c.out.pump
	c.in.deadline, c.out.deadline, c.out.pending = tcp.SetReadDeadline, tcp.SetWriteDeadline, c.unacknowledged
	return c, nil
}

// Read is io.Reader's. p is the caller's again when it returns.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p = p
	n, err := d.run(d.plain)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// ReadNow is Read that does not wait, whatever the deadline: while there is
// nothing to read its error is os.ErrDeadlineExceeded.
func (c *Conn) ReadNow(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p = p
	err := d.control(d.now)
	d.since = time.Time{} // nothing was waited for
	n, err := d.result(err)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// Write is io.Writer's: after an error n bytes are in the kernel.
func (c *Conn) Write(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	d := &c.out
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p = p
	return d.run(d.plain)
}

// run repeats a step, waiting for the socket in between, until it is done.
func (d *direction) run(step func(uintptr) bool) (n int, err error) {
	for {
		if err = d.wait(step); err == nil || !d.again(err) {
			return d.result(err)
		}
	}
}

// result is what a call came to; the next one begins anew.
func (d *direction) result(err error) (int, error) {
	if d.err != nil {
		err = d.err
	}
	n := d.n
	if p := d.pace.Load(); p != nil {
		if err == nil && !d.since.IsZero() {
			err = d.look(p, time.Now())
		}
		p.moved += int64(n)
	}
	d.p, d.n, d.err, d.since = nil, 0, nil, time.Time{}
	return n, err
}

// address is where p's bytes are; d.p keeps them alive while the kernel works.
func address(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) } //nolint:gosec // a system call wants it

// call makes a system call, whose fourth argument is 0, again while signals
// interrupt it; wait says that the socket was not ready.
func (d *direction) call(trap, a1, a2, a3, a5, a6 uintptr) (n int, wait bool) {
	for {
		r, _, errno := syscall.RawSyscall6(trap, a1, a2, a3, 0, a5, a6)
		switch errno {
		case 0:
			return int(r), false
		case syscall.EINTR:
		case syscall.EAGAIN:
			d.begin()
			return 0, true
		default:
			d.err = os.NewSyscallError(names[trap], errno)
			return 0, false
		}
	}
}

var names = map[uintptr]string{syscall.SYS_RECVFROM: "recvfrom", syscall.SYS_SENDTO: "sendto", syscall.SYS_SPLICE: "splice"}

func (d *direction) receive(fd uintptr) bool {
	p := d.p[:min(len(d.p), most)]
	n, wait := d.call(syscall.SYS_RECVFROM, fd, address(p), uintptr(len(p)), 0, 0)
	d.n = n
	return !wait
}

func (d *direction) receiveNow(fd uintptr) {
	if !d.receive(fd) {
		d.err = os.ErrDeadlineExceeded
	}
}

func (d *direction) send(fd uintptr) bool {
	for d.n < len(d.p) && d.err == nil {
		p := d.p[d.n:min(len(d.p), d.n+most)]
		n, wait := d.call(syscall.SYS_SENDTO, fd, address(p), uintptr(len(p)), 0, 0)
		if wait {
			return false
		}
		d.n += n
	}
	return true
}

// unacknowledged is how much of what was written the other side's host has not
// said to have (tcp(7), SIOCOUTQ).
func (c *Conn) unacknowledged() (n int64) {
	_ = c.in.control(func(fd uintptr) {
		if k, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = int64(k)
		}
	})
	return n
}

// Gone reports, without waiting, that the other side has closed the connection or
// its half of it, or that it is broken; also while another call waits.
func (c *Conn) Gone() bool {
	gone := false
	err := c.in.control(func(fd uintptr) {
		p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p[:], 0)
		gone = err == nil && n > 0
	})
	return gone || err != nil
}

// OnClose makes the first Close call f, once the connection is closed. It is
// called before the connection is shared.
func (c *Conn) OnClose(f func()) { c.onClose = f }

// Close is net.Conn's.
func (c *Conn) Close() error {
	err := c.tcp.Close()
	if !c.closed.Swap(true) && c.onClose != nil {
		c.onClose()
	}
	return err
}

// The rest of net.Conn.

func (c *Conn) CloseWrite() error    { return c.tcp.CloseWrite() }
func (c *Conn) LocalAddr() net.Addr  { return c.tcp.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr { return c.tcp.RemoteAddr() }

func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.pace.Store(nil)
	return c.tcp.SetReadDeadline(t)
}

func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.pace.Store(nil)
	return c.tcp.SetWriteDeadline(t)
}
