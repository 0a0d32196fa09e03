// Package keyring is the life of an installation's keyring: whose it is, which process
// has which keys, how a new key comes and an old one goes while everything serves.
//
// The database has the keyring's fingerprint, and the id of the key that seals. A
// process reports which keys it has. A key is added to the file, where it waits;
// processes take it up; when all that live have it, it seals, and every secret is moved
// to it; when nothing needs the others, they go (docs/decisions/0033).
package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// ErrWrong means that a keyring may not be used here: it is another installation's, or
// from before a rotation.
var ErrWrong = errors.New("keyring: it may not be used here")

// wrongError says why in a sentence of its own.
type wrongError struct{ text string }

func (e *wrongError) Error() string        { return e.text }
func (e *wrongError) Is(target error) bool { return target == ErrWrong }

func wrong(format string, args ...any) error { return &wrongError{fmt.Sprintf(format, args...)} }

// state is what the database says of the keyring; the zero one: nothing yet.
type state struct {
	fingerprint, seals string
	since              time.Time
}

func (s *state) scan(row pgx.Row) error {
	err := row.Scan(&s.fingerprint, &s.seals, &s.since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

func read(ctx context.Context, q pg.Querier, lock string) (s state, err error) {
	return s, s.scan(q.QueryRow(ctx, `SELECT fingerprint, seals, since FROM keyring `+lock))
}

// check refuses a keyring that is another installation's, or lacks the key that seals;
// has says whether it has it.
func (s *state) check(k *secret.Keyring, has func(id string) bool) error {
	switch {
	case s.fingerprint == "":
		return wrong("keyring: the database does not know which keyring is its own; run `primecloud migrate` once with PRIMECLOUD_KEYRING_FILE set to it")
	case k.Fingerprint() != s.fingerprint:
		return wrong("keyring: its fingerprint is %s, and that of this installation's keyring is %s; set PRIMECLOUD_KEYRING_FILE to the keyring that belongs to this database", k.Fingerprint(), s.fingerprint)
	case !has(s.seals):
		return wrong("keyring: it is from before a rotation and lacks the key %s, which seals since %s; set PRIMECLOUD_KEYRING_FILE to the present keyring", s.seals, s.since.UTC().Format(time.RFC3339))
	}
	return nil
}

// Check refuses a keyring with which a command may not work: one that is not this
// installation's, or would seal with a key that not everybody has. An installation that
// knows no keyring takes this one, when it opens every secret that there is. It needs
// the owner's role.
func Check(ctx context.Context, db pg.Querier, k *secret.Keyring) error {
	s, err := read(ctx, db, "")
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if s.fingerprint == "" {
		_, err := Adopt(ctx, db, k, false)
		return err
	}
	if err := s.check(k, k.Has); err != nil {
		return err
	}
	k.SealWith(s.seals) // if it waits: everybody has it
	if k.Seals() != s.seals {
		return wrong("keyring: it seals with the key %s, and the database says that %s seals; run `primecloud secret rotate FILE` with it, which goes on where a rotation was cut off", k.Seals(), s.seals)
	}
	return nil
}

// Adopt makes a keyring that of an installation which knows none. When it opens some
// secrets and not others it is refused, unless anyway: then those it does not open are
// returned by name, with a *tenancy.SkippedError. One that opens none of several is never taken.
func Adopt(ctx context.Context, db pg.Querier, k *secret.Keyring, anyway bool) (bad []string, err error) {
	s, err := read(ctx, db, "")
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if s.fingerprint != "" {
		return nil, s.check(k, k.Has)
	}
	good, bad, err := (&tenancy.Store{Keyring: k}).TrySecrets(ctx, db)
	switch {
	case err != nil:
		return nil, err
	case len(bad) > 0 && good == 0:
		return nil, wrong("keyring: it opens none of the %d secrets of this database; set PRIMECLOUD_KEYRING_FILE to the keyring that they were made with", len(bad))
	case len(bad) > 0 && !anyway:
		return nil, wrong("keyring: it opens %d secrets of this database and does not open those of %s; use the keyring that opens all, or, if this one is right, run `primecloud secret adopt FILE`", good, finding.Some(bad, mostNames))
	}
	if _, err := db.Exec(ctx, `INSERT INTO keyring (fingerprint, seals) VALUES ($1, $2) ON CONFLICT DO NOTHING`, k.Fingerprint(), k.Seals()); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if s, err = read(ctx, db, ""); err != nil { // another may have come first
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if err := s.check(k, k.Has); err != nil || len(bad) == 0 {
		return nil, err
	}
	return bad, &tenancy.SkippedError{Rows: bad}
}

// mostNames is how many names a sentence has.
const mostNames = 10
