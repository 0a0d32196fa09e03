package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
