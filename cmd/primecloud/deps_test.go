package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
	"google/uuid":     "github.com/google/uuid",
	"sio-go":          "github.com/secure-io/sio-go",
	"miekg/dns":       "github.com/miekg/dns",
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
	m := map[string]rule{}
	for _, cells := range architecture(t, "| Package | may import | because |") {
		r := rule{because: cells[2]}
		for _, name := range strings.Split(cells[1], ", ") {
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
		m[module+"/"+cells[0]] = r
	}
	return m
}

// architecture is the table of ARCHITECTURE.md with that head: its rows' cells.
func architecture(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), head+"\n"+strings.Repeat("|---", strings.Count(head, "|")-1)+"|\n")
	if !ok {
		t.Fatalf("ARCHITECTURE.md has no table %s", head)
	}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		rows = append(rows, cells)
	}
	return rows
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

// TestSize holds functions to 80 lines, and packages to 40 exported names, but for
// those that ARCHITECTURE.md gives a reason for.
func TestSize(t *testing.T) {
	t.Parallel()
	reasons := map[string]bool{}
	for _, cells := range architecture(t, "| Package | exports more, because |") {
		reasons[cells[0]] = cells[1] != ""
	}
	exported := map[string]int{}
	walked := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				if n := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; n > 80 {
					t.Errorf("%s: %s has %d lines", path, f.Name.Name, n)
				}
			}
			exported[pkg] += exports(decl)
		}
		return nil
	})
	if walked != nil {
		t.Fatal(walked)
	}
	for pkg, n := range exported {
		switch {
		case n > 40 && !reasons[pkg]:
			t.Errorf("%s exports %d names", pkg, n)
		case n <= 40 && reasons[pkg]:
			t.Errorf("%s exports %d names, and needs no reason", pkg, n)
		}
		delete(reasons, pkg)
	}
	if len(reasons) > 0 {
		t.Errorf("no such packages: %v", reasons)
	}
}

// exports is how many exported names a declaration makes; methods are their type's.
func exports(decl ast.Decl) (n int) {
	count := func(name *ast.Ident) {
		if name.IsExported() {
			n++
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			count(d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				count(s.Name)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					count(name)
				}
			}
		}
	}
	return n
}
