package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// SetLimits replaces what limits an account. No limits delete the row.
func SetLimits(ctx context.Context, q pg.Querier, account ID, l *Limits) error {
	if l.None() {
		_, err := q.Exec(ctx, `DELETE FROM account_limits WHERE account_id = $1`, account)
		return wrapf(err, "set limits")
	}
	if err := l.check(); err != nil {
		return err
	}
	r := l.row()
	_, err := q.Exec(ctx, `INSERT INTO account_limits (account_id, requests_per_second, upload_rate, download_rate, concurrent,
			storage_budget, egress_budget, requests_budget, spend_budget, storage_soft, egress_soft, requests_soft, spend_soft, buckets)
		VALUES ($1, nullif($2::bigint, 0), nullif($3::bigint, 0), nullif($4::bigint, 0), nullif($5::bigint, 0), $6, $7, $8, $9, $10, $11, $12, $13,
			nullif($14::bigint, 0))
		ON CONFLICT (account_id) DO UPDATE SET requests_per_second = excluded.requests_per_second,
			upload_rate = excluded.upload_rate, download_rate = excluded.download_rate, concurrent = excluded.concurrent,
			storage_budget = excluded.storage_budget, egress_budget = excluded.egress_budget,
			requests_budget = excluded.requests_budget, spend_budget = excluded.spend_budget,
			buckets = excluded.buckets, storage_soft = excluded.storage_soft, egress_soft = excluded.egress_soft,
			requests_soft = excluded.requests_soft, spend_soft = excluded.spend_soft, updated_at = now()`,
		account, r.RequestsPerSecond, r.UploadRate, r.DownloadRate, r.Concurrent,
		r.StorageBudget, r.EgressBudget, r.RequestsBudget, r.SpendBudget, r.StorageSoft, r.EgressSoft, r.RequestsSoft, r.SpendSoft, r.Buckets)
	if pg.IsForeign(err) {
		return ErrAccountUnknown
	}
	return wrapf(err, "set limits")
}

// SetKeyLimits replaces what limits one access key, beside its account's limits.
func SetKeyLimits(ctx context.Context, q pg.Querier, k *Key, l *Limits) error {
	if l.None() {
		// The row goes with its last limit: no DELETE, which is a right to lock the table.
		_, err := q.Exec(ctx, `UPDATE key_limits SET requests_per_second = NULL, upload_rate = NULL, download_rate = NULL, concurrent = NULL,
			egress_budget = NULL, requests_budget = NULL, spend_budget = NULL WHERE key_id = $1`, k.ID)
		return wrapf(err, "set key limits")
	}
	if err := l.check(); err != nil {
		return err
	}
	if l.Buckets != 0 {
		return fmt.Errorf("%w: buckets belong to the account, not to the key that made them", ErrInvalidLimit)
	}
	if l.Caps[Storage] != nil {
		return fmt.Errorf("%w: storage belongs to the account, not to the key that wrote it", ErrInvalidLimit)
	}
	r := l.row()
	_, err := q.Exec(ctx, `INSERT INTO key_limits (key_id, account_id, requests_per_second, upload_rate, download_rate, concurrent,
			egress_budget, requests_budget, spend_budget, egress_soft, requests_soft, spend_soft)
		VALUES ($1, $2, nullif($3::bigint, 0), nullif($4::bigint, 0), nullif($5::bigint, 0), nullif($6::bigint, 0), $7, $8, $9, $10, $11, $12)
		ON CONFLICT (key_id) DO UPDATE SET requests_per_second = excluded.requests_per_second,
			upload_rate = excluded.upload_rate, download_rate = excluded.download_rate, concurrent = excluded.concurrent,
			egress_budget = excluded.egress_budget, requests_budget = excluded.requests_budget, spend_budget = excluded.spend_budget,
			egress_soft = excluded.egress_soft, requests_soft = excluded.requests_soft, spend_soft = excluded.spend_soft, updated_at = now()`,
		k.ID, k.AccountID, r.RequestsPerSecond, r.UploadRate, r.DownloadRate, r.Concurrent,
		r.EgressBudget, r.RequestsBudget, r.SpendBudget, r.EgressSoft, r.RequestsSoft, r.SpendSoft)
	if pg.IsForeign(err) {
		return ErrKeyUnknown
	}
	return wrapf(err, "set key limits")
}

// LimitsOf returns what limits an account, or with a key id one key of it; nil
// when nothing does.
func LimitsOf(ctx context.Context, q pg.Querier, account, key ID) (l *Limits, err error) {
	if key == (ID{}) {
		err = q.QueryRow(ctx, `SELECT to_jsonb(l) FROM account_limits l WHERE account_id = $1`, account).Scan(&l)
	} else {
		err = q.QueryRow(ctx, `SELECT to_jsonb(l) FROM key_limits l WHERE account_id = $1 AND key_id = $2`, account, key).Scan(&l)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return l, wrapf(err, "limits")
}

// LimitedKeys returns the row ids of an account's keys that have limits of their own.
func LimitedKeys(ctx context.Context, q pg.Querier, account ID) ([]ID, error) {
	rows, err := q.Query(ctx, `SELECT key_id FROM key_limits WHERE account_id = $1 ORDER BY key_id`, account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[ID])
}

// copyLimits gives a key's successor the same limits.
func copyLimits(ctx context.Context, q pg.Querier, from, to *Key) error {
	l, err := LimitsOf(ctx, q, from.AccountID, from.ID)
	if err != nil || l == nil {
		return err
	}
	return SetKeyLimits(ctx, q, to, l)
}
