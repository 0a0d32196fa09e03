package tenancy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// Key is an access key as people manage it. Secret is set only in the answer
// to its creation.
type Key struct {
	ID          ID             `json:"id"`
	KeyID       string         `json:"access_key_id"`
	Secret      string         `json:"secret_access_key,omitempty"`
	AccountID   ID             `json:"account_id"`
	Kind        Kind           `json:"kind"`
	UserID      ID             `json:"-"`
	Description string         `json:"description"`
	Permissions []string       `json:"permissions"`
	Buckets     []string       `json:"buckets"` // null: all
	Prefix      string         `json:"prefix"`
	CIDRs       []netip.Prefix `json:"cidrs"`
	ExpiresAt   *time.Time     `json:"expires_at"`
	RevokedAt   *time.Time     `json:"revoked_at"`
	CreatedAt   time.Time      `json:"created_at"`
}

// maxInternal is how long an internal key may live.
const maxInternal = time.Hour

// CreateKey issues a key: id and secret are made here, unless k brings its own
// (an import). Kind defaults to a customer's, Permissions to all. Internal
// keys must expire within the hour.
func (s *Store) CreateKey(ctx context.Context, q pg.Querier, k Key) (*Key, error) {
	if k.Kind == "" {
		k.Kind = KindS3
	}
	if len(k.Permissions) == 0 {
		k.Permissions = AllPermissions.Names()
	}
	if _, err := permissionsOf(k.Permissions); err != nil {
		return nil, err
	}
	for _, b := range k.Buckets {
		if err := CheckBucketName(b); err != nil {
			return nil, err
		}
	}
	if k.Kind != KindS3 && (k.ExpiresAt == nil || time.Until(*k.ExpiresAt) > maxInternal) {
		return nil, fmt.Errorf("tenancy: a key of kind %s must expire within %s", k.Kind, maxInternal)
	}
	switch {
	case k.KeyID == "":
		k.KeyID, k.Secret = newKeyID(s.Keyring), newSecret()
	case len(k.KeyID) < 3 || len(k.KeyID) > 128 || len(k.Secret) < 8:
		return nil, fmt.Errorf("%w: an imported key needs an id of 3 to 128 and a secret of at least 8 characters", ErrInvalidName)
	}
	if form, genuine := issued(s.Keyring, k.KeyID); form && !genuine {
		return nil, fmt.Errorf("%w: the id has the form of ids issued here, but was not", ErrInvalidName)
	}
	if k.CIDRs == nil {
		k.CIDRs = []netip.Prefix{}
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
	k.CreatedAt = time.Now()
	_, err = q.Exec(ctx, `INSERT INTO access_keys
		(id, key_id, account_id, kind, user_id, description, sealed_secret, permissions, buckets, prefix, cidrs, expires_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		k.ID, k.KeyID, k.AccountID, k.Kind, user, k.Description, sealed, k.Permissions, k.Buckets, k.Prefix, k.CIDRs, k.ExpiresAt, k.CreatedAt)
	if isUnique(err) {
		return nil, ErrKeyExists
	}
	return &k, wrapf(err, "create key")
}

const keyColumns = `id, key_id, account_id, kind, description, permissions, buckets, prefix, cidrs, expires_at, revoked_at, created_at`

func scanKey(row pgx.Row) (*Key, error) {
	k := &Key{}
	err := row.Scan(&k.ID, &k.KeyID, &k.AccountID, &k.Kind, &k.Description, &k.Permissions, &k.Buckets, &k.Prefix, &k.CIDRs,
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

// RotateKey issues a successor with the same rights and lets the old key live
// for overlap, so that clients can be changed one by one. Run it in a
// transaction.
func (s *Store) RotateKey(ctx context.Context, q pg.Querier, keyID string, overlap time.Duration) (*Key, error) {
	old, err := s.Key(ctx, q, keyID)
	if err != nil {
		return nil, err
	}
	if old.RevokedAt != nil {
		return nil, fmt.Errorf("%w: it is revoked", ErrKeyUnknown)
	}
	next := *old
	next.KeyID, next.Secret, next.ExpiresAt = "", "", nil
	created, err := s.CreateKey(ctx, q, next)
	if err != nil {
		return nil, err
	}
	_, err = q.Exec(ctx, `UPDATE access_keys SET successor_id = $2, expires_at = least(expires_at, $3) WHERE id = $1`,
		old.ID, created.ID, time.Now().Add(overlap))
	return created, wrapf(err, "rotate key")
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
	err := q.QueryRow(ctx, `SELECT id, key_id, account_id, kind, sealed_secret, permissions, buckets, prefix, cidrs, expires_at
		FROM access_keys WHERE key_id = $1 AND revoked_at IS NULL`, keyID).
		Scan(&i.ID, &i.KeyID, &i.AccountID, &i.Kind, &sealed, &permissions, &i.Buckets, &i.Prefix, &i.CIDRs, &expires)
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
