package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// seenFile has a line for each change that a test was seen to catch: its key, the
// commit and the day. It is committed: what is there is not tried again, and a
// change, its tests or its promise written anew has no line.
const seenFile = "internal/proofs/seen.tsv"

// seen is what seenFile has: the commit for each key.
type seen map[string]string

func readSeen(path string) (seen, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s := seen{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q is not key, commit and day", path, line)
		}
		s[fields[0]] = fields[1]
	}
	return s, nil
}

// key names a change and the tests that are to catch it.
func (p *promise) key(c *change) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.pkg, p.tests, c.file, c.old, c.new}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// unseen are the changes of p that no test was seen to catch.
func (p *promise) unseen(s seen) []*change {
	var left []*change
	for i := range p.changes {
		if _, ok := s[p.key(&p.changes[i])]; !ok {
			left = append(left, &p.changes[i])
		}
	}
	return left
}

// note writes at once that c was caught: a run of hours may be cut off.
func (p *promise) note(c *change, commit string) error {
	f, err := os.OpenFile(seenFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", p.key(c), commit, time.Now().UTC().Format(time.DateOnly))
	return errors.Join(err, f.Close())
}

// tidy leaves the newest line of each change that the list still has, in the
// list's order.
func tidy() error {
	b, err := os.ReadFile(seenFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, _, _ := strings.Cut(line, "\t")
		lines[key] = line
	}
	var kept strings.Builder
	for i := range promises {
		for j := range promises[i].changes {
			key := promises[i].key(&promises[i].changes[j])
			kept.WriteString(lines[key])
			delete(lines, key)
		}
	}
	return os.WriteFile(seenFile, []byte(kept.String()), 0o600)
}

// commit is what the working tree is at, with a plus when it is changed.
func commit(ctx context.Context) (string, error) {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", err
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":!"+seenFile, ":!docs").Output()
	if err != nil {
		return "", err
	}
	name := string(bytes.TrimSpace(head))
	if len(changed) > 0 {
		name += "+"
	}
	return name, nil
}
