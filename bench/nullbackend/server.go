// Package nullbackend is an S3 backend that does nothing, as fast as the
// kernel lets it, so that what is in front of it can be measured: objects are
// bytes of the length that their key begins with, uploads are thrown away in
// the kernel, a list is always the same thousand keys. It checks no signature.
//
// Each loop is a thread with an epoll of its own; bodies leave by sendfile
// from memory and arrive by recv with MSG_TRUNC, which copies nothing.
package nullbackend

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	bodyFile  = 16 << 20 // longer bodies repeat it
	inlineMax = 64 << 10 // shorter ones go out with their head
	headMax   = 32 << 10
	outMax    = 1 << 20 // of one sendfile
	drainMax  = 4 << 20
)

// Server is a null backend.
type Server struct {
	listener *net.TCPListener
	loops    []*loop
}

// Listen makes a null backend on loopback with that many threads.
func Listen(addr string, threads int) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok || !tcp.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return nil, errors.Join(errors.New("nullbackend: it checks nothing and stays on loopback"), l.Close())
	}
	fd, err := unix.MemfdCreate("null", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file, content := os.NewFile(uintptr(fd), "null"), make([]byte, inlineMax)
	if _, err := io.CopyN(file, rand.Reader, bodyFile); err != nil {
		return nil, err
	}
	if _, err := file.ReadAt(content, 0); err != nil {
		return nil, err
	}
	s := &Server{listener: tcp}
	for range threads {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return nil, err
		}
		s.loops = append(s.loops, &loop{epoll: ep, file: file, content: content, conns: map[int32]*conn{}, small: map[int64][]byte{}})
	}
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until the process ends or the listener is closed.
func (s *Server) Serve() error {
	for _, l := range s.loops {
		go l.run()
	}
	for i := 0; ; i++ {
		c, err := s.listener.AcceptTCP()
		if err != nil {
			return err
		}
		// Out of the runtime's hands: the loop polls for itself.
		f, err := c.File()
		if err != nil {
			return err
		}
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		_, _ = f.Close(), c.Close()
		if err != nil {
			return err
		}
		if err := s.loops[i%len(s.loops)].add(fd); err != nil {
			return err
		}
	}
}

// Close stops accepting.
func (s *Server) Close() error { return s.listener.Close() }

// loop serves its connections on one thread.
type loop struct {
	epoll   int
	file    *os.File // memory with random bytes
	content []byte   // its beginning
	conns   map[int32]*conn
	small   map[int64][]byte // whole answers of inline objects
}

func (l *loop) add(fd int) error {
	if err := errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
		return err
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET | unix.EPOLLRDHUP, Fd: int32(fd)})
}

func (l *loop) run() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprint("nullbackend: epoll_wait: ", err))
		}
		for _, e := range events[:max(n, 0)] {
			c := l.conns[e.Fd]
			if c == nil {
				c = &conn{fd: int(e.Fd), in: make([]byte, 0, 4<<10)}
				l.conns[e.Fd] = c
			}
			if !l.step(c) {
				delete(l.conns, e.Fd)
				_ = unix.Close(c.fd)
			}
		}
	}
}

// conn is one connection; what is left to do is in its fields.
type conn struct {
	fd    int
	in    []byte // read and not yet understood
	out   []byte // to be written before the body
	body  int64  // left of the answer's body, from the file
	at    int64  // where it goes on there
	drain int64  // of the request, to be thrown away
	reply []byte // to be sent once it is drained
	close bool
}

// step does all that can be done without waiting. It returns false when the
// connection is over.
func (l *loop) step(c *conn) bool {
	file := int(l.file.Fd())
	for {
		switch {
		case len(c.out) > 0:
			n, err := unix.Write(c.fd, c.out)
			if err != nil {
				return errors.Is(err, unix.EAGAIN)
			}
			c.out = c.out[n:]
		case c.body > 0:
			n, err := unix.Sendfile(c.fd, file, &c.at, int(min(c.body, outMax, bodyFile-c.at)))
			if err != nil {
				return errors.Is(err, unix.EAGAIN)
			}
			c.body -= int64(n)
			if c.at == bodyFile {
				c.at = 0
			}
		case c.drain > 0:
			if k := min(c.drain, int64(len(c.in))); k > 0 {
				c.in = c.in[:copy(c.in, c.in[k:])]
				c.drain -= k
				break
			}
			n, err := discard(c.fd, min(c.drain, drainMax))
			if err != nil {
				return errors.Is(err, unix.EAGAIN)
			}
			if n == 0 {
				return false
			}
			c.drain -= int64(n)
		case c.reply != nil:
			c.out, c.reply = c.reply, nil
		case c.close:
			// Closing with bytes unread would be a reset, before the client has read.
			if unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
				return false
			}
			c.close, c.drain = false, math.MaxInt64
		default:
			ok, again := l.next(c)
			if !ok {
				return false
			}
			if again {
				return true
			}
		}
	}
}

// next reads and understands one request head; again means that the rest has
// to arrive first.
func (l *loop) next(c *conn) (ok, again bool) {
	if done := l.request(c); done {
		return true, false
	}
	if len(c.in) >= headMax {
		return false, false
	}
	if cap(c.in)-len(c.in) < 1<<10 {
		c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err != nil {
		return errors.Is(err, unix.EAGAIN), true
	}
	c.in = c.in[:len(c.in)+n]
	return n > 0, false
}

// discard throws away up to n bytes without copying them: MSG_TRUNC on a TCP
// socket (tcp(7)).
func discard(fd int, n int64) (int, error) {
	r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
