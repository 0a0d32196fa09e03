package limits_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Three nodes share a hard budget: 200 parallel downloads get no byte more, and
// nearly all of it. It begins anew with the month, and when it is raised.
func TestBudget_fleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	const object, budget = 1 << 20, 150<<20 + 12345
	f.limit(hard(tenancy.Egress, budget))
	var delivered atomic.Int64
	// A client tries again when it is told to.
	get := func(i int) error {
		for {
			err := f.nodes[i%3].download(object, object)
			if reason(err) != int(limits.Reserved) {
				return err
			}
			for _, n := range f.nodes { // what the others give back comes with their renewals
				n.renew()
			}
			f.clock.Advance(time.Second)
		}
	}
	load := func(parallel int) {
		var working sync.WaitGroup
		for i := range parallel {
			working.Go(func() {
				if err := get(i); err == nil {
					delivered.Add(object)
				} else if reason(err) != int(limits.Exhausted) {
					t.Error(err)
				}
			})
		}
		working.Wait()
	}
	load(200)
	if got := delivered.Load(); got != f.egress() || got > budget || got < budget-object {
		t.Errorf("%d bytes delivered, %d in the ledger, of a budget of %d", got, f.egress(), int64(budget))
	}
	if err := get(0); reason(err) != int(limits.Exhausted) {
		t.Errorf("with the budget used up: %v", err)
	}

	f.limit(hard(tenancy.Egress, budget+10*object))
	load(20)
	if got := f.egress(); got > budget+10*object || got < budget+9*object {
		t.Errorf("after raising it: %d of %d", got, int64(budget+10*object))
	}

	f.clock.Advance(31 * 24 * time.Hour)
	f.egress() // the meters' hour moves on
	delivered.Store(0)
	load(100)
	if got := f.egress(); got != 100*object || got != delivered.Load() {
		t.Errorf("in the next month: %d", got)
	}
}

// Of two nodes that ask at one moment for more than half of what is left, one
// gets it: the other is answered when it has been written what the first has.
func TestBudget_atOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(hard(tenancy.Egress, 1000))
	ctx := context.WithoutCancel(t.Context())
	var armed atomic.Bool
	var grants [2]limits.Grant
	second := make(chan error, 1)
	first := f.start(func(c *limits.Config) {
		c.Pool = f.db.BeforeCommit(t, pg.RoleGateway, func() {
			if !armed.CompareAndSwap(true, false) {
				return
			}
			// Before anybody sees what the first was given.
			go func() { second <- grants[1].Answer(ctx, 600) }()
			testenv.WaitFor(t, "the second node to wait, or to be answered", func() bool {
				return len(second) > 0 || f.db.LockAwaited(t)
			})
		})
	})
	for i, n := range []*node{first, f.nodes[0]} {
		if err := n.begin(&grants[i], nil, 1); err != nil {
			t.Fatal(err)
		}
	}
	armed.Store(true)
	if err := grants[0].Answer(ctx, 600); err != nil {
		t.Error(err)
	}
	if armed.Load() {
		t.Fatal("nothing was asked for: the node had more than half of the budget before")
	}
	if err := <-second; reason(err) != int(limits.Reserved) && reason(err) != int(limits.Exhausted) {
		t.Errorf("the same was given to two nodes: %v", err)
	}
	for i := range grants {
		grants[i].End()
	}
}

// TestBudget_anyInterleaving holds the sum of what nodes use to the budget,
// whatever happens to renewals, transfers and nodes.
func TestBudget_anyInterleaving(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			interleave(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

type transfer struct {
	n    *node
	g    limits.Grant
	size int64
}

func interleave(t *testing.T, r *rand.Rand) {
	f := newFleet(t, 3)
	const budget = 1_000_000
	f.limit(hard(tenancy.Egress, budget))
	live := append([]*node(nil), f.nodes...)
	var open []*transfer
	sent := int64(0)
	for range 400 {
		n := live[r.IntN(len(live))]
		switch op := r.IntN(100); {
		case op < 45:
			tr := &transfer{n: n, size: 1 + r.Int64N(20_000)}
			if r.IntN(8) == 0 {
				tr.size = 1 + r.Int64N(400_000) // more than a slice
			}
			if n.begin(&tr.g, nil, tr.size) == nil {
				open = append(open, tr)
			}
		case op < 75 && len(open) > 0:
			i := r.IntN(len(open))
			tr := open[i]
			open = append(open[:i], open[i+1:]...)
			part := tr.size
			if r.IntN(3) == 0 {
				part = r.Int64N(tr.size + 1) // the client left
			}
			tr.n.finish(&tr.g, nil, part)
			sent += part
		case op < 85:
			n.renew()
		case op < 90:
			f.clock.Advance(time.Second)
		case op < 94:
			n.flush()
		case op < 96:
			f.reread()
		case op < 98 && len(live) > 1:
			// It dies with its transfers; what it counted is handed in or given up.
			for i, dead := range live {
				if dead == n {
					live = append(live[:i:i], live[i+1:]...)
					break
				}
			}
			kept := open[:0]
			for _, tr := range open {
				if tr.n != n {
					kept = append(kept, tr)
				}
			}
			open = kept
			n.flush()
			if r.IntN(2) == 0 {
				if err := ledger.RetireNode(t.Context(), f.owner, n.meter.Epoch()); err != nil {
					t.Fatal(err)
				}
				f.reread()
			}
		case op < 99:
			live = append(live, f.start())
		}
		held := int64(0)
		for _, tr := range open {
			held += tr.size
		}
		if sent+held > budget {
			t.Fatalf("%d sent and %d promised of %d", sent, held, int64(budget))
		}
	}
	for _, tr := range open {
		tr.n.finish(&tr.g, nil, tr.size)
		sent += tr.size
	}
	if got := f.egress(); got != sent || got > budget {
		t.Errorf("%d in the ledger, %d sent, of %d", got, sent, int64(budget))
	}
}

// What a dead node holds counts as used until its readings are final; then
// they count, and the rest can be used.
func TestBudget_deadNode(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.limit(hard(tenancy.Egress, 1000))
	dead, live := f.nodes[0], f.nodes[1]
	var g limits.Grant
	if err := dead.begin(&g, nil, 600); err != nil {
		t.Fatal(err)
	}
	dead.count(nil, 250) // of them had been sent when it died
	dead.flush()
	if err := live.download(500, 500); reason(err) != int(limits.Exhausted) && reason(err) != int(limits.Reserved) {
		t.Errorf("what the dead node holds was given twice: %v", err)
	}
	// However long it is silent: what it sent may still be in its journal.
	f.exec(`UPDATE budget_leases SET renewed_at = now() - interval '1 day' WHERE epoch = $1`, dead.meter.Epoch())
	f.exec(`UPDATE usage_nodes SET reported_at = now() - interval '1 day' WHERE epoch = $1`, dead.meter.Epoch())
	f.reread()
	f.clock.Advance(time.Minute)
	if err := live.download(500, 500); reason(err) != int(limits.Exhausted) {
		t.Errorf("what a node holds that is silent for a day was given twice: %v", err)
	}
	if err := ledger.RetireNode(t.Context(), f.owner, dead.meter.Epoch()); err != nil {
		t.Fatal(err)
	}
	f.reread()
	f.clock.Advance(time.Minute)
	if err := live.download(750, 750); err != nil {
		t.Errorf("after its readings were final: %v", err)
	}
	if err := live.download(1, 1); reason(err) != int(limits.Exhausted) {
		t.Errorf("the budget is used up: %v", err)
	}
	// A node that was given up by mistake gets nothing more.
	f.limit(hard(tenancy.Egress, 5000))
	f.clock.Advance(time.Minute)
	if err := dead.download(1000, 1000); reason(err) != int(limits.Unknown) {
		t.Errorf("a node whose epoch is over: %v", err)
	}
}

// A node that stops gives back what it does not use, at once.
func TestBudget_drain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.limit(hard(tenancy.Egress, 1000))
	if err := f.nodes[0].download(10, 10); err != nil {
		t.Fatal(err)
	}
	f.nodes[0].stop()
	if err := f.nodes[1].download(990, 990); err != nil {
		t.Errorf("the rest of the budget: %v", err)
	}
}

// A slice that nobody uses is given back.
func TestBudget_idle(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.limit(hard(tenancy.Egress, 1000))
	if err := f.nodes[0].download(10, 10); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		f.nodes[0].renew()
	}
	if err := f.nodes[1].download(990, 990); err != nil {
		t.Errorf("the rest of the budget: %v", err)
	}
}

// A budget that is set in the middle of a month counts what was used before.
func TestBudget_setLate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	for _, n := range f.nodes {
		if err := n.download(300, 300); err != nil {
			t.Fatal(err)
		}
		n.flush()
	}
	f.limit(hard(tenancy.Egress, 1000))
	if err := f.nodes[0].download(401, 401); reason(err) != int(limits.Exhausted) {
		t.Errorf("more than what is left: %v", err)
	}
	f.settle()
	if err := f.nodes[1].download(400, 400); err != nil {
		t.Errorf("what is left: %v", err)
	}
	// Lowered below what is used: nothing more.
	f.limit(hard(tenancy.Egress, 500))
	f.settle()
	for _, n := range f.nodes {
		if err := n.download(1, 1); reason(err) != int(limits.Exhausted) {
			t.Errorf("lowered: %v", err)
		}
	}
}

// What is not billed uses nothing; a request that is cut uses what was sent.
func TestBudget_settles(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	l := hard(tenancy.Egress, 1000)
	l.Caps[tenancy.Requests] = &tenancy.Cap{Amount: 3}
	f.limit(l)
	n := f.nodes[0]
	for range 10 {
		var g limits.Grant
		if err := n.begin(&g, nil, 1000); err != nil {
			t.Fatal(err)
		}
		g.Settle(limits.Outcome{Billed: false, Sent: 300}) // an error of ours
		g.Settle(limits.Outcome{Billed: true, Sent: 1000}) // once is all
		g.End()
	}
	for _, size := range []int64{1000, 900} {
		if err := n.download(size, 100); err != nil { // cut
			t.Fatal(err)
		}
	}
	if err := n.download(801, 801); reason(err) != int(limits.Exhausted) {
		t.Errorf("801 of 800: %v", err)
	}
	f.clock.Advance(time.Minute)
	if err := n.download(800, 800); err != nil {
		t.Errorf("800 of 800: %v", err)
	}
	if err := n.download(0, 0); reason(err) != int(limits.Exhausted) {
		t.Errorf("a fourth request of three: %v", err)
	}
	// Deletes are free: who is over budget can still make room.
	var g limits.Grant
	if err := n.limiter.Admit(t.Context(), &g, limits.Request{Account: f.account, Class: usage.ClassFree}); err != nil {
		t.Errorf("a delete: %v", err)
	}
	g.Settle(limits.Outcome{Billed: true})
}

// A key's budget holds beside its account's.
func TestBudget_key(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.limit(hard(tenancy.Egress, 1000))
	key := func(budget int64) *tenancy.Identity {
		k, err := f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.account.ID})
		if err != nil {
			t.Fatal(err)
		}
		l := hard(tenancy.Egress, budget)
		if err := tenancy.SetKeyLimits(t.Context(), f.owner, k, &l); err != nil {
			t.Fatal(err)
		}
		return &tenancy.Identity{ID: k.ID, KeyID: k.KeyID, AccountID: f.account.ID, Limits: &l}
	}
	small, large := key(300), key(5000)
	if err := f.nodes[0].request(large, 250, 250); err != nil { // another key's use is none of its own
		t.Fatal(err)
	}
	f.settle()
	f.egress() // it is in the ledger now, which is read for the first time below
	for i := range 3 {
		if err := f.nodes[i%2].request(small, 100, 100); err != nil {
			t.Fatal(i, err)
		}
		f.settle()
	}
	if err := f.nodes[0].request(small, 1, 1); reason(err) != int(limits.Exhausted) {
		t.Errorf("the key's budget: %v", err)
	}
	if err := f.nodes[1].request(large, 451, 451); reason(err) != int(limits.Exhausted) {
		t.Errorf("the account's budget: %v", err)
	}
	f.settle()
	if err := f.nodes[1].request(large, 450, 450); err != nil {
		t.Errorf("what is left of the account's budget: %v", err)
	}
}

// A rotated key's successor has its limits, and all of its budgets.
func TestBudget_successor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	n := f.nodes[0]
	old, err := f.store.CreateKey(t.Context(), f.owner, tenancy.Key{AccountID: f.account.ID})
	if err != nil {
		t.Fatal(err)
	}
	l := soft(tenancy.Requests, 7)
	l.Caps[tenancy.Egress], l.Concurrent = &tenancy.Cap{Amount: 300}, 5
	if err := tenancy.SetKeyLimits(t.Context(), f.owner, old, &l); err != nil {
		t.Fatal(err)
	}
	identity := func(k *tenancy.Key) *tenancy.Identity {
		own, err := tenancy.LimitsOf(t.Context(), f.owner, f.account.ID, k.ID)
		if err != nil || !reflect.DeepEqual(own, &l) {
			t.Errorf("limits of %s: %+v, %v", k.KeyID, own, err)
		}
		return &tenancy.Identity{ID: k.ID, KeyID: k.KeyID, AccountID: f.account.ID, Limits: own}
	}
	before := identity(old)
	if err := n.request(before, 300, 300); err != nil {
		t.Fatal(err)
	}
	next, err := f.store.RotateKey(t.Context(), f.owner, old.KeyID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	n.flush()
	after := identity(next)
	if err := n.request(after, 300, 300); err != nil {
		t.Errorf("the successor's budget: %v", err)
	}
	for _, k := range []*tenancy.Identity{before, after} {
		if err := n.request(k, 1, 1); reason(err) != int(limits.Exhausted) {
			t.Errorf("%s, whose budget is used up: %v", k.KeyID, err)
		}
	}
}

// Storage is what was measured, and what was uploaded since.
func TestBudget_storage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	measured, at := int64(0), f.clock.Now()
	f.stored = measure(&measured, &at)
	f.limit(hard(tenancy.Storage, 1000))
	if err := f.nodes[0].upload(1001, true); reason(err) != int(limits.Exhausted) {
		t.Errorf("more than the quota: %v", err)
	}
	f.clock.Advance(time.Minute)
	if err := f.nodes[0].upload(600, true); err != nil {
		t.Error(err)
	}
	f.settle()
	if err := f.nodes[1].upload(300, false); err != nil { // refused by the backend
		t.Error(err)
	}
	f.settle()
	if err := f.nodes[1].upload(400, true); err != nil {
		t.Error(err)
	}
	f.settle()
	if err := f.nodes[0].upload(1, true); reason(err) != int(limits.Exhausted) {
		t.Errorf("with the quota full: %v", err)
	}
	// Deleting makes room with the next measurement.
	f.clock.Advance(time.Hour)
	measured, at = 100, f.clock.Now()
	if err := f.nodes[1].upload(900, true); err != nil {
		t.Errorf("after a measurement: %v", err)
	}
	f.clock.Advance(time.Minute)
	if err := f.nodes[0].upload(1, true); reason(err) == admitted {
		t.Error("the quota is full again")
	}
}

// The hour in which was measured counts whole beside what was: which of its uploads
// came before is not known.
func TestBudget_storageHour(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	n := f.nodes[0]
	measured, at := int64(0), f.clock.Now()
	f.stored = measure(&measured, &at)
	f.limit(hard(tenancy.Storage, 1000))
	if err := n.upload(400, true); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.clock.Advance(20 * time.Minute)
	measured, at = 400, f.clock.Now().Add(-5*time.Minute)
	if err := n.upload(201, true); reason(err) == admitted {
		t.Error("beyond the quota, were the 400 uploaded after the measurement")
	}
	f.settle()
	if err := n.upload(200, true); err != nil {
		t.Errorf("what fits whenever they were uploaded: %v", err)
	}
	f.settle()
	f.clock.Advance(time.Hour)
	measured, at = 600, f.clock.Now()
	if err := n.upload(400, true); err != nil {
		t.Errorf("after the next measurement: %v", err)
	}
}
