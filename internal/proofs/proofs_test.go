package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises: every change can still be made, every promise has three at least
// in different places, its tests exist, and the page has them all.
func TestPromises(t *testing.T) {
	t.Parallel()
	const root = "../.."
	for i := range promises {
		p := &promises[i]
		if len(p.changes) < 3 {
			t.Errorf("%s: %d changes", p.text, len(p.changes))
		}
		places := map[change]bool{}
		for j := range p.changes {
			c := &p.changes[j]
			b, err := os.ReadFile(filepath.Join(root, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.apply(string(b)); err != nil {
				t.Errorf("%s: %v", p.text, err)
			}
			places[change{file: c.file, old: c.old}] = true
		}
		if len(places) < len(p.changes) {
			t.Errorf("%s: two changes of one place", p.text)
		}
		list := exec.CommandContext(t.Context(), "sh", "-c", "grep -hoE '^func Test\\w+' *_test.go")
		list.Dir = filepath.Join(root, p.pkg)
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Split(p.tests, "|") {
			if !strings.Contains(string(out)+"\n", "func "+name+"\n") {
				t.Errorf("%s: no %s in %s", p.text, name, p.pkg)
			}
		}
	}
	s, err := readSeen(filepath.Join(root, seenFile))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(root + "/docs/PROOFS.md")
	if err != nil || !strings.Contains(string(b), begins+table(s)+ends) {
		t.Errorf("docs/PROOFS.md is not what make proofs writes: %v", err)
	}
}

// TestParts: every heading of the pages that people rely on for what they bill, and
// every invariant, has a promise; and no promise is of a part that is not there.
func TestParts(t *testing.T) {
	t.Parallel()
	const root = "../.."
	proved := map[[2]string]bool{}
	for i := range promises {
		proved[[2]string{promises[i].page, promises[i].part}] = true
	}
	heading, invariant := regexp.MustCompile(`(?m)^#+ (.+)$`), regexp.MustCompile(`(?m)^(\d+)\. `)
	there := map[[2]string]bool{}
	for page, parts := range map[string]*regexp.Regexp{
		"docs/METERING.md": heading, "docs/LIMITS.md": heading, "docs/ACCESS-LOG.md": heading,
		"ARCHITECTURE.md": invariant, "docs/SECURITY.md": heading, "README.md": heading, "docs/S3-COMPATIBILITY.md": heading, "docs/CONFIGURATION.md": heading,
	} {
		b, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		complete := page != "docs/SECURITY.md" && page != "docs/CONFIGURATION.md" && page != "README.md" && page != "docs/S3-COMPATIBILITY.md"
		for _, m := range parts.FindAllStringSubmatch(string(b), -1) {
			part := [2]string{filepath.Base(page), m[1]}
			there[part] = true
			if complete && m[1] != "Shown by" && !proved[part] {
				t.Errorf("%s, %s: no promise is tried", page, m[1])
			}
		}
	}
	for part := range proved {
		if !there[part] {
			t.Errorf("there is no %s in %s", part[1], part[0])
		}
	}
}
