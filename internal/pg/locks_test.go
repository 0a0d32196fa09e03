package pg_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/testenv"
)

// Who may connect may hold any advisory lock: nothing waits for one but
// migrating, which begins before there is a table to lock.
func TestAdvisoryLocks(t *testing.T) {
	t.Parallel()
	if n := count(t, testenv.Postgres(t).Pool(t, ""), `SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ILIKE '%advisory%'`); n != 0 {
		t.Errorf("%d functions take advisory locks", n)
	}
	root, found := filepath.Join("..", ".."), 0
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), "pg_advisory") {
			if found++; filepath.Base(path) != "migrate.go" {
				t.Errorf("%s takes advisory locks", path)
			}
		}
		return err
	}); err != nil || found != 1 {
		t.Errorf("%d files take advisory locks, %v", found, err)
	}
}
