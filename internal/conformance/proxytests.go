package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// proxyTests are the stock clients and the comparison with MinIO, as proxy's tests
// say it of themselves.
type proxyTests struct {
	clients     []*client
	calls, rows string      // of the comparison
	differences [][2]string // its steps that differ, and why
}

// client is a row of the table.
type client struct {
	name, version, did string
	results            map[string]string // by scheme
}

// runProxyTests runs them, once and with nothing skipped.
func runProxyTests(ctx context.Context) (*proxyTests, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout", "20m", "-run", "^(TestClients|TestDifferential|TestDifferentialBytes)$", "./proxy")
	cmd.Env = append(os.Environ(), "PRIMECLOUD_TEST_STRICT=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	failure := cmd.Run()
	p := &proxyTests{}
	said, err := p.read(&out)
	switch {
	case err != nil:
		return nil, err
	case failure != nil:
		return nil, fmt.Errorf("go test ./proxy: %w: %s%s", failure, said, errs.String())
	case len(p.clients) == 0 || p.calls == "":
		return nil, fmt.Errorf("proxy's tests said nothing of clients or of the comparison: %s", said)
	}
	for _, c := range p.clients {
		for _, scheme := range schemes {
			if c.results[scheme] != "pass" {
				return nil, fmt.Errorf("%s over %s: %q", c.name, scheme, c.results[scheme])
			}
		}
	}
	return p, nil
}

// read takes in what `go test -json` writes, and returns the text of what failed.
func (p *proxyTests) read(out *bytes.Buffer) (said string, err error) {
	texts := map[string]*strings.Builder{}
	var failed strings.Builder
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return "", fmt.Errorf("go test -json: %w: %s", err, lines.Bytes())
		}
		if texts[event.Test] == nil {
			texts[event.Test] = &strings.Builder{}
		}
		switch event.Action {
		case "output":
			texts[event.Test].WriteString(event.Output)
			p.said(event.Output)
		case "pass", "fail", "skip":
			p.ended(event.Test, event.Action)
			if event.Action != "pass" {
				failed.WriteString(texts[event.Test].String())
			}
		}
	}
	return failed.String(), lines.Err()
}

// said reads a line that a test wrote for this command.
func (p *proxyTests) said(line string) {
	_, line, ok := strings.Cut(strings.TrimSpace(line), "conformance\t")
	if !ok {
		return
	}
	switch f := strings.Split(line, "\t"); f[0] {
	case "client":
		if p.client(f[1]) == nil {
			p.clients = append(p.clients, &client{name: f[1], version: f[2], did: f[3], results: map[string]string{}})
		}
	case "calls":
		p.calls, p.rows = f[1], f[2]
	case "difference":
		p.differences = append(p.differences, [2]string{f[1], f[2]})
	}
}

func (p *proxyTests) client(name string) *client {
	for _, c := range p.clients {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (p *proxyTests) ended(test, how string) {
	if parts := strings.Split(test, "/"); len(parts) == 3 && parts[0] == "TestClients" {
		if c := p.client(parts[1]); c != nil {
			c.results[parts[2]] = how
		}
	}
}
