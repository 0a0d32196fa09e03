package tenancy

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// sealedColumns are the columns that hold sealed values, and what people call
// their rows.
var sealedColumns = [...]struct{ table, column, kind, name string }{
	{"access_keys", "sealed_secret", "key", "key_id"},
	{"backends", "sealed_credential", "backend", "name"},
}

// SkippedError names rows whose sealed value cannot be opened. All others were
// moved.
type SkippedError struct{ Rows []string }

func (e *SkippedError) Error() string {
	return fmt.Sprintf("tenancy: %d sealed values cannot be opened and were left as they are: %s", len(e.Rows), strings.Join(e.Rows, ", "))
}

// RewrapSecrets moves every sealed value to the keyring's newest key, in batches, and
// returns how many it moved. Once it returns no error, nothing needs the older
// keys; with a *SkippedError, nothing but what nobody can open. It needs the
// private keyring and the owner's role.
func (s *Store) RewrapSecrets(ctx context.Context, q pg.Querier) (moved int, err error) {
	var skipped []string
	for _, c := range sealedColumns {
		read := fmt.Sprintf(`SELECT id, %s, %s FROM %s WHERE id > $1 ORDER BY id LIMIT %d FOR UPDATE`, c.name, c.column, c.table, rewrapBatch)
		write := fmt.Sprintf(`UPDATE %s SET %s = $2 WHERE id = $1`, c.table, c.column)
		for after, more := (ID{}), true; more; {
			err := pg.InTx(ctx, q, func(tx pgx.Tx) error {
				batch, err := sealedRows(ctx, tx, read, after)
				if err != nil {
					return err
				}
				for _, r := range batch {
					after = r.ID
					sealed, changed, err := s.Keyring.Rewrap(place(c.table, c.column, r.ID), r.Sealed)
					switch {
					case err != nil:
						skipped = append(skipped, c.kind+" "+r.Name)
						continue
					case !changed:
						continue
					}
					if _, err := tx.Exec(ctx, write, r.ID, sealed); err != nil {
						return err
					}
					moved++
				}
				more = len(batch) == rewrapBatch
				return nil
			})
			if err != nil {
				return moved, fmt.Errorf("rewrap %s: %w", c.table, err)
			}
		}
	}
	if len(skipped) > 0 {
		return moved, &SkippedError{skipped}
	}
	return moved, nil
}

// rewrapBatch is how many rows one transaction locks.
const rewrapBatch = 500

type sealedRow struct {
	ID     ID
	Name   string
	Sealed []byte
}

func sealedRows(ctx context.Context, tx pgx.Tx, sql string, after ID) ([]sealedRow, error) {
	rows, err := tx.Query(ctx, sql, after)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[sealedRow])
}

// RenewChannel makes a new secret name for the channel on which changes are told,
// and every directory listen to it. It needs the owner's role.
func (s *Store) RenewChannel(ctx context.Context, q pg.Querier) error {
	_, err := q.Exec(ctx, `SELECT renew_change_channel()`)
	return wrapf(err, "renew the channel of changes")
}
