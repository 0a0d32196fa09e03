package pg

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/internal/finding"
)

// notURL does not quote the URL: what cannot be read may hold a password anywhere.
const notURL = "it is not an address of PostgreSQL; write postgres://USER:PASSWORD@HOST/DATABASE" //nolint:gosec // the form, and no password

// unreachable says why nobody could connect, and what to do.
func unreachable(cfg *pgx.ConnConfig, err error) error {
	where := net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
	if strings.HasPrefix(cfg.Host, "/") {
		where = cfg.Host
	}
	return finding.Worded(err, fmt.Sprintf("PostgreSQL at %s %s", where, because(cfg, err)))
}

func because(cfg *pgx.ConnConfig, err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code { // postgresql.org/docs/current/errcodes-appendix.html
		case "28P01", "28000":
			return fmt.Sprintf("does not let the user %q in (%s); check user and password, and that the role may log in (ALTER ROLE %[1]s LOGIN PASSWORD '…')", cfg.User, refused.Message)
		case "3D000":
			return fmt.Sprintf("has no database %q; create it, or correct the name", cfg.Database)
		}
		return "refuses the connection: " + refused.Message
	}
	var unknown *net.DNSError
	var refusedBy x509.UnknownAuthorityError
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &unknown):
		return "is not found: there is no such host; correct the name"
	case errors.As(err, &refusedBy):
		return "has a certificate of an unknown authority; name its file in the URL: sslrootcert=FILE"
	case errors.As(err, &errno):
		return fmt.Sprintf("cannot be reached: %s; check that it runs, and host and port", errno.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer; check that it runs, host and port, and what is between"
	}
	text := err.Error()
	if cause := (*pgconn.ConnectError)(nil); errors.As(err, &cause) && cause.Unwrap() != nil {
		text = cause.Unwrap().Error()
	}
	return "cannot be used: " + strings.Join(strings.Fields(text), " ")
}
