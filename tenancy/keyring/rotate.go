package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
	"github.com/primecloudpro/primecloud/tenancy"
)

// Moved is what a rotation did.
type Moved struct {
	Key     string   `json:"key"`   // that seals now
	Moved   int      `json:"moved"` // secrets
	Skipped []string `json:"skipped,omitempty"`
	Silent  []string `json:"silent,omitempty"` // processes that do not have the key, and are not live
}

// Notes say what the operator does next.
func (m *Moved) Notes(f File) (list []string) {
	for _, one := range m.Silent {
		list = append(list, one+" does not have the new key: give it the keyring before it comes back.")
	}
	return append(list, fmt.Sprintf("Nodes seal with the new key by themselves; when no copy of a secret from before shall open any more, run `primecloud secret retire %s`.", f))
}

// ErrNothing means that there is nothing to rotate to, and nothing to move.
var ErrNothing = errors.New("keyring: no key waits and every secret is sealed with the newest one; make a new key with `primecloud secret add FILE`, and give the file to every node")

// open reads a keyring with private keys and what the database says of it.
func open(ctx context.Context, q pg.Querier, f File, lock string) (*secret.Keyring, state, error) {
	k, err := f.Read()
	if err != nil {
		return nil, state{}, err
	}
	if !k.CanOpen() {
		return nil, state{}, fmt.Errorf("%s: the keyring has public keys only; use the gateways' keyring", f)
	}
	s, err := read(ctx, q, lock)
	if err != nil {
		return nil, s, fmt.Errorf("keyring: %w", err)
	}
	if s.fingerprint == "" {
		if _, err = Adopt(ctx, q, k, false); err == nil {
			s, err = read(ctx, q, lock)
		}
	}
	if err == nil {
		err = s.check(k, k.Has)
	}
	if err != nil {
		return nil, s, fmt.Errorf("%s: %w", f, err)
	}
	return k, s, nil
}

// Add puts a new key into a keyring's file, where it waits, and returns its id. When one
// waits already it is that one: nothing else is made before it seals.
func Add(ctx context.Context, db pg.Querier, f File) (id string, err error) {
	k, s, err := open(ctx, db, f, "")
	if err != nil {
		return "", err
	}
	if k.Seals() != s.seals { // a rotation was cut off
		return "", errors.New("keyring: its last rotation has not come to its end; run `primecloud secret rotate FILE` first")
	}
	if w := k.Waiting(); w != nil {
		return w[0], nil
	}
	next, err := k.Add()
	if err != nil {
		return "", err
	}
	return next.Waiting()[0], f.write(next)
}

// Rotate makes the key that waits in a keyring's file the one that seals, once every
// live process has it, and moves every secret to it. What was cut off goes on when it is
// called again. progress, unless nil, hears how far it is. Secrets that cannot be
// opened are left, and named.
//
// The database comes first, then the file, then the secrets: whoever starts in between
// has the key, and learns that it seals.
func Rotate(ctx context.Context, db pg.Querier, f File, progress func(looked, all int)) (*Moved, error) {
	k, silent, began, err := promote(ctx, db, f)
	if err != nil {
		return nil, err
	}
	all, err := tenancy.CountSecrets(ctx, db)
	if err != nil {
		return nil, err
	}
	done := &Moved{Key: k.Seals(), Silent: silent}
	var skipped *tenancy.SkippedError
	done.Moved, err = (&tenancy.Store{Keyring: k}).RewrapSecrets(ctx, db, func(looked int) {
		if progress != nil {
			progress(looked, max(all, looked))
		}
	})
	switch {
	case errors.As(err, &skipped):
		done.Skipped = skipped.Rows
	case err != nil:
		return nil, err
	case !began && done.Moved == 0 && k.Binding():
		return nil, ErrNothing
	}
	if err := tenancy.RenewChannel(ctx, db); err != nil {
		return nil, err
	}
	// Every row is bound now. Not before: rows of a rotation that did not come to
	// its end would open no more.
	if !k.Binding() {
		if err := f.write(k.WithBinding()); err != nil {
			return nil, err
		}
	}
	if skipped != nil {
		return done, skipped
	}
	return done, nil
}

// promote makes the waiting key seal; began says that there was one.
func promote(ctx context.Context, db pg.Querier, f File) (k *secret.Keyring, silent []string, began bool, err error) {
	if err := pg.InTx(ctx, db, func(tx pgx.Tx) error {
		var s state
		if k, s, err = open(ctx, tx, f, "FOR UPDATE"); err != nil {
			return err
		}
		wanted := k.Waiting()
		began = wanted != nil || k.Seals() != s.seals
		switch {
		case wanted != nil && wanted[0] == s.seals: // cut off before the file was written
			return nil
		case wanted == nil && k.Seals() == s.seals: // cut off later, or there is nothing to do
			return nil
		case wanted == nil: // the database is from before
			wanted = []string{k.Seals()}
		}
		all, err := Holders(ctx, tx)
		if err != nil {
			return err
		}
		var late []string
		if late, silent = without(all, func(h *Holder) bool { return h.has(wanted) }); len(late) > 0 {
			return fmt.Errorf("keyring: the key %s cannot seal yet, since %s would open nothing that is sealed with it; give the keyring to each, wait until `primecloud secret status` shows the key there, or stop it", wanted[0], finding.Some(late, mostNames))
		}
		_, err = tx.Exec(ctx, `UPDATE keyring SET seals = $1, since = now()`, wanted[0])
		return err
	}); err != nil {
		return nil, nil, false, err
	}
	if k.Waiting() == nil {
		return k, silent, began, nil
	}
	k = k.Promote()
	return k, silent, began, f.write(k)
}

// Retire drops all keys of a keyring's file but the one that seals, and returns how many
// secrets it moved to that one first: some may have been sealed with another since. It
// refuses while a secret needs another key, or a live process would seal with one.
// Copies of rows from before the last rotation cannot be opened afterwards.
func Retire(ctx context.Context, db pg.Querier, f File) (moved int, err error) {
	k, s, err := open(ctx, db, f, "")
	switch {
	case err != nil:
		return 0, err
	case k.Waiting() != nil || k.Seals() != s.seals:
		return 0, errors.New("keyring: a new key waits in it, or its rotation has not come to its end; run `primecloud secret rotate FILE` first")
	}
	all, err := Holders(ctx, db)
	if err != nil {
		return 0, err
	}
	if late, _ := without(all, func(h *Holder) bool { return h.Seals == k.Seals() }); len(late) > 0 {
		return 0, fmt.Errorf("keyring: %s would seal with a key that is to go; give the keyring to each, or stop it", finding.Some(late, mostNames))
	}
	var skipped *tenancy.SkippedError
	if moved, err = (&tenancy.Store{Keyring: k}).RewrapSecrets(ctx, db, nil); errors.As(err, &skipped) {
		if len(skipped.Needed) > 0 {
			return moved, fmt.Errorf("keyring: the older keys cannot go, since the secrets of %s are sealed with them and were not moved: the rows were changed by somebody without the keyring; "+
				"put them back as they were, or end them with `primecloud key revoke` or `primecloud backend remove`", finding.Some(skipped.Needed, mostNames))
		}
	} else if err != nil {
		return moved, err
	}
	return moved, f.write(k.Retire())
}
