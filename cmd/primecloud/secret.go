package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy/keyring"
)

type secretCommands struct {
	Generate secretGenerate `cmd:"" help:"Make a keyring for sealing secrets."`
	Add      secretAdd      `cmd:"" help:"Put a new key into a keyring, which seals nothing yet: give the file to every node."`
	Status   secretStatus   `cmd:"" help:"Show which keys each node has."`
	Rotate   secretRotate   `cmd:"" help:"Make the new key seal, once every node has it, and move every secret to it."`
	Retire   secretRetire   `cmd:"" help:"Drop the older keys of a keyring: what was copied before the last rotation opens no more."`
	Adopt    secretAdopt    `cmd:"" help:"Make a keyring the database's own although it does not open every secret."`
}

// keyringArg is the file of the keyring that a command is about.
type keyringArg struct {
	File keyring.File `arg:"" help:"The keyring's file."`
}

type secretGenerate struct{ keyringArg }

func (s *secretGenerate) Run() error {
	k, err := secret.Generate()
	if err != nil {
		return err
	}
	return s.File.Create(k)
}

type secretAdd struct{ keyringArg }

func (s *secretAdd) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		id, err := keyring.Add(ctx, pool, s.File)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.err, "The key waits, and seals nothing yet: give %[1]s to every node, look with `primecloud secret status` where the key is, and run `primecloud secret rotate %[1]s`.\n", s.File)
		return c.print(map[string]string{"waiting": id}, "WAITING", [][]string{{id}})
	})
}

type secretStatus struct{}

func (*secretStatus) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		list, err := keyring.Holders(ctx, pool)
		if err != nil {
			return err
		}
		rows := make([][]string, 0, len(list))
		for _, h := range list {
			rows = append(rows, h.Cells(stamp))
		}
		return c.print(list, "ROLE NODE LIVE SEALS KEYS REPORTED_AT", rows)
	})
}

type secretRotate struct{ keyringArg }

func (s *secretRotate) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		done, err := keyring.Rotate(ctx, pool, s.File, func(looked, all int) {
			fmt.Fprintf(c.err, "%d of %d secrets are sealed with the new key\n", looked, all)
		})
		if done == nil {
			return err
		}
		fmt.Fprintln(c.err, strings.Join(done.Notes(s.File), "\n"))
		return errors.Join(c.print(done, "KEY MOVED SKIPPED SILENT", [][]string{{done.Key, fmt.Sprint(done.Moved), fmt.Sprint(len(done.Skipped)), fmt.Sprint(len(done.Silent))}}), err)
	})
}

type secretRetire struct{ keyringArg }

func (s *secretRetire) Run(ctx context.Context, c *cli) error {
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		moved, err := keyring.Retire(ctx, pool, s.File)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.err, "Give %s to every node. Backups of the database from before the last rotation need the keyring of before: keep it with them, apart.\n", s.File)
		return c.print(map[string]int{"moved": moved}, "MOVED", [][]string{{fmt.Sprint(moved)}})
	})
}

type secretAdopt struct{ keyringArg }

func (s *secretAdopt) Run(ctx context.Context, c *cli) error {
	k, err := s.File.Read()
	if err != nil {
		return err
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		bad, err := keyring.Adopt(ctx, pool, k, true)
		if err != nil && len(bad) == 0 {
			return err
		}
		return errors.Join(c.print(map[string]any{"fingerprint": k.Fingerprint(), "not_opened": bad}, "FINGERPRINT NOT_OPENED", [][]string{{k.Fingerprint(), fmt.Sprint(len(bad))}}), err)
	})
}
