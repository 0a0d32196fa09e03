package limits_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/limits"
	"github.com/primecloudpro/primecloud/metering"
	"github.com/primecloudpro/primecloud/metering/ledger"
	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/tenancy"
	"github.com/primecloudpro/primecloud/tenancy/tenancytest"
)

// fleet is a database with one account and nodes that share it.
type fleet struct {
	t       testing.TB
	db      *testenv.DB
	owner   *pgxpool.Pool
	store   *tenancy.Store
	clock   *testenv.Clock
	account *tenancy.Account
	stored  limits.Stored
	nodes   []*node
}

func newFleet(t testing.TB, nodes int) *fleet {
	t.Helper()
	in := tenancytest.New(t)
	f := &fleet{t: t, db: in.DB, store: in.Store, owner: in.Owner, account: in.Account("acme"),
		clock: testenv.NewClock(time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC))}
	for range nodes {
		f.start()
	}
	return f
}

// limit sets the account's limits and loads it anew, as a directory does.
func (f *fleet) limit(l tenancy.Limits) {
	f.t.Helper()
	err := tenancy.SetLimits(f.t.Context(), f.owner, f.account.ID, &l)
	if err == nil {
		f.account, err = tenancy.AccountByID(f.t.Context(), f.owner, f.account.ID)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func hard(b tenancy.Budget, amount int64) (l tenancy.Limits) {
	l.Caps[b] = &tenancy.Cap{Amount: amount}
	return l
}

func soft(b tenancy.Budget, amount int64) (l tenancy.Limits) {
	l.Caps[b] = &tenancy.Cap{Amount: amount, Soft: true}
	return l
}

func (f *fleet) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.owner.Exec(f.t.Context(), sql, args...); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// reread makes the next renewal read the ledger, whose sums are else kept for
// some seconds.
func (f *fleet) reread() { f.exec(`UPDATE budget_leases SET read_at = '-infinity'`) }

// node is a gateway without a socket: what it says it sent is in the ledger.
type node struct {
	f       *fleet
	meter   *metering.Meter
	limiter *limits.Limiter
}

func (f *fleet) start(configure ...func(*limits.Config)) *node {
	f.t.Helper()
	pool := f.db.Pool(f.t, pg.RoleGateway)
	m, err := metering.New(metering.Config{Pool: pool, Dir: f.t.TempDir(), Node: "test", Now: f.clock.Now})
	if err != nil {
		f.t.Fatal(err)
	}
	cfg := limits.Config{Pool: pool, Epoch: m.Epoch(), Now: f.clock.Now, Sleep: f.clock.Sleep,
		Stored: func(ctx context.Context, q pg.Querier, a tenancy.ID) (int64, time.Time, error) {
			if f.stored == nil {
				return 0, time.Time{}, nil
			}
			return f.stored(ctx, q, a)
		}}
	for _, c := range configure {
		c(&cfg)
	}
	l, err := limits.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	n := &node{f: f, meter: m, limiter: l}
	n.flush()
	f.nodes = append(f.nodes, n)
	return n
}

func (n *node) flush() {
	n.f.t.Helper()
	if err := n.meter.Flush(context.WithoutCancel(n.f.t.Context())); err != nil {
		n.f.t.Fatal(err)
	}
}

// download asks for n bytes, "sends" sent of them, and settles.
func (n *node) download(size, sent int64) error { return n.request(nil, size, sent) }

func (n *node) request(key *tenancy.Identity, size, sent int64) error {
	var g limits.Grant
	if err := n.begin(&g, key, size); err != nil {
		return err
	}
	n.finish(&g, key, sent)
	return nil
}

func (n *node) begin(g *limits.Grant, key *tenancy.Identity, size int64) error {
	if key == nil {
		key = &tenancy.Identity{} // one without limits
	}
	return n.beginAs(g, key, size)
}

// beginAs is begin for a key, or with nil for nobody's.
func (n *node) beginAs(g *limits.Grant, key *tenancy.Identity, size int64) error {
	ctx := context.WithoutCancel(n.f.t.Context())
	if err := n.limiter.Admit(ctx, g, limits.Request{Account: n.f.account, Key: key, Class: usage.ClassB, Download: true}); err != nil {
		return err
	}
	if err := g.Answer(ctx, size); err != nil {
		g.Settle(limits.Outcome{})
		return err
	}
	return nil
}

func (n *node) finish(g *limits.Grant, key *tenancy.Identity, sent int64) {
	n.count(key, sent)
	g.Settle(limits.Outcome{Billed: true, Sent: sent})
}

// count puts a request into the ledger.
func (n *node) count(key *tenancy.Identity, sent int64) {
	k := usage.Key{Account: n.f.account.ID, Class: usage.ClassB}
	if key != nil {
		k.AccessKey = key.ID
	}
	var tally metering.Tally
	n.meter.Begin(&tally, k)
	tally.Egress(sent)
	tally.Request()
	tally.End()
}

// renew does what Run does now and then.
func (n *node) renew() { n.limiter.Renew(n.f.t.Context()) }

func (n *node) upload(size int64, kept bool) error {
	var g limits.Grant
	if err := n.limiter.Admit(n.f.t.Context(), &g, limits.Request{Account: n.f.account, Key: &tenancy.Identity{}, Class: usage.ClassA, Upload: size, Stores: size}); err != nil {
		return err
	}
	g.Settle(limits.Outcome{Billed: true, Received: size, Stored: kept})
	return nil
}

// reason of a refusal; -1 for none.
func reason(err error) int {
	var r *limits.RefusalError
	if errors.As(err, &r) {
		return int(r.Reason)
	}
	if err != nil {
		return -2
	}
	return -1
}

const admitted = -1

// egress is what the ledger has of the account in the present month.
func (f *fleet) egress() (sum int64) {
	f.t.Helper()
	for _, n := range f.nodes {
		n.flush()
	}
	month := f.clock.Now().UTC()
	from := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	rows, err := ledger.Sum(f.t.Context(), f.owner, ledger.Query{Account: f.account.ID, By: ledger.ByClass, From: from})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range rows {
		sum += r.Egress
	}
	return sum
}

// stop is what a node does before it ends.
func (n *node) stop() { n.limiter.Release() }

func measure(bytes *int64, at *time.Time) limits.Stored {
	return func(context.Context, pg.Querier, tenancy.ID) (int64, time.Time, error) { return *bytes, *at, nil }
}

// settle renews until nobody holds what nobody uses, and forgets refusals.
func (f *fleet) settle() {
	for range 8 {
		for _, n := range f.nodes {
			n.renew()
		}
	}
	f.clock.Advance(time.Minute)
}
