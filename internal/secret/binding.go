package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// ErrBinding means that a row is not what it was bound as: something in it was
// changed by somebody without the keyring.
var ErrBinding = errors.New("secret: the row is not what it was bound as")

// Facts are what the row of a sealed value says about it: associated data. They
// are apart from the sealed form, so that who cannot open it, as the portal, can
// check them, and bind others. Each has a name, and values whose lengths and
// number are written with them, so that no two lists of facts are the same bytes.
type Facts []byte

// Add appends a fact.
func (f *Facts) Add(name string, values ...string) {
	f.text(name)
	*f = binary.AppendUvarint(*f, uint64(len(values))+1)
	for _, v := range values {
		f.text(v)
	}
}

// AddNull appends a fact that the row leaves open, which is not an empty list.
func (f *Facts) AddNull(name string) {
	f.text(name)
	*f = append(*f, 0)
}

func (f *Facts) text(s string) {
	*f = append(binary.AppendUvarint(*f, uint64(len(s))), s...)
}

// bindingVersion begins a binding, and says how it was computed.
const bindingVersion = 1

// Hash is what a sealed value is called in a binding.
func Hash(sealed []byte) []byte {
	h := sha256.Sum256(sealed)
	return h[:]
}

// Bind vouches that the sealed value of that hash belongs to the place and to
// these facts. Every keyring can, with private keys or without.
func (k *Keyring) Bind(p Place, hash []byte, facts Facts) []byte {
	data := Facts{bindingVersion}
	data.Add("place", p.Table, p.Column, p.Row)
	data.Add("sealed", string(hash))
	return append([]byte{bindingVersion}, k.MAC("row", append(data, facts...))...)
}

// CheckBinding returns ErrBinding for a row that nobody has bound as it is. A
// keyring that does not ask for bindings takes every row.
func (k *Keyring) CheckBinding(p Place, hash []byte, facts Facts, binding []byte) error {
	if k.Binding() && !hmac.Equal(k.Bind(p, hash, facts), binding) {
		return ErrBinding
	}
	return nil
}

// Binding reports whether the keyring asks for bindings. Those made before there
// were any do not, until every row has one.
func (k *Keyring) Binding() bool { return k.now.Load().bound }

// WithBinding returns the keyring, asking for bindings.
func (k *Keyring) WithBinding() *Keyring {
	next := *k.now.Load()
	next.bound = true
	return holding(next)
}
