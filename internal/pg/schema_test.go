package pg_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

var update = flag.Bool("update", false, "write schema.sql")

// schema.sql is what a reader opens: the migrations' result. Regenerate it with
//
//	go test ./internal/pg -run TestSchema -update
func TestSchema(t *testing.T) {
	t.Parallel()
	got := dump(t, testenv.Postgres(t).OwnerURL())
	if *update {
		if err := os.WriteFile("schema.sql", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("schema.sql is out of date; run go test ./internal/pg -run TestSchema -update (-file +database):\n%s", diff)
	}
}

// dump is pg_dump's answer without what depends on its version or on the
// database's name: comments, settings, \restrict, goose's own table.
func dump(t *testing.T, url string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), pgDump(t), "--schema-only", "--exclude-table=goose_db_version*", "--dbname="+url).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("pg_dump: %s", failed.Stderr)
		}
		t.Fatal(err)
	}
	drop := regexp.MustCompile(`^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)$`)
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), drop.MatchString)
	body := regexp.MustCompile(`\n{3,}`).ReplaceAllString(strings.TrimSpace(strings.Join(lines, "\n")), "\n\n")
	return append([]byte("-- The schema after all migrations, for readers. Generated: go test ./internal/pg -run TestSchema -update\n\n"), append(bytes.TrimSpace([]byte(body)), '\n')...)
}

// pgDump finds the newest pg_dump: an older one refuses a newer server.
func pgDump(t *testing.T) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump"); len(found) > 0 {
		return slices.Max(found)
	}
	path, err := exec.LookPath("pg_dump")
	if err != nil {
		t.Fatal("pg_dump comes with PostgreSQL's client programs; install them: ", err)
	}
	return path
}
