// Command primecloud is the whole product in one binary: see `primecloud help`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signalContext()
	defer stop()
	c := &cli{out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	err := c.run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "primecloud:", err)
		os.Exit(1)
	}
}

func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// cli is one run of the command. Tests make their own.
type cli struct {
	out, err io.Writer
	environ  []string
}

// getenv reads the run's environment, not the process's.
func (c *cli) getenv(name string) string {
	for i := len(c.environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(c.environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

type command struct {
	name, args, help string
	run              func(*cli, context.Context, []string) error
}

var commands []command

func init() {
	commands = []command{
		{"dev", "", "run everything on this machine: PostgreSQL, MinIO, gateway, two demo accounts", (*cli).dev},
		{"serve", "", "run the roles of this node (gateway)", (*cli).serve},
		{"migrate", "", "bring the database schema up to date", (*cli).migrate},
		{"doctor", "", "check database, keyring, backends and clock, and say what to do", (*cli).doctor},
		{"account create", "NAME", "add an account", (*cli).accountCreate},
		{"account list", "", "list accounts", (*cli).accountList},
		{"account show", "NAME", "show an account, its limits and where its budgets stand", (*cli).accountShow},
		{"account limit", "NAME", "limit rates and budgets of an account", (*cli).accountLimit},
		{"account suspend", "NAME", "refuse every request of an account", (*cli).accountSuspend},
		{"account resume", "NAME", "make an account active again", (*cli).accountResume},
		{"account close", "NAME", "close an account for good", (*cli).accountClose},
		{"key create", "ACCOUNT", "issue an access key; its secret is shown once", (*cli).keyCreate},
		{"key list", "ACCOUNT", "list an account's access keys", (*cli).keyList},
		{"key limit", "KEY_ID", "limit rates and budgets of an access key", (*cli).keyLimit},
		{"key rotate", "KEY_ID", "issue a successor and let the old key live for --overlap", (*cli).keyRotate},
		{"key revoke", "KEY_ID", "end an access key at once, everywhere", (*cli).keyRevoke},
		{"backend add", "NAME", "add an S3 server that buckets live on", (*cli).backendAdd},
		{"backend list", "", "list backends", (*cli).backendList},
		{"backend rotate", "NAME", "replace a backend's credential", (*cli).backendRotate},
		{"bucket create", "ACCOUNT NAME", "make a bucket for an account", (*cli).bucketCreate},
		{"bucket list", "ACCOUNT", "list an account's buckets", (*cli).bucketList},
		{"bucket import", "ACCOUNT BACKEND_BUCKET", "take over a bucket that exists in the backend", (*cli).bucketImport},
		{"bucket stat", "ACCOUNT NAME", "list a bucket now, and compare with its last sample", (*cli).bucketStat},
		{"bucket sync", "", "compare the buckets of the backends with their owners' records", (*cli).bucketSync},
		{"usage show", "", "show what the ledger has counted", (*cli).usageShow},
		{"usage verify", "", "check that the sealed hours are what was sealed; exit code 1 when not", (*cli).usageVerify},
		{"usage adjustments", "", "show what came after its hour was sealed", (*cli).usageAdjustments},
		{"usage sample", "", "measure what is stored, now", (*cli).usageSample},
		{"usage reconcile", "", "compare ledger, access log and backends, and say what differs", (*cli).usageReconcile},
		{"usage import-journal", "FILE", "hand in the journal of a node that never comes back", (*cli).usageImportJournal},
		{"node list", "", "list the gateway nodes whose usage is not final yet", (*cli).nodeList},
		{"node retire", "EPOCH", "give up what a lost node has not written", (*cli).nodeRetire},
		{"rates list", "", "show the rate cards that spend budgets are counted with", (*cli).ratesList},
		{"rates set", "", "add a rate card", (*cli).ratesSet},
		{"secret generate", "FILE", "make a keyring for sealing secrets", (*cli).secretGenerate},
		{"secret rotate", "FILE", "add a new key to a keyring and move every secret to it", (*cli).secretRotate},
		{"secret retire", "FILE", "drop the older keys of a keyring: what was copied before the last rotation opens no more", (*cli).secretRetire},
		{"version", "", "print the version", (*cli).version},
	}
}

func (c *cli) run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		c.help()
		if len(args) == 0 {
			return flag.ErrHelp
		}
		return nil
	}
	for _, cmd := range commands {
		words := strings.Fields(cmd.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == cmd.name {
			return cmd.run(c, ctx, args[len(words):])
		}
	}
	return fmt.Errorf("unknown command %q; `primecloud help` lists them", strings.Join(args, " "))
}

func (c *cli) help() {
	fmt.Fprintln(c.out, "PrimeCloud: a multi-tenant S3 gateway in front of MinIO.\n\nCommands (each has --help, and --json where it prints data):")
	for _, cmd := range commands {
		fmt.Fprintf(c.out, "  %-38s %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.help)
	}
}
