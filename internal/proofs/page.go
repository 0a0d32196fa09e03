package main

import (
	"fmt"
	"os"
	"strings"
)

const (
	begins = "<!-- written by make proofs -->\n"
	ends   = "<!-- end -->\n"
)

// write puts the table of promises into the page, between its marks.
func write(page string) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begins)
	_, foot, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks", page)
	}
	s, err := readSeen(seenFile)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(head+begins+table(s)+ends+foot), 0o600)
}

func table(s seen) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s\n\n", seenLine(s))
	t.WriteString("| Page | Part | Promise | Held by | Each of these made it fail; † was not tried since it was written |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for i := range promises {
		p := &promises[i]
		var changes []string
		for j := range p.changes {
			text := cell.Replace(p.changes[j].short())
			if _, ok := s[p.key(&p.changes[j])]; !ok {
				text = "† " + text
			}
			changes = append(changes, text)
		}
		tests := strings.ReplaceAll(p.tests, "|", "`, `")
		fmt.Fprintf(&t, "| %s | %s | %s | `%s` | %s |\n", p.page, p.part, cell.Replace(p.text), tests, strings.Join(changes, "; "))
	}
	return t.String()
}

// seenLine says how many changes a test was seen to catch.
func seenLine(s seen) string {
	all, left := 0, 0
	for i := range promises {
		all += len(promises[i].changes)
		left += len(promises[i].unseen(s))
	}
	return fmt.Sprintf("%d promises, %d changes; caught at the commits that internal/proofs/seen.tsv names: %d.", len(promises), all, all-left)
}
