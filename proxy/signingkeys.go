package proxy

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/primecloudpro/primecloud/sigv4"
	"github.com/primecloudpro/primecloud/tenancy"
)

// signingKeys caches the signing key that was last derived for each access key.
// A slot is shared by the access keys whose ids end alike: they replace each
// other's entry, which costs the four HMACs of a derivation and nothing else.
// The zero value is empty. It may be used by several goroutines at once.
type signingKeys struct {
	slots [1 << 16]atomic.Pointer[signingEntry]
}

// signingEntry is compared by the identity's address: a changed access key is
// another Identity, so that no key outlives the secret it was derived from
// (S3-RULES.md B28).
type signingEntry struct {
	identity *tenancy.Identity
	key      *sigv4.SigningKey
}

// get returns the identity's signing key for that day and region. It allocates
// only when it has to derive it; day and region are not kept.
func (c *signingKeys) get(i *tenancy.Identity, day, region []byte) *sigv4.SigningKey {
	slot := &c.slots[binary.BigEndian.Uint16(i.ID[len(i.ID)-2:])] // the end of an id is random
	if e := slot.Load(); e != nil && e.identity == i && e.key.Matches(day, region) {
		return e.key
	}
	k := sigv4.NewSigningKey(i.Secret, string(day), string(region))
	slot.Store(&signingEntry{i, k})
	return k
}
