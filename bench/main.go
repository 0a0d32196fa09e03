// Command bench measures PrimeCloud side by side with its peers, on this
// machine, in one run: see bench/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/primecloudpro/primecloud/bench/nullbackend"
	"github.com/primecloudpro/primecloud/bench/peer"
)

// commands by name, with the longest that each may take.
var commands = map[string]struct {
	run   func(context.Context, *settings) error
	bound time.Duration
}{
	"quick":   {quick, 8 * time.Minute},
	"full":    {full, 60 * time.Minute},
	"growth":  {growth, 30 * time.Minute},
	"guard":   {guard, 5 * time.Minute},
	"profile": {profile, 5 * time.Minute},
	"compare": {compareBuilds, 30 * time.Minute},
}

// settings are the harness's own flags.
type settings struct {
	command string
	binary  string         // of PrimeCloud
	results string         // folder
	only    *regexp.Regexp // loads by their heading in the results; nil: all
	update  bool           // guard: write the baseline
	builds  []string       // compare: programs

	baselineFile, capacityFile string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == peer.NullCommand {
		s, err := nullbackend.Listen(os.Args[2], runtime.GOMAXPROCS(0))
		if err != nil {
			return err
		}
		return s.Serve()
	}
	var s settings
	flag.StringVar(&s.binary, "primecloud", "bin/primecloud", "what is measured")
	flag.StringVar(&s.results, "results", "bench/results", "where figures are written")
	flag.Func("only", "only loads whose heading in the results matches this `expression`; nothing is written", func(text string) (err error) {
		s.only, err = regexp.Compile(text)
		return err
	})
	flag.BoolVar(&s.update, "update", false, "guard: take what is measured as the baseline")
	flag.StringVar(&s.baselineFile, "baseline", "bench/baseline/guard.json", "guard: the ratios that are compared with")
	flag.StringVar(&s.capacityFile, "capacity", "docs/CAPACITY.md", "full and growth: the page on capacity")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] quick|full|growth|guard|profile|compare BUILD...")
		flag.PrintDefaults()
	}
	flag.Parse()
	c, ok := commands[flag.Arg(0)]
	if !ok || (flag.NArg() > 1) != (flag.Arg(0) == "compare") {
		flag.Usage()
		return flag.ErrHelp
	}
	s.command, s.builds = flag.Arg(0), flag.Args()[1:]
	if err := s.absolute(); err != nil {
		return err
	}
	moreFiles()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, c.bound, errors.New("it took longer than it may"))
	defer cancel()
	return c.run(ctx, &s)
}

// moreFiles lets the harness and its children have ten thousand connections,
// each with two ends; where that is not allowed, what needs it will say so.
func moreFiles() {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return
	}
	const enough = 65536
	r.Cur, r.Max = max(r.Max, enough), max(r.Max, enough)
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
		r.Cur = r.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
	}
}
