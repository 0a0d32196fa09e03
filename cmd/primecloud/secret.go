package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

type secretCommands struct {
	Generate secretGenerate `cmd:"" help:"Make a keyring for sealing secrets."`
	Rotate   secretRotate   `cmd:"" help:"Add a new key to a keyring and move every secret to it."`
	Retire   secretRetire   `cmd:"" help:"Drop the older keys of a keyring: what was copied before the last rotation opens no more."`
}

// keyringArg is the file of the keyring that a command is about.
type keyringArg struct {
	File string `arg:"" help:"The keyring's file."`
}

func (a *keyringArg) write(k *secret.Keyring) error { return writeKeyring(a.File, k, disk.WriteFile) }

// writeKeyring writes a keyring with one of disk's functions.
func writeKeyring(file string, k *secret.Keyring, write func(string, []byte) error) error {
	text, err := k.Marshal()
	if err != nil {
		return err
	}
	return write(file, text)
}

type secretGenerate struct{ keyringArg }

func (s *secretGenerate) Run() error {
	k, err := secret.Generate()
	if err != nil {
		return err
	}
	return writeKeyring(s.File, k, disk.CreateFile)
}

type secretRotate struct{ keyringArg }

func (s *secretRotate) Run(ctx context.Context, c *cli) error {
	old, err := secret.ReadFile(s.File)
	if err != nil {
		return err
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		moved, err := tenancy.RotateKeyring(ctx, pool, old, s.write)
		row := struct {
			Moved   int      `json:"moved"`
			Skipped []string `json:"skipped,omitempty"`
		}{Moved: moved}
		var skipped *tenancy.SkippedError
		switch {
		case errors.As(err, &skipped):
			row.Skipped = skipped.Rows
		case err != nil:
			return fmt.Errorf("%s: %w", s.File, err)
		}
		fmt.Fprintln(c.err, "Give the new keyring to every node and restart them; nodes with the old one cannot open what was moved.")
		return errors.Join(c.print(row, "MOVED SKIPPED", [][]string{{fmt.Sprint(moved), fmt.Sprint(len(row.Skipped))}}), err)
	})
}

type secretRetire struct{ keyringArg }

func (s *secretRetire) Run(ctx context.Context, c *cli) error {
	keyring, err := secret.ReadFile(s.File)
	if err != nil {
		return err
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		moved, err := tenancy.RetireKeys(ctx, pool, keyring, s.write)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.err, "Give the new keyring to every node and restart them. Backups of the database from before the last rotation need the old one: keep it with them, apart.")
		return c.print(map[string]int{"moved": moved}, "MOVED", [][]string{{fmt.Sprint(moved)}})
	})
}
