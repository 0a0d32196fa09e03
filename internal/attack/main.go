package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/primecloudpro/primecloud/internal/product"
)

// attack is one attempt. Run returns nil when the product held.
type attack struct {
	name string
	how  string // one sentence: what is sent, and what would show that it worked
	run  func(ctx context.Context, p *site) error
}

// part is a group of attacks by who attacks.
type part struct {
	name    string
	attacks []attack
}

// parts are all attacks, in the order in which they run: what stops or floods the
// product comes last.
var parts = []part{requests, ids, tenants, backends, database, strangers, logs}

// errBroken marks an error that says how the product gave way; any other says
// that the attack could not be made.
var errBroken = errors.New("broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errBroken, fmt.Errorf(format, args...))
}

// attackTime bounds one attack.
const attackTime = 2 * time.Minute

func main() {
	binary := flag.String("binary", "bin/primecloud", "the product")
	only := flag.String("only", "", "attacks whose `part/name` matches the expression")
	write := flag.String("write", "", "the document that gets the table, between its markers")
	verbose := flag.Bool("v", false, "show what the product says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *only, *write, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, binary, only, write string, verbose bool) (err error) {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "starting the product")
	p, err := start(ctx, binary, verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	var table strings.Builder
	table.WriteString("| By | Attack | How, and what would show that it worked | |\n|---|---|---|---|\n")
	held, all := 0, 0
	for _, part := range parts {
		for _, a := range part.attacks {
			if !chosen.MatchString(part.name + "/" + a.name) {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			verdict, detail := p.try(ctx, a)
			all++
			if verdict == "held" {
				held++
			}
			fmt.Printf("%-7s %s/%s%s\n", verdict, part.name, a.name, detail)
			fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", part.name, a.name, a.how, verdict)
		}
	}
	fmt.Printf("%d of %d held\n", held, all)
	if held < all {
		return fmt.Errorf("%d of %d attacks were not held", all-held, all)
	}
	if write != "" {
		return product.WrittenBy("make attack").Replace(write, table.String())
	}
	return nil
}

// try makes one attack, and looks afterwards whether the product still serves.
func (p *site) try(ctx context.Context, a attack) (verdict, detail string) {
	ctx, cancel := context.WithTimeout(ctx, attackTime)
	defer cancel()
	err := a.run(ctx, p)
	if err == nil {
		if err = p.alive(ctx); err != nil {
			err = broken("afterwards the product does not serve: %w", err)
		}
	}
	switch {
	case err == nil:
		return "held", ""
	case errors.Is(err, errBroken):
		return "BROKEN", evidence(err)
	}
	return "not run", evidence(err)
}

// evidence is the beginning of what was found: enough to go on with.
func evidence(err error) string {
	const lines, width = 5, 300
	var b strings.Builder
	all := strings.Split(err.Error(), "\n")
	for _, line := range all[:min(lines, len(all))] {
		fmt.Fprintf(&b, "\n        %.*s", width, line)
	}
	if len(all) > lines {
		fmt.Fprintf(&b, "\n        and %d more", len(all)-lines)
	}
	return b.String()
}
