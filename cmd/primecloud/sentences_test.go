package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/settings"
	"github.com/primecloudpro/primecloud/internal/testenv"
	"github.com/primecloudpro/primecloud/tenancy"
)

// wrong are values that people type by mistake: of another kind, without a unit, too
// much, nothing. For some flags one or another is right.
var wrong = []string{"", "nope", "5 minutes", "10", "10G", "-1", "1.5", "99999999999999999999999", "0x10", "2026-13-45", "2026-11-27T17:30Z", "10.0.0.0/33", "192.0.2.1", "x=y", "Foo_Bar", "a,b", "\xff"}

var (
	// innards are what no operator has to know: of Go, of libraries, of SQL.
	innards = regexp.MustCompile(`strconv|parse error|SQLSTATE|constraint|2006-01-02|struct field|reflect|json:|netip|pgx|kong|EOL|\bint(64)?\b|\bbool\b|map\[|%!|\*?[a-z]+\.[A-Z][A-Za-z]+ |(tenancy|limits|metering|ledger|secret): `)
	// advice is how a sentence says what to do.
	advice = regexp.MustCompile("write |`primecloud |run: |choose |set PRIMECLOUD|name |check |correct |give |did you mean|docs/|--help|stop it|try again|expected one of")
)

// checkSentence holds what an operator is told to one line that names what was typed
// and says what to do.
func checkSentence(t *testing.T, typed, text string, names ...string) {
	t.Helper()
	t.Logf("%s → %s", typed, text)
	named := false
	for _, n := range names {
		named = named || n != "" && strings.Contains(text, n)
	}
	for _, element := range strings.Split(names[0], ",") {
		named = named || strings.Contains(text, fmt.Sprintf("%q", element))
	}
	if lines := strings.Split(text, "\n"); len(lines) > 1 && len(lines) == len(strings.Split(typed, ",")) {
		for _, line := range lines { // of each element of a list
			checkSentence(t, strings.ReplaceAll(typed, ",", " "), line, names...)
		}
		return
	}
	switch found := innards.FindString(text); {
	case strings.Contains(text, "\n"):
		t.Errorf("%s: more than a line: %s", typed, text)
	case found != "":
		t.Errorf("%s: %q is in: %s", typed, found, text)
	case !named:
		t.Errorf("%s: none of %q is in: %s", typed, names, text)
	case !advice.MatchString(text):
		t.Errorf("%s: it does not say what to do: %s", typed, text)
	}
}

// lineModel is what kong knows of the command line.
func lineModel(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(&commandLine{}, kong.Name("primecloud"), settings.Values())
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// leaves are the commands that do something.
func leaves(n *kong.Node) []*kong.Node {
	if len(n.Children) == 0 {
		return []*kong.Node{n}
	}
	var all []*kong.Node
	for _, c := range n.Children {
		all = append(all, leaves(c)...)
	}
	return all
}

// mistakes is an installation in which every command is called wrongly.
type mistakes struct {
	*installation
	arguments map[string]string // right ones, by the names of their places
	taken     string            // an address that another process listens on
	endpoint  string            // of the backend
	made      int
}

func newMistakes(t *testing.T) *mistakes {
	t.Helper()
	m := &mistakes{installation: install(t), endpoint: testenv.MinIO(t).Endpoint}
	m.must("account", "create", "acme")
	m.must("rates", "set", "--currency=EUR", "--egress-gb=0.05")
	m.must("bucket", "create", "acme", "photos")
	key := decode[tenancy.Key](t, m.must("key", "create", "acme", "--json"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m.taken = l.Addr().String()
	folder := t.TempDir()
	m.env = append(m.env, "PRIMECLOUD_DATABASE_URL="+m.url("primecloud_gateway"), "PRIMECLOUD_WORKER_DATABASE_URL="+m.url("primecloud_worker"),
		"PRIMECLOUD_DOMAINS_TARGET=edge.platform.test", "PRIMECLOUD_JOURNAL_DIR="+folder+"/journal", "PRIMECLOUD_ACCESS_LOG_DIR="+folder+"/log")
	m.arguments = map[string]string{
		"account": "acme", "name": "acme", "key-id": key.KeyID, "backend-bucket": "nowhere", "epoch": tenancy.NewID().String(), "file": folder + "/nowhere", "shell": "bash", "host": "s3.customer.test",
	}
	return m
}

// commandNames are those that a command is called by.
func commandNames(n *kong.Node) []string {
	if n.Parent == nil {
		return nil
	}
	return append(commandNames(n.Parent), n.Name)
}

// call is a command with right arguments.
func (m *mistakes) call(n *kong.Node) []string {
	args := commandNames(n)
	for _, p := range n.Positional {
		value := m.arguments[p.Name]
		if p.Name == "name" && n.Parent.Name == "bucket" {
			value = "photos"
		}
		if p.Name == "name" && n.Parent.Name == "backend" {
			value = "minio"
		}
		args = append(args, value)
	}
	m.made++
	another := fmt.Sprintf("another-%d", m.made)
	switch strings.Join(commandNames(n), " ") {
	case "serve", "dev": // nothing starts, whatever is right
		args = append(args, "--s3-addr="+m.taken, "--admin-addr="+m.taken)
	case "account create":
		args[2] = another
	case "bucket create":
		args[3] = another
	case "backend add":
		args[2] = another
		args = append(args, "--endpoints="+m.endpoint)
	case "rates set":
		args = append(args, "--currency=EUR", "--from="+time.Now().AddDate(0, 0, m.made).Format(time.DateOnly))
	case "domain add":
		args = append(args, "--purpose=s3")
	case "usage sample":
		args = append(args, "--account=acme")
	}
	return args
}

// fails runs a command and returns what it failed with; "": it did not.
func (m *mistakes) fails(args []string) string {
	var out, errs bytes.Buffer
	ctx, done := context.WithTimeout(m.t.Context(), time.Minute)
	defer done()
	if err := (&cli{out: &out, err: &errs, environ: m.env}).run(ctx, args); err != nil {
		return err.Error()
	}
	return ""
}

// Whatever flag or argument of whatever command has a wrong value, the operator is told
// in one sentence, which names it.
func TestSentences_everyFlagAndArgument(t *testing.T) {
	t.Parallel()
	m := newMistakes(t)
	paths := settingPaths(t)
	tried, refused := 0, 0
	all := leaves(lineModel(t).Node)
	slices.SortStableFunc(all, func(a, b *kong.Node) int { // last, what makes right values of wrong ones
		return cmp.Compare(strings.Count(a.Name, "create"), strings.Count(b.Name, "create"))
	})
	for _, n := range all {
		if n.Name == "completion" { // of a library
			continue
		}
		command, right := commandNames(n), m.call(n)
		without := m.fails(right)
		for _, flag := range n.Flags {
			for _, value := range valuesFor(flag.Value) {
				tried++
				given := "--" + flag.Name + "=" + value
				if text := m.fails(append(m.call(n), given)); text != "" && text != without {
					refused++
					checkSentence(t, strings.Join(command, " ")+" "+fmt.Sprintf("%q", given), text, value, "--"+flag.Name, paths[flag.Name], m.taken)
				}
			}
			if !flag.IsBool() {
				checkSentence(t, strings.Join(right, " ")+" --"+flag.Name, m.fails(append(right[:len(right):len(right)], "--"+flag.Name)), "--"+flag.Name)
			}
		}
		for i, p := range n.Positional {
			if p.Name == "file" && n.Name == "generate" { // any name is right
				continue
			}
			for _, value := range valuesFor(p) {
				if value == "-1" {
					continue // a flag
				}
				tried++
				args := append([]string{}, right...)
				args[len(command)+i] = value
				if text := m.fails(args); text != "" && text != without {
					refused++
					checkSentence(t, fmt.Sprintf("%q", args), text, value, "<"+p.Name+">", fmt.Sprintf("%q", value))
				}
			}
			checkSentence(t, strings.Join(command, " "), m.fails(withoutPlaces(command, right, len(n.Positional))), "<"+n.Positional[0].Name)
		}
		for _, extra := range []string{"--nonsense", "nonsense"} {
			checkSentence(t, strings.Join(right, " ")+" "+extra, m.fails(append(right[:len(right):len(right)], extra)), extra)
		}
	}
	t.Logf("%d wrong values were tried, %d refused", tried, refused)
	if refused < tried/2 {
		t.Errorf("%d of %d wrong values were refused: the test looks at too little", refused, tried)
	}
}

// withoutPlaces is a right call without its arguments, with its flags.
func withoutPlaces(command, right []string, places int) []string {
	return append(append([]string{}, command...), right[len(command)+places:]...)
}

// valuesFor are wrong values for a flag or an argument: fewer for a text.
func valuesFor(v *kong.Value) []string {
	if v.Target.Kind() == reflect.String && v.Target.Type().Name() == "string" {
		return []string{"", "nope", "5 minutes", "10.0.0.0/33", "Foo_Bar", "a,b", "\xff"}
	}
	return wrong
}

// settingPaths are the settings by their flags, as sentences name them.
func settingPaths(t *testing.T) map[string]string {
	t.Helper()
	list, err := settings.List(&node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for i := range list {
		paths[list[i].Flag] = list[i].Path()
	}
	return paths
}

// Whatever setting has a wrong value, in a file of whatever kind of value or in the
// environment, the operator is told in one sentence, which names it.
func TestSentences_everySetting(t *testing.T) {
	t.Parallel()
	list, err := settings.List(&node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "primecloud.toml")
	inFile := []string{"5", "-5", "1.5", "true", "2026-11-27", "[1, 2]", "['a', 3]", "{ a = 1 }", "[[1]]", "07:32:00"}
	for _, value := range wrong {
		if value != "\xff" {
			inFile = append(inFile, fmt.Sprintf("'%s'", value))
		}
	}
	refused := 0
	for i := range list {
		s := &list[i]
		for _, value := range inFile {
			text := s.Key + " = " + value + "\n"
			if s.Section != "" {
				text = "[" + s.Section + "]\n" + text
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := settings.Load(&node.Config{}, file, nil); err != nil {
				refused++
				checkSentence(t, strings.ReplaceAll(strings.TrimSpace(text), "\n", " "), err.Error(), s.Path()+": ")
			}
		}
		for _, value := range wrong {
			if err := settings.Load(&node.Config{}, "", []string{s.Variable + "=" + value}); err != nil {
				refused++
				checkSentence(t, s.Variable+"="+value, err.Error(), s.Variable+": ")
			}
		}
	}
	if refused < 10*len(list) {
		t.Errorf("%d values of %d settings were refused: the test looks at too little", refused, len(list))
	}
}
