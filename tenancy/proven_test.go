package tenancy_test

import (
	"fmt"
	"slices"
	"testing"
)

// All proven hosts are in memory when a directory begins, follow each change, whatever
// it is, and cost no question.
func TestDirectory_proven(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO domains (host, account_id, ownership) SELECT 'host-' || n || '.test', $1, CASE WHEN n < 10 THEN 'verified' ELSE 'pending' END FROM generate_series(1, 12) n`, f.a.ID)
	d := f.directory()
	if n := len(d.AllProven()); n != 9 || !d.Proven("host-1.test") || d.Proven("host-10.test") || d.Proven("") {
		t.Fatalf("%v", d.AllProven())
	}
	for _, c := range []struct {
		sql, host string
		proven    bool
	}{
		{`UPDATE domains SET ownership = 'verified' WHERE host = 'host-10.test'`, "host-10.test", true},
		{`UPDATE domains SET ownership = 'lost' WHERE host = 'host-1.test'`, "host-1.test", false},
		{`UPDATE domains SET removed_at = now() WHERE host = 'host-2.test'`, "host-2.test", false},
		{`DELETE FROM domains WHERE host = 'host-3.test'`, "host-3.test", false},
		{`UPDATE domains SET host = 'moved.test' WHERE host = 'host-4.test'`, "host-4.test", false},
		{`UPDATE domains SET host = 'moved-again.test' WHERE host = 'moved.test'`, "moved-again.test", true},
		{`INSERT INTO domains (host, account_id, ownership) SELECT 'new.test', id, 'verified' FROM accounts LIMIT 1`, "new.test", true},
		{`UPDATE accounts SET status = 'closed'`, "new.test", false},
	} {
		f.exec(c.sql)
		eventually(t, c.sql, func() bool { return d.Proven(c.host) == c.proven })
	}
	eventually(t, "nothing of a closed account", func() bool { return len(d.AllProven()) == 0 })
	before := d.Misses()
	for i := range 100_000 {
		if d.Proven(fmt.Sprintf("invented-%d.test", i)) {
			t.Fatal(i)
		}
	}
	if n := d.Misses() - before; n > 0 {
		t.Errorf("%d look-ups of invented names went to PostgreSQL", n)
	}
}

// What changed while nobody listened is known with the next connection.
func TestDirectory_provenMissed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('old.test', $1, 'verified')`, f.a.ID)
	d := f.directory()
	connects := d.Connects()
	f.exec(`ALTER TABLE domains DISABLE TRIGGER USER`) // nobody is told
	f.exec(`UPDATE domains SET host = 'new.test'`)
	if _, err := f.db.Pool(t, "").Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'primecloud directory' AND datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another connection", func() bool { return d.Connects() > connects })
	if all := d.AllProven(); !slices.Equal(all, []string{"new.test"}) {
		t.Errorf("%v", all)
	}
}

// A check that finds what was there is told to nobody.
func TestDomains_toldChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO domains (host, account_id, ownership) VALUES ('quiet.test', $1, 'verified')`, f.a.ID)
	d := f.directory()
	if _, err := d.AccountByDomain(t.Context(), []byte("quiet.test")); err != nil {
		t.Fatal(err)
	}
	d.Settle()
	before := d.Misses()
	f.exec(`UPDATE domains SET checked_at = now(), dns = 'ok', certificate = 'active', next_check_at = now()`)
	f.exec(`UPDATE accounts SET display_name = 'heard' WHERE id = $1`, f.a.ID) // told after it
	eventually(t, "the account's change", func() bool {
		a, err := d.Account(t.Context(), f.a.ID)
		return err == nil && a.DisplayName == "heard"
	})
	after := d.Misses()
	if a, err := d.AccountByDomain(t.Context(), []byte("quiet.test")); err != nil || a.ID != f.a.ID {
		t.Errorf("%+v, %v", a, err)
	}
	if d.Misses() != after || after == before {
		t.Errorf("the host was asked for again: %d, %d, %d", before, after, d.Misses())
	}
}
