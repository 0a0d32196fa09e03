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
	file := c.getenv(settings.Prefix + "CONFIG")
	for _, f := range parsed.Model.Flags {
		if f.Name == "config" {
			given, _ := parsed.FlagValue(f).(string)
			file = cmp.Or(given, file)
		}
	}
	source, err := settings.Read(&node.Config{}, file, c.environ, otherVariables...)
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
	return node.Run(ctx, s.Config)
}

// settings are those that the operator's commands need too.
func (c *cli) settings() (node.Config, error) {
	var cfg node.Config
	return cfg, settings.Load(&cfg, cmp.Or(c.configFile, c.getenv(settings.Prefix+"CONFIG")), c.environ, otherVariables...)
}

// Help implements kong.HelpProvider.
func (*serveCommand) Help() string {
	return "Each flag --a-b is also the variable PRIMECLOUD_A_B, and a key in the file of --config; docs/CONFIGURATION.md lists them, with those that are secrets and have no flag."
}
