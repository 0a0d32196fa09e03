// Command primecloud is the whole product in one binary: see `primecloud help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/settings"
)

// Exit codes.
const (
	exitFailed = 1 // the command failed, or found something wrong
	exitUsage  = 2 // the command line or the settings cannot be used
)

func main() {
	ctx, stop := node.SignalContext()
	defer stop()
	c := &cli{out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	err := c.run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "primecloud:", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var usage *kong.ParseError
	var invalid *settings.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage), errors.As(err, &invalid), errors.Is(err, errNoCommand):
		return exitUsage
	}
	return exitFailed
}

// cli is one run of the command. Tests make their own.
type cli struct {
	out, err io.Writer
	environ  []string

	json       bool
	configFile string
	loaded     *node.Config // settings
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

// commandLine is what `primecloud` understands. A command is a field with a Run method,
// in the file of its noun.
type commandLine struct {
	JSON   bool   `name:"json" help:"Print data as JSON."`
	Config string `placeholder:"FILE" help:"Settings in TOML (PRIMECLOUD_CONFIG); docs/CONFIGURATION.md lists them."`

	Dev     devCommand     `cmd:"" group:"Running" help:"Run everything on this machine: PostgreSQL, MinIO, gateway, two demo accounts."`
	Serve   serveCommand   `cmd:"" group:"Running" help:"Run the roles of this node."`
	Migrate migrateCommand `cmd:"" group:"Running" help:"Bring the database schema up to date."`
	Doctor  doctorCommand  `cmd:"" group:"Running" help:"Check database, keyring, backends and clock, and say what to do."`
	Version versionCommand `cmd:"" group:"Running" help:"Print the version."`

	Completion kongcompletion.Completion `cmd:"" group:"Running" help:"Say how to turn on tab completion in bash, zsh or fish."`

	Account accountCommands `cmd:"" group:"Customers" help:"Accounts: create, list, show, limit, suspend, resume, close."`
	Key     keyCommands     `cmd:"" group:"Customers" help:"Access keys: create, list, limit, rotate, revoke, delete."`
	Bucket  bucketCommands  `cmd:"" group:"Customers" help:"Buckets: create, list, import, stat, sync."`
	Domain  domainCommands  `cmd:"" group:"Customers" help:"Customers' own domains: add, list, show, verify, remove."`

	Usage usageCommands `cmd:"" group:"Figures" help:"What was counted and stored: show, verify, adjustments, sample, reconcile, import-journal."`
	Rates ratesCommands `cmd:"" group:"Figures" help:"Rate cards that spend budgets are counted with: list, set."`

	Backend backendCommands `cmd:"" group:"Servers" help:"S3 servers that buckets live on: add, list, rotate, remove."`
	Node    nodeCommands    `cmd:"" group:"Servers" help:"Gateway nodes: list, retire."`
	Secret  secretCommands  `cmd:"" group:"Servers" help:"Keyrings: generate, add, status, rotate, retire, adopt."`
}

// errNoCommand is a call without arguments: help was printed.
var errNoCommand = errors.New("which command? see above")

// helpPrinted ends a parse that has printed help.
type helpPrinted struct{}

func (c *cli) run(ctx context.Context, args []string) (err error) {
	noCommand := len(args) == 0
	switch {
	case noCommand:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(args[1:len(args):len(args)], "--help")
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(helpPrinted); !ok {
				panic(r)
			}
			if noCommand {
				err = errNoCommand
			}
		}
		err = told(err)
	}()
	var line commandLine
	parser, err := kong.New(&line, kong.Name("primecloud"), kong.Description("PrimeCloud: a multi-tenant S3 gateway in front of MinIO."),
		kong.Writers(c.out, c.err), kong.Exit(func(int) { panic(helpPrinted{}) }), kong.Bind(c), kong.BindTo(ctx, (*context.Context)(nil)), settings.Values(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}))
	if err != nil {
		return err
	}
	// It prints and ends the run when a shell asks for completions.
	kongcompletion.Register(parser, kongcompletion.WithExitFunc(func(int) {
		noCommand = false
		panic(helpPrinted{})
	}))
	parsed, err := parser.Parse(args)
	if err != nil {
		return err
	}
	c.json, c.configFile = line.JSON, line.Config
	return parsed.Run()
}
