package pg

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/primecloudpro/primecloud/internal/finding"
)

// Check looks at schema, rights and clock.
func Check(ctx context.Context, pool *pgxpool.Pool) []finding.Finding {
	return []finding.Finding{
		finding.Of("schema", CheckVersion(ctx, pool), "up to date"),
		checkRights(ctx, pool),
		finding.Of("clock", checkClock(ctx, pool), "within a second of the database's"),
	}
}

// checkRights says what everybody in the database may do and nobody needs.
// `migrate` takes it away if its role may; a restored dump does not bring all of it.
func checkRights(ctx context.Context, pool *pgxpool.Pool) finding.Finding {
	const check = "database rights"
	excess, err := Excess(ctx, pool)
	if err == nil && len(excess) > 0 {
		return finding.Finding{Check: check, Result: finding.Warning,
			Detail: "everybody may connect, make temporary tables or large objects; as the database's owner and a superuser run: " + strings.Join(excess, "; ")}
	}
	return finding.Of(check, err, "nothing for everybody")
}

// OwnsAll reports whether the pool's user may do anything in the database: as its
// owner, or past row security. What serves should not.
func OwnsAll(ctx context.Context, q Querier) (user string, owns bool, err error) {
	err = q.QueryRow(ctx, `SELECT rolname, rolsuper OR rolbypassrls OR pg_has_role(oid, $1, 'USAGE') FROM pg_roles WHERE rolname = current_user`, RoleOwner).Scan(&user, &owns)
	return user, owns, err
}

func checkClock(ctx context.Context, pool *pgxpool.Pool) error {
	var there time.Time
	before := time.Now()
	if err := pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		return err
	}
	if d := there.Sub(before).Abs(); d > time.Second {
		return fmt.Errorf("the clocks differ by %s; signatures are only good for 15 minutes: run NTP", d)
	}
	return nil
}
