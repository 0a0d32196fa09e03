package tenancy_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy"
)

// ear hears channels as a role.
type ear struct {
	t    *testing.T
	conn *pgx.Conn
	said []string // by the server, beside
}

func (f *fixture) ear(t *testing.T, role string, channels ...string) *ear {
	t.Helper()
	cfg := must(pgx.ParseConfig(f.db.URL(role)))(t)
	e := &ear{t: t}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { e.said = append(e.said, n.Message+n.Detail) }
	e.conn = must(pgx.ConnectConfig(t.Context(), cfg))(t)
	t.Cleanup(func() { _ = e.conn.Close(context.Background()) })
	for _, c := range channels {
		e.exec(`LISTEN ` + pgx.Identifier{c}.Sanitize())
	}
	return e
}

func (e *ear) exec(sql string, args ...any) {
	e.t.Helper()
	if _, err := e.conn.Exec(e.t.Context(), sql, args...); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
}

// heard is all that has come until now: what the ear itself says comes after
// what was committed before.
func (e *ear) heard() (payloads []string) {
	e.t.Helper()
	end := "end_" + strings.ToLower(rand.Text())
	e.exec(`LISTEN ` + end)
	e.exec(`NOTIFY ` + end)
	for {
		n := must(e.conn.WaitForNotification(e.t.Context()))(e.t)
		if n.Channel == end {
			return payloads
		}
		payloads = append(payloads, n.Channel+" "+n.Payload)
	}
}

// changeEverything changes a row of every table that nodes keep in memory.
func (f *fixture) changeEverything() {
	f.t.Helper()
	k, b := f.key(f.a), f.bucket(f.a, "photos")
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('files.example.test', $1, 'verified')`, f.a.ID)
	f.exec(`INSERT INTO bucket_logging (bucket_id, target_name, target_prefix, key_format) VALUES ($1, 'logs', '', '')`, b.ID)
	l := tenancy.Limits{Concurrent: 1}
	for _, err := range []error{
		tenancy.SetLimits(f.t.Context(), f.owner, f.a.ID, &l), tenancy.SetKeyLimits(f.t.Context(), f.owner, k, &l),
		tenancy.SetStatus(f.t.Context(), f.owner, f.a.ID, tenancy.ReadOnly),
	} {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	f.exec(`UPDATE backends SET updated_at = now()`)
	f.revoke(k.KeyID)
}

// channels are all that the database's functions and the program's text name.
func (f *fixture) channels(t *testing.T) (names []string) {
	t.Helper()
	names = []string{"primecloud", "river_insert", "river_control", "river_leadership"}
	rows := must(f.owner.Query(t.Context(), `SELECT DISTINCT m[1] FROM pg_proc, regexp_matches(prosrc, 'notify\(''([^'']+)''', 'gi') m WHERE pronamespace = 'public'::regnamespace`))(t)
	names = append(names, must(pgx.CollectRows(rows, pgx.RowTo[string]))(t)...)
	named := regexp.MustCompile("(?i)(?:LISTEN|NOTIFY) ([a-z_]+)[`;\"]")
	for _, file := range must(filepath.Glob("../*/*.go"))(t) {
		if !strings.HasSuffix(file, "_test.go") {
			for _, m := range named.FindAllSubmatch(must(os.ReadFile(file))(t), -1) {
				names = append(names, string(m[1]))
			}
		}
	}
	return names
}

// Who may connect hears nothing of what changes, whatever channel he knows of.
func TestChanges_heard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	node := f.ear(t, pg.RoleGateway)
	node.exec(`SELECT hear_changes()`)
	var others []*ear
	for _, role := range []string{pg.RolePortal, pg.RoleWorker} {
		others = append(others, f.ear(t, role, f.channels(t)...))
	}
	f.changeEverything()
	for i, e := range others {
		if h := e.heard(); len(h) > 0 {
			t.Errorf("listener %d hears %q", i, h)
		}
	}
	kinds := map[string]bool{}
	for _, h := range node.heard() {
		_, what, _ := strings.Cut(h, " ")
		kind, _, _ := strings.Cut(what, ":")
		kinds[kind] = true
	}
	for _, kind := range []string{"key", "account", "name", "domain", "bucket", "backend"} {
		if !kinds[kind] {
			t.Errorf("a node does not hear of a %s", kind)
		}
	}
}

// Nor does a session that makes the server print what it plans for the triggers.
func TestChanges_planned(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var channel string
	if err := f.owner.QueryRow(t.Context(), `SELECT channel FROM change_channel`).Scan(&channel); err != nil {
		t.Fatal(err)
	}
	e := f.ear(t, pg.RolePortal)
	e.exec(`SET client_min_messages = debug5`)
	for _, s := range []string{"debug_print_parse", "debug_print_rewritten", "debug_print_plan"} {
		e.exec(`SET ` + s + ` = on`)
	}
	e.exec(`SET debug_pretty_print = off`) // its lines end within numbers
	e.exec(`SELECT set_config('primecloud.account_id', $1, false)`, f.a.ID.String())
	for i := range 8 { // plans of a function are made anew for its parameters, five times
		e.exec(`INSERT INTO domains (host, account_id) VALUES ($1, $2)`, "host"+string(rune('a'+i)), f.a.ID)
	}
	if len(e.said) == 0 {
		t.Fatal("the server prints nothing: the test shows nothing")
	}
	// Texts are printed as themselves, and in plans as bytes.
	inPlan := strings.Trim(fmt.Sprint([]byte(channel)), "[]") //nolint:staticcheck // numbers are what is printed
	for _, s := range e.said {
		s = strings.Join(strings.Fields(s), " ") // lines end anywhere between bytes
		if strings.Contains(s, channel) || strings.Contains(s, inPlan) {
			t.Errorf("the channel is printed: %.200s", s)
		}
	}
}

// What others NOTIFY makes no node ask again for what it has.
func TestChanges_forged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	k, b := f.key(f.a), f.bucket(f.a, "photos")
	d := f.directory()
	ask := func() {
		must(d.Identity(t.Context(), []byte(k.KeyID)))(t)
		must(d.Bucket(t.Context(), f.a.ID, []byte(b.Name)))(t)
		must(d.AccountByName(t.Context(), []byte(f.a.Name)))(t)
		must(d.Backend(t.Context(), f.backend.ID))(t)
		d.Settle()
	}
	ask()
	forger := f.ear(t, pg.RolePortal)
	for _, channel := range f.channels(t) {
		for _, what := range []string{"key:" + k.KeyID, "bucket:" + f.a.ID.String() + "/" + b.Name, "name:" + f.a.Name, "account:" + f.a.ID.String(), "backend:" + f.backend.ID.String(), "renewed"} {
			forger.exec(`SELECT pg_notify($1, $2)`, channel, what)
		}
	}
	// A genuine change, which comes after them all, is heard.
	last := f.key(f.a).KeyID
	gen := d.KeyGeneration(last)
	f.revoke(last)
	eventually(t, "a revocation is heard", func() bool { return d.KeyGeneration(last) > gen })
	before := d.Misses()
	ask()
	if n := d.Misses() - before; n > 0 {
		t.Errorf("%d things were asked for again", n)
	}
	if d.Connects() != 1 {
		t.Errorf("the directory connected %d times", d.Connects())
	}
}

// A channel that somebody may know is renewed, and no change is missed.
func TestChanges_renewed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.directory()
	k := f.key(f.a)
	must(d.Identity(t.Context(), []byte(k.KeyID)))(t)
	var was string
	if err := f.owner.QueryRow(t.Context(), `SELECT channel FROM change_channel`).Scan(&was); err != nil {
		t.Fatal(err)
	}
	old := f.ear(t, pg.RolePortal, was)
	// Who writes at this moment is waited for; who writes after it waits.
	tx := must(f.owner.Begin(t.Context()))(t)
	defer func() { _ = tx.Rollback(context.Background()) }()
	if err := tenancy.RevokeKey(t.Context(), tx, k.KeyID); err != nil {
		t.Fatal(err)
	}
	renewed := make(chan error, 1)
	go func() { renewed <- tenancy.RenewChannel(t.Context(), f.owner) }()
	eventually(t, "the renewal waits for the writer", func() bool {
		return count(t, f.owner, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'change_channel'::regclass`) > 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-renewed; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the directory listens anew", func() bool { return d.Connects() == 2 && d.Connected() })
	if _, err := d.Identity(t.Context(), []byte(k.KeyID)); !errors.Is(err, tenancy.ErrKeyUnknown) {
		t.Errorf("the revoked key: %v", err)
	}
	old.heard()
	next := f.key(f.a)
	must(d.Identity(t.Context(), []byte(next.KeyID)))(t)
	f.revoke(next.KeyID)
	eventually(t, "the next revocation is heard", func() bool {
		_, err := d.Identity(t.Context(), []byte(next.KeyID))
		return errors.Is(err, tenancy.ErrKeyUnknown)
	})
	if h := old.heard(); len(h) > 0 {
		t.Errorf("on the old channel: %q", h)
	}
	// Who writes while it is renewed waits, and tells under the new name.
	tx = must(f.owner.Begin(t.Context()))(t)
	defer func(tx pgx.Tx) { _ = tx.Rollback(context.Background()) }(tx)
	if err := tenancy.RenewChannel(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(t.Context(), `SELECT channel FROM change_channel`).Scan(&was); err != nil {
		t.Fatal(err)
	}
	latest, revoked := f.ear(t, pg.RolePortal, was), make(chan error, 1)
	go func() { revoked <- tenancy.SetStatus(t.Context(), f.owner, f.a.ID, tenancy.ReadOnly) }()
	eventually(t, "the writer waits for the renewal", func() bool {
		return count(t, tx, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'change_channel'::regclass`) > 0
	})
	if err := errors.Join(tx.Commit(t.Context()), <-revoked); err != nil {
		t.Fatal(err)
	}
	if h := latest.heard(); len(h) != 2 {
		t.Errorf("on the new channel: %q", h)
	}
	// A snapshot of before would tell under the name of before.
	err := pgx.BeginTxFunc(t.Context(), f.owner, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		return tenancy.RevokeKey(t.Context(), tx, f.key(f.a).KeyID)
	})
	if e := (*pgconn.PgError)(nil); !errors.As(err, &e) || e.Code != "25000" {
		t.Errorf("a writer with an old snapshot: %v", err)
	}
}

// Gateways of before listen to the channel primecloud: while one reports, it is
// told what changes, and nobody is afterwards.
func TestChanges_olderGateways(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.ear(t, pg.RoleGateway, "primecloud")
	report := func(epoch tenancy.ID) {
		// As metering of that time does.
		if _, err := f.gateway(t).Exec(t.Context(), `INSERT INTO usage_nodes AS n (epoch, node, flushed_at) VALUES ($1, 'old', now())
			ON CONFLICT (epoch) DO UPDATE SET reported_at = now()`, epoch); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(what string, want bool) {
		t.Helper()
		k := f.key(f.a)
		heard := strings.Join(old.heard(), ",")
		if strings.Contains(heard, "primecloud key:"+k.KeyID) != want {
			t.Errorf("%s: heard %q", what, heard)
		}
	}
	hears("without one", false)
	epoch := tenancy.NewID()
	report(epoch)
	hears("with one", true)
	f.exec(`UPDATE usage_nodes SET reported_at = now() - interval '2 hours'`)
	hears("gone for hours", false)
	report(epoch)
	hears("back again", true)
	f.exec(`UPDATE usage_nodes SET closed_at = now()`)
	hears("over", false)
	f.exec(`INSERT INTO usage_nodes (epoch, node, flushed_at, hears_changes) VALUES (gen_random_uuid(), 'new', now(), true)`)
	hears("with one that hears the other channel", false)
}

func (f *fixture) gateway(t *testing.T) *pgxpool.Pool { return f.db.Pool(t, pg.RoleGateway) }
