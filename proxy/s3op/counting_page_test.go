package s3op_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/metering/usage"
	"github.com/primecloudpro/primecloud/proxy/s3op"
)

const (
	meteringFile  = "../../docs/METERING.md"
	countingBegin = "<!-- counting table: `make docs` writes what is between these lines -->\n"
	countingEnd   = "<!-- end of the counting table -->\n"
)

// TestCountingPage keeps the counting table of docs/METERING.md true to the
// rules. A line that changes needs another version: customers were billed by
// the old one.
func TestCountingPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(meteringFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), countingBegin)
	was, after, ends := strings.Cut(rest, countingEnd)
	if !ok || !ends {
		t.Fatal("docs/METERING.md has no place for the counting table")
	}
	want := countingPage()
	for line, now := range operationLines(want) {
		if old, known := operationLines(was)[line]; known && old != now && version(was) == version(want) {
			t.Errorf("what was counted as\n%s\nis now counted as\n%s\nunder the same CountingVersion: raise it", old, now)
		}
	}
	if *update && !t.Failed() {
		was = want
		if err := os.WriteFile(meteringFile, []byte(before+countingBegin+want+countingEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if was != want {
		t.Error("docs/METERING.md does not have the counting table; run `make docs`")
	}
}

// operationLines are the lines of operations by name.
func operationLines(page string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(page) {
		if cells := strings.Split(line, " | "); len(cells) > 4 {
			lines[cells[0]] = line
		}
	}
	return lines
}

func version(page string) int {
	m := regexp.MustCompile(`Version (\d+)`).FindStringSubmatch(page)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func countingPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Version %d of the counting rules (`proxy/s3op/counting.go`; `make docs` writes this table, a test keeps it true and refuses another\n"+
		"way of counting under the same version). A request is counted once, when its answer is out or has failed.\n\n"+
		"| Answer | Nobody proved | Anonymous | Customer's key | Internal key |\n|---|---|---|---|---|\n", s3op.CountingVersion)
	for _, outcome := range []struct {
		name   string
		status int
	}{{"2xx, 3xx", 200}, {"400, 404 and other 4xx; the client left (499)", 404}, {"401, 403", 403}, {"5xx", 500}} {
		fmt.Fprintf(&b, "| %s", outcome.name)
		for by := s3op.Nobody; by <= s3op.Internal; by++ {
			fmt.Fprintf(&b, " | %s", classes(by, outcome.status))
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\nNobody proved: an unknown key or account, a wrong signature, no signature where one is needed or where the bucket's policy lets nobody in, what\n" +
		"is no operation, a client that left before any of this was found out. All of it goes to one `-` cell, but for what names a bucket or a key id that exists: that\n" +
		"is recorded there, unbilled. Anonymous: the bucket's policy has let it in; the owner of the bucket, key `-`. Internal: keys of the portal, SFTP\n" +
		"and jobs. Header, query (presigned) and form signatures count alike; so do all payload framings: what is counted is the decoded body.\n\n" +
		"| Operation | Signed by | Class | Class, internal key | Bytes in | Bytes out |\n|---|---|---|---|---|---|\n")
	for _, o := range s3op.Operations {
		in, out := o.Transfers()
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", o.Name, strings.Join(modes(o), ", "),
			o.Counted(s3op.Customer, 200), o.Counted(s3op.Internal, 200), orNone(in), orNone(out))
	}
	b.WriteString("\nBytes in are what was read of the body, also of an upload that failed or was cut: they count as they move, in the operation's class. Bytes\n" +
		"out are what the client's socket took, also of a download that was cut; an error's document counts in the class of its answer. A copy on\n" +
		"the server moves no object bytes. A part counts when it is uploaded. The lengths that were announced are kept beside, as declared bytes.\n\n")
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// modes are the ways in which a request of o may say who asks.
func modes(o *s3op.Operation) []string {
	if o.Body == s3op.Form {
		return []string{"form"}
	}
	list := []string{"header", "query"}
	if o.Body == s3op.Stream {
		list = append(list, "chunks")
	}
	if o.Anonymous {
		list = append(list, "nobody")
	}
	return list
}

// classes says in which class operations count: one for all of them, or the
// operation's own.
func classes(by s3op.Caller, status int) string {
	seen := map[usage.Class]bool{}
	own, object := true, true
	for _, o := range s3op.Operations {
		c := o.Counted(by, status)
		seen[c] = true
		own = own && c == o.Class
		object = object && (c == o.Class) == o.MovesObject()
	}
	switch {
	case len(seen) == 1:
		return slices.Collect(maps.Keys(seen))[0].String()
	case own:
		return "the operation's"
	case object:
		return "the operation's when object bytes move, else unbilled"
	}
	return "see below"
}
