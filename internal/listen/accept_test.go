package listen_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// poor is a listener that fails with one error after the other, and then hands
// over a connection.
type poor struct {
	net.Listener
	errs   []syscall.Errno
	always bool
}

func (p *poor) Accept() (net.Conn, error) {
	if len(p.errs) == 0 {
		return &net.TCPConn{}, nil
	}
	errno := p.errs[0]
	if !p.always {
		p.errs = p.errs[1:]
	}
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errno)}
}

func (p *poor) Close() error { return nil }

// accept(2), ERRORS: all but those of a socket that is no listener.
func TestRetry(t *testing.T) {
	t.Parallel()
	passing := []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC, syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED,
		syscall.EPERM, syscall.EPROTO, syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.ENONET, syscall.EHOSTUNREACH,
		syscall.EOPNOTSUPP, syscall.ENETUNREACH, syscall.ETIMEDOUT, syscall.ENOSR, syscall.ESOCKTNOSUPPORT, syscall.EPROTONOSUPPORT,
	}
	for _, errno := range passing {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			failed := 0
			l := listen.Retry(&poor{errs: []syscall.Errno{errno, errno}}, slog.New(slog.DiscardHandler), func() { failed++ })
			if c, err := l.Accept(); c == nil || err != nil || failed != 2 {
				t.Errorf("%v, %v after %d failures", c, err, failed)
			}
		})
	}
	for _, errno := range []syscall.Errno{syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EFAULT} {
		l := listen.Retry(&poor{errs: []syscall.Errno{errno}}, slog.New(slog.DiscardHandler), func() { t.Errorf("%v was waited for", errno) })
		if _, err := l.Accept(); !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// Close ends it while it waits.
func TestRetry_Close(t *testing.T) {
	t.Parallel()
	var failed atomic.Int64
	l := listen.Retry(&poor{errs: []syscall.Errno{syscall.EMFILE}, always: true}, slog.New(slog.DiscardHandler), func() { failed.Add(1) })
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	testenv.WaitFor(t, "a pause", func() bool { return failed.Load() > 2 })
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
