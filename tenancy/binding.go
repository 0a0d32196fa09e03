package tenancy

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/secret"
)

// facts are what the row of an access key says of what its secret gives. A
// column that is not among them has its reason in binding_test.go.
func (k *Key) facts() (f secret.Facts) {
	f.Add("key_id", k.KeyID)
	f.Add("account_id", k.AccountID.String())
	f.Add("kind", string(k.Kind))
	f.Add("user_id", k.UserID.String())
	f.Add("permissions", k.Permissions...)
	if k.Buckets == nil {
		f.AddNull("buckets")
	} else {
		f.Add("buckets", k.Buckets...)
	}
	f.Add("prefix", k.Prefix)
	cidrs := make([]string, len(k.CIDRs))
	for i, c := range k.CIDRs {
		cidrs[i] = c.String()
	}
	f.Add("cidrs", cidrs...)
	if k.ExpiresAt == nil {
		f.AddNull("expires_at")
	} else {
		f.Add("expires_at", strconv.FormatInt(k.ExpiresAt.UnixMicro(), 10))
	}
	return f
}

// facts are what the row of a backend says of where its credential goes, and
// whom it is shown to.
func (b *Backend) facts() (f secret.Facts) {
	f.Add("name", b.Name)
	f.Add("endpoints", b.Endpoints...)
	f.Add("region", b.Region)
	f.Add("ca", b.CA)
	f.Add("kind", string(b.Kind))
	return f
}

func keyPlace(id ID) secret.Place     { return place("access_keys", "sealed_secret", id) }
func backendPlace(id ID) secret.Place { return place("backends", "sealed_credential", id) }

// checkKey returns ErrKeyChanged for a row that nobody with the keyring wrote so.
// hash is of its sealed secret.
func (s *Store) checkKey(k *Key, hash, binding []byte) error {
	return changed(s.Keyring.CheckBinding(keyPlace(k.ID), hash, k.facts(), binding), ErrKeyChanged, k.KeyID)
}

// changed turns what can only come of a row that was changed by somebody else
// into the sentinel. What this keyring has no key for may be good: ErrNotOpened.
func changed(err, sentinel error, name string) error {
	var scan pgx.ScanArgError // a value that no column of ours holds, as an end of "infinity"
	if errors.Is(err, secret.ErrNoKey) {
		return fmt.Errorf("%w: %s: %w", ErrNotOpened, name, err)
	}
	if !errors.Is(err, secret.ErrOpen) && !errors.Is(err, secret.ErrBinding) && !errors.As(err, &scan) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", sentinel, name, err)
}

// inMicroseconds is a time as PostgreSQL keeps it.
func inMicroseconds(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	short := t.Truncate(time.Microsecond)
	return &short
}
