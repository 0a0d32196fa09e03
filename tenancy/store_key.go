package tenancy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// CreateKey issues a key: id and secret are made here, unless k brings its own
// (an import). Kind defaults to a customer's, Permissions to all. Internal
// keys must expire within the hour.
func (s *Store) CreateKey(ctx context.Context, q pg.Querier, k Key) (*Key, error) {
	if err := k.complete(s.Keyring); err != nil {
		return nil, err
	}
	k.ID = NewID()
	sealed, err := s.Keyring.Seal(place("access_keys", "sealed_secret", k.ID), []byte(k.Secret))
	if err != nil {
		return nil, err
	}
	var user *ID
	if k.UserID != (ID{}) {
		user = &k.UserID
	}
	err = q.QueryRow(ctx, `INSERT INTO access_keys
		(id, key_id, account_id, kind, user_id, description, sealed_secret, permissions, buckets, prefix, cidrs, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING created_at`,
		k.ID, k.KeyID, k.AccountID, k.Kind, user, k.Description, sealed, k.Permissions, k.Buckets, k.Prefix, k.CIDRs, k.ExpiresAt).
		Scan(&k.CreatedAt)
	switch {
	case isUnique(err):
		return nil, ErrKeyExists
	case isForeign(err):
		return nil, ErrAccountUnknown
	case err != nil:
		return nil, fmt.Errorf("create key: %w", err)
	}
	return &k, nil
}

const keyColumns = `id, key_id, account_id, kind, user_id, description, permissions, buckets, prefix, cidrs, expires_at, revoked_at, created_at`

func scanKey(row pgx.Row) (*Key, error) {
	k := &Key{}
	err := row.Scan(&k.ID, &k.KeyID, &k.AccountID, &k.Kind, &k.UserID, &k.Description, &k.Permissions, &k.Buckets, &k.Prefix, &k.CIDRs,
		&k.ExpiresAt, &k.RevokedAt, &k.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrKeyUnknown
	}
	return k, err
}

// Key returns a key by its access key id, without the secret.
func (s *Store) Key(ctx context.Context, q pg.Querier, keyID string) (*Key, error) {
	return scanKey(q.QueryRow(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE key_id = $1`, keyID))
}

// ListKeys returns an account's own keys, oldest first. Internal keys are
// never listed.
func (s *Store) ListKeys(ctx context.Context, q pg.Querier, account ID) ([]*Key, error) {
	rows, err := q.Query(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE account_id = $1 AND kind = 's3' ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Key, error) { return scanKey(r) })
}

// RotateKey issues a successor with the same rights and expiry, and lets the
// old key live for overlap at most, so that clients can be changed one by one.
// It returns ErrKeyRetired for a key that is no longer good or was rotated.
func (s *Store) RotateKey(ctx context.Context, q pg.Querier, keyID string, overlap time.Duration) (created *Key, err error) {
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		old, successor, err := s.lockKey(ctx, tx, keyID)
		if err != nil {
			return err
		}
		if successor || old.RevokedAt != nil || old.ExpiresAt != nil && time.Now().After(*old.ExpiresAt) {
			return ErrKeyRetired
		}
		next := *old
		next.KeyID = ""
		if created, err = s.CreateKey(ctx, tx, next); err != nil {
			return err
		}
		if err := s.copyLimits(ctx, tx, old, created); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE access_keys SET successor_id = $2, expires_at = least(expires_at, $3) WHERE id = $1`,
			old.ID, created.ID, time.Now().Add(max(0, overlap)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	return created, nil
}

// lockKey locks a customer's key and tells whether it has a successor.
func (s *Store) lockKey(ctx context.Context, tx pgx.Tx, keyID string) (k *Key, successor bool, err error) {
	err = tx.QueryRow(ctx, `SELECT successor_id IS NOT NULL FROM access_keys WHERE key_id = $1 AND kind = 's3' FOR UPDATE`, keyID).Scan(&successor)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, ErrKeyUnknown
	}
	if err != nil {
		return nil, false, err
	}
	k, err = s.Key(ctx, tx, keyID)
	return k, successor, err
}

// ExpireKey sets when a key ends; nil is never, which internal keys refuse.
func (s *Store) ExpireKey(ctx context.Context, q pg.Querier, keyID string, at *time.Time) error {
	return one(q.Exec(ctx, `UPDATE access_keys SET expires_at = $2 WHERE key_id = $1 AND revoked_at IS NULL`, keyID, at))(ErrKeyUnknown)
}

// RevokeKey ends a key at once; it stays in the list with the time.
func (s *Store) RevokeKey(ctx context.Context, q pg.Querier, keyID string) error {
	return one(q.Exec(ctx, `UPDATE access_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL`, keyID))(ErrKeyUnknown)
}

// RevokeInternalKeys ends every internal key of a user in an account: logout,
// removal, role change, suspension.
func (s *Store) RevokeInternalKeys(ctx context.Context, q pg.Querier, account, user ID) error {
	_, err := q.Exec(ctx, `UPDATE access_keys SET revoked_at = now()
		WHERE account_id = $1 AND user_id = $2 AND kind <> 's3' AND revoked_at IS NULL`, account, user)
	return wrapf(err, "revoke internal keys")
}

// identity loads what the gateway needs, secret opened. A revoked key is unknown.
func (s *Store) identity(ctx context.Context, q pg.Querier, keyID string) (*Identity, error) {
	i := &Identity{}
	var (
		sealed      []byte
		permissions []string
		expires     *time.Time
	)
	err := q.QueryRow(ctx, `SELECT id, key_id, account_id, kind, sealed_secret, permissions, buckets, prefix, cidrs, expires_at,
			(SELECT to_jsonb(l) FROM key_limits l WHERE l.key_id = access_keys.id)
		FROM access_keys WHERE key_id = $1 AND revoked_at IS NULL`, keyID).
		Scan(&i.ID, &i.KeyID, &i.AccountID, &i.Kind, &sealed, &permissions, &i.Buckets, &i.Prefix, &i.CIDRs, &expires, &i.Limits)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrKeyUnknown
	}
	if err != nil {
		return nil, err
	}
	if i.Permission, err = permissionsOf(permissions); err != nil {
		return nil, err
	}
	if expires != nil {
		i.ExpiresAt = *expires
	}
	plain, err := s.Keyring.Open(place("access_keys", "sealed_secret", i.ID), sealed)
	if err != nil {
		return nil, fmt.Errorf("access key %s: %w", i.ID, err)
	}
	i.Secret = string(plain)
	return i, nil
}
