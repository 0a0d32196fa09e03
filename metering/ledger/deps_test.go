package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/primecloudpro/primecloud/"

// closure returns what a package of ours and all that it imports have of what
// the ledger may not: the backends' client, and packages of ours that map memory.
func closure(t *testing.T, pkg string) (found []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles", module+pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(p.ImportPath, "github.com/minio/minio-go/"):
			found = append(found, "minio-go")
		case strings.HasPrefix(p.ImportPath, module):
			for _, name := range p.GoFiles {
				source, err := os.ReadFile(filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(source, []byte("unix.Mmap(")) {
					found = append(found, "mapped memory")
				}
			}
		}
	}
}

// Who bills imports the ledger: with it comes neither the backends' client nor the
// journal.
func TestImports_closure(t *testing.T) {
	t.Parallel()
	for pkg, want := range map[string][]string{
		"metering/ledger":  nil,
		"metering/storage": {"minio-go"}, // the test knows them when they are there
		"metering":         {"mapped memory"},
	} {
		found := closure(t, pkg)
		slices.Sort(found)
		if found = slices.Compact(found); !slices.Equal(found, want) {
			t.Errorf("%s and what it imports have %q, want %q", pkg, found, want)
		}
	}
}
