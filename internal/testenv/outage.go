package testenv

import "testing"

// TakeAway ends every session of the database and lets none begin, until back is called.
func (d *DB) TakeAway(t testing.TB) (back func()) {
	t.Helper()
	superuser := EmptyPostgres(t).Pool(t, "") // a database cannot be shut from within
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := superuser.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER DATABASE ` + d.Name + ` ALLOW_CONNECTIONS false`)
	exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, d.Name)
	return func() {
		t.Helper()
		exec(`ALTER DATABASE ` + d.Name + ` ALLOW_CONNECTIONS true`)
	}
}
