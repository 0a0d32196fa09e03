package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// An attestation says that somebody with the keyring vouched for data; the
// database, which has no keyring, cannot make one. Every keyring can, with
// private keys or without. One key attests, all are checked against, so
// that what was attested before a rotation stays good.
type attestKey struct {
	id     string
	secret []byte
}

// What Attested returns: the data is not what was attested, or nothing can be
// said of it with this keyring.
var (
	ErrAttestation        = errors.New("secret: the attestation is not of this data")
	ErrAttestationUnknown = errors.New("secret: the keyring does not have the key of this attestation")
)

const attestKeyLen = 32

// derivedAttestKey is that of a keyring which was made before there were attest
// lines.
const derivedAttestKey = "mac"

func deriveAttestKey(mac []byte) (attestKey, error) {
	derived, err := hkdf.Key(sha256.New, mac, nil, "primecloud attest", attestKeyLen)
	return attestKey{derivedAttestKey, derived}, err
}

func newAttestKey() attestKey {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	k := attestKey{hex.EncodeToString(id[:]), make([]byte, attestKeyLen)}
	_, _ = rand.Read(k.secret)
	return k
}

// Attest vouches for data; keyID is to be kept beside the mac. The label
// separates uses.
func (k *Keyring) Attest(label string, data []byte) (keyID string, mac []byte) {
	r := k.now.Load()
	one := &r.attest[r.vouch]
	return one.id, one.mac(label, data)
}

// Attested checks an attestation: ErrAttestation when it is not of this label
// and data, ErrAttestationUnknown when its key is not here.
func (k *Keyring) Attested(label, keyID string, data, mac []byte) error {
	one := k.now.Load().findAttest(keyID)
	if one == nil {
		return ErrAttestationUnknown
	}
	if !hmac.Equal(one.mac(label, data), mac) {
		return ErrAttestation
	}
	return nil
}

func (r *ring) findAttest(id string) *attestKey {
	for i := range r.attest {
		if r.attest[i].id == id {
			return &r.attest[i]
		}
	}
	return nil
}

func (a *attestKey) mac(label string, data []byte) []byte {
	h := hmac.New(sha256.New, a.secret)
	h.Write(binary.AppendUvarint(nil, uint64(len(label))))
	h.Write([]byte(label))
	h.Write(data)
	return h.Sum(nil)
}
