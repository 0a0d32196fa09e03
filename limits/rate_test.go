package limits_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Requests per second: the bucket holds one second's worth, fills evenly, and
// says when the next one may come.
func TestRate_requests(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(tenancy.Limits{RequestsPerSecond: 10})
	n := f.nodes[0]
	burst := func() (admitted int, last error) {
		for range 100 {
			if last = n.download(0, 0); last != nil {
				return admitted, last
			}
			admitted++
		}
		return admitted, nil
	}
	got, err := burst()
	var r *limits.RefusalError
	if got != 10 || !errors.As(err, &r) || r.Reason != limits.TooFast || r.RetryAfter != time.Second {
		t.Errorf("%d at once, then %v", got, err)
	}
	f.clock.Advance(300 * time.Millisecond)
	if got, _ := burst(); got != 3 {
		t.Errorf("%d after 0.3 s", got)
	}
	f.clock.Advance(time.Hour)
	if got, _ := burst(); got != 10 {
		t.Errorf("%d after an hour: more than a second's worth was saved up", got)
	}
	// The state is the account's, not that of the loaded row.
	f.limit(tenancy.Limits{RequestsPerSecond: 10})
	if got, _ := burst(); got != 0 {
		t.Errorf("%d after the account was loaded anew", got)
	}
}

// The fleet's rate is divided by the nodes that are alive.
func TestRate_fleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	f.exec(`UPDATE usage_nodes SET flushed_at = now(), reported_at = now() + interval '1 hour'`) // all live, however long this takes
	f.limit(tenancy.Limits{RequestsPerSecond: 30, Concurrent: 7})
	sum, atOnce := 0, 0
	for _, n := range f.nodes {
		n.limiter.CountNodes(t.Context())
		var open [10]limits.Grant
		for i := range open {
			if n.begin(&open[i], nil, 0) == nil {
				atOnce++
			}
		}
		for i := range open {
			open[i].End()
		}
		for n.download(0, 0) == nil {
			sum++
		}
	}
	if sum += atOnce; atOnce != 9 || sum > 30 || sum < 28 {
		t.Errorf("three nodes admitted %d requests of 30 and %d at once of 7 (each its share, rounded up)", sum, atOnce)
	}
	// One that has written nothing for a while has no share, until it writes.
	n := f.nodes[0]
	admits := func() (admitted int) {
		f.clock.Advance(time.Minute)
		for n.download(0, 0) == nil {
			admitted++
		}
		return admitted
	}
	f.limit(tenancy.Limits{RequestsPerSecond: 30})
	f.exec(`UPDATE usage_nodes SET reported_at = now() + interval '1 hour'`) // it lives, however long this takes
	f.exec(`UPDATE usage_nodes SET reported_at = now() - interval '11 seconds' WHERE epoch = $1`, f.nodes[2].meter.Epoch())
	n.limiter.CountNodes(t.Context())
	if got := admits(); got != 15 {
		t.Errorf("beside one that lives and one that does not: %d of 30", got)
	}
	// Without PostgreSQL the last number counts.
	f.db.TakeAway(t)
	n.limiter.CountNodes(t.Context())
	if got := admits(); got != 15 {
		t.Errorf("with PostgreSQL away: %d of 30", got)
	}
}

func TestRate_concurrent(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.limit(tenancy.Limits{Concurrent: 3})
	n := f.nodes[0]
	var open [4]limits.Grant
	for round := range 3 {
		for i := range open {
			if err := n.begin(&open[i], nil, 0); (err == nil) != (i < 3) || err != nil && reason(err) != int(limits.Crowded) {
				t.Errorf("round %d, request %d: %v", round, i, err)
			}
		}
		for i := range open {
			n.finish(&open[i], nil, 0)
			open[i].End() // twice changes nothing
		}
	}
}

// An account without limits has a node's default, one with its own has that,
// whichever is larger; a second account has its own room.
func TestRate_concurrentDefault(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 0)
	n := f.start(func(c *limits.Config) { c.Concurrent = 4 })
	admits := func(want int) {
		t.Helper()
		var open [16]limits.Grant
		got := 0
		for i := range open {
			err := n.begin(&open[i], nil, 0)
			if err == nil {
				got++
			} else if reason(err) != int(limits.Crowded) {
				t.Error(err)
			}
		}
		if got != want {
			t.Errorf("%d at once, want %d", got, want)
		}
		for i := range open {
			open[i].End()
		}
	}
	admits(4)
	f.limit(hard(tenancy.Egress, 1<<30)) // limits that say nothing of it
	admits(4)
	f.limit(tenancy.Limits{Concurrent: 9})
	admits(9)
	f.limit(tenancy.Limits{})
	var open [4]limits.Grant
	for i := range open {
		if err := n.begin(&open[i], nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	first := f.account
	var err error
	if f.account, err = tenancy.CreateAccount(t.Context(), f.owner, "other", "", tenancy.Active); err != nil {
		t.Fatal(err)
	}
	admits(4)
	f.account = first
	for i := range open {
		open[i].End()
	}
	if active := n.limiter.Active(); active != 0 {
		t.Errorf("%d grants are held", active)
	}
}

// Requests that nobody proved have half of an account's rates: its own keys have
// the other half whatever they do.
func TestRate_strangers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	n := f.nodes[0]
	f.limit(tenancy.Limits{Concurrent: 7})
	var strangers, own [8]limits.Grant
	for round := range 2 {
		for i := range strangers {
			if err := n.beginAs(&strangers[i], nil, 0); (err == nil) != (i < 4) {
				t.Errorf("round %d, stranger %d: %v", round, i, err)
			}
		}
		for i := range own {
			if err := n.begin(&own[i], nil, 0); (err == nil) != (i < 3) {
				t.Errorf("round %d, with a key, %d: %v", round, i, err)
			}
		}
		for i := range own {
			strangers[i].End()
			own[i].End()
		}
		for i := range own { // without strangers all of it is the keys'
			if err := n.begin(&own[i], nil, 0); (err == nil) != (i < 7) {
				t.Errorf("round %d, alone with a key, %d: %v", round, i, err)
			}
		}
		for i := range own {
			own[i].End()
		}
	}
	f.limit(tenancy.Limits{RequestsPerSecond: 10})
	count := func(key *tenancy.Identity) (admitted int) {
		var g limits.Grant
		for range 100 {
			if n.beginAs(&g, key, 0) == nil {
				admitted++
			}
			g.End()
		}
		return admitted
	}
	for range 2 {
		f.clock.Advance(time.Second)
		if got := count(nil); got != 5 {
			t.Errorf("strangers have %d of 10 requests", got)
		}
		if got := count(&tenancy.Identity{}); got != 5 {
			t.Errorf("keys have %d of the 5 that strangers leave", got)
		}
	}
	f.limit(tenancy.Limits{RequestsPerSecond: 1, Concurrent: 1})
	f.clock.Advance(2 * time.Second)
	if got := count(nil); got != 1 {
		t.Errorf("strangers have %d of one request per second", got)
	}
}

// A transfer rate paces bodies; new ones are refused only when those that run
// have promised more than MaxDebt.
func TestRate_transfer(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	const rate = 1 << 20
	f.limit(tenancy.Limits{DownloadRate: rate})
	n := f.nodes[0]
	var g limits.Grant
	if err := n.begin(&g, nil, 21<<20); err != nil {
		t.Fatal(err)
	}
	step := g.MaxChunk(limits.Download, 1<<20)
	if step != rate/8 || g.MaxChunk(limits.Upload, 1<<20) != 1<<20 {
		t.Errorf("a step is %d", step)
	}
	for moved := int64(0); moved < 21<<20; moved += step {
		if err := g.Wait(t.Context(), limits.Download); err != nil {
			t.Fatal(err)
		}
		g.Consumed(limits.Download, step)
	}
	// One second's worth goes at once, and the last step is not waited for.
	if waited, want := f.clock.Slept(), 20*time.Second-time.Second/8; waited != want {
		t.Errorf("waited %s, want %s", waited, want)
	}
	g.Consumed(limits.Download, 16<<20) // what other connections moved at this moment
	err := n.download(1, 1)
	var r *limits.RefusalError
	if !errors.As(err, &r) || r.Reason != limits.TooFast || r.RetryAfter != 7*time.Second {
		t.Errorf("16 s behind: %v", err)
	}
	if err := n.upload(1, true); err != nil {
		t.Errorf("an upload: %v", err)
	}
	f.clock.Advance(7 * time.Second)
	if err := n.download(1, 1); err != nil {
		t.Errorf("10 s behind: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(cancelled, limits.Download); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
}

// Prices are rounded up for each part, and do not overflow.
func TestRates_Cost(t *testing.T) {
	t.Parallel()
	r := &limits.Rates{EgressGB: 10_000_000, IngressGB: 1, ThousandA: 5_000_000, ThousandB: 400_000}
	for _, c := range []struct {
		class             usage.Class
		requests, in, out int64
		want              int64
		because           string
	}{
		{usage.ClassA, 1, 0, 0, 5000, "one of a thousand"},
		{usage.ClassB, 3, 0, 0, 1200, "class B"},
		{usage.ClassB, 0, 0, 1e9, 10_000_000, "a GB is 10^9"},
		{usage.ClassB, 0, 0, 1, 1, "rounded up"},
		{usage.ClassB, 0, 1, 101, 3, "each part"},
		{usage.ClassB, 0, 0, 5e18, 5e16, "five exabytes"},
	} {
		if got := r.Cost(c.class, c.requests, c.in, c.out); got != c.want {
			t.Errorf("%s: %d, want %d", c.because, got, c.want)
		}
	}
	huge := &limits.Rates{EgressGB: 1 << 62, IngressGB: 1 << 62, ThousandB: 1 << 62}
	if got := huge.Cost(usage.ClassB, 1<<62, 1<<62, 1<<62); got <= 0 {
		t.Errorf("overflow: %d", got)
	}
	if (*limits.Rates)(nil).Cost(usage.ClassA, 1, 1, 1) != 0 {
		t.Error("no card is free")
	}
}
