package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// RotateKeyring adds a key to a keyring, moves every sealed value to it and
// returns how many it moved. write keeps a keyring where old came from. It is
// called before anything is sealed with the new key: after a crash in between,
// the keyring opens everything.
//
// When some rows cannot be opened, or were changed, the others are moved and the
// error is a *SkippedError; the rotation is done. When no row at all can be moved
// the keyring is another installation's: the error is another one, and old is
// written back. It needs the owner's role and old's private keys.
func RotateKeyring(ctx context.Context, db pg.Beginner, old *secret.Keyring, write func(*secret.Keyring) error) (moved int, err error) {
	if !old.CanOpen() {
		return 0, errors.New("the keyring has public keys only: rotate the gateways' keyring, and give the others theirs of it")
	}
	next, err := old.Rotate()
	if err != nil {
		return 0, err
	}
	if err := write(next); err != nil {
		return 0, err
	}
	var skipped *SkippedError
	if err := pg.InTx(ctx, db, func(tx pgx.Tx) error {
		moved, err = (&Store{Keyring: next}).RewrapSecrets(ctx, tx)
		switch {
		case err != nil && !errors.As(err, &skipped):
			return err
		case err != nil && moved == 0: // one that cannot be opened is bad luck, all are another keyring
			return errors.Join(fmt.Errorf("the keyring opens nothing in this database; is it another installation's? %s", skipped.Error()), write(old))
		}
		return RenewChannel(ctx, tx)
	}); err != nil {
		return 0, err
	}
	// Every row is bound now. Not before: rows of a rotation that did not come to
	// its end would open no more.
	if !next.Binding() {
		if err := write(next.WithBinding()); err != nil {
			return moved, err
		}
	}
	if skipped != nil {
		return moved, skipped
	}
	return moved, nil
}

// RetireKeys drops all keys of a keyring but the newest, and returns how many
// values it moved to that one first: whoever had the older keyring may have
// sealed with it since. Copies of rows from before the last rotation cannot be
// opened afterwards. write keeps the keyring; with an error nothing is dropped.
func RetireKeys(ctx context.Context, db pg.Querier, keyring *secret.Keyring, write func(*secret.Keyring) error) (moved int, err error) {
	if moved, err = (&Store{Keyring: keyring}).RewrapSecrets(ctx, db); err != nil {
		return moved, err
	}
	return moved, write(keyring.Retire())
}
