package tenancy

import (
	"hash/maphash"
	"time"

	"github.com/primecloudpro/primecloud/internal/secret"
)

// Settle waits until the caches have taken what they were given.
func (d *Directory) Settle() {
	d.keys.cache.Wait()
	d.accounts.cache.Wait()
	d.names.cache.Wait()
	d.domains.cache.Wait()
	d.buckets.cache.Wait()
	d.backends.cache.Wait()
}

// Forget makes the cache drop a key, as ristretto may at any time.
func (d *Directory) Forget(keyID string) {
	d.keys.cache.Del(maphash.String(d.keys.seed, keyID))
	d.Settle()
}

// KeyGeneration counts the changes heard of a key.
func (d *Directory) KeyGeneration(keyID string) uint64 {
	return d.keys.stripes[maphash.String(d.keys.seed, keyID)%stripes].gen.Load()
}

// Misses counts the look-ups that went to PostgreSQL.
func (d *Directory) Misses() uint64 { return d.misses.Load() }

// Connects counts the connections made to hear changes.
func (d *Directory) Connects() uint64 { return d.connects.Load() }

// Heard is when the last heartbeat that came back was sent.
func (d *Directory) Heard() time.Time { return d.sync.Load().lastHeartbeat }

// IssueKeyID makes an id that has the right form and MAC.
func IssueKeyID(k *secret.Keyring) string { return newKeyID(k) }

// BackendName is the name in the backend of the bucket of that id.
func BackendName(id ID) string { return backendName(id) }

// Issued says whether an id has the form of issued ones, and its MAC.
func Issued(k *secret.Keyring, id string) (form, genuine bool) { return issued(k, id) }

// ShareOf is where an account waits.
func (d *Directory) ShareOf(id ID) int { return d.ofAccount(id).share }

// Remembers reports whether the directory has heard that a key ended.
func (d *Directory) Remembers(id ID) bool { return d.ended.before(d.ended.now(), id) }
