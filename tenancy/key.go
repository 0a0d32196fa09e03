package tenancy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/internal/secret"
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

// complete fills in the defaults of a new key and checks the rest.
func (k *Key) complete(keyring *secret.Keyring) error {
	if k.Kind == "" {
		k.Kind = KindS3
	}
	if len(k.Permissions) == 0 {
		k.Permissions = AllPermissions.Names()
	}
	if err := k.checkScope(); err != nil {
		return err
	}
	if k.Kind != KindS3 && (k.ExpiresAt == nil || time.Until(*k.ExpiresAt) > maxInternal) {
		return fmt.Errorf("tenancy: a key of kind %s must expire within %s", k.Kind, maxInternal)
	}
	if err := checkText("a description", k.Description, 1000); err != nil {
		return err
	}
	if k.KeyID == "" {
		k.KeyID, k.Secret = newKeyID(keyring), newSecret()
		return nil
	}
	return k.checkImport(keyring)
}

// checkScope checks what the key is limited to, and brings it into PostgreSQL's
// form: of networks no bits behind the mask, no IPv4 in IPv6; of times microseconds.
func (k *Key) checkScope() error {
	p, err := permissionsOf(k.Permissions)
	if err != nil {
		return err
	}
	k.Permissions = p.Names()
	for _, b := range k.Buckets {
		if err := CheckBucketName(b); err != nil {
			return about(b, err)
		}
	}
	if err := checkText("a prefix", k.Prefix, 1024); err != nil {
		return err
	}
	cidrs := make([]netip.Prefix, len(k.CIDRs))
	for i, c := range k.CIDRs {
		if a := c.Addr(); a.Is4In6() && c.Bits() >= 96 {
			c = netip.PrefixFrom(a.Unmap(), c.Bits()-96)
		}
		if !c.IsValid() || c.Addr().Zone() != "" {
			return fmt.Errorf("%w: a network is written as 192.0.2.0/24 or 2001:db8::/32", ErrInvalidName)
		}
		cidrs[i] = c.Masked()
	}
	k.CIDRs = cidrs
	k.ExpiresAt = inMicroseconds(k.ExpiresAt)
	return nil
}

// checkImport checks a key that was issued elsewhere.
func (k *Key) checkImport(keyring *secret.Keyring) error {
	if !keyIDForm.MatchString(k.KeyID) {
		return about(k.KeyID, fmt.Errorf("%w: an imported key's id is 3 to 128 printable ASCII characters without space, slash, comma, ampersand and equals sign", ErrInvalidName))
	}
	if len(k.Secret) < 8 || len(k.Secret) > 256 {
		return fmt.Errorf("%w: an imported key's secret has 8 to 256 characters", ErrInvalidName)
	}
	if form, genuine := issued(keyring, k.KeyID); form && !genuine {
		return about(k.KeyID, fmt.Errorf("%w: the id has the form of ids issued here, but was not", ErrInvalidName))
	}
	return nil
}

// checkText wants what PostgreSQL's text can hold, and no more than limit bytes.
func checkText(what, s string, limit int) error {
	if len(s) > limit || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%w: %s is valid UTF-8 of at most %d bytes", ErrInvalidName, what, limit)
	}
	return nil
}
