// Package secret seals what the database must not be able to read: the
// secrets of access keys and backends. SigV4 needs a secret back, so it is
// sealed rather than hashed.
//
// A sealed value is AES-256-GCM under a random data key of its own; the data
// key is wrapped with HPKE (RFC 9180) for the public key of a keyring. Whoever
// has the public half can seal; only the roles that hold the private half can
// open. The associated data binds a value to its table, column, row and key,
// so that it cannot be moved to another row. Rotation wraps the data key anew
// and leaves the value alone. A binding (binding.go) ties the value to everything
// else that its row says.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrOpen means that a value could not be opened: it was changed, belongs to
// another row, or its keyring is not here.
var ErrOpen = errors.New("secret: the value cannot be opened")

// ErrNoKey comes with ErrOpen, and says that the value may be good: this keyring
// does not have its private key.
var ErrNoKey = errors.New("secret: the keyring does not have the private key")

// Place is where a sealed value lives; it is authenticated with the value.
type Place struct{ Table, Column, Row string }

func (p Place) bind(keyID string) []byte {
	var b []byte
	for _, s := range [...]string{p.Table, p.Column, p.Row, keyID} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// The sealed form: version, key id, wrapped data key (each with its length),
// nonce and ciphertext.
const version = 1

const dataKeyLen = 32

// Seal encrypts value for the key that seals.
func (k *Keyring) Seal(p Place, value []byte) ([]byte, error) {
	dataKey := make([]byte, dataKeyLen)
	_, _ = rand.Read(dataKey) // never fails: crypto/rand ends the process instead
	sealing := k.now.Load().sealing()
	wrapped, err := sealing.wrap(p, dataKey)
	if err != nil {
		return nil, err
	}
	aead, err := newGCM(dataKey)
	if err != nil {
		return nil, err
	}
	out := appendHeader(nil, sealing.id, wrapped)
	// The data key is used once: a random nonce cannot repeat under it.
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	out = append(out, nonce...)
	// The data key is bound to its place by the wrapping; the value by the row
	// alone, so that re-wrapping for a new key leaves it untouched.
	return aead.Seal(out, nonce, value, p.bind("")), nil
}

// Open decrypts a sealed value of that place.
func (k *Keyring) Open(p Place, sealed []byte) ([]byte, error) {
	dataKey, body, _, err := k.now.Load().unwrap(p, sealed)
	if err != nil {
		return nil, err
	}
	aead, err := newGCM(dataKey)
	if err != nil {
		return nil, err
	}
	if len(body) < aead.NonceSize() {
		return nil, ErrOpen
	}
	value, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], p.bind(""))
	if err != nil {
		return nil, ErrOpen
	}
	return value, nil
}

// Rewrap moves a sealed value to the key that seals, without touching the value.
// changed is false when it is there already.
func (k *Keyring) Rewrap(p Place, sealed []byte) (out []byte, changed bool, err error) {
	r := k.now.Load()
	dataKey, body, id, err := r.unwrap(p, sealed)
	if err != nil {
		return nil, false, err
	}
	sealing := r.sealing()
	if id == sealing.id {
		return sealed, false, nil
	}
	wrapped, err := sealing.wrap(p, dataKey)
	if err != nil {
		return nil, false, err
	}
	return append(appendHeader(nil, sealing.id, wrapped), body...), true, nil
}

func appendHeader(dst []byte, id string, wrapped []byte) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(id)))
	dst = append(dst, id...)
	dst = binary.AppendUvarint(dst, uint64(len(wrapped)))
	return append(dst, wrapped...)
}

// KeyOf is the id of the key that a sealed value is for; "": it is none.
func KeyOf(sealed []byte) string {
	id, _, _ := split(sealed)
	return id
}

// split returns the key's id of a sealed value, and the rest of it.
func split(sealed []byte) (id string, rest []byte, ok bool) {
	if len(sealed) == 0 || sealed[0] != version {
		return "", nil, false
	}
	raw, rest, ok := cut(sealed[1:])
	return string(raw), rest, ok
}

func (r *ring) unwrap(p Place, sealed []byte) (dataKey, body []byte, id string, err error) {
	id, rest, ok := split(sealed)
	if !ok {
		return nil, nil, "", ErrOpen
	}
	wrapped, body, ok := cut(rest)
	if !ok {
		return nil, nil, "", ErrOpen
	}
	key := r.find(id)
	if key == nil || key.private == nil {
		return nil, nil, "", fmt.Errorf("%w: %w %q", ErrOpen, ErrNoKey, id)
	}
	dataKey, err = hpke.Open(key.private, hpke.HKDFSHA256(), hpke.AES256GCM(), p.bind(id), wrapped)
	if err != nil || len(dataKey) != dataKeyLen {
		return nil, nil, "", ErrOpen
	}
	return dataKey, body, id, nil
}

func cut(b []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
