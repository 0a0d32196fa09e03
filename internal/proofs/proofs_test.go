package main

import (
	"os"
	"os/exec"
	"path/filepath"
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
		list := exec.CommandContext(t.Context(), "grep", "-rhoE", `^func Test\w+`, "--include=*_test.go", filepath.Join(root, p.pkg))
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
	b, err := os.ReadFile(root + "/docs/PROOFS.md")
	if err != nil || !strings.Contains(string(b), begins+table()+ends) {
		t.Errorf("docs/PROOFS.md is not what make proofs writes: %v", err)
	}
}
