package product

import (
	"fmt"
	"os"
	"strings"
)

// Part is a part of a document that a command writes, between two lines that mark
// it. What is outside of them is somebody else's.
type Part struct{ begins, ends string }

// WrittenBy is the part that is marked as a command's.
func WrittenBy(command string) Part {
	return Part{"<!-- written by " + command + " -->\n", "<!-- end -->\n"}
}

// Cut returns what is before, in and behind the part; the markers are outside of it.
func (p Part) Cut(document string) (before, inside, after string, ok bool) {
	before, rest, ok := strings.Cut(document, p.begins)
	inside, after, ends := strings.Cut(rest, p.ends)
	return before + p.begins, inside, p.ends + after, ok && ends
}

// With is the part with its markers.
func (p Part) With(inside string) string { return p.begins + inside + p.ends }

// Replace writes the part anew in a file.
func (p Part) Replace(file, inside string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, _, after, ok := p.Cut(string(b))
	if !ok {
		return fmt.Errorf("%s has no place for %q", file, p.begins)
	}
	return os.WriteFile(file, []byte(before+inside+after), 0o644)
}
