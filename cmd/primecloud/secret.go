package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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

func (a *keyringArg) read() (*secret.Keyring, error) {
	b, err := os.ReadFile(a.File)
	if err != nil {
		return nil, err
	}
	return secret.Parse(b)
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

// Run writes the new keyring before anything is sealed for it: a
// crash in between leaves a keyring that opens everything. A value that nobody can
// open keeps none of the others from being moved.
func (s *secretRotate) Run(ctx context.Context, c *cli) error {
	old, err := s.read()
	if err != nil {
		return err
	}
	if !old.CanOpen() {
		return fmt.Errorf("%s has public keys only: rotate the gateways' keyring, and give the others theirs of it", s.File)
	}
	next, err := old.Rotate()
	if err != nil {
		return err
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		if err := s.write(next); err != nil {
			return err
		}
		tx, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		store := &tenancy.Store{Keyring: next}
		moved, err := store.RewrapSecrets(ctx, tx)
		var skipped *tenancy.SkippedError
		switch {
		case err != nil && !errors.As(err, &skipped):
			return err
		case err != nil && moved == 0: // one that cannot be opened is bad luck, all are another keyring
			return errors.Join(fmt.Errorf("%s opens nothing in this database; is it another installation's? %w", s.File, err), s.write(old))
		}
		if err := tenancy.RenewChannel(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil {
			return err
		}
		// Every row is bound now. Not before: rows of a rotation that did not come to
		// its end would open no more.
		if !next.Binding() {
			if err := s.write(next.WithBinding()); err != nil {
				return err
			}
		}
		fmt.Fprintln(c.err, "Give the new keyring to every node and restart them; nodes with the old one cannot open what was moved.")
		row := struct {
			Moved   int      `json:"moved"`
			Skipped []string `json:"skipped,omitempty"`
		}{Moved: moved}
		if skipped != nil {
			row.Skipped = skipped.Rows
		}
		return errors.Join(c.print(row, "MOVED SKIPPED", [][]string{{fmt.Sprint(moved), fmt.Sprint(len(row.Skipped))}}), err)
	})
}

type secretRetire struct{ keyringArg }

// Run ends what is sealed for older keys: copies of rows from before the
// last rotation open no more, wherever they are.
func (s *secretRetire) Run(ctx context.Context, c *cli) error {
	keyring, err := s.read()
	if err != nil {
		return err
	}
	return c.withPool(ctx, func(pool *pgxpool.Pool) error {
		// Whoever had the older keyring may have sealed for it since.
		moved, err := (&tenancy.Store{Keyring: keyring}).RewrapSecrets(ctx, pool)
		if err != nil {
			return err
		}
		if err := s.write(keyring.Retire()); err != nil {
			return err
		}
		fmt.Fprintln(c.err, "Give the new keyring to every node and restart them. Backups of the database from before the last rotation need the old one: keep it with them, apart.")
		return c.print(map[string]int{"moved": moved}, "MOVED", [][]string{{fmt.Sprint(moved)}})
	})
}
