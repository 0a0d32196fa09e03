package tenancy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// CreateKey issues a key: id and secret are made here, unless k brings its own
// (an import). Kind defaults to a customer's, Permissions to all. Internal
// keys must expire within the hour.
func (s *Store) CreateKey(ctx context.Context, q pg.Querier, k Key) (*Key, error) {
	if err := k.complete(s.Keyring); err != nil {
		return nil, err
	}
	k.ID = NewID()
	sealed, binding, err := s.SealKey(&k)
	if err != nil {
		return nil, err
	}
	var user *ID
	if k.UserID != (ID{}) {
		user = &k.UserID
	}
	err = q.QueryRow(ctx, `INSERT INTO access_keys
		(id, key_id, account_id, kind, user_id, description, sealed_secret, binding, permissions, buckets, prefix, cidrs, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING created_at`,
		k.ID, k.KeyID, k.AccountID, k.Kind, user, k.Description, sealed, binding, k.Permissions, k.Buckets, k.Prefix, k.CIDRs, k.ExpiresAt).
		Scan(&k.CreatedAt)
	switch {
	case pg.IsUnique(err):
		return nil, about(k.KeyID, ErrKeyExists)
	case pg.IsForeign(err):
		return nil, ErrAccountUnknown
	case err != nil:
		return nil, fmt.Errorf("create key: %w", err)
	}
	return &k, nil
}

// SealKey seals a key's secret, and binds the row to it. The key has its id, and
// is in PostgreSQL's form.
func (s *Store) SealKey(k *Key) (sealed, binding []byte, err error) {
	if sealed, err = s.Keyring.Seal(keyPlace(k.ID), []byte(k.Secret)); err != nil {
		return nil, nil, err
	}
	return sealed, s.Keyring.Bind(keyPlace(k.ID), secret.Hash(sealed), k.facts()), nil
}

const keyColumns = `id, key_id, account_id, kind, user_id, description, permissions, buckets, prefix, cidrs, expires_at, revoked_at, created_at`

// scanKey reads keyColumns, and what stands after them into more.
func scanKey(row pgx.Row, more ...any) (*Key, error) {
	k := &Key{}
	err := row.Scan(append([]any{&k.ID, &k.KeyID, &k.AccountID, &k.Kind, &k.UserID, &k.Description, &k.Permissions, &k.Buckets, &k.Prefix, &k.CIDRs,
		&k.ExpiresAt, &k.RevokedAt, &k.CreatedAt}, more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrKeyUnknown
	}
	return k, err
}

// KeyByID returns a key by its access key id, without the secret, or
// ErrKeyUnknown. A revoked or expired key is returned.
func KeyByID(ctx context.Context, q pg.Querier, keyID string) (*Key, error) {
	k, err := scanKey(q.QueryRow(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE key_id = $1`, keyID))
	return k, about(keyID, err)
}

// ListKeys returns an account's own keys, oldest first. Internal keys are
// never listed.
func ListKeys(ctx context.Context, q pg.Querier, account ID) ([]*Key, error) {
	rows, err := q.Query(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE account_id = $1 AND kind = 's3' ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Key, error) { return scanKey(r) })
}

// RotateKey issues a successor with the same rights and expiry, and lets the
// old key live for overlap at most, so that clients can be changed one by one.
// It returns ErrKeyRetired for a key that is no longer good or was rotated, and
// ErrKeyChanged for one whose rights are not what they were made as.
func (s *Store) RotateKey(ctx context.Context, q pg.Querier, keyID string, overlap time.Duration) (created *Key, err error) {
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		old, err := s.lockKey(ctx, tx, keyID)
		if err != nil {
			return err
		}
		if old.Kind != KindS3 {
			return ErrKeyUnknown
		}
		if old.successor || old.RevokedAt != nil || old.ExpiresAt != nil && time.Now().After(*old.ExpiresAt) {
			return ErrKeyRetired
		}
		next := *old.Key
		next.KeyID = ""
		if created, err = s.CreateKey(ctx, tx, next); err != nil {
			return err
		}
		if err := copyLimits(ctx, tx, old.Key, created); err != nil {
			return err
		}
		end := time.Now().Add(max(0, overlap))
		if old.ExpiresAt == nil || end.Before(*old.ExpiresAt) {
			old.ExpiresAt = &end
		}
		if err := s.rebindKey(ctx, tx, old); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE access_keys SET successor_id = $2 WHERE id = $1`, old.ID, created.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", about(keyID, err))
	}
	return created, nil
}

// lockedKey is a key whose row is this transaction's, and is as it was written.
type lockedKey struct {
	*Key
	hash      []byte // of its sealed secret, which the portal does not see
	successor bool
}

// lockKey locks a key to change it. Nobody may bind what he has not checked: it
// would make what somebody else has changed genuine.
func (s *Store) lockKey(ctx context.Context, tx pgx.Tx, keyID string) (*lockedKey, error) {
	k := &lockedKey{}
	var binding []byte
	var err error
	k.Key, err = scanKey(tx.QueryRow(ctx, `SELECT `+keyColumns+`, sealed_hash, binding, successor_id IS NOT NULL
		FROM access_keys WHERE key_id = $1 FOR UPDATE`, keyID), &k.hash, &binding, &k.successor)
	if err == nil && k.RevokedAt == nil {
		err = s.checkKey(k.Key, k.hash, binding)
	}
	return k, changed(err, ErrKeyChanged, keyID)
}

// rebindKey writes a locked key's end.
func (s *Store) rebindKey(ctx context.Context, tx pgx.Tx, k *lockedKey) error {
	k.ExpiresAt = inMicroseconds(k.ExpiresAt)
	_, err := tx.Exec(ctx, `UPDATE access_keys SET expires_at = $2, binding = $3 WHERE id = $1`,
		k.ID, k.ExpiresAt, s.Keyring.Bind(keyPlace(k.ID), k.hash, k.facts()))
	return err
}

// ExpireKey sets when a key ends; nil is never, which internal keys refuse.
func (s *Store) ExpireKey(ctx context.Context, q pg.Querier, keyID string, at *time.Time) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		k, err := s.lockKey(ctx, tx, keyID)
		if err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return ErrKeyUnknown
		}
		k.ExpiresAt = at
		return s.rebindKey(ctx, tx, k)
	})
}

// ScopeKey changes what a key may do, and where: change sets permissions,
// buckets, prefix and networks. It needs the owner's role.
func (s *Store) ScopeKey(ctx context.Context, q pg.Querier, keyID string, change func(*Key)) error {
	return pg.InTx(ctx, q, func(tx pgx.Tx) error {
		k, err := s.lockKey(ctx, tx, keyID)
		if err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return ErrKeyUnknown
		}
		next := *k.Key
		change(&next)
		k.Permissions, k.Buckets, k.Prefix, k.CIDRs = next.Permissions, next.Buckets, next.Prefix, next.CIDRs
		if err := k.checkScope(); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE access_keys SET permissions = $2, buckets = $3, prefix = $4, cidrs = $5 WHERE id = $1`,
			k.ID, k.Permissions, k.Buckets, k.Prefix, k.CIDRs); err != nil {
			return err
		}
		return s.rebindKey(ctx, tx, k)
	})
}

// RevokeKey ends a key at once; it stays in the list with the time, and without
// the secret. A trigger remembers that it has ended (docs/decisions/0027).
func RevokeKey(ctx context.Context, q pg.Querier, keyID string) error {
	return about(keyID, mustAffect(q.Exec(ctx, `UPDATE access_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL`, keyID))(ErrKeyUnknown))
}

// DeleteKey forgets a revoked key and returns it. That it has ended is remembered, and
// its id, for reports. It needs the owner's role.
func DeleteKey(ctx context.Context, q pg.Querier, keyID string) (k *Key, err error) {
	err = pg.InTx(ctx, q, func(tx pgx.Tx) error {
		k, err = scanKey(tx.QueryRow(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE key_id = $1 FOR UPDATE`, keyID))
		switch {
		case err != nil:
			return about(keyID, err)
		case k.RevokedAt == nil:
			return fmt.Errorf("access key %s still works: end it with `primecloud key revoke %s` first", keyID, keyID)
		}
		for _, sql := range []string{
			`UPDATE access_keys SET successor_id = NULL WHERE successor_id = $1`,
			`DELETE FROM key_limits WHERE key_id = $1`,
			`DELETE FROM access_keys WHERE id = $1`,
		} {
			if _, err := tx.Exec(ctx, sql, k.ID); err != nil {
				return fmt.Errorf("delete access key %s: %w", keyID, err)
			}
		}
		return nil
	})
	return k, err
}

// RevokeInternalKeys ends every internal key of a user in an account: logout,
// removal, role change, suspension.
func RevokeInternalKeys(ctx context.Context, q pg.Querier, account, user ID) error {
	_, err := q.Exec(ctx, `UPDATE access_keys SET revoked_at = now()
		WHERE account_id = $1 AND user_id = $2 AND kind <> 's3' AND revoked_at IS NULL`, account, user)
	return wrapf(err, "revoke internal keys")
}

// identity loads what the gateway needs, secret opened. A revoked key is unknown,
// also when its row has come back.
func (s *Store) identity(ctx context.Context, q pg.Querier, keyID string) (*Identity, error) {
	var sealed, binding []byte
	var limits *Limits
	k, err := scanKey(q.QueryRow(ctx, `SELECT `+keyColumns+`, sealed_secret, binding,
			(SELECT to_jsonb(l) FROM key_limits l WHERE l.key_id = access_keys.id)
		FROM access_keys WHERE key_id = $1 AND revoked_at IS NULL
			AND NOT EXISTS (SELECT FROM ended_keys e WHERE e.id = access_keys.id)`, keyID), &sealed, &binding, &limits)
	if err != nil {
		return nil, changed(err, ErrKeyChanged, keyID)
	}
	if err := s.checkKey(k, secret.Hash(sealed), binding); err != nil {
		return nil, err
	}
	plain, err := s.Keyring.Open(keyPlace(k.ID), sealed)
	if err != nil {
		return nil, changed(err, ErrKeyChanged, keyID)
	}
	i := &Identity{ID: k.ID, KeyID: k.KeyID, Secret: string(plain), AccountID: k.AccountID, Kind: k.Kind,
		Buckets: k.Buckets, Prefix: k.Prefix, CIDRs: k.CIDRs, Limits: limits}
	if k.ExpiresAt != nil {
		i.ExpiresAt = *k.ExpiresAt
	}
	i.Permission, err = permissionsOf(k.Permissions)
	return i, err
}
