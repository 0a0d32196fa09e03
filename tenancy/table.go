package tenancy

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"
)

// stripes is how many generations a table has. Keys share them by hash: an
// invalidation may make a few other entries load again, never the reverse.
const stripes = 1 << 14

// table is one kind of thing in memory, loaded on demand.
//
// Each entry remembers the generation of its stripe from before its load
// began. An invalidation moves the generation on, so that what was being
// loaded meanwhile, or sits in ristretto's asynchronous buffers, is dead when
// it arrives. ristretto may refuse or delay a Set: then a thing is loaded
// again, which is slower and never wrong.
type table[V any] struct {
	dir    *Directory
	absent error // the load's error for "does not exist", cached briefly
	load   func(ctx context.Context, key string) (V, error)
	cache  *ristretto.Cache[string, *entry[V]]
	seed   maphash.Seed
	gens   [stripes]atomic.Uint64
	flight singleflight.Group
}

type entry[V any] struct {
	value V
	err   error // nil or absent
	gen   uint64
	epoch uint64
	at    time.Time
}

func newTable[V any](d *Directory, size int64, absent error, load func(context.Context, string) (V, error)) (*table[V], error) {
	cache, err := ristretto.NewCache(&ristretto.Config[string, *entry[V]]{
		NumCounters:        10 * size,
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	return &table[V]{dir: d, absent: absent, load: load, cache: cache, seed: maphash.MakeSeed()}, nil
}

func (t *table[V]) gen(key string) *atomic.Uint64 {
	return &t.gens[maphash.String(t.seed, key)%stripes]
}

// get returns the thing of that key. key is read only during the call. A
// cached hit allocates nothing and takes no lock.
func (t *table[V]) get(ctx context.Context, key []byte) (V, error) {
	k := unsafe.String(unsafe.SliceData(key), len(key)) // not kept: a miss makes its own copy
	gen := t.gen(k).Load()
	e, ok := t.cache.Get(k)
	if ok && (e.gen != gen || e.err != nil && !t.dir.Connected()) {
		e, ok = nil, false
	}
	if ok && e.epoch == t.dir.epoch.Load() && t.dir.fresh() {
		t.dir.hits.Add(1)
		return e.value, e.err
	}
	t.dir.misses.Add(1)
	loaded, err := t.reload(ctx, string(key), gen)
	switch {
	case err == nil:
		return loaded.value, loaded.err
	case ok && t.gen(k).Load() == e.gen && time.Since(t.dir.lastHeard(e.at)) < t.dir.cfg.MaxStale:
		// PostgreSQL is away: what was true a moment ago keeps working.
		return e.value, e.err
	}
	var zero V
	return zero, errors.Join(ErrUnavailable, err)
}

// reload loads once for all who ask at this generation. The load is not the
// caller's to cancel: others wait for it.
func (t *table[V]) reload(ctx context.Context, key string, gen uint64) (*entry[V], error) {
	ch := t.flight.DoChan(key+"\x00"+strconv.FormatUint(gen, 36), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.dir.cfg.LoadTimeout)
		defer cancel()
		e := &entry[V]{gen: gen, epoch: t.dir.epoch.Load(), at: time.Now()}
		e.value, e.err = t.load(ctx, key)
		if e.err != nil && !errors.Is(e.err, t.absent) {
			return nil, e.err
		}
		if t.gen(key).Load() != gen {
			return e, nil // good for those who asked before the change, not to be kept
		}
		if e.err != nil {
			t.cache.SetWithTTL(key, e, 1, t.dir.cfg.NegativeTTL)
		} else {
			t.cache.Set(key, e, 1)
		}
		return e, nil
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*entry[V]), nil //nolint:forcetypeassert // DoChan returns what the function above did
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *table[V]) invalidate(key string) {
	t.gen(key).Add(1)
	t.cache.Del(key)
}
