package socket

import (
	"cmp"
	"errors"
	"os"
	"time"
)

// ErrSlow is the error of a call whose other side stayed below a Pace.
var ErrSlow = errors.New("socket: the other side is slower than the minimum rate")

// Pace is a rate that the other side must keep: in any Window of the time that
// is spent waiting for it, it moves Rate bytes for each second. Only waiting
// for the socket counts, not what is done between two calls, so that a slow
// backend or a rate of our own is no fault of a client's. A time-out for a whole
// body would cut long ones, and one between bytes or an average since the
// beginning would let a trickle hold a connection for hours.
//
// One Pace serves one direction of one connection. It has no clock of its own:
// a call that does not wait costs an addition.
type Pace struct {
	Rate   int64 // bytes per second
	Window time.Duration
	// Ahead is how many bytes beyond the rate count for later. A reader's host
	// takes as much as it has room for, and then nothing until a sixteenth of its
	// room is free again (__tcp_select_window in Linux): several hundred KiB, for
	// which an application that reads slowly needs minutes.
	Ahead int64
	// Look, unless nil, is asked Every so often while a call waits, on the
	// goroutine of the call: its error ends the call.
	Look  func() error
	Every time.Duration // at most half a Window, which is what zero means
	// Slow is the error of a call that is too slow; nil: ErrSlow.
	Slow error

	moved  int64         // bytes in all
	seen   int64         // those that had arrived at the last look
	waited time.Duration // since the last mark
	marks  [parts]int64  // what had arrived when each part of the last window ended, in a ring
	passed int           // parts that have ended
	ahead  int64         // of Ahead, what there is
}

// parts of a window: how finely it slides.
const parts = 6

// Reset begins anew, with nothing moved.
func (p *Pace) Reset() {
	*p = Pace{Rate: p.Rate, Window: p.Window, Ahead: p.Ahead, Look: p.Look, Every: p.Every, Slow: p.Slow}
}

// patience is how long the socket is waited for between two looks.
func (p *Pace) patience() time.Duration {
	if p.Every > 0 {
		return min(p.Every, p.Window/2)
	}
	return p.Window / 2
}

// look takes a wait of d into account, after which arrived bytes have arrived.
func (p *Pace) look(d time.Duration, arrived int64) error {
	before, part := p.seen, p.Window/parts
	p.seen = arrived
	p.ahead = min(p.Ahead, p.ahead+arrived-before)
	owed := max(1, int64(float64(p.Rate)*part.Seconds())) // for a part
	for p.waited += d; p.waited >= part; p.waited -= part {
		p.passed++
		mark := &p.marks[p.passed%parts]
		paid := p.ahead >= owed
		p.ahead = max(0, p.ahead-owed)
		if p.passed >= parts && !paid && float64(arrived-*mark) < float64(p.Rate)*p.Window.Seconds() {
			return cmp.Or(p.Slow, ErrSlow)
		}
		*mark = before
	}
	return nil
}

// KeepReading holds what is read to a pace from now on, nil to none. A deadline
// that is set takes the place of it.
func (c *Conn) KeepReading(p *Pace) { c.in.keep(p) }

// KeepWriting is KeepReading for what is written. What the other side's host
// has not acknowledged has not arrived: the kernel takes megabytes at once, and
// takes none for as long as a slow reader needs for them.
func (c *Conn) KeepWriting(p *Pace) { c.out.keep(p) }

func (d *direction) keep(p *Pace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = time.Time{} // the deadline that stands is somebody else's
	d.pace.Store(p)
}

// begin is called when the socket is not ready, before it is waited for.
func (d *direction) begin() {
	p := d.pace.Load()
	if p == nil || !d.since.IsZero() {
		return
	}
	d.since = time.Now()
	// Moving a deadline is not free: only when half of it has passed.
	if d.until.Sub(d.since) < p.patience()/2 {
		d.until = d.since.Add(p.patience())
		_ = d.deadline(d.until) // of a closed connection: the wait says so
	}
}

// again reports whether a call that ended with err goes on: its deadline was
// one of the pace's, and the pace is kept.
func (d *direction) again(err error) bool {
	p := d.pace.Load()
	if p == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	now := time.Now()
	// Without a wait it is the deadline of an earlier one, which has passed
	// between two calls.
	if !d.since.IsZero() {
		if d.err = d.look(p, now); d.err == nil && p.Look != nil {
			d.err = p.Look()
		}
		if d.err != nil {
			return false
		}
		d.since = now
	}
	d.until = now.Add(p.patience())
	return d.deadline(d.until) == nil
}

// look ends a wait. What is above its deadline is the scheduler's doing.
func (d *direction) look(p *Pace, now time.Time) error {
	arrived := p.moved + int64(d.n)
	if d.pending != nil {
		arrived -= d.pending()
	}
	return p.look(min(now.Sub(d.since), p.patience()), arrived)
}
