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
	{"access_keys", "sealed_secret", keyColumns + `, sealed_secret, binding, (SELECT name FROM accounts a WHERE a.id = account_id)`, `revoked_at IS NULL`, readSealedKey},
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
	name            string // as a person knows it
	id              ID
	place           secret.Place
	sealed, binding []byte
	facts           secret.Facts
}

func readSealedKey(row pgx.Row) (*sealedRow, error) {
	r := &sealedRow{}
	var account *string
	k, err := scanKey(row, &r.sealed, &r.binding, &account)
	if err != nil {
		return nil, err
	}
	r.name = "key " + k.KeyID
	if account != nil {
		r.name += " of account " + *account
	}
	r.id, r.place, r.facts = k.ID, keyPlace(k.ID), k.facts()
	return r, nil
}

func readSealedBackend(row pgx.Row) (*sealedRow, error) {
	b, sealed, binding, err := scanBackend(row)
	return &sealedRow{"backend " + b.Name, b.ID, backendPlace(b.ID), sealed, binding, b.facts()}, err
}

// eachSealed calls f for every row that holds a sealed value.
func eachSealed(ctx context.Context, q pg.Querier, f func(*sealedRow)) error {
	for _, t := range sealedTables {
		for after, more := (ID{}), true; more; {
			var batch []*sealedRow
			var err error
			if batch, after, more, err = t.batch(ctx, q, after, ""); err != nil {
				return fmt.Errorf("read %s: %w", t.table, err)
			}
			for _, r := range batch {
				f(r)
			}
		}
	}
	return nil
}

// ChangedRows names the keys and backends whose rows are not as they were written
// with the keyring, which has to ask for bindings.
func (s *Store) ChangedRows(ctx context.Context, q pg.Querier) (names []string, err error) {
	err = eachSealed(ctx, q, func(r *sealedRow) {
		if s.check(r) != nil {
			names = append(names, r.name)
		}
	})
	return names, err
}

// TrySecrets opens every sealed value, or, without private keys, checks that its
// row is bound. It returns how many it could, and names the others.
func (s *Store) TrySecrets(ctx context.Context, q pg.Querier) (good int, bad []string, err error) {
	keyring := s.Keyring.WithBinding()
	err = eachSealed(ctx, q, func(r *sealedRow) {
		_, oerr := keyring.Open(r.place, r.sealed)
		if !keyring.CanOpen() {
			oerr = keyring.CheckBinding(r.place, secret.Hash(r.sealed), r.facts, r.binding)
		}
		if oerr != nil {
			bad = append(bad, r.name)
			return
		}
		good++
	})
	return good, bad, err
}

func (s *Store) check(r *sealedRow) error {
	return s.Keyring.CheckBinding(r.place, secret.Hash(r.sealed), r.facts, r.binding)
}

// SkippedError names rows that were changed, or whose sealed value cannot be
// opened. All others were moved.
type SkippedError struct {
	Rows   []string
	Needed []string // of them, those that are sealed with a key that the keyring has
}

func (e *SkippedError) Error() string {
	return fmt.Sprintf("tenancy: %d rows cannot be opened, or were changed by somebody without the keyring, and were left as they are: %s; "+
		"put them back as they were, or end them with `primecloud key revoke` or `primecloud backend remove`", len(e.Rows), strings.Join(e.Rows, ", "))
}

// CountSecrets returns how many rows hold a sealed value.
func CountSecrets(ctx context.Context, q pg.Querier) (n int, err error) {
	err = q.QueryRow(ctx, `SELECT (SELECT count(*) FROM access_keys WHERE revoked_at IS NULL) + (SELECT count(*) FROM backends)`).Scan(&n)
	return n, err
}

// RewrapSecrets moves every sealed value to the key that seals and binds its row,
// in batches, and returns how many it moved. Once it returns no error, or a
// *SkippedError, nothing that can be opened needs the older keys, and the keyring
// may ask for bindings; one that does binds no row anew that was changed. On a
// pool each batch is committed by itself, and what was cut off goes on when it is
// called again; progress, unless nil, hears how many rows were looked at. It needs
// the private keyring and the owner's role.
func (s *Store) RewrapSecrets(ctx context.Context, q pg.Querier, progress func(looked int)) (moved int, err error) {
	skipped := &SkippedError{}
	looked := 0
	for _, t := range sealedTables {
		write := fmt.Sprintf(`UPDATE %s SET %s = $2, binding = $3 WHERE id = $1`, t.table, t.column)
		for after, more := (ID{}), true; more; {
			var batch []*sealedRow
			var bad SkippedError
			var n int
			if err := pg.InTx(ctx, q, func(tx pgx.Tx) (err error) {
				if batch, after, more, err = t.batch(ctx, tx, after, "FOR UPDATE"); err != nil {
					return err
				}
				n, bad, err = s.rewrap(ctx, tx, write, batch)
				return err
			}); err != nil {
				return moved, fmt.Errorf("rewrap %s: %w", t.table, err)
			}
			moved, looked = moved+n, looked+len(batch)
			skipped.Rows, skipped.Needed = append(skipped.Rows, bad.Rows...), append(skipped.Needed, bad.Needed...)
			if progress != nil {
				progress(looked)
			}
		}
	}
	if len(skipped.Rows) > 0 {
		return moved, skipped
	}
	return moved, nil
}

func (s *Store) rewrap(ctx context.Context, tx pgx.Tx, write string, batch []*sealedRow) (moved int, skipped SkippedError, err error) {
	for _, r := range batch {
		sealed, changed, err := s.Keyring.Rewrap(r.place, r.sealed)
		if s.check(r) != nil || err != nil {
			skipped.Rows = append(skipped.Rows, r.name)
			if of := secret.KeyOf(r.sealed); of != s.Keyring.Seals() && s.Keyring.Has(of) {
				skipped.Needed = append(skipped.Needed, r.name)
			}
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
