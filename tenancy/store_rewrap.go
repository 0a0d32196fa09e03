package tenancy

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
)

type sealedTable struct {
	table, column, columns, where string
	read                          func(pgx.Row) (*sealedRow, error)
}

// sealedTables are the tables that hold sealed values, and how their rows are read.
// Of what has ended nothing is sealed any more.
var sealedTables = [...]sealedTable{
	{"access_keys", "sealed_secret", keyColumns + `, sealed_secret, binding`, `revoked_at IS NULL`, readSealedKey},
	{"backends", "sealed_credential", backendColumns, `true`, readSealedBackend},
}

// batchSize is how many rows are read, or locked, at a time.
const batchSize = 500

// batch reads the rows after one; more says that there may be more of them.
func (t *sealedTable) batch(ctx context.Context, q pg.Querier, after ID, lock string) (list []*sealedRow, last ID, more bool, err error) {
	rows, err := q.Query(ctx, fmt.Sprintf(`SELECT %s FROM %s WHERE %s AND id > $1 ORDER BY id LIMIT %d %s`, t.columns, t.table, t.where, batchSize, lock), after)
	if err != nil {
		return nil, ID{}, false, err
	}
	list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*sealedRow, error) { return t.read(r) })
	if err != nil || len(list) < batchSize {
		return list, ID{}, false, err
	}
	return list, list[len(list)-1].id, true, nil
}

// sealedRow is what a row with a sealed value says.
type sealedRow struct {
	name            string
	id              ID
	place           secret.Place
	sealed, binding []byte
	facts           secret.Facts
}

func readSealedKey(row pgx.Row) (*sealedRow, error) {
	r := &sealedRow{}
	k, err := scanKey(row, &r.sealed, &r.binding)
	if err != nil {
		return nil, err
	}
	r.name, r.id, r.place, r.facts = "key "+k.KeyID, k.ID, keyPlace(k.ID), k.facts()
	return r, nil
}

func readSealedBackend(row pgx.Row) (*sealedRow, error) {
	b, sealed, binding, err := scanBackend(row)
	return &sealedRow{"backend " + b.Name, b.ID, backendPlace(b.ID), sealed, binding, b.facts()}, err
}

// ChangedRows names the keys and backends whose rows are not as they were written
// with the keyring, which has to ask for bindings.
func (s *Store) ChangedRows(ctx context.Context, q pg.Querier) (names []string, err error) {
	for _, t := range sealedTables {
		for after, more := (ID{}), true; more; {
			var batch []*sealedRow
			if batch, after, more, err = t.batch(ctx, q, after, ""); err != nil {
				return nil, err
			}
			for _, r := range batch {
				if s.check(r) != nil {
					names = append(names, r.name)
				}
			}
		}
	}
	return names, nil
}

func (s *Store) check(r *sealedRow) error {
	return s.Keyring.CheckBinding(r.place, secret.Hash(r.sealed), r.facts, r.binding)
}

// SkippedError names rows that were changed, or whose sealed value cannot be
// opened. All others were moved.
type SkippedError struct{ Rows []string }

func (e *SkippedError) Error() string {
	return fmt.Sprintf("tenancy: %d rows cannot be opened, or were changed by somebody without the keyring, and were left as they are: %s", len(e.Rows), strings.Join(e.Rows, ", "))
}

// RewrapSecrets moves every sealed value to the keyring's newest key and binds
// its row, in batches, and returns how many it moved. Once it returns no error,
// or a *SkippedError, nothing that can be opened needs the older keys, and the
// keyring may ask for bindings; one that does binds no row anew that was changed.
// It needs the private keyring and the owner's role.
func (s *Store) RewrapSecrets(ctx context.Context, q pg.Querier) (moved int, err error) {
	var skipped []string
	for _, t := range sealedTables {
		write := fmt.Sprintf(`UPDATE %s SET %s = $2, binding = $3 WHERE id = $1`, t.table, t.column)
		for after, more := (ID{}), true; more; {
			if err := pg.InTx(ctx, q, func(tx pgx.Tx) (err error) {
				var batch []*sealedRow
				if batch, after, more, err = t.batch(ctx, tx, after, "FOR UPDATE"); err != nil {
					return err
				}
				n, bad, err := s.rewrap(ctx, tx, write, batch)
				moved, skipped = moved+n, append(skipped, bad...)
				return err
			}); err != nil {
				return moved, fmt.Errorf("rewrap %s: %w", t.table, err)
			}
		}
	}
	if len(skipped) > 0 {
		return moved, &SkippedError{skipped}
	}
	return moved, nil
}

func (s *Store) rewrap(ctx context.Context, tx pgx.Tx, write string, batch []*sealedRow) (moved int, skipped []string, err error) {
	for _, r := range batch {
		sealed, changed, err := s.Keyring.Rewrap(r.place, r.sealed)
		if s.check(r) != nil || err != nil {
			skipped = append(skipped, r.name)
			continue
		}
		binding := s.Keyring.Bind(r.place, secret.Hash(sealed), r.facts)
		if !changed && bytes.Equal(binding, r.binding) {
			continue
		}
		if _, err := tx.Exec(ctx, write, r.id, sealed, binding); err != nil {
			return moved, skipped, err
		}
		moved++
	}
	return moved, skipped, nil
}

// RenewChannel makes a new secret name for the channel on which changes are told,
// and every directory listen to it. It needs the owner's role.
func RenewChannel(ctx context.Context, q pg.Querier) error {
	_, err := q.Exec(ctx, `SELECT renew_change_channel()`)
	return wrapf(err, "renew the channel of changes")
}
