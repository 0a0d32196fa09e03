package limits

import (
	"context"
	"time"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Request is what is known of a request before its body is read.
type Request struct {
	Account  *tenancy.Account
	Key      *tenancy.Identity // nil: anonymous, the account's all the same
	Class    usage.Class
	Upload   int64 // bytes of the body
	Stores   int64 // bytes that will be kept
	Download bool  // the answer has a body
}

// Outcome is what became of it.
type Outcome struct {
	Billed   bool  // it counts as a request of its class
	Sent     int64 // bytes of the answer that the socket took
	Received int64 // bytes of the body that were read
	Stored   bool  // what it was to keep is kept, as far as is known
}

// Direction is the way that a body goes.
type Direction uint8

// The directions, as the account sees them.
const (
	Upload Direction = iota
	Download
	directions
)

// Grant is what one request was let do. It is embedded in the caller's own,
// reused structure; one that was not admitted, or whose account and key have
// no limits, allows everything. It must not be copied while it is in use, nor
// used by several goroutines at once.
type Grant struct {
	_ noCopy

	l        *Limiter // nil: nothing is held
	class    usage.Class
	at       time.Time   // of the admission: asked for once
	subjects [2]*subject // the account's and the key's, nil without limits
	limits   [2]*tenancy.Limits
	rates    *Rates
	counted  [2]bool // among the requests at once
	stranger bool    // and among those without a key
	reserved [2][tenancy.Budgets]reservation
	next     [directions]int64 // a body may not move on before, on the limiter's clock
}

type reservation struct {
	lease *lease
	n     int64
}

// noCopy makes go vet refuse copies: what is held would be given back twice.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Admit lets a request begin, or returns a *RefusalError. With all of a
// budget's slice in memory it waits for nothing; without, up to Config.Wait. A
// grant that was admitted must be settled or ended.
func (l *Limiter) Admit(ctx context.Context, g *Grant, r Request) error {
	g.End()
	account := r.Account.Limits
	if account == nil && l.cfg.Concurrent > 0 {
		account = &l.none
	}
	if account == nil && (r.Key == nil || r.Key.Limits == nil) {
		return nil
	}
	g.l, g.class, g.at = l, r.Class, l.cfg.Now()
	if account != nil {
		g.subjects[0], g.limits[0] = l.enter(r.Account.ID, tenancy.ID{}), account
	}
	if r.Key != nil && r.Key.Limits != nil {
		g.subjects[1], g.limits[1] = l.enter(r.Account.ID, r.Key.ID), r.Key.Limits
	}
	err := g.admit(ctx, r)
	if err != nil {
		g.End()
	}
	return err
}

func (g *Grant) admit(ctx context.Context, r Request) error {
	now, nodes := int64(g.at.Sub(g.l.start)), g.l.nodes.Load()
	for i, h := range g.subjects {
		if h == nil {
			continue
		}
		h.seen.Store(now)
		if err := g.rate(i, r, now, nodes); err != nil {
			return g.refused(err)
		}
	}
	if !billed(r.Class) {
		return nil
	}
	if err := g.reserve(ctx, tenancy.Requests, 1); err != nil {
		return err
	}
	if err := g.reserve(ctx, tenancy.Storage, r.Stores); err != nil {
		return err
	}
	if r.Download {
		// What the answer's length will be is not known yet; that there is
		// nothing left is.
		if err := g.reserve(ctx, tenancy.Egress, 1); err != nil {
			return err
		}
	}
	return g.reserveCost(ctx, 1, r.Upload, 0)
}

// billed reports whether budgets count the class. Deletes are free, so that
// an account over its budget can still make room.
func billed(c usage.Class) bool { return c == usage.ClassA || c == usage.ClassB }

// rate holds the request to the i-th limits' rates. What was taken of one is
// not given back when another refuses: the request was made.
func (g *Grant) rate(i int, r Request, now, nodes int64) error {
	h, limits := g.subjects[i], g.limits[i]
	if err := g.atOnce(i, r.Key == nil, nodes); err != nil {
		return err
	}
	for d, rate := range [directions]int64{limits.UploadRate, limits.DownloadRate} {
		moves := r.Download
		if Direction(d) == Upload {
			moves = r.Upload > 0
		}
		if ahead := h.transfer[d].ahead(now) - burst; rate > 0 && moves && ahead > int64(g.l.cfg.MaxDebt) {
			return tooFast("The transfer rate is used up.", ahead-int64(g.l.cfg.MaxDebt))
		}
	}
	if limits.RequestsPerSecond > 0 {
		cost := emissionInterval(1, limits.RequestsPerSecond, nodes)
		if r.Key == nil {
			if wait := h.strangers.requests.take(now, strangersPart*cost, max(burst, strangersPart*cost)); wait > 0 {
				return tooFast("Too many requests.", wait)
			}
		}
		if wait := h.requests.take(now, cost, max(burst, cost)); wait > 0 {
			return tooFast("Too many requests.", wait)
		}
	}
	return nil
}

// strangersPart is the part of an account's rates that requests without a key have
// at most: anyone who knows its host can send them, and the account's own must go on.
const strangersPart = 2

// atOnce counts the request among the concurrent ones of the i-th limits, and
// refuses it when they allow no more.
func (g *Grant) atOnce(i int, stranger bool, nodes int64) error {
	h, allowed := g.subjects[i], int64(0)
	switch {
	case g.limits[i].Concurrent > 0:
		allowed = (g.limits[i].Concurrent + nodes - 1) / nodes
	case i == 0:
		allowed = g.l.cfg.Concurrent
	}
	if allowed == 0 {
		return nil
	}
	g.counted[i], g.stranger = true, stranger
	over := h.active.Add(1) > allowed
	if stranger {
		over = h.strangers.active.Add(1) > (allowed+strangersPart-1)/strangersPart || over
	}
	if over {
		g.l.cfg.Logger.Warn("as many requests at once as may be; more are refused", "of", h.whose(), "account", h.account.String(), "most", allowed, "without_key", stranger)
		return crowded()
	}
	return nil
}

// Answer reserves an answer's body of n bytes before the first is sent.
func (g *Grant) Answer(ctx context.Context, n int64) error {
	if g.l == nil || !billed(g.class) {
		return nil
	}
	for i := range g.subjects { // the one byte of admission is part of it
		if r := &g.reserved[i][tenancy.Egress]; r.n > 0 {
			r.lease.put(r.n)
			r.n = 0
		}
	}
	if err := g.reserve(ctx, tenancy.Egress, n); err != nil {
		return err
	}
	return g.reserveCost(ctx, 0, 0, n)
}

// Hard reports whether a hard budget of that kind applies to the request: then
// the caller must know how much it will use before it goes on.
func (g *Grant) Hard(b tenancy.Budget) bool {
	for _, l := range g.limits {
		if l != nil && l.Caps[b] != nil && !l.Caps[b].Soft {
			return true
		}
	}
	return false
}

// Store reserves n more bytes that will be kept.
func (g *Grant) Store(ctx context.Context, n int64) error {
	if g.l == nil {
		return nil
	}
	return g.reserve(ctx, tenancy.Storage, n)
}

func (g *Grant) reserve(ctx context.Context, b tenancy.Budget, n int64) error {
	for i, h := range g.subjects {
		if h == nil || g.limits[i].Caps[b] == nil {
			continue
		}
		r := &g.reserved[i][b]
		if r.lease == nil {
			r.lease = h.lease(b, g.at)
			r.lease.users.Add(1)
		}
		if err := h.take(ctx, r.lease, n, g.limits[i].Caps[b]); err != nil {
			return g.refused(err)
		}
		r.n += n
	}
	return nil
}

func (g *Grant) reserveCost(ctx context.Context, requests, ingress, egress int64) error {
	for i, h := range g.subjects {
		if h == nil || g.limits[i].Caps[tenancy.Spend] == nil {
			continue
		}
		if g.rates == nil {
			var err error
			if g.rates, err = h.prices(ctx); err != nil {
				if g.limits[i].Caps[tenancy.Spend].Soft {
					continue
				}
				return g.refused(err)
			}
		}
	}
	return g.reserve(ctx, tenancy.Spend, g.rates.Cost(g.class, requests, ingress, egress))
}

func (g *Grant) refused(err error) error {
	if r, ok := err.(*RefusalError); ok { //nolint:errorlint // made here, never wrapped
		g.l.metrics.refused[r.Reason].Inc()
	}
	return err
}

// Consumed takes n bytes that moved from the transfer rates: Wait then knows when
// the next may.
func (g *Grant) Consumed(d Direction, n int64) {
	if g.l == nil {
		return
	}
	for i, h := range g.subjects {
		if rate := g.rateOf(i, d); rate > 0 {
			nodes := g.l.nodes.Load()
			g.next[d] = max(g.next[d], h.transfer[d].add(g.l.now(), emissionInterval(n, rate, nodes))-burst)
		}
	}
}

func (g *Grant) rateOf(i int, d Direction) int64 {
	switch {
	case g.subjects[i] == nil:
		return 0
	case d == Upload:
		return g.limits[i].UploadRate
	}
	return g.limits[i].DownloadRate
}

// Wait waits until the next bytes may move, or returns ctx's error.
func (g *Grant) Wait(ctx context.Context, d Direction) error {
	if g.next[d] == 0 {
		return nil
	}
	wait := time.Duration(g.next[d] - g.l.now())
	if wait <= 0 {
		return nil
	}
	g.l.metrics.paced.Add(wait.Seconds())
	return g.l.cfg.Sleep(ctx, wait)
}

// MaxChunk is how many bytes should move between two calls of Wait, at most limit:
// an eighth of a second's worth, so that many transfers share a rate evenly.
func (g *Grant) MaxChunk(d Direction, limit int64) int64 {
	if g.l == nil {
		return limit
	}
	const least = 16 << 10
	for i := range g.subjects {
		if rate := g.rateOf(i, d); rate > 0 {
			limit = min(limit, max(least, rate/g.l.nodes.Load()/8))
		}
	}
	return limit
}

// Settle says what became of the request: what it did not use is given back,
// what it used beyond is taken.
func (g *Grant) Settle(o Outcome) {
	if g.l == nil {
		return
	}
	requests := int64(0)
	if o.Billed {
		requests = 1
	} else {
		o.Sent = 0
	}
	used := [tenancy.Budgets]int64{
		tenancy.Egress: o.Sent, tenancy.Requests: requests,
		tenancy.Spend: g.rates.Cost(g.class, requests, o.Received, o.Sent),
	}
	for i := range g.subjects {
		for b := range g.reserved[i] {
			r := &g.reserved[i][b]
			if r.lease == nil {
				continue
			}
			n := used[b]
			if tenancy.Budget(b) == tenancy.Storage && o.Stored {
				n = r.n
			}
			r.lease.put(r.n - n)
			r.n = 0
		}
	}
	g.End()
}

// End gives everything back that is still held. It may be called at any time.
func (g *Grant) End() {
	if g.l == nil {
		return
	}
	for i, h := range g.subjects {
		if h == nil {
			continue
		}
		for b := range g.reserved[i] {
			if r := &g.reserved[i][b]; r.lease != nil {
				r.lease.put(r.n)
				r.lease.users.Add(-1)
			}
		}
		if g.counted[i] {
			h.active.Add(-1)
			if g.stranger {
				h.strangers.active.Add(-1)
			}
		}
		h.leave()
	}
	*g = Grant{}
}
