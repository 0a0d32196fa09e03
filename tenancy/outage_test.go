package tenancy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// cached waits until the key is answered from memory.
func cached(t *testing.T, d *tenancy.Directory, keyID string) {
	t.Helper()
	// Its creation is a change too: heard of later, it would empty the place again.
	eventually(t, "the creation was heard of", func() bool { return d.KeyGeneration(keyID) > 0 })
	eventually(t, "the key is cached", func() bool {
		known(t, d, keyID)
		d.Settle()
		before := d.Misses()
		known(t, d, keyID)
		return d.Misses() == before
	})
}

// Each node sends itself a notification every 500 ms; when none has come for 2 s
// it counts as disconnected, connects anew and validates everything. Here the
// LISTEN connection is cut without a FIN: with the production's intervals, a key
// revoked unheard is refused once that was noticed.
func TestDirectory_cutWithoutFIN(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var hole *blackhole
	d := f.directory(f.through(&hole))
	k := f.key(f.a)
	cached(t, d, k.KeyID)
	connects := d.Connects()
	hole.cut(listening, false)
	f.revoke(k.KeyID)
	if err := lookup(d, k.KeyID); err != nil && d.Connects() == connects {
		t.Error("the revocation was heard of: the connection was not cut")
	}
	took := eventually(t, "the revoked key is refused", unknown(d, k.KeyID))
	if d.Connects() == connects {
		t.Error("refused without a new connection")
	}
	t.Logf("cut without FIN: refused %s after the revocation; connected again: %v", took, d.Connected())
}

// Everything is cut: what is cached works for MaxStale and no longer, unknown
// keys are "not now" and never "no", and afterwards everything is validated.
func TestDirectory_outage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var hole *blackhole
	const maxStale, heartbeatTimeout = 4 * time.Second, time.Second
	d := f.directory(f.through(&hole), func(c *tenancy.DirectoryConfig) {
		c.MaxStale, c.Heartbeat, c.HeartbeatTimeout = maxStale, 100*time.Millisecond, heartbeatTimeout
	})
	k, revoked, absent := f.key(f.a), f.key(f.a), tenancy.IssueKeyID(f.keyring)
	cached(t, d, k.KeyID)
	cached(t, d, revoked.KeyID)
	if !unknown(d, absent)() {
		t.Error("an absent key is known")
	}
	hole.cut(everything, true)
	began := time.Now()
	f.revoke(revoked.KeyID)
	noticed := eventually(t, "the silence is noticed", func() bool { return !d.Connected() })
	for _, id := range []string{absent, tenancy.IssueKeyID(f.keyring), "AKIAFOREIGN"} {
		asked := time.Now()
		if err := lookup(d, id); !errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Errorf("a key that is not cached: %v, want ErrUnavailable", err)
		}
		t.Logf("503 after %s", time.Since(asked))
		// The last heartbeat was heard heartbeatTimeout before the cut at most.
		if err, now := lookup(d, k.KeyID), time.Since(began); err != nil && now < maxStale-heartbeatTimeout {
			t.Errorf("what is cached, %s into the outage: %v", now, err)
		}
	}
	eventually(t, "what is cached becomes too old", func() bool {
		err := lookup(d, revoked.KeyID)
		if errors.Is(err, tenancy.ErrKeyUnknown) {
			t.Fatal("PostgreSQL is away, and the key is called unknown")
		}
		return errors.Is(err, tenancy.ErrUnavailable)
	})
	t.Logf("MaxStale %s: noticed after %s, unavailable after %s", maxStale, noticed, time.Since(began))
	hole.heal()
	healed := eventually(t, "connected again", d.Connected)
	refused := eventually(t, "the revoked key is refused", unknown(d, revoked.KeyID))
	eventually(t, "the good key works", func() bool { return lookup(d, k.KeyID) == nil })
	t.Logf("healed: connected after %s, the key revoked meanwhile refused %s later", healed, refused)
}

// A connection closed by the server is noticed at once, and what changed while
// nobody listened is asked for again.
func TestDirectory_closedConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	k := f.key(f.a)
	super := f.db.Pool(t, "")
	for range 3 {
		cached(t, d, k.KeyID)
		connects := d.Connects()
		must(super.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = 'primecloud directory' AND datname = current_database()`))(t)
		took := eventually(t, "reconnected", func() bool { return d.Connects() > connects })
		t.Logf("listening again after %s", took)
		must(super.Exec(t.Context(), `ALTER TABLE access_keys DISABLE TRIGGER notify`))(t)
	}
	cached(t, d, k.KeyID)
	must(super.Exec(t.Context(), `UPDATE access_keys SET revoked_at = now()`))(t)
	if err := lookup(d, k.KeyID); err != nil {
		t.Errorf("unheard: %v", err)
	}
	must(super.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'primecloud directory' AND datname = current_database()`))(t)
	took := eventually(t, "the revoked key is refused", unknown(d, k.KeyID))
	t.Logf("refused %s after the connection was closed", took)
}

// A pool that is busy to the last connection does not make the node deaf.
func TestDirectory_busyPool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory(func(c *tenancy.DirectoryConfig) {
		c.Pool = f.db.Pool(f.t, "primecloud_gateway")
		c.Heartbeat, c.HeartbeatTimeout = time.Millisecond, time.Minute
		for range c.Pool.Config().MaxConns {
			conn := must(c.Pool.Acquire(context.Background()))(f.t)
			f.t.Cleanup(conn.Release)
		}
	})
	connects := d.Connects()
	for range 10 {
		last := d.Heard()
		eventually(t, "the next heartbeat", func() bool { return d.Heard().After(last) })
	}
	if !d.Connected() || d.Connects() != connects {
		t.Error("the node went deaf")
	}
}

func TestDirectory_bucketLifeDuringOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var hole *blackhole
	d := f.directory(f.through(&hole))
	b := must(d.ReserveBucket(t.Context(), f.a.ID, "photos", false))(t)
	hole.cut(everything, true)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := d.ActivateBucket(ctx, b); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("ActivateBucket: %v", err)
	}
	if _, err := d.ListBuckets(ctx, f.a.ID, nil, "", "", 10); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("ListBuckets: %v", err)
	}
	if _, err := d.ReserveBucket(ctx, f.a.ID, "BAD", false); !errors.Is(err, tenancy.ErrInvalidName) || errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("a bad name: %v", err)
	}
}

// A change that was heard of is not forgotten when PostgreSQL goes away after it: what
// is kept of the key for an outage is from before the change.
func TestDirectory_heardThenAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory(func(c *tenancy.DirectoryConfig) { c.MaxStale = time.Hour })
	k, other := f.key(f.a), f.key(f.a)
	cached(t, d, k.KeyID)
	cached(t, d, other.KeyID)
	gen := d.KeyGeneration(k.KeyID)
	f.revoke(k.KeyID)
	eventually(t, "the change is heard of", func() bool { return d.KeyGeneration(k.KeyID) > gen })
	f.db.TakeAway(t)
	if err := lookup(d, other.KeyID); err != nil {
		t.Errorf("a key that did not change: %v", err)
	}
	if err := lookup(d, k.KeyID); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("a key that was revoked before: %v, want ErrUnavailable", err)
	}
}
