package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/settings"
)

// Every test and attack that docs/SECURITY.md names is there.
func TestSecurityPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, attacks := map[string]bool{}, map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	row := regexp.MustCompile(`(?m)^\t\{"([^"]+)", "`)
	part := regexp.MustCompile(`= part\{"(\w+)"`)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range function.FindAllSubmatch(b, -1) {
				tests[string(m[1])] = true
			}
		} else if name := part.FindSubmatch(b); name != nil && strings.Contains(path, "internal/attack/") {
			for _, m := range row.FindAllSubmatch(b, -1) {
				attacks[string(name[1])+"/"+string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+)`").FindAllSubmatch(page, -1) {
		named++
		if !tests[string(m[1])] {
			t.Errorf("there is no test %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`(\\w+/[^`]+)`").FindAllSubmatch(page, -1) {
		name := string(m[1])
		if strings.HasSuffix(name, ".go") {
			continue
		}
		named++
		if !attacks[name] {
			t.Errorf("there is no attack %s", name)
		}
		delete(attacks, name)
	}
	for name := range attacks {
		t.Errorf("the page does not name the attack %s", name)
	}
	if named == 0 {
		t.Error("the page names no test")
	}
}

// Every flag that a page names in code, and every variable, is one of ours.
func TestDocuments_flags(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commandLine{})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{
		"--hosts":             true, // as it was called
		"--flag":              true, // any
		"--expect100-timeout": true, // rclone's
		"--force":             true, // mc's
		"--endpoint-url":      true, // aws's
	}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known["--"+f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(parser.Model.Node)
	list, err := settings.List(&node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		known[s.Variable] = true
		known[s.Variable+"_FILE"] = s.Secret
	}
	for _, name := range otherVariables {
		known[name] = true
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob(filepath.Join(root, "docs", "decisions", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	code, name := regexp.MustCompile("`[^`\n]*`"), regexp.MustCompile(`(?:--[a-z][a-z0-9-]+|PRIMECLOUD_[A-Z0-9_]*[A-Z0-9])\b`)
	for _, page := range append(append(pages, decisions...), filepath.Join(root, "README.md"), filepath.Join(root, "README.pt-BR.md"), filepath.Join(root, "CHANGELOG.md")) {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range code.FindAllString(string(b), -1) {
			for _, m := range name.FindAllString(span, -1) {
				if named++; !known[m] {
					t.Errorf("%s: there is no %s", filepath.Base(page), m)
				}
			}
		}
	}
	if named < 100 {
		t.Errorf("%d names were found", named)
	}
}
