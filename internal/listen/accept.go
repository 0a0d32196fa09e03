package listen

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// retrying is a listener whose Accept waits out errors that pass: without
// descriptors or memory for another connection it waits for them, where
// http.Server and fasthttp would end the node for some of these errors or spin
// for others.
type retrying struct {
	net.Listener
	log    *slog.Logger
	failed func()
	closed chan struct{}
	once   sync.Once
}

// Retry returns a listener that accepts from l and tries again, after a pause,
// when Accept fails for a reason that passes. It takes l over. failed is called
// for each error that was waited out.
func Retry(l net.Listener, log *slog.Logger, failed func()) net.Listener {
	return &retrying{Listener: l, log: log, failed: failed, closed: make(chan struct{})}
}

// Between two attempts.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Accept is net.Listener's. What is accepted is what the listener below gives.
func (l *retrying) Accept() (net.Conn, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		nc, err := l.Listener.Accept()
		if err == nil || !passing(err) {
			return nc, err
		}
		l.failed()
		l.log.Warn("connections are not accepted", "error", err)
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-l.closed:
			again.Stop()
			return nil, net.ErrClosed
		}
	}
}

// Close ends Accept at once, also while it waits.
func (l *retrying) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// passing reports whether accepting may work again later. accept(2) names what
// the process or the machine has run out of, and what a single connection has
// died of; only a listener that is none any more stays broken.
func passing(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EBADF, syscall.EFAULT, syscall.EINVAL, syscall.ENOTSOCK:
		return false
	}
	return true
}

// loop is the loop that accepts a listener's connections, as somebody sees it who
// asks whether it works.
type loop struct {
	addr   string
	ended  atomic.Bool
	failed atomic.Int64 // when accepting failed, in Unix nanoseconds; 0: not since it worked
}

// stillFailing is how long after a failure accepting is taken for broken: the next
// attempt comes within lastPause while connections wait.
const stillFailing = 2 * lastPause

// Accepting says which listener accepts no connections now, and why; nil: all do, or
// there is none.
func (s *Server) Accepting() error {
	s.mu.Lock()
	loops := s.loops[:len(s.loops):len(s.loops)]
	s.mu.Unlock()
	for _, l := range loops {
		switch failed := l.failed.Load(); {
		case l.ended.Load():
			return fmt.Errorf("the listener on %s has ended", l.addr)
		case failed != 0 && time.Since(time.Unix(0, failed)) < stillFailing:
			return fmt.Errorf("the listener on %s cannot accept connections: the process or the machine has run out of descriptors or memory", l.addr)
		}
	}
	return nil
}
