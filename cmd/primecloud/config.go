package main

import (
	"cmp"
	"context"

	"github.com/alecthomas/kong"

	"github.com/primecloudpro/primecloud/internal/node"
	"github.com/primecloudpro/primecloud/internal/settings"
)

// otherVariables have the prefix of settings and are none: of this command, and of tests.
var otherVariables = []string{settings.Prefix + "CONFIG", settings.Prefix + "TOOLS", settings.Prefix + "TEST_STRICT"}

type serveCommand struct {
	node.Config `embed:""`

	source *settings.Source
}

// BeforeResolve reads the file and the environment, which flags win over.
func (s *serveCommand) BeforeResolve(parsed *kong.Context, c *cli) error {
	for _, f := range parsed.Model.Flags {
		if f.Name == "config" {
			c.configFile, _ = parsed.FlagValue(f).(string)
		}
	}
	source, err := settings.Read(&node.Config{}, c.file(), c.environ, otherVariables...)
	if err != nil {
		return err
	}
	parsed.AddResolver(source)
	s.source = source
	return nil
}

// AfterApply refuses secrets on the command line.
func (s *serveCommand) AfterApply(parsed *kong.Context) error {
	return s.source.CheckCommandLine(parsed)
}

func (s *serveCommand) Run(ctx context.Context, c *cli) error {
	s.Output = c.err
	s.Reread = func() (next node.Config, err error) {
		err = settings.Load(&next, c.file(), c.environ, otherVariables...)
		return next, err
	}
	return node.Run(ctx, s.Config)
}

// file is that of the settings; "": none.
func (c *cli) file() string { return cmp.Or(c.configFile, c.getenv(settings.Prefix+"CONFIG")) }

// settings are those that the operator's commands need too. They are read once.
func (c *cli) settings() (*node.Config, error) {
	if c.loaded == nil {
		var cfg node.Config
		if err := settings.Load(&cfg, c.file(), c.environ, otherVariables...); err != nil {
			return nil, err
		}
		c.loaded = &cfg
	}
	return c.loaded, nil
}

// Help implements kong.HelpProvider.
func (*serveCommand) Help() string {
	return "Each flag --a-b is also the variable PRIMECLOUD_A_B, and a key in the file of --config; docs/CONFIGURATION.md lists them, with those that are secrets and have no flag."
}
