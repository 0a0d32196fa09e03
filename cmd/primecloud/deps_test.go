package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/primecloudpro/primecloud"

// families are the short names of ARCHITECTURE.md's table.
var families = map[string]string{
	"minio/crc64nvme": "github.com/minio/crc64nvme",
	"pgx":             "github.com/jackc/pgx/",
	"goose":           "github.com/pressly/goose/",
	"ristretto":       "github.com/dgraph-io/ristretto/",
	"minio-go":        "github.com/minio/minio-go/",
	"fasthttp":        "github.com/valyala/fasthttp",
	"kong":            "github.com/alecthomas/kong",
	"go-toml":         "github.com/pelletier/go-toml/",
	"httprouter":      "github.com/julienschmidt/httprouter",
	"river":           "github.com/riverqueue/",
	"sio-go":          "github.com/secure-io/sio-go",
}

// always may be imported by every package.
var always = []string{"golang.org/x/", "github.com/prometheus/client_golang/"}

type rule struct {
	allowed    []string
	everything bool
	because    string
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	b, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "| Package | may import | because |\n|---|---|---|\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no import table")
	}
	m := map[string]rule{}
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			break
		}
		r := rule{because: strings.TrimSpace(cells[3])}
		for _, name := range strings.Split(strings.TrimSpace(cells[2]), ", ") {
			switch full, family := families[name]; {
			case name == "everything":
				r.everything = true
			case name == "–":
			case family:
				r.allowed = append(r.allowed, full)
			default:
				r.allowed = append(r.allowed, module+"/"+name)
			}
		}
		m[module+"/"+strings.Trim(strings.TrimSpace(cells[1]), "`")] = r
	}
	return m
}

// TestImports holds every package's imports to ARCHITECTURE.md's table.
func TestImports(t *testing.T) {
	t.Parallel()
	table := rules(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		r, ok := table[pkg.ImportPath]
		if !ok {
			t.Errorf("%s has no row in ARCHITECTURE.md's import table", pkg.ImportPath)
			continue
		}
		for _, imported := range pkg.Imports {
			if !r.permits(imported) {
				t.Errorf("%s imports %s, which its row does not list, because %s", pkg.ImportPath, imported, r.because)
			}
		}
	}
	if seen != len(table) {
		t.Errorf("the table has %d rows, the module %d packages", len(table), seen)
	}
}

func (r rule) permits(path string) bool {
	if r.everything || !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return true
	}
	for _, prefix := range append(always, r.allowed...) {
		if path == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
