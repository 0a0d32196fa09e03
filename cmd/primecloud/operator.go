package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// devDir is where `primecloud dev` keeps its data; operator commands find the
// database and the keyring there when nothing else is set.
const devDir = ".primecloud"

// operator is what commands that change tenancy need: the database as its
// owner, and the keyring.
type operator struct {
	pool  *pgxpool.Pool
	store *tenancy.Store
}

func (o *operator) close() { o.pool.Close() }

func (c *cli) operator(ctx context.Context) (*operator, error) {
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return nil, err
	}
	keyring, err := c.keyring()
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &operator{pool, &tenancy.Store{Keyring: keyring}}, nil
}

func (c *cli) ownerPool(ctx context.Context) (*pgxpool.Pool, error) {
	url, err := c.ownerURL()
	if err != nil {
		return nil, err
	}
	return pg.Open(ctx, url)
}

// ownerURL is PRIMECLOUD_OWNER_DATABASE_URL (or _FILE), or the development
// database below this folder.
func (c *cli) ownerURL() (string, error) {
	if url, err := c.secretEnv("PRIMECLOUD_OWNER_DATABASE_URL"); url != "" || err != nil {
		return url, err
	}
	if b, err := os.ReadFile(filepath.Join(devDir, "dev.env")); err == nil {
		if url := dotenv(b)["DATABASE_URL"]; url != "" {
			return url, nil
		}
	}
	return "", errors.New("set PRIMECLOUD_OWNER_DATABASE_URL (the role primecloud_owner), or run `primecloud dev` in this folder")
}

func (c *cli) keyring() (*secret.Keyring, error) {
	text, err := c.secretEnv("PRIMECLOUD_KEYRING")
	if err != nil {
		return nil, err
	}
	if text == "" {
		b, err := os.ReadFile(filepath.Join(devDir, "keyring"))
		if err != nil {
			return nil, errors.New("set PRIMECLOUD_KEYRING_FILE, or run `primecloud dev` in this folder")
		}
		text = string(b)
	}
	return secret.Parse([]byte(text))
}

func (c *cli) secretEnv(name string) (string, error) {
	if file := c.getenv(name + "_FILE"); file != "" {
		b, err := os.ReadFile(file)
		return strings.TrimSpace(string(b)), err
	}
	return c.getenv(name), nil
}

// dotenv reads NAME='value' lines.
func dotenv(b []byte) map[string]string {
	m := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(name, "#") {
			m[name] = strings.Trim(value, "'")
		}
	}
	return m
}

func (c *cli) migrate(ctx context.Context, args []string) error {
	f := c.flags("migrate", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	url, err := c.ownerURL()
	if err != nil {
		return err
	}
	if err := pg.Migrate(ctx, url); err != nil {
		return err
	}
	v, err := pg.Version()
	if err != nil {
		return err
	}
	return c.print(f.json, map[string]int64{"version": v}, "VERSION", [][]string{{fmt.Sprint(v)}})
}

func (c *cli) secretGenerate(_ context.Context, args []string) error {
	f := c.flags("secret generate", "FILE")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	k, err := secret.Generate()
	if err != nil {
		return err
	}
	return writeKeyring(rest[0], k, os.O_EXCL)
}

// keyringOf reads a keyring's file.
func keyringOf(file string) (*secret.Keyring, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return secret.Parse(b)
}

// secretRotate writes the new keyring before anything is sealed for it: a
// crash in between leaves a keyring that opens everything. A value that nobody can
// open keeps none of the others from being moved.
func (c *cli) secretRotate(ctx context.Context, args []string) error {
	f := c.flags("secret rotate", "FILE")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	old, err := keyringOf(rest[0])
	if err != nil {
		return err
	}
	if !old.CanOpen() {
		return fmt.Errorf("%s has public keys only: rotate the gateways' keyring, and give the others theirs of it", rest[0])
	}
	next, err := old.Rotate()
	if err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := writeKeyring(rest[0], next, 0); err != nil {
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
		return errors.Join(fmt.Errorf("%s opens nothing in this database; is it another installation's? %w", rest[0], err), writeKeyring(rest[0], old, 0))
	}
	if err := store.RenewChannel(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	// Every row is bound now. Not before: rows of a rotation that did not come to
	// its end would open no more.
	if !next.Binding() {
		if err := writeKeyring(rest[0], next.WithBinding(), 0); err != nil {
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
	return errors.Join(c.print(f.json, row, "MOVED SKIPPED", [][]string{{fmt.Sprint(moved), fmt.Sprint(len(row.Skipped))}}), err)
}

// secretRetire ends what is sealed for older keys: copies of rows from before the
// last rotation open no more, wherever they are.
func (c *cli) secretRetire(ctx context.Context, args []string) error {
	f := c.flags("secret retire", "FILE")
	rest, err := f.parse(args, 1)
	if err != nil {
		return err
	}
	keyring, err := keyringOf(rest[0])
	if err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	// Whoever had the older keyring may have sealed for it since.
	moved, err := (&tenancy.Store{Keyring: keyring}).RewrapSecrets(ctx, pool)
	if err != nil {
		return err
	}
	if err := writeKeyring(rest[0], keyring.Retire(), 0); err != nil {
		return err
	}
	fmt.Fprintln(c.err, "Give the new keyring to every node and restart them. Backups of the database from before the last rotation need the old one: keep it with them, apart.")
	return c.print(f.json, map[string]int{"moved": moved}, "MOVED", [][]string{{fmt.Sprint(moved)}})
}

// writeKeyring writes atomically, readable by its owner only.
func writeKeyring(file string, k *secret.Keyring, excl int) error {
	text, err := k.Marshal()
	if err != nil {
		return err
	}
	if excl != 0 {
		out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|excl, 0o600)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return errors.Join(err, out.Close())
	}
	return writeFile(file, text)
}

func writeFile(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Chmod(0o600), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// versionText is set by the build.
var versionText = "development"

func (c *cli) version(_ context.Context, args []string) error {
	f := c.flags("version", "")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	return c.print(f.json, map[string]string{"version": versionText}, "VERSION", [][]string{{versionText}})
}
