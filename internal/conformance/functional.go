package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// minioGo is the module whose functional tests are run.
const minioGo = "github.com/minio/minio-go/v7"

// functional are minio-go's functional tests, built in a scratch folder: one
// program that runs the test that its argument names.
type functional struct {
	dir, program, version string
}

// functionalTime bounds one test. The longest, which composes 10,000 parts, takes
// half a minute on two idle cores.
const functionalTime = 5 * time.Minute

// atOnce is how many functional tests run at the same time: they wait more than
// they compute.
const atOnce = 4

// endpoint is who a test talks to.
type endpoint struct {
	host, ca   string // ca is "" for http
	id, secret string
}

func buildFunctional(ctx context.Context) (*functional, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", minioGo).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w", minioGo, err)
	}
	var module struct{ Dir, Version string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	source, err := os.ReadFile(filepath.Join(module.Dir, "functional_tests.go"))
	if err != nil {
		return nil, err
	}
	if source, err = selectable(source); err != nil {
		return nil, err
	}
	f := &functional{version: module.Version}
	if f.dir, err = os.MkdirTemp("", "primecloud-functional-"); err != nil {
		return nil, err
	}
	f.program = filepath.Join(f.dir, "functional")
	if err := f.build(ctx, source); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

// build compiles the tests against the versions of every module that this one has.
func (f *functional) build(ctx context.Context, source []byte) error {
	if err := os.WriteFile(filepath.Join(f.dir, "main.go"), source, 0o600); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(f.dir, name), b, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", f.program, "main.go")
	cmd.Dir = f.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build minio-go's functional tests: %w: %s", err, out)
	}
	return nil
}

func (f *functional) remove() error { return os.RemoveAll(f.dir) }

// selectable is the program with its calls of tests in main replaced: without an
// argument it prints their names, with one it runs the test of that name. What main
// makes them depend on, TLS for one, stays.
func selectable(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "functional_tests.go", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	const constraint = "//go:build mint\n"
	if !bytes.HasPrefix(source, []byte(constraint)) {
		return nil, errors.New("minio-go's functional tests have another build constraint")
	}
	var out bytes.Buffer
	from, calls := len(constraint), 0
	ast.Inspect(file, func(n ast.Node) bool {
		if fn, ok := n.(*ast.FuncDecl); ok {
			return fn.Name.Name == "main"
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, ok := call.Fun.(*ast.Ident)
		if !ok || !strings.HasPrefix(name.Name, "test") {
			return true
		}
		begin, end := files.Position(call.Pos()).Offset, files.Position(call.End()).Offset
		out.Write(source[from:begin])
		fmt.Fprintf(&out, "selected(%q, %s)", name.Name, name.Name)
		from = end
		calls++
		return false
	})
	if calls < 100 {
		return nil, fmt.Errorf("main of minio-go's functional tests calls %d tests", calls)
	}
	out.Write(source[from:])
	changed := out.String()
	// AGAIN: what main calls is tried with Version 4 and without the kinds of checksums
	// that MinIO lacks, so that what is tested behind them is tested, too.
	for _, r := range [][2]string{
		{"if config.CredsV2 {", `if config.CredsV2 && os.Getenv("AGAIN") == "" {`},
		{"if !ignore2026Checksums {", `if os.Getenv("AGAIN") == "" {`},
		{`er.Code == "InvalidArgument"`, `(er.Code == "InvalidArgument" || er.Code == "NotImplemented" || er.Code == "InvalidRequest")`},
	} {
		if strings.Count(changed, r[0]) != 1 {
			return nil, fmt.Errorf("minio-go's functional tests have %q %d times", r[0], strings.Count(changed, r[0]))
		}
		changed = strings.Replace(changed, r[0], r[1], 1)
	}
	out.Reset()
	out.WriteString(changed)
	out.WriteString("\nfunc selected(name string, test func()) {\n\tif len(os.Args) < 2 {\n\t\tfmt.Println(name)\n\t} else if os.Args[1] == name {\n\t\ttest()\n\t}\n}\n")
	return out.Bytes(), nil
}

func (f *functional) command(ctx context.Context, e endpoint, again bool, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.program, args...)
	https := "0"
	if e.ca != "" {
		https = "1"
	}
	cmd.Dir = f.dir
	// RUN_ON_FAIL: a failure is a line, and what the test defers is done.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "TMPDIR=" + f.dir, "SERVER_ENDPOINT=" + e.host, "ACCESS_KEY=" + e.id, "SECRET_KEY=" + e.secret,
		"ENABLE_HTTPS=" + https, "SSL_CERT_FILE=" + e.ca, "MINT_MODE=full", "RUN_ON_FAIL=1"}
	if again {
		cmd.Env = append(cmd.Env, "AGAIN=1")
	}
	return cmd
}

// secondTime marks a test that is run again without what it is known to fail at.
const secondTime = " again"

// names are the tests that main runs for an endpoint.
func (f *functional) names(ctx context.Context, e endpoint) ([]string, error) {
	out, err := f.command(ctx, e, false).Output()
	names := strings.Fields(string(out))
	for _, name := range names {
		if d := differs(name); d != nil && (d.category == sigV2 || d.category == checksums) {
			names = append(names, name+secondTime)
		}
	}
	return names, err
}

// result is how a test ended.
type result struct {
	test   string
	status status
	detail string // of what is no pass: what it said
	took   time.Duration
}

type status string

const (
	passed  status = "pass"
	failed  status = "fail"
	ignored status = "ignored" // it was answered NotImplemented, which it takes for an answer
	silent  status = "silent"  // it said nothing: it did not begin
)

// line is what a test says of itself.
type line struct{ Name, Function, Status, Alert, Message, Error string }

func (f *functional) run(ctx context.Context, e endpoint, test string) result {
	ctx, cancel := context.WithTimeout(ctx, functionalTime)
	defer cancel()
	again := strings.HasSuffix(test, secondTime)
	var out, errs bytes.Buffer
	cmd := f.command(ctx, e, again, strings.TrimSuffix(test, secondTime))
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	r := result{test: test, status: silent, took: time.Since(began)}
	for text := range bytes.Lines(out.Bytes()) {
		r.read(text, again)
	}
	if err != nil {
		r.worse(failed, fmt.Sprintf("%v %.2000s", err, errs.String()))
	}
	return r
}

// read takes one line of the test's output into account.
func (r *result) read(text []byte, again bool) {
	var l line
	if json.Unmarshal(text, &l) != nil {
		return // it prints other things, too
	}
	switch l.Status {
	case "PASS":
		if r.status == silent {
			r.status = passed
		}
	case "NA":
		if again && l.Alert == "server is NotImplemented" {
			return // a kind of checksum that is left out; the test goes on
		}
		r.worse(ignored, l.Alert)
	case "FAIL":
		r.worse(failed, strings.TrimSpace(l.Message+": "+l.Error))
	}
}

// worse makes the result what is worse of two, and keeps what was said first.
func (r *result) worse(s status, detail string) {
	rank := map[status]int{silent: 0, passed: 1, ignored: 2, failed: 3}
	if rank[s] > rank[r.status] {
		r.status, r.detail = s, detail
	}
}

// all runs tests, some of them at once, in the order of names.
func (f *functional) all(ctx context.Context, e endpoint, names []string) []result {
	results := make([]result, len(names))
	var running sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i, name := range names {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			results[i] = f.run(ctx, e, name)
		})
	}
	running.Wait()
	return results
}
