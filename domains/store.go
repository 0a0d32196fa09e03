package domains

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

// row is a claim as it is stored.
type row struct {
	id, account            rowid.ID
	host                   string
	purpose                Purpose
	bucket                 *string
	token                  string
	ownership, dns         Part
	certificate            Part
	checkError             string
	checkedAt, nextCheckAt *time.Time
	failingSince           *time.Time
	failures               int
	verifiedAt             *time.Time
	createdAt              time.Time
}

const rowColumns = `id, account_id, host, purpose, bucket, token, ownership, ownership_reason, ownership_found, dns, dns_reason, dns_found,
	certificate, certificate_reason, check_error, checked_at, next_check_at, failing_since, failures, verified_at, created_at`

func scanRow(r pgx.CollectableRow) (*row, error) {
	d := &row{}
	return d, r.Scan(&d.id, &d.account, &d.host, &d.purpose, &d.bucket, &d.token, &d.ownership.State, &d.ownership.Reason, &d.ownership.Found,
		&d.dns.State, &d.dns.Reason, &d.dns.Found, &d.certificate.State, &d.certificate.Reason, &d.checkError, &d.checkedAt, &d.nextCheckAt,
		&d.failingSince, &d.failures, &d.verifiedAt, &d.createdAt)
}

// read returns the claims that are not removed and that a condition chooses.
func read(ctx context.Context, q pg.Querier, condition string, args ...any) ([]*row, error) {
	rows, err := q.Query(ctx, `SELECT `+rowColumns+` FROM domains WHERE removed_at IS NULL AND `+condition, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRow)
}

// readOne returns ErrNoDomain when the condition chooses none.
func readOne(ctx context.Context, q pg.Querier, condition string, args ...any) (*row, error) {
	list, err := read(ctx, q, condition, args...)
	if err == nil && len(list) == 0 {
		err = ErrNoDomain
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// insert claims a host. The database refuses what another account has.
func insert(ctx context.Context, q pg.Querier, account rowid.ID, host string, purpose Purpose, bucket *string) (*row, error) {
	_, err := q.Exec(ctx, `INSERT INTO domains (host, account_id, purpose, bucket) VALUES ($1, $2, $3, $4)`, host, account, purpose, bucket)
	if err != nil {
		return nil, refused(err, host)
	}
	return readOne(ctx, q, `account_id = $1 AND host = $2`, account, host)
}

// refused turns the database's word on a claim into a sentence.
func refused(err error, host string) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	switch e.ConstraintName {
	case "domains_held", "domains_verified":
		return &RefusedError{fmt.Sprintf("%s belongs to another account, which has proven it; whoever has the name now can ask the support to release it.", host)}
	case "domains_reserved":
		return &RefusedError{fmt.Sprintf("%s belonged to another account until a short time ago, and is reserved for it until %s; add it after that day, or ask the support to release it.", host, e.Detail)}
	case "domains_claimed":
		return &RefusedError{fmt.Sprintf("%s has been added to this account already.", host)}
	}
	return err
}

// counted is how many claims an account has.
func counted(ctx context.Context, q pg.Querier, account rowid.ID) (n int, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM domains WHERE account_id = $1 AND removed_at IS NULL`, account).Scan(&n)
	return n, err
}

// write keeps what a check has found out.
func (d *row) write(ctx context.Context, q pg.Querier) error {
	_, err := q.Exec(ctx, `UPDATE domains SET ownership = $2, ownership_reason = $3, ownership_found = $4, dns = $5, dns_reason = $6, dns_found = $7,
		check_error = $8, checked_at = $9, next_check_at = $10, failing_since = $11, failures = $12, verified_at = $13 WHERE id = $1`,
		d.id, d.ownership.State, d.ownership.Reason, records(d.ownership.Found), d.dns.State, d.dns.Reason, records(d.dns.Found),
		d.checkError, d.checkedAt, d.nextCheckAt, d.failingSince, d.failures, d.verifiedAt)
	return refused(err, d.host)
}

// maxFound and maxValue bound what is kept of an answer: who owns a zone answers what
// he likes, up to 64 KiB, and people read what is kept.
const (
	maxFound = 20
	maxValue = 300
)

// records are what is kept of those that were found, and never null.
func records(found []dnslookup.Record) []dnslookup.Record {
	kept := make([]dnslookup.Record, 0, min(len(found), maxFound))
	for _, r := range found[:min(len(found), maxFound)] {
		if len(r.Value) > maxValue {
			r.Value = strings.ToValidUTF8(r.Value[:maxValue], "") + "…"
		}
		kept = append(kept, r)
	}
	return kept
}

// dueIDs are the claims whose check is due, those that wait longest first.
func dueIDs(ctx context.Context, q pg.Querier, now time.Time, most int) ([]rowid.ID, error) {
	rows, err := q.Query(ctx, `SELECT id FROM domains WHERE removed_at IS NULL AND next_check_at <= $1 ORDER BY next_check_at LIMIT $2`, now, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[rowid.ID])
}
