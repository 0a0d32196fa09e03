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
	return os.WriteFile(page, []byte(head+begins+table()+ends+foot), 0o600)
}

func table() string {
	var t strings.Builder
	t.WriteString("| Page | Part | Promise | Held by | Each of these made it fail |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for i := range promises {
		p := &promises[i]
		var changes []string
		for j := range p.changes {
			changes = append(changes, cell.Replace(p.changes[j].short()))
		}
		tests := strings.ReplaceAll(p.tests, "|", "`, `")
		fmt.Fprintf(&t, "| %s | %s | %s | `%s` | %s |\n", p.page, p.part, cell.Replace(p.text), tests, strings.Join(changes, "; "))
	}
	return t.String()
}
