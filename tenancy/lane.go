package tenancy

import (
	"context"
	"sync/atomic"
)

// asker is what is known of the caller of a look-up.
type asker uint8

const (
	anyone asker = iota // nothing is proven
	holder              // of a key, whose signature was right, or of a node's own duty
)

// lane bounds how many connections to PostgreSQL are held at once for names
// that nothing vouches for: each may be made up. It has shares, and each has half
// of the connections at most and a queue of its own: a flood in one share fills
// that share's queue, and callers in another one wait for the queries that it has
// in flight, not for its queue.
type lane struct {
	name    string // tells the flights of one lane from another's
	slots   chan struct{}
	shares  []share
	queue   int64 // how many may wait in each share
	crowded *atomic.Uint64
}

type share struct {
	slots   chan struct{}
	waiting atomic.Int64 // those that hold a slot included
}

func newLane(name string, slots, shares, queue int, crowded *atomic.Uint64) *lane {
	l := &lane{name: name, slots: make(chan struct{}, slots), shares: make([]share, shares), queue: int64(queue), crowded: crowded}
	for i := range l.shares {
		l.shares[i].slots = make(chan struct{}, max(1, slots/2))
	}
	return l
}

// turn is a place in a lane. The zero turn is for what needs none: things that
// were there a while ago, or whose name PostgreSQL or a MAC has told us.
type turn struct {
	lane  *lane
	share int
}

// enter waits until the lane is free; leave must be called. Beyond the queue
// it is ErrCrowded at once, and when ctx ends before the turn has come: PostgreSQL
// was not asked, and is not to blame.
func (t turn) enter(ctx context.Context) (leave func(), err error) {
	if t.lane == nil {
		return func() {}, nil
	}
	s := &t.lane.shares[t.share%len(t.lane.shares)]
	if s.waiting.Add(1) > t.lane.queue+int64(cap(s.slots)) {
		return nil, t.crowded(s)
	}
	if !take(ctx, s.slots) {
		return nil, t.crowded(s)
	}
	if !take(ctx, t.lane.slots) {
		<-s.slots
		return nil, t.crowded(s)
	}
	return func() {
		<-t.lane.slots
		<-s.slots
		s.waiting.Add(-1)
	}, nil
}

func (t turn) crowded(s *share) error {
	s.waiting.Add(-1)
	t.lane.crowded.Add(1)
	return ErrCrowded
}

// take takes a slot that is free, or waits for one until ctx ends.
func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// The shares of the strangers' lane: one for each kind of name that can be
// made up without a key.
const (
	shareKeys = iota
	shareNames
	shareDomains
	shareBuckets
	strangerShares
)

// accountShares is how many shares the lane of accounts has: accounts come
// into them by their ids.
const accountShares = 64

// ofAccount is the turn for what a key's holder makes PostgreSQL do beyond
// what is in memory.
func (d *Directory) ofAccount(id ID) turn {
	return turn{d.holders, int(id[len(id)-1]) % accountShares} // the end of an id is random
}
