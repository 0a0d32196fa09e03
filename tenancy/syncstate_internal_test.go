package tenancy

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// An entry is as old as the last heartbeat of its own epoch, not of the
// present one: what changed between two connections was not heard. The attack:
// a key revoked during one outage must not live through the next as if the
// short connection between them had confirmed it.
func TestHearing_knownUntil(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	h := &syncState{epoch: 3, lastHeartbeat: at(100), prevHeartbeat: at(40)}
	for _, c := range []struct {
		what   string
		epoch  uint64
		loaded int
		want   int
	}{
		{"of this epoch", 3, 90, 100},
		{"of this epoch, loaded while disconnected", 3, 120, 120},
		{"of the epoch before", 2, 30, 40},
		{"of the epoch before, loaded between the two", 2, 60, 60},
		{"of an older epoch", 1, 10, 10},
	} {
		if got := h.validatedAt(c.epoch, at(c.loaded)); !got.Equal(at(c.want)) {
			t.Errorf("%s: %d, want %d", c.what, got.Unix(), c.want)
		}
	}
}

func TestDirectory_holds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	d := &Directory{cfg: DirectoryConfig{MaxStale: time.Minute, NegativeTTL: time.Second}}
	for _, c := range []struct {
		what   string
		state  syncState
		epoch  uint64
		loaded time.Time
		err    error
		want   bool
	}{
		{"before the first connection", syncState{}, 0, now, nil, false},
		{"connected", syncState{epoch: 2, connected: true, lastHeartbeat: now}, 2, ago(time.Hour), nil, true},
		{"connected, absent", syncState{epoch: 2, connected: true, lastHeartbeat: now}, 2, now, ErrKeyUnknown, true},
		{"connected, absent for a while", syncState{epoch: 2, connected: true, lastHeartbeat: now}, 2, ago(time.Hour), ErrKeyUnknown, false},
		{"connected, absent in an earlier epoch", syncState{epoch: 2, connected: true, lastHeartbeat: now, prevHeartbeat: now}, 1, now, ErrKeyUnknown, false},
		{"connected, of an earlier epoch", syncState{epoch: 2, connected: true, lastHeartbeat: now, prevHeartbeat: now}, 1, now, nil, false},
		{"away for a short time", syncState{epoch: 2, lastHeartbeat: ago(50 * time.Second)}, 2, ago(time.Hour), nil, true},
		{"away for too long", syncState{epoch: 2, lastHeartbeat: ago(70 * time.Second)}, 2, ago(time.Hour), nil, false},
		{"away, loaded meanwhile", syncState{epoch: 2, lastHeartbeat: ago(70 * time.Second)}, 2, ago(10 * time.Second), nil, true},
		{"away, absent: that may have changed", syncState{epoch: 2, lastHeartbeat: now}, 2, now, ErrKeyUnknown, false},
		{"away again, unconfirmed in between", syncState{epoch: 2, lastHeartbeat: now, prevHeartbeat: ago(70 * time.Second)}, 1, ago(time.Hour), nil, false},
		{"away again soon", syncState{epoch: 2, lastHeartbeat: now, prevHeartbeat: ago(20 * time.Second)}, 1, ago(time.Hour), nil, true},
	} {
		d.sync.Store(&c.state)
		says := d.fresh
		if c.err != nil {
			says = d.freshAbsence
		}
		if got := says(c.epoch, c.loaded); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// Keys of one hash push each other out, and are never taken for each other.
func TestTable_collision(t *testing.T) {
	t.Parallel()
	d := &Directory{cfg: DirectoryConfig{MaxStale: time.Minute, LoadTimeout: time.Minute, HeartbeatTimeout: time.Minute}}
	d.sync.Store(&syncState{epoch: 1, connected: true})
	table := newStringTable(t, d)
	first := get(t, table, "first")
	table.cache.Wait()
	e, ok := table.cache.Get(hashOf(table, "first"))
	if !ok || first != "value of first" {
		t.Fatalf("not cached: %q", first)
	}
	table.cache.Set(hashOf(table, "second"), e, 1)
	table.cache.Wait()
	if got := get(t, table, "second"); got != "value of second" {
		t.Errorf("second got %q", got)
	}
}

// ristretto may refuse every Set: each look-up loads then.
func TestTable_refusedSet(t *testing.T) {
	t.Parallel()
	d := &Directory{cfg: DirectoryConfig{MaxStale: time.Minute, LoadTimeout: time.Minute, HeartbeatTimeout: time.Minute}}
	d.sync.Store(&syncState{epoch: 1, connected: true})
	table := newStringTable(t, d)
	d.Close() // every Set is refused from here on, every Get finds nothing
	for range 10 {
		if got := get(t, table, "k"); got != "value of k" {
			t.Errorf("got %q", got)
		}
	}
}

func newStringTable(t *testing.T, d *Directory) *loadingCache[string] {
	t.Helper()
	table, err := newLoadingCache(d, 100, ErrKeyUnknown, func([]byte) bool { return true }, func([]byte, asker) turn { return turn{} },
		func(_ context.Context, key string) (string, error) { return "value of " + key, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return table
}

func hashOf(t *loadingCache[string], key string) uint64 { return maphash.String(t.seed, key) }

func get(t *testing.T, table *loadingCache[string], key string) string {
	t.Helper()
	v, err := table.get(t.Context(), []byte(key), anyone)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// However many names are made up, and asked for however often, what exists
// stays in memory, and the absences take the places there are for them.
func TestTable_inventedNamesPushOutNothing(t *testing.T) {
	t.Parallel()
	d := &Directory{cfg: DirectoryConfig{MaxStale: time.Minute, NegativeTTL: time.Hour, LoadTimeout: time.Minute, HeartbeatTimeout: time.Minute}}
	d.sync.Store(&syncState{epoch: 1, connected: true})
	var loaded atomic.Int64
	table, err := newLoadingCache(d, 64, ErrKeyUnknown, func([]byte) bool { return true }, noTurn,
		func(_ context.Context, key string) (string, error) {
			if strings.HasPrefix(key, "invented") {
				return "", ErrKeyUnknown
			}
			loaded.Add(1)
			return "value of " + key, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	var names []string
	for i := range 32 {
		names = append(names, fmt.Sprint("customer-", i))
		get(t, table, names[i])
	}
	table.cache.Wait()
	before := loaded.Load()
	for i := range 3 * stripes {
		for range 4 { // the last three from memory
			if _, err := table.get(t.Context(), fmt.Append(nil, "invented-", i), anyone); !errors.Is(err, ErrKeyUnknown) {
				t.Fatal(err)
			}
		}
	}
	table.cache.Wait()
	if n := d.misses.Load(); n != 32+3*stripes {
		t.Errorf("%d loads for %d names", n, 32+3*stripes)
	}
	for _, name := range names {
		get(t, table, name)
	}
	if n := loaded.Load() - before; n > 0 {
		t.Errorf("%d of %d customers were pushed out", n, len(names))
	}
}

// What was found gone is not fallen back on in an outage, even when it was
// known until the connection before.
func TestTable_goneStaysGone(t *testing.T) {
	t.Parallel()
	d := &Directory{cfg: DirectoryConfig{MaxStale: time.Minute, NegativeTTL: time.Hour, LoadTimeout: time.Minute, HeartbeatTimeout: time.Minute}}
	d.sync.Store(&syncState{epoch: 1, connected: true, lastHeartbeat: time.Now()})
	away := errors.New("away")
	var answer error
	table, err := newLoadingCache(d, 64, ErrKeyUnknown, func([]byte) bool { return true }, noTurn,
		func(context.Context, string) (string, error) { return "value", answer })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	get(t, table, "k")
	table.cache.Wait()
	d.connectedAt(time.Now()) // revoked unheard before it
	answer = ErrKeyUnknown
	if _, err := table.get(t.Context(), []byte("k"), anyone); !errors.Is(err, ErrKeyUnknown) {
		t.Fatal(err)
	}
	d.disconnected()
	answer = away
	if v, err := table.get(t.Context(), []byte("k"), anyone); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%q, %v: a revoked key works again", v, err)
	}
}

// What the operator relies on where he sets nothing: silence is noticed after 2 s,
// and what is cached works for a minute.
func TestDirectoryConfig_defaults(t *testing.T) {
	t.Parallel()
	var c DirectoryConfig
	c.setDefaults()
	if c.Heartbeat != 500*time.Millisecond || c.HeartbeatTimeout != 2*time.Second || c.MaxStale != time.Minute || c.MaxBuckets != 1000 {
		t.Errorf("%+v", c)
	}
}
