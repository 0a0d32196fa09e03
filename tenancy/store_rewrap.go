package tenancy

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// sealedColumns are the columns that hold sealed values.
var sealedColumns = [...]struct{ table, column string }{
	{"access_keys", "sealed_secret"},
	{"backends", "sealed_credential"},
}

// rewrapBatch is how many rows one transaction locks.
const rewrapBatch = 500

// RewrapSecrets moves every sealed value to the keyring's newest key, in batches, and
// returns how many it moved. Once it returns no error, nothing needs the older
// keys. It needs the private keyring and the owner's role.
func (s *Store) RewrapSecrets(ctx context.Context, q pg.Querier) (moved int, err error) {
	for _, c := range sealedColumns {
		for after, more := (ID{}), true; more; {
			err := pg.InTx(ctx, q, func(tx pgx.Tx) error {
				var n int
				n, after, more, err = s.rewrapBatch(ctx, tx, c.table, c.column, after)
				moved += n
				return err
			})
			if err != nil {
				return moved, fmt.Errorf("rewrap %s: %w", c.table, err)
			}
		}
	}
	return moved, nil
}

func (s *Store) rewrapBatch(ctx context.Context, tx pgx.Tx, table, column string, after ID) (moved int, last ID, more bool, err error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT id, %s FROM %s WHERE id > $1 ORDER BY id LIMIT %d FOR UPDATE`, column, table, rewrapBatch), after)
	if err != nil {
		return 0, ID{}, false, err
	}
	type row struct {
		ID     ID
		Sealed []byte
	}
	batch, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, ID{}, false, err
	}
	for _, r := range batch {
		sealed, changed, err := s.Keyring.Rewrap(place(table, column, r.ID), r.Sealed)
		if err != nil {
			return 0, ID{}, false, fmt.Errorf("row %s: %w", r.ID, err)
		}
		if !changed {
			continue
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE %s SET %s = $2 WHERE id = $1`, table, column), r.ID, sealed); err != nil {
			return 0, ID{}, false, err
		}
		moved++
	}
	if len(batch) == 0 {
		return 0, ID{}, false, nil
	}
	return moved, batch[len(batch)-1].ID, len(batch) == rewrapBatch, nil
}

// RenewChannel makes a new secret name for the channel on which changes are told,
// and every directory listen to it. It needs the owner's role.
func (s *Store) RenewChannel(ctx context.Context, q pg.Querier) error {
	_, err := q.Exec(ctx, `SELECT renew_change_channel()`)
	return wrapf(err, "renew the channel of changes")
}
