package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Request is a request that is ready to be sent, any number of times.
type Request struct {
	Method string
	Wire   []byte // head, and the body when it is short
	Body   *Body  // a long body, nil otherwise
	Bytes  int64  // of payload that it carries
	Status int    // what the answer must be
	Expect int64  // payload bytes that the answer must carry; -1: any
}

// Body is a long body in the kernel's memory, from where it goes to sockets
// without a copy.
type Body struct {
	file *os.File
	size int64
}

// NewBody keeps b.
func NewBody(b []byte) (*Body, error) {
	fd, err := unix.MemfdCreate("body", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "body")
	if _, err := f.Write(b); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Body{f, int64(len(b))}, nil
}

// Close gives the memory back.
func (b *Body) Close() error { return b.file.Close() }

// Target is where a load goes.
type Target struct {
	Addr string
	TLS  *tls.Config // nil: plain
}

// errNotLoopback keeps a harness that can send a million requests at home.
var errNotLoopback = errors.New("load: only loopback addresses are loaded")

// Conn is one kept-alive connection of a client. It reads what it must and
// throws bodies away in the kernel, so that it costs little beside what is measured.
type Conn struct {
	nc   net.Conn
	raw  syscall.RawConn // nil under TLS
	r    *bufio.Reader
	big  []byte // under TLS, for bodies
	body []byte // of the last answer, when it was kept
	left int64  // for discard
	serr error
	drop func(fd uintptr) bool

	closed bool // the server announced it
}

// Dial opens a connection.
func Dial(t Target) (*Conn, error) {
	addr, err := net.ResolveTCPAddr("tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	if !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("%w: %s", errNotLoopback, t.Addr)
	}
	tcp, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		return nil, err
	}
	c := &Conn{nc: tcp, r: bufio.NewReaderSize(nil, 4<<10)}
	if t.TLS != nil {
		secure := tls.Client(tcp, t.TLS)
		if err := secure.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return nil, err
		}
		if err := secure.Handshake(); err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
		c.nc, c.big = secure, make([]byte, 128<<10)
	} else if c.raw, err = tcp.SyscallConn(); err != nil {
		return nil, err
	}
	c.drop = c.discardStep
	c.r.Reset(c.nc)
	// One for the whole life: moving deadlines would cost more than requests.
	return c, c.nc.SetDeadline(time.Now().Add(30 * time.Minute))
}

// Close ends the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Answer is what came back.
type Answer struct {
	Status int
	Bytes  int64  // of the body
	ETag   string // kept requests only
	Body   []byte // kept requests only; valid until the next request
}

// Do sends a request and reads the answer, throwing its body away.
func (c *Conn) Do(r *Request) (Answer, error) { return c.do(r, false) }

// DoKeep is Do, and keeps the answer's body.
func (c *Conn) DoKeep(r *Request) (Answer, error) { return c.do(r, true) }

func (c *Conn) do(r *Request, keep bool) (Answer, error) {
	if _, err := c.nc.Write(r.Wire); err != nil {
		return Answer{}, err
	}
	if r.Body != nil {
		if err := c.send(r.Body); err != nil {
			// The server may have refused: what it said is worth more.
			if a, rerr := c.answer(r, true); rerr == nil {
				return a, fmt.Errorf("status %d in the middle of the body: %s", a.Status, a.Body)
			}
			return Answer{}, err
		}
	}
	return c.answer(r, keep)
}

func (c *Conn) send(b *Body) error {
	if c.raw == nil {
		for at := int64(0); at < b.size; {
			n, err := b.file.ReadAt(c.big[:min(int64(len(c.big)), b.size-at)], at)
			if n == 0 {
				return err
			}
			if _, err := c.nc.Write(c.big[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
		return nil
	}
	at, file := int64(0), int(b.file.Fd())
	var serr error
	err := c.raw.Write(func(fd uintptr) bool {
		for at < b.size {
			_, serr = unix.Sendfile(int(fd), file, &at, int(min(b.size-at, 4<<20)))
			if errors.Is(serr, unix.EAGAIN) {
				return false
			}
			if serr != nil && !errors.Is(serr, unix.EINTR) {
				return true
			}
			serr = nil
		}
		return true
	})
	return errors.Join(err, serr)
}

// head is what is understood of an answer's head.
type head struct {
	status  int
	length  int64 // -1: none
	chunked bool
	etag    string
}

func (c *Conn) answer(r *Request, keep bool) (Answer, error) {
	h, err := c.readHead(keep)
	for err == nil && h.status == 100 {
		h, err = c.readHead(keep)
	}
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: h.status, ETag: h.etag}
	keep = keep || h.status != r.Status
	c.body = c.body[:0]
	switch {
	case r.Method == "HEAD" || h.status == 204 || h.status == 304:
	case h.chunked:
		a.Bytes, err = c.chunks(keep)
	case h.length >= 0:
		a.Bytes = h.length
		err = c.take(h.length, keep)
	default:
		return a, errors.New("an answer without a length")
	}
	a.Body = c.body
	switch {
	case err != nil:
		return a, err
	case a.Status != r.Status:
		return a, fmt.Errorf("status %d: %.300s", a.Status, a.Body)
	case r.Expect >= 0 && a.Bytes != r.Expect:
		return a, fmt.Errorf("%d bytes, not %d", a.Bytes, r.Expect)
	}
	return a, nil
}

var errHead = errors.New("the answer is no HTTP/1.1")

func (c *Conn) readHead(keep bool) (head, error) {
	h := head{length: -1}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return h, errHead
	}
	h.status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	for {
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		// By length first: most lines are of no interest.
		switch colon := bytes.IndexByte(line, ':'); {
		case colon == 14 && named(line, "content-length"):
			if h.length, err = strconv.ParseInt(string(bytes.TrimSpace(line[15:])), 10, 63); err != nil {
				return h, errHead
			}
		case colon == 17 && named(line, "transfer-encoding"):
			h.chunked = true
		case colon == 10 && named(line, "connection"):
			c.closed = bytes.EqualFold(bytes.TrimSpace(line[11:]), []byte("close"))
		case keep && colon == 4 && named(line, "etag"):
			h.etag = string(bytes.TrimSpace(line[5:]))
		}
	}
}

func named(line []byte, name string) bool {
	for i := range len(name) {
		if line[i]|0x20 != name[i]|0x20 {
			return false
		}
	}
	return true
}

// take reads n bytes of body.
func (c *Conn) take(n int64, keep bool) error {
	if keep {
		k := len(c.body)
		c.body = append(c.body, make([]byte, n)...)
		_, err := io.ReadFull(c.r, c.body[k:])
		return err
	}
	k, err := c.r.Discard(int(min(n, int64(c.r.Buffered()))))
	n -= int64(k)
	if err != nil || n == 0 {
		return err
	}
	if c.raw != nil {
		c.left, c.serr = n, nil
		return errors.Join(c.raw.Read(c.drop), c.serr)
	}
	for n > 0 {
		k, err := c.nc.Read(c.big[:min(n, int64(len(c.big)))])
		n -= int64(k)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

// discardStep throws bytes away in the kernel: MSG_TRUNC on TCP (tcp(7)).
func (c *Conn) discardStep(fd uintptr) bool {
	for c.left > 0 {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, 0, uintptr(min(c.left, 4<<20)), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN:
			return false
		case errno == unix.EINTR:
		case errno != 0:
			c.serr = errno
			return true
		case n == 0:
			c.serr = io.ErrUnexpectedEOF
			return true
		default:
			c.left -= int64(n)
		}
	}
	return true
}

func (c *Conn) chunks(keep bool) (total int64, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return total, err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{';'})
		n, err := strconv.ParseInt(string(size), 16, 63)
		if err != nil {
			return total, errHead
		}
		if err := c.take(n, keep); err != nil {
			return total, err
		}
		total += n
		if _, err := c.r.ReadSlice('\n'); err != nil { // no trailers are expected: n = 0 ends with an empty line
			return total, err
		}
		if n == 0 {
			return total, nil
		}
	}
}

// Ending reports whether the server said that it will close the connection.
func (c *Conn) Ending() bool { return c.closed }
