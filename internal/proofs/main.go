// Command proofs breaks the product on purpose, in a copy of it, one change at a
// time, and runs the tests that hold the promise that the change breaks: each must
// fail. It notes what it saw in seen.tsv, tries what is not there, and writes the
// table of docs/PROOFS.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// promise is a sentence of a page that somebody relies on.
type promise struct {
	page, part string // a heading of the page, or the number of an invariant
	text       string
	pkg, tests string // as go test's package and -run
	changes    []change
}

// change puts a text in the place of another one, which is in the file once.
type change struct{ file, old, new string }

func main() {
	only := flag.String("only", "", "promises whose text this expression finds; default: all")
	again := flag.Bool("again", false, "try also what was seen before")
	page := flag.String("write", "", "the page to write the table to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := prove(ctx, *only, *again, *page); err != nil {
		fmt.Fprintln(os.Stderr, "proofs:", err)
		os.Exit(1)
	}
}

func prove(ctx context.Context, only string, again bool, page string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	before, err := readSeen(seenFile)
	if err != nil {
		return err
	}
	if again {
		before = nil
	}
	at, err := commit(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "primecloud-proofs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, dir); err != nil {
		return err
	}
	var missed []error
	for i := range promises {
		p := &promises[i]
		left := p.unseen(before)
		if len(left) == 0 || !wanted.MatchString(p.text) {
			continue
		}
		missed = append(missed, p.try(ctx, dir, left, at))
		if ctx.Err() != nil {
			break
		}
	}
	missed = append(missed, tidy())
	if err := errors.Join(missed...); err != nil || page == "" {
		return err
	}
	return write(page)
}

// try makes one change after the other; the error joins those that no test caught.
func (p *promise) try(ctx context.Context, dir string, changes []*change, at string) error {
	if err := p.holds(ctx, dir); err != nil {
		fmt.Printf("BROKEN %s: %s, with nothing changed\n", p.text, p.tests)
		return fmt.Errorf("nothing was changed, and %s: %w", p.tests, err)
	}
	var missed []error
	for _, c := range changes {
		caught, err := p.catches(ctx, dir, c)
		switch {
		case ctx.Err() != nil:
			return errors.Join(append(missed, ctx.Err())...)
		case err != nil: // it proves nothing
			fmt.Printf("ERROR  %s: %v\n", p.text, err)
			missed = append(missed, err)
		case caught:
			fmt.Printf("caught %s: %s\n", p.text, c.short())
			missed = append(missed, p.note(c, at))
		default:
			fmt.Printf("MISSED %s: %s\n", p.text, c.short())
			missed = append(missed, fmt.Errorf("%s passes with %s", p.tests, c.short()))
		}
	}
	return errors.Join(missed...)
}

// copyTree copies the files of the project that git knows of, as they are here.
func copyTree(ctx context.Context, to string) error {
	list, err := exec.CommandContext(ctx, "git", "ls-files", "-z").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o700)); err != nil {
			return err
		}
	}
	return nil
}

// errNothing is of a run that says nothing of the change.
var errNothing = errors.New("it does not build, or no test failed")

// holds runs the tests of a promise: nil when all pass.
func (p *promise) holds(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-vet=off", "-timeout", "5m", "-run", "^("+p.tests+")$", p.pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PRIMECLOUD_TEST_STRICT=1")
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic: ")):
		err = errNothing
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		err = errors.New("there is no such test")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out))
	}
	return nil
}

// catches reports whether a test of the promise fails with the change.
func (p *promise) catches(ctx context.Context, dir string, c *change) (caught bool, err error) {
	path := filepath.Join(dir, c.file)
	was, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	is, err := c.apply(string(was))
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(path, []byte(is), 0o600); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, was, 0o600)) }()
	err = p.holds(ctx, dir)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, errNothing):
		return false, fmt.Errorf("%s: %w", c.short(), err)
	}
	return err != nil, nil
}

func (c *change) apply(text string) (string, error) {
	if n := strings.Count(text, c.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times: the change is to be written anew", c.file, c.old, n)
	}
	return strings.Replace(text, c.old, c.new, 1), nil
}

// short says what is changed, on a line.
func (c *change) short() string {
	line := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if strings.TrimSpace(c.new) == "" {
		return fmt.Sprintf("%s without `%s`", c.file, line(c.old))
	}
	return fmt.Sprintf("%s: `%s` for `%s`", c.file, line(c.new), line(c.old))
}

func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }
