package pg

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE unique_violation and foreign_key_violation
// (postgresql.org/docs/current/errcodes-appendix.html).

// IsUnique reports whether a row would have been there twice.
func IsUnique(err error) bool { return hasCode(err, "23505") }

// IsForeign reports whether a row would have belonged to one that is not there.
func IsForeign(err error) bool { return hasCode(err, "23503") }

func hasCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}
