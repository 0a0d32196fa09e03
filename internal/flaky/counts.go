package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// test is a test function; its subtests are counted with it.
type test struct{ pkg, name string }

type count struct{ runs, failed int }

type failure struct {
	test
	mode  string
	order string // the shuffle's seed
	said  string
}

// counts is safe for use by many goroutines.
type counts struct {
	mu       sync.Mutex
	tests    map[test]*count
	failures []failure
}

var seedLine = regexp.MustCompile(`-test\.shuffle (\d+)`)

// add takes what test2json wrote of one run of a package. Of a run that was
// stopped the tests that had ended count.
func (c *counts) add(pkg string, m mode, out []byte, ended error, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := map[string]*strings.Builder{}
	var order string
	var failed bool
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e.Action, e.Output = "output", lines.Text()+"\n" // the binary's own stderr
		}
		name, sub, _ := strings.Cut(e.Test, "/")
		switch e.Action {
		case "output":
			if seed := seedLine.FindStringSubmatch(e.Output); seed != nil && order == "" {
				order = seed[1]
			}
			if said[name] == nil {
				said[name] = &strings.Builder{}
			}
			said[name].WriteString(e.Output)
		case "pass", "fail":
			if name == "" || sub != "" {
				continue
			}
			one := test{pkg, name}
			if c.tests[one] == nil {
				c.tests[one] = &count{}
			}
			c.tests[one].runs++
			if e.Action == "fail" {
				failed = true
				c.tests[one].failed++
				c.failures = append(c.failures, failure{one, m.name, order, said[name].String()})
			}
		}
	}
	if ended != nil && !failed && !stopped { // a panic, a race outside a test, a timeout
		text := ended.Error()
		if said[""] != nil {
			text += "\n" + said[""].String()
		}
		c.failures = append(c.failures, failure{test{pkg, "(the package)"}, m.name, order, text})
	}
}

// print writes the failures, how often each test ran, and a line for each package.
func (c *counts) print(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.failures {
		fmt.Fprintf(w, "FAILED %s %s (%s), again with: go test -race -count=1 -shuffle=%s -run '^%s$' %s\n%s\n", f.pkg, f.name, f.mode, cmp.Or(f.order, "on"), f.name, f.pkg, f.said)
	}
	order := func(a, b test) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) }
	fmt.Fprintf(w, "| Package | Test | Runs | Failed |\n|---|---|---|---|\n")
	for _, t := range slices.SortedFunc(maps.Keys(c.tests), order) {
		fmt.Fprintf(w, "| %s | %s | %d | %d |\n", t.pkg, t.name, c.tests[t].runs, c.tests[t].failed)
	}
	type row struct{ tests, fewest, most, failed int }
	rows := map[string]*row{}
	for t, n := range c.tests {
		r := rows[t.pkg]
		if r == nil {
			r = &row{fewest: n.runs}
			rows[t.pkg] = r
		}
		r.tests++
		r.fewest, r.most, r.failed = min(r.fewest, n.runs), max(r.most, n.runs), r.failed+n.failed
	}
	fmt.Fprintf(w, "\n| Package | Tests | Runs of each | Failed |\n|---|---|---|---|\n")
	for _, pkg := range slices.Sorted(maps.Keys(rows)) {
		r := rows[pkg]
		fmt.Fprintf(w, "| %s | %d | %d to %d | %d |\n", pkg, r.tests, r.fewest, r.most, r.failed)
	}
}
