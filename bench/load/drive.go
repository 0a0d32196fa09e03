// Package load is the client of the benchmarks: signed S3 requests over raw
// HTTP/1.1, in a closed loop (each connection sends when it has its answer:
// saturation) or an open one (requests are due at fixed times whether or not
// the server keeps up: latency, counted from the time they were due). It
// speaks to loopback only.
package load

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Op is one unit of work on a connection; n counts them over all connections.
type Op func(c *Conn, n int64) (Moved, error)

// Moved is what one unit of work was.
type Moved struct{ Requests, Bytes int64 }

// Replay sends prepared requests in turn.
func Replay(list []*Request) Op {
	return func(c *Conn, n int64) (Moved, error) {
		r := list[n%int64(len(list))]
		a, err := c.Do(r)
		return Moved{1, r.Bytes + a.Bytes}, err
	}
}

// Plan is a load. A plan with a Rate is an open loop.
type Plan struct {
	Targets     []Target // connections take turns at them
	Op          Op
	Connections int
	Rate        float64       // units of work per second; 0: closed loop
	Warmup      time.Duration // before the measurement, at least one unit on each connection; 0: none
	Duration    time.Duration // of the measurement: nothing new begins after it
	Units       int64         // of work at most, in a closed loop; 0: no bound
}

// Outcome is what a load came to. Elapsed goes from the first request to the
// last answer, so that what was counted is what was done.
type Outcome struct {
	Moved
	Errors     int64
	FirstError string
	Elapsed    time.Duration
	Latency    Histogram
}

// Run warms up, calls begin, loads, and calls end when the last answer is in.
func (p *Plan) Run(begin, end func() error) (*Outcome, error) {
	conns := make([]*worker, p.Connections)
	defer func() {
		for _, w := range conns {
			if w != nil && w.conn != nil {
				_ = w.conn.Close()
			}
		}
	}()
	var dialled sync.WaitGroup
	var failed atomic.Pointer[error]
	gate := make(chan struct{}, 64) // a listener's backlog is short
	for i := range conns {
		conns[i] = &worker{target: p.Targets[i%len(p.Targets)], op: p.Op}
		dialled.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			c, err := Dial(conns[i].target)
			if err != nil {
				failed.Store(&err)
				return
			}
			conns[i].conn = c
		})
	}
	dialled.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	var n atomic.Int64
	if p.Warmup > 0 {
		phase(conns, &n, &Plan{Duration: p.Warmup})
	}
	for _, w := range conns {
		if w.Errors > 0 {
			return nil, fmt.Errorf("warming up: %s", w.FirstError)
		}
		w.Outcome = Outcome{}
	}
	if err := begin(); err != nil {
		return nil, err
	}
	start := time.Now()
	phase(conns, &n, p)
	total := &Outcome{Elapsed: time.Since(start)}
	if err := end(); err != nil {
		return nil, err
	}
	for _, w := range conns {
		total.Requests += w.Requests
		total.Bytes += w.Bytes
		total.Errors += w.Errors
		if total.FirstError == "" {
			total.FirstError = w.FirstError
		}
		total.Latency.Merge(&w.Latency)
	}
	return total, nil
}

// phase lets every connection work until p's time has passed and waits for the last answers.
func phase(conns []*worker, n *atomic.Int64, p *Plan) {
	var due chan time.Time
	until := time.Now().Add(p.Duration)
	if p.Rate > 0 {
		// Room for all of them: the one who sets the pace never waits.
		due = make(chan time.Time, int(p.Rate*p.Duration.Seconds())+1)
		go pace(due, p.Rate, until)
	}
	var running sync.WaitGroup
	for _, w := range conns {
		running.Go(func() {
			if due != nil {
				for at := range due {
					w.work(n.Add(1)-1, at)
				}
				return
			}
			for first := true; first || time.Now().Before(until); first = false {
				i := n.Add(1) - 1
				if p.Units > 0 && i >= p.Units || w.Errors > 10 {
					return
				}
				w.work(i, time.Now())
			}
		})
	}
	running.Wait()
}

// pace hands out the times at which requests are due, when they are due. It
// sleeps in the kernel on a thread of its own: the runtime's timers are late
// by up to a millisecond.
func pace(due chan<- time.Time, rate float64, until time.Time) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(due)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // worse figures, not wrong ones, without it
	start := time.Now()
	for i := 0; ; i++ {
		at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if at.After(until) {
			return
		}
		for wait := time.Until(at); wait > 0; wait = time.Until(at) {
			ts := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&ts, nil) // interrupted: it asks the clock again
		}
		due <- at
	}
}

// worker is a connection and what it has done.
type worker struct {
	target Target
	op     Op
	conn   *Conn
	Outcome
}

func (w *worker) work(n int64, due time.Time) {
	if w.conn == nil || w.conn.closed {
		if w.conn != nil {
			_ = w.conn.Close()
		}
		c, err := Dial(w.target)
		if err != nil {
			w.fail(err)
			return
		}
		w.conn = c
	}
	m, err := w.op(w.conn, n)
	if err != nil {
		w.fail(err)
		_ = w.conn.Close()
		w.conn = nil
		return
	}
	w.Requests += m.Requests
	w.Bytes += m.Bytes
	w.Latency.Add(time.Since(due))
}

func (w *worker) fail(err error) {
	w.Errors++
	if w.FirstError == "" {
		w.FirstError = err.Error()
	}
}
