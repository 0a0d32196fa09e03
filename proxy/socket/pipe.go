package socket

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pipe is where spliced bytes pass; it is empty while it is free.
type pipe struct {
	ends  [2]int // read from, written to
	holds int
}

// idlePipe is how often pipes that were not needed since are closed.
const idlePipe = time.Minute

// pipes are all pipes of the process: Linux bounds a user's.
var pipes pipeList

// pipeList holds the pipes that are free, the one given back last on top: what
// lies at the bottom was needed least. It is no sync.Pool, which may lose what it
// is given: such a pipe keeps its descriptors and its place among mostPipes
// until the collector comes upon it.
type pipeList struct {
	mu      sync.Mutex
	made    int // and not closed
	free    [mostPipes]*pipe
	n       int         // free ones
	least   int         // of n since the last look: so many lay there all the time
	look    *time.Timer // runs while there are free ones
	looking bool
}

// take returns a pipe, or ErrNoPipe.
func (l *pipeList) take() (*pipe, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n > 0 {
		l.n--
		l.least = min(l.least, l.n)
		p := l.free[l.n]
		l.free[l.n] = nil
		return p, nil
	}
	p := &pipe{}
	if l.made == mostPipes || unix.Pipe2(p.ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil, ErrNoPipe
	}
	l.made++
	if l.made <= mostLong {
		_, _ = unix.FcntlInt(uintptr(p.ends[1]), unix.F_SETPIPE_SZ, longPipe) // it may stay a usual one
	}
	if size, err := unix.FcntlInt(uintptr(p.ends[1]), unix.F_GETPIPE_SZ, 0); err != nil || size < usualPipe {
		l.close(p)
		return nil, ErrNoPipe
	}
	return p, nil
}

// release gives back a pipe that is empty, and forgets what it was used for.
func (l *pipeList) release(p *pipe) {
	*p = pipe{ends: p.ends}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free[l.n] = p
	l.n++
	if l.looking {
		return
	}
	l.looking, l.least = true, 0
	if l.look == nil {
		l.look = time.AfterFunc(idlePipe, l.closeIdle)
	} else {
		l.look.Reset(idlePipe)
	}
}

// drop closes a pipe that was taken, and what it holds with it.
func (l *pipeList) drop(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close(p)
}

func (l *pipeList) close(p *pipe) {
	l.made--
	_ = unix.Close(p.ends[0])
	_ = unix.Close(p.ends[1])
}

// closeIdle closes the pipes that nobody has needed since the last look.
func (l *pipeList) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.free[:l.least] {
		l.close(p)
	}
	kept := copy(l.free[:], l.free[l.least:l.n])
	clear(l.free[kept:l.n])
	l.n, l.least = kept, kept
	if l.looking = kept > 0; l.looking {
		l.look.Reset(idlePipe)
	}
}
