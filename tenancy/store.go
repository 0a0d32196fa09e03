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

// Store reads and writes what is sealed with the keyring or bound to it: access
// keys and backends. Writers of secrets need only the public half of the
// keyring; readers of them the private one. What needs no keyring is a function
// of this package. Methods and functions take the pool or a transaction: the
// caller decides.
type Store struct{ Keyring *secret.Keyring }

const accountColumns = `id, name, display_name, canonical_id, status, created_at,
	(SELECT to_jsonb(l) FROM account_limits l WHERE l.account_id = accounts.id)`

func scanAccount(row pgx.Row) (*Account, error) {
	a := &Account{}
	err := row.Scan(&a.ID, &a.Name, &a.DisplayName, &a.CanonicalID, &a.Status, &a.CreatedAt, &a.Limits)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrAccountUnknown
	}
	return a, err
}

// CreateAccount adds an account. It returns ErrAccountExists when the name is
// taken and ErrInvalidName when it is no DNS label.
func CreateAccount(ctx context.Context, q pg.Querier, name, displayName string, status Status) (*Account, error) {
	if err := CheckAccountName(name); err != nil {
		return nil, about(name, err)
	}
	if displayName == "" {
		displayName = name
	}
	if err := checkText("a display name", displayName, 200); err != nil {
		return nil, err
	}
	var canonical [32]byte
	_, _ = rand.Read(canonical[:]) // never fails: crypto/rand ends the process instead
	a, err := scanAccount(q.QueryRow(ctx, `INSERT INTO accounts (id, name, display_name, canonical_id, status)
		VALUES ($1, $2, $3, $4, $5) RETURNING `+accountColumns, NewID(), name, displayName, hex.EncodeToString(canonical[:]), status))
	if pg.IsUnique(err) {
		return nil, about(name, ErrAccountExists)
	}
	return a, err
}

// AccountByID returns ErrAccountUnknown when there is no account of that id.
func AccountByID(ctx context.Context, q pg.Querier, id ID) (*Account, error) {
	return scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
}

// AccountByName returns ErrAccountUnknown when there is no account of that name.
func AccountByName(ctx context.Context, q pg.Querier, name string) (*Account, error) {
	a, err := scanAccount(q.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = $1`, name))
	return a, about(name, err)
}

// accountID returns the id of the account of that name.
func accountID(ctx context.Context, q pg.Querier, name string) (ID, error) {
	return scanAccountID(q.QueryRow(ctx, `SELECT id FROM accounts WHERE name = $1`, name))
}

// domain is a verified host of an account's own. The table is package domains'.
type domain struct {
	account ID
	s3      bool // that is what it is for
}

func readDomain(ctx context.Context, q pg.Querier, host string) (d domain, err error) {
	err = q.QueryRow(ctx, `SELECT account_id, purpose = 's3' FROM domains WHERE host = $1 AND verified`, host).Scan(&d.account, &d.s3)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain{}, ErrAccountUnknown
	}
	return d, err
}

func scanAccountID(row pgx.Row) (id ID, err error) {
	err = row.Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ID{}, ErrAccountUnknown
	}
	return id, err
}

// ListAccounts returns all accounts by name.
func ListAccounts(ctx context.Context, q pg.Querier) ([]*Account, error) {
	rows, err := q.Query(ctx, `SELECT `+accountColumns+` FROM accounts ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Account, error) { return scanAccount(r) })
}

// SetStatus changes an account's status. It returns ErrAccountUnknown when
// there is no such account.
func SetStatus(ctx context.Context, q pg.Querier, id ID, status Status) error {
	if _, err := ParseStatus(string(status)); err != nil {
		return err
	}
	return mustAffect(q.Exec(ctx, `UPDATE accounts SET status = $2, updated_at = now() WHERE id = $1`, id, status))(ErrAccountUnknown)
}

// SetAccountBackend says where the account's next buckets go; the zero ID is
// the default backend.
func SetAccountBackend(ctx context.Context, q pg.Querier, id, backend ID) error {
	tag, err := q.Exec(ctx, `UPDATE accounts SET backend_id = nullif($2::uuid, $3::uuid), updated_at = now() WHERE id = $1`, id, backend, ID{})
	if pg.IsForeign(err) {
		return ErrBackendUnknown
	}
	return mustAffect(tag, err)(ErrAccountUnknown)
}

// AsAccount runs f in a transaction that sees and changes rows of one account
// only, when the pool's role is the portal's.
func AsAccount(ctx context.Context, db pg.Beginner, account ID, f func(pgx.Tx) error) error {
	return pg.InTx(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('primecloud.account_id', $1, true)`, account.String()); err != nil {
			return err
		}
		return f(tx)
	})
}

// mustAffect turns "no row changed" into the error that the returned function is given.
func mustAffect(tag pgconn.CommandTag, err error) func(none error) error {
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

func hasConstraint(err error, name string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.ConstraintName == name
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
