package tenancy

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"
)

// stripes is how many generations a cache has. Keys share them by hash: an
// invalidation may make a few other entries load again, never the reverse.
const stripes = 1 << 14

// stripe is what the keys of one part of all hashes share. absent is the last
// of them that was found not to exist: so absences are bounded in number, by
// one for each stripe, and however many names are invented, they push out each
// other and nothing that exists.
type stripe[V any] struct {
	gen    atomic.Uint64
	absent atomic.Pointer[entry[V]]
}

// loadingCache holds the values of one kind in memory and loads them on demand.
// What exists is in ristretto, what does not in the stripes.
//
// Each entry remembers the generation of its stripe from before its load
// began. An invalidation moves the generation on, so that what was being
// loaded meanwhile, or sits in ristretto's asynchronous buffers, is dead when
// it arrives. ristretto may refuse or delay a Set: then a thing is loaded
// again, which is slower and never wrong.
//
// ristretto is keyed by a hash, seeded anew for each cache so that nobody can
// prepare collisions, and an entry holds its whole key: two keys of one hash
// push each other out and are never taken for each other.
type loadingCache[V any] struct {
	dir      *Directory
	absent   error                 // the load's error for "does not exist", cached briefly
	mayExist func(key []byte) bool // false: absent, without asking anyone
	load     func(ctx context.Context, key string) (V, error)
	cache    *ristretto.Cache[uint64, *entry[V]]
	seed     maphash.Seed
	turn     func(key []byte, by asker) turn // for a key that is not known to have been there
	stripes  [stripes]stripe[V]
	flight   singleflight.Group
}

type entry[V any] struct {
	key   string
	value V
	err   error // nil or absent
	gen   uint64
	epoch uint64
	at    time.Time // before its load began
}

// newLoadingCache makes a cache of size entries. mayExist false means absent,
// without a load; turns says in which lane a key waits that is not in memory.
func newLoadingCache[V any](d *Directory, size int64, absent error, mayExist func([]byte) bool, turns func([]byte, asker) turn,
	load func(context.Context, string) (V, error),
) (*loadingCache[V], error) {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *entry[V]]{
		NumCounters:        10 * size,
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true,
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
	})
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, cache.Close)
	return &loadingCache[V]{dir: d, absent: absent, mayExist: mayExist, turn: turns, load: load, cache: cache, seed: maphash.MakeSeed()}, nil
}

// get returns the value of that key. key is read only during the call; by says
// in whose turn it is asked for when it is not known yet. A cached hit
// allocates nothing and takes no lock that all share.
func (t *loadingCache[V]) get(ctx context.Context, key []byte, by asker) (V, error) {
	hash := maphash.Bytes(t.seed, key)
	stripe := &t.stripes[hash%stripes]
	gen := stripe.gen.Load()
	e, known := t.cache.Get(hash)
	known = known && e.key == string(key)
	if known && e.gen == gen && t.dir.fresh(e.epoch, e.at) {
		t.dir.hits.Add(1)
		return e.value, nil
	}
	if no := stripe.absent.Load(); no != nil && no.gen == gen && no.key == string(key) && t.dir.freshAbsence(no.epoch, no.at) {
		t.dir.hits.Add(1)
		return no.value, t.absent
	}
	if !known {
		e = nil
	}
	return t.miss(ctx, bytes.Clone(key), hash, gen, e, by) // the copy lets callers keep theirs on the stack
}

// miss loads the value. old is the entry that is in memory but not fresh, or nil.
func (t *loadingCache[V]) miss(ctx context.Context, key []byte, hash, gen uint64, old *entry[V], by asker) (V, error) {
	var zero V
	if !t.mayExist(key) {
		t.dir.refused.Add(1)
		return zero, t.absent
	}
	t.dir.misses.Add(1)
	var lane turn
	if old == nil { // else it was there a while ago: nobody has made the name up
		lane = t.turn(key, by)
	} else if old.gen != gen {
		old = nil
	}
	if old != nil {
		// There is something to fall back on: do not wait long for a silent database.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.dir.cfg.HeartbeatTimeout)
		defer cancel()
	}
	loaded, err := t.reload(ctx, string(key), hash, gen, lane)
	switch {
	case err == nil:
		return loaded.value, loaded.err
	case old != nil && t.stripes[hash%stripes].gen.Load() == gen && t.dir.withinMaxStale(old.epoch, old.at):
		// PostgreSQL is away: what was true a moment ago keeps working.
		return old.value, nil
	}
	return zero, notKnown(err)
}

// notKnown makes ErrUnavailable of a load's error. One of our own, as of a row that this
// node cannot open or may not believe, is none of PostgreSQL's, and does not say so.
func notKnown(err error) error {
	var own sentinelError
	if errors.As(err, &own) && !errors.Is(err, ErrCrowded) {
		return &unknownError{err}
	}
	return errors.Join(ErrUnavailable, err)
}

// unknownError is ErrUnavailable without its sentence.
type unknownError struct{ cause error }

func (e *unknownError) Error() string        { return e.cause.Error() }
func (e *unknownError) Unwrap() error        { return e.cause }
func (e *unknownError) Is(target error) bool { return target == ErrUnavailable }

// reload loads once for all callers at this generation and epoch: a caller that
// comes after a change must not join a load begun before it. When the caller's
// ctx ends the load goes on, since others wait for it.
func (t *loadingCache[V]) reload(ctx context.Context, key string, hash, gen uint64, lane turn) (*entry[V], error) {
	sync := t.dir.sync.Load()
	flight := key + "\x00" + strconv.FormatUint(gen, 36) + "\x00" + strconv.FormatUint(sync.epoch, 36)
	if lane.lane != nil {
		// A caller without a lane must not wait for a load that waits in one.
		flight += "\x00" + lane.lane.name
	}
	ch := t.flight.DoChan(flight, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.dir.loadTimeout(sync))
		defer cancel()
		leave, err := lane.enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		e := &entry[V]{key: key, gen: gen, epoch: sync.epoch, at: time.Now()}
		e.value, e.err = t.load(ctx, key)
		if e.err != nil && !errors.Is(e.err, t.absent) {
			return nil, e.err
		}
		t.store(hash, e)
		return e, nil
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*entry[V]), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *loadingCache[V]) store(hash uint64, e *entry[V]) {
	stripe := &t.stripes[hash%stripes]
	if stripe.gen.Load() != e.gen {
		return // good for the callers from before the change, not to be kept
	}
	if e.err == nil {
		t.cache.Set(hash, e, 1)
		return
	}
	stripe.absent.Store(e)
	// What was there in an earlier epoch is gone, and must not be fallen back
	// on when PostgreSQL is away. It may still be on its way into the cache.
	t.cache.Del(hash)
}

// invalidate makes what is known of the key, and what is being loaded, dead.
// The entry stays, as a sign that the key was no invention.
func (t *loadingCache[V]) invalidate(key string) {
	t.stripes[maphash.String(t.seed, key)%stripes].gen.Add(1)
}
