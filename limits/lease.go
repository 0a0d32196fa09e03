package limits

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// lease is this node's part of one budget in one period. used + avail = held
// at any moment: what PostgreSQL knows to be this node's.
type lease struct {
	budget     tenancy.Budget
	start, end time.Time

	avail     atomic.Int64 // may be taken; negative when more was used than held
	held      atomic.Int64 // what a renewal changes only
	low       atomic.Int64 // when avail falls below it, more is requested ahead of need
	requested atomic.Bool  // for that

	users   atomic.Int64 // grants that have reserved of it
	pending atomic.Int64 // what waiting requests need
	outcome atomic.Pointer[outcome]

	// Of the one renewal that runs at a time.
	firstReport bool
	target      int64 // how much of avail to keep
	idle        int   // renewals since it was used

	reported atomic.Int64 // used, as of the last renewal that went through; -1: none did
}

// outcome is what the last renewal found.
type outcome struct {
	at           int64 // on the limiter's clock
	insufficient bool  // what is left is less than what was needed
	left         int64 // what neither was used nor is held by others
	reclaimable  int64 // what others hold and have not used
	limit        int64
	err          error
}

func newLease(b tenancy.Budget, at time.Time) *lease {
	l := &lease{budget: b, firstReport: true}
	l.start, l.end = periodOf(b, at)
	l.low.Store(math.MinInt64)
	l.reported.Store(-1)
	return l
}

// periodOf is the period of a budget in which at lies: the calendar month, and
// for storage the hour, UTC.
func periodOf(b tenancy.Budget, at time.Time) (start, end time.Time) {
	at = at.UTC()
	if b == tenancy.Storage {
		start = at.Truncate(time.Hour)
		return start, start.Add(time.Hour)
	}
	start = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return start, start.AddDate(0, 1, 0)
}

func (le *lease) put(n int64) { le.avail.Add(n) }

// try takes n if that much is there.
func (le *lease) try(n int64) (left int64, ok bool) {
	for {
		was := le.avail.Load()
		if was < n {
			return was, false
		}
		if le.avail.CompareAndSwap(was, was-n) {
			return was - n, true
		}
	}
}

// lease returns the lease of a budget in the period of now.
func (h *subject) lease(b tenancy.Budget, now time.Time) *lease {
	if le := h.leases[b].Load(); le != nil && now.Before(le.end) && !now.Before(le.start) {
		return le
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	le := h.leases[b].Load()
	if le != nil && now.Before(le.end) {
		return le // another was faster, or the clock was set back
	}
	if le != nil {
		h.past = append(h.past, le)
	}
	le = newLease(b, now)
	h.leases[b].Store(le)
	return le
}

// take takes n of a lease, and waits for more when there is not enough.
func (h *subject) take(ctx context.Context, le *lease, n int64, c *tenancy.Cap) error {
	if c.Soft {
		le.avail.Add(-n)
		return nil
	}
	left, ok := le.try(n)
	if !ok {
		return h.wait(ctx, le, n, c)
	}
	if left < le.low.Load() && le.requested.CompareAndSwap(false, true) {
		h.renewal()
	}
	return nil
}

// wait requests what is missing and waits until it is there, or is refused.
func (h *subject) wait(ctx context.Context, le *lease, n int64, c *tenancy.Cap) error {
	if o := le.outcome.Load(); o != nil && h.l.now()-o.at < int64(retryAfter) {
		// The last outcome still holds, unless the budget was changed. A smaller request
		// may fit: this node gave back what nothing waited for.
		if o.err != nil || o.insufficient && n > o.left && o.limit == c.Amount {
			return h.refuse(le, n, o)
		}
	}
	le.pending.Add(n)
	defer le.pending.Add(-n)
	timeout := time.NewTimer(h.l.cfg.Wait)
	defer timeout.Stop()
	for {
		select {
		case <-h.renewal():
		case <-timeout.C:
			return h.unknown(le.budget)
		case <-ctx.Done():
			return h.unknown(le.budget)
		}
		if _, ok := le.try(n); ok {
			return nil
		}
		if o := le.outcome.Load(); o != nil && (o.err != nil || o.insufficient) {
			return h.refuse(le, n, o)
		}
	}
}

func (h *subject) refuse(le *lease, n int64, o *outcome) error {
	switch {
	case o.err != nil:
		return h.unknown(le.budget)
	case n <= max(0, le.avail.Load())+o.reclaimable:
		return h.reserved(le.budget)
	}
	return h.exhausted(le.budget, le.start)
}

// prices waits for the first renewal, which brings them.
func (h *subject) prices(ctx context.Context) (*Rates, error) {
	if r := h.rates.Load(); r != nil {
		return r, nil
	}
	le := h.lease(tenancy.Spend, h.l.cfg.Now())
	if o := le.outcome.Load(); o == nil || h.l.now()-o.at >= int64(retryAfter) {
		timeout := time.NewTimer(h.l.cfg.Wait)
		defer timeout.Stop()
		select {
		case <-h.renewal():
		case <-timeout.C:
		case <-ctx.Done():
		}
	}
	if r := h.rates.Load(); r != nil {
		return r, nil
	}
	return nil, h.unknown(tenancy.Spend)
}

// renewal returns a channel that is closed when a renewal that begins after
// this call is over.
func (h *subject) renewal() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running != nil {
		if h.next == nil {
			h.next = make(chan struct{})
		}
		return h.next
	}
	h.running = make(chan struct{})
	go h.renew(h.running)
	return h.running
}

func (h *subject) renew(done chan struct{}) {
	for done != nil {
		h.renewOnce()
		close(done)
		h.mu.Lock()
		h.running, h.next = h.next, nil
		done = h.running
		h.mu.Unlock()
	}
}

// due reports whether a renewal would report or change anything.
func (h *subject) due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.past) > 0 {
		return true
	}
	for i := range h.leases {
		if le := h.leases[i].Load(); le != nil && le.due() {
			return true
		}
	}
	return false
}

func (le *lease) due() bool {
	o := le.outcome.Load()
	return o == nil || o.err != nil || le.avail.Load() != 0 || le.reported.Load() != le.held.Load()
}

// renewOnce gives back what is not needed, reports what was used, and requests more.
func (h *subject) renewOnce() {
	now := h.l.cfg.Now()
	h.mu.Lock()
	leases := append([]*lease(nil), h.past...)
	h.mu.Unlock()
	for i := range h.leases {
		if le := h.leases[i].Load(); le != nil {
			leases = append(leases, le)
		}
	}
	if len(leases) == 0 {
		return
	}
	requests := make([]leaseRequest, len(leases))
	settled := make([]bool, len(leases))
	for i, le := range leases {
		settled[i] = le.users.Load() == 0 // before what it used is read
		requests[i] = le.request(now, h.retiring.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.l.cfg.Wait)
	defer cancel()
	rates, grants, err := h.l.renew(ctx, h.account, h.key, now, requests)
	h.l.metrics.renewals.Inc()
	if err != nil {
		h.l.metrics.failures.Inc()
		h.l.cfg.Logger.Warn("budgets not renewed; hard ones refuse when their slice is used up", "account", h.account.String(), "error", err)
	} else if rates != nil {
		h.rates.Store(rates)
	}
	at := h.l.now()
	for i, le := range leases {
		if err != nil {
			le.outcome.Store(&outcome{at: at, err: err})
			le.low.Store(math.MinInt64) // the next of Run's renewals asks again
		} else {
			le.apply(&requests[i], &grants[i], at)
		}
		le.requested.Store(false)
	}
	if err == nil {
		h.forgetPast(leases, settled)
	}
}

// forgetPast drops the leases of earlier periods whose use is reported completely.
func (h *subject) forgetPast(leases []*lease, settled []bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.past[:0]
	for _, p := range h.past {
		over := false
		for i, le := range leases {
			over = over || le == p && settled[i]
		}
		if !over {
			kept = append(kept, p)
		}
	}
	clear(h.past[len(kept):])
	h.past = kept
}

// shrink gives up what is more than the target and what requests wait for. avail is
// reduced before the smaller lease is reported, so that nothing can be spent that
// PostgreSQL believes was returned.
func (le *lease) shrink() {
	keep := max(le.target, le.pending.Load())
	for {
		was := le.avail.Load()
		if was <= keep {
			return
		}
		if le.avail.CompareAndSwap(was, keep) {
			le.held.Add(keep - was)
			return
		}
	}
}

// request reports what is held and used, after giving back what is not needed.
func (le *lease) request(now time.Time, retiring bool) leaseRequest {
	expired := !now.Before(le.end) || retiring
	if expired || le.idle >= idleAfter {
		le.target = 0
	}
	le.shrink()
	avail := le.avail.Load()
	return leaseRequest{
		budget: le.budget, period: le.start, held: le.held.Load(), used: le.held.Load() - avail,
		need: max(0, le.pending.Load()-max(0, avail)), firstReport: le.firstReport, expired: expired, idle: le.idle >= idleAfter,
	}
}

func (le *lease) apply(q *leaseRequest, a *leaseGrant, at int64) {
	// The ledger's total is older than avail: compare it with what is used now, or
	// requests made since it was read would be subtracted twice.
	missed := max(0, a.ledgerUsed-(q.held-le.avail.Load()))
	le.avail.Add(a.granted - q.held - missed)
	le.held.Store(a.granted)
	le.firstReport, le.target = false, a.target
	used := max(q.used, a.ledgerUsed)
	if used == le.reported.Load() && le.pending.Load() == 0 {
		le.idle++
	} else {
		le.idle = 0
	}
	le.shrink() // at once: the budget may have been lowered
	le.reported.Store(used)
	low := int64(math.MinInt64)
	if a.more {
		low = (a.granted - used) / 2
	}
	le.low.Store(low)
	le.outcome.Store(&outcome{at: at, insufficient: a.insufficient, left: a.left, reclaimable: a.reclaimable, limit: a.limit})
}
