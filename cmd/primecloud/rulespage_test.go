package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	ruleDefined = regexp.MustCompile(`\*\*([A-F]\d{1,2}|[1-9]) `)
	rulePart    = regexp.MustCompile(`(?m)^## ([A-F])\. `)
	ruleNumber  = regexp.MustCompile(`\b[A-Z]\d{0,2}\b|\b[1-9]\b`)

	// "S3-RULES.md D1, D2, A11", "C14 and C13", "rule 3", "table E"; a comment may
	// break anywhere in it.
	ruleCited   = regexp.MustCompile(`S3-RULES(?:\.md)?((?:(?:[\s,/–]|and\b)+(?:rules? [1-9]|table [A-Z]|[A-F]\d{1,2})\b)+)`)
	ruleUnnamed = regexp.MustCompile(`//[^\n]*\((?:rules? )?([A-F]\d{1,2})[,):]`)

	// Names of sub-tests, and what a failure says: "A4 unsigned metadata", "A12, D7: …".
	ruleTested   = regexp.MustCompile(`"((?:[A-F]\d{1,2}, )*[A-F]\d{1,2}|rule [1-9]):? `)
	testFunction = regexp.MustCompile(`(?m)^func (?:Test|Fuzz|Benchmark)(\w+)\(`)
	ruleAlone    = regexp.MustCompile(`^[A-F]\d{1,2}$`)
)

// rulesOf are the numbers that docs/S3-RULES.md has, and the letters of its parts.
func rulesOf(t *testing.T, page string) map[string]bool {
	t.Helper()
	rules := map[string]bool{}
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "- **") {
			continue
		}
		for _, m := range ruleDefined.FindAllStringSubmatch(line, -1) {
			if rules[m[1]] {
				t.Errorf("rule %s is there twice", m[1])
			}
			rules[m[1]] = true
		}
	}
	for _, m := range rulePart.FindAllStringSubmatch(page, -1) {
		rules[m[1]] = true
	}
	return rules
}

// citedIn are the rules that a file cites, in comments and in names of tests.
func citedIn(path, text string) []string {
	var cited []string
	for _, m := range ruleCited.FindAllStringSubmatch(text, -1) {
		cited = append(cited, ruleNumber.FindAllString(m[1], -1)...)
	}
	if !strings.HasSuffix(path, "_test.go") {
		return cited
	}
	for _, m := range ruleTested.FindAllStringSubmatch(text, -1) {
		cited = append(cited, ruleNumber.FindAllString(m[1], -1)...)
	}
	for _, m := range testFunction.FindAllStringSubmatch(text, -1) {
		for piece := range strings.SplitSeq(m[1], "_") {
			if ruleAlone.MatchString(piece) {
				cited = append(cited, piece)
			}
		}
	}
	return cited
}

func TestRulesPage_citations(t *testing.T) {
	t.Parallel()
	const named = "S3-RULES" + ".md "
	for _, c := range []struct{ text, want string }{
		{named + "D1, D2, A11). B1", "D1 D2 A11"},
		{named + "C14 and C13: B1", "C14 C13"},
		{"\t// " + named + "A11\n\t// and B30, rule 4", "A11 B30 4"},
		{named + "C2–C8", "C2 C8"},
		{strings.TrimSpace(named) + ", table G", "G"},
		{strings.TrimSpace(named) + ": what the rules are", ""},
		{"func TestIDs_D14_F8(t", "D14 F8"},
		{"func TestF4_theirs(t", "F4"},
		{`{"A12, D7: x", "E12 y", "rule 3 z", "C1", "D90s"}`, "A12 D7 E12 3"},
	} {
		if got := strings.Join(citedIn("x_test.go", c.text), " "); got != c.want {
			t.Errorf("%q cites %q, wanted %q", c.text, got, c.want)
		}
	}
}

// Every rule that a comment, a page or the name of a test cites is in
// docs/S3-RULES.md, and comments say where its number is from.
func TestRulesPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "S3-RULES.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules := rulesOf(t, string(page))
	found := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		isGo := strings.HasSuffix(path, ".go")
		if err != nil || d.IsDir() || !isGo && !strings.HasSuffix(path, ".md") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, rule := range citedIn(path, string(b)) {
			found++
			if !rules[rule] {
				t.Errorf("%s cites rule %s, which docs/S3-RULES.md has not", path, rule)
			}
		}
		if !isGo {
			return nil
		}
		for _, m := range ruleUnnamed.FindAllStringSubmatch(string(b), -1) {
			t.Errorf("%s: a comment cites %s alone: say S3-RULES.md %s", path, m[1], m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("nothing cites a rule")
	}
}
