package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPass finds what fails once in a while, what ends the whole package, and
// counts the runs of the rest.
func TestPass(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.test\n\ngo 1.26\n",
		"luck/luck_test.go": `package luck

import ("os"; "testing")

func TestSteady(t *testing.T) { t.Run("sub", func(*testing.T) {}) }

func TestLuck(t *testing.T) {
	if os.Remove("luck") == nil {
		t.Error("no luck")
	} else if err := os.WriteFile("luck", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
`,
		"gone/gone_test.go": `package gone

import ("os"; "testing")

func TestMain(*testing.M) { os.Exit(3) }

func TestGone(t *testing.T) {}
`,
		"none/none.go": "package none\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	packages, err := build(t.Context(), root, t.TempDir(), []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	c := &counts{tests: map[test]*count{}}
	for _, m := range modes {
		if err := pass(t.Context(), packages, m, "", c); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pass(ended, packages, modes[0], "", c); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c.print(&said)
	for text, times := range map[string]int{
		"| example.test/luck | TestSteady | 4 | 0 |": 1,
		"| example.test/luck | TestLuck | 4 | 2 |":   1,
		"| example.test/luck | 2 | 4 to 4 | 2 |":     1,
		"FAILED example.test/luck TestLuck (":        2,
		"    luck_test.go:9: no luck":                2,
		"-run '^TestLuck$' example.test/luck":        2,
		"FAILED example.test/gone (the package) (":   4,
		"exit status 3": 4,
	} {
		if n := strings.Count(said.String(), text); n != times {
			t.Errorf("%q: %d times, want %d", text, n, times)
		}
	}
	if t.Failed() {
		t.Log(said.String())
	}
}
