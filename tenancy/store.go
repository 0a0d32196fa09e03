package tenancy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// Store reads and writes tenancy's tables. Every method takes the pool or a
// transaction: the caller decides. Writers of secrets need only the public
// half of the keyring; readers of them the private one.
type Store struct{ Keyring *secret.Keyring }

const accountColumns = `id, name, display_name, canonical_id, status, created_at`

func scanAccount(row pgx.Row) (*Account, error) {
	a := &Account{}
	err := row.Scan(&a.ID, &a.Name, &a.DisplayName, &a.CanonicalID, &a.Status, &a.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrAccountUnknown
	}
	return a, err
}

// CreateAccount adds an account. It returns ErrAccountExists when the name is
// taken and ErrInvalidName when it is no DNS label.
func (s *Store) CreateAccount(ctx context.Context, q pg.Querier, name, displayName string, status Status) (*Account, error) {
	if err := CheckAccountName(name); err != nil {
		return nil, err
	}
	if displayName == "" {
		displayName = name
	}
	var canonical [32]byte
	_, _ = rand.Read(canonical[:]) // never fails: crypto/rand ends the process instead
	a, err := scanAccount(q.QueryRow(ctx, `INSERT INTO accounts (id, name, display_name, canonical_id, status)
		VALUES ($1, $2, $3, $4, $5) RETURNING `+accountColumns, NewID(), name, displayName, hex.EncodeToString(canonical[:]), status))
	if isUnique(err) {
		return nil, ErrAccountExists
	}
	return a, err
}

// Account returns an account by id.
func (s *Store) Account(ctx context.Context, q pg.Querier, id ID) (*Account, error) {
	return scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
}

// AccountByName returns an account by name.
func (s *Store) AccountByName(ctx context.Context, q pg.Querier, name string) (*Account, error) {
	return scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = $1`, name))
}

// AccountByDomain returns the account of a verified domain.
func (s *Store) AccountByDomain(ctx context.Context, q pg.Querier, host string) (*Account, error) {
	return scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts
		WHERE id = (SELECT account_id FROM domains WHERE host = $1 AND verified)`, host))
}

// ListAccounts returns all accounts by name.
func (s *Store) ListAccounts(ctx context.Context, q pg.Querier) ([]*Account, error) {
	rows, err := q.Query(ctx, `SELECT `+accountColumns+` FROM accounts ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Account, error) { return scanAccount(r) })
}

// SetStatus changes an account's status.
func (s *Store) SetStatus(ctx context.Context, q pg.Querier, id ID, status Status) error {
	return one(q.Exec(ctx, `UPDATE accounts SET status = $2, updated_at = now() WHERE id = $1`, id, status))(ErrAccountUnknown)
}

// one turns "no row changed" into the error given.
func one(tag pgconn.CommandTag, err error) func(none error) error {
	return func(none error) error {
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return none
		}
		return nil
	}
}

func isUnique(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505"
}

func place(table, column string, id ID) secret.Place {
	return secret.Place{Table: table, Column: column, Row: id.String()}
}

func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
