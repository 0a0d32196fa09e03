package secret

import (
	"bufio"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Keyring holds the keys that seal and open. With private keys it belongs to
// the gateway, worker and SFTP roles; Public returns the half for everyone else.
// One key seals, all open. It never prints what it holds.
//
// A process has one, which everything in it uses: Replace puts other keys in while
// it is used. A copy of a Keyring is the same one.
type Keyring struct{ now *atomic.Pointer[ring] }

// ring is what a keyring holds at one moment. It is never changed.
type ring struct {
	keys   []key
	seals  int // of keys; those behind it wait
	mac    []byte
	attest []attestKey
	vouch  int  // of attest; those behind it wait
	bound  bool // rows need a binding
}

type key struct {
	id      string
	public  hpke.PublicKey
	private hpke.PrivateKey // nil in a public keyring
}

func holding(r ring) *Keyring {
	k := &Keyring{now: &atomic.Pointer[ring]{}}
	k.now.Store(&r)
	return k
}

func (k key) wrap(p Place, dataKey []byte) ([]byte, error) {
	wrapped, err := hpke.Seal(k.public, hpke.HKDFSHA256(), hpke.AES256GCM(), p.bind(k.id), dataKey)
	if err != nil {
		return nil, fmt.Errorf("secret: wrap: %w", err)
	}
	return wrapped, nil
}

func kem() hpke.KEM { return hpke.DHKEM(ecdh.X25519()) }

// Generate makes a keyring with one new key.
func Generate() (*Keyring, error) {
	mac := make([]byte, 32)
	_, _ = rand.Read(mac) // never fails: crypto/rand ends the process instead
	return holding(ring{mac: mac, bound: true}).Rotate()
}

// Rotate is Add and Promote at once: for a keyring that nobody else has.
func (k *Keyring) Rotate() (*Keyring, error) {
	next, err := k.Add()
	if err != nil {
		return nil, err
	}
	return next.Promote(), nil
}

// Add returns the keyring with a new key that opens, and a new one that checks
// attestations. Neither is used to seal and to attest before Promote: first
// everybody has to have them.
func (k *Keyring) Add() (*Keyring, error) {
	private, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("secret: generate: %w", err)
	}
	var id [4]byte
	_, _ = rand.Read(id[:])
	next := *k.now.Load()
	next.keys = append(slices.Clone(next.keys), key{id: hex.EncodeToString(id[:]), public: private.PublicKey(), private: private})
	next.attest = append(slices.Clone(next.attest), newAttestKey())
	return holding(next), nil
}

// Promote returns the keyring with its newest keys sealing and attesting.
func (k *Keyring) Promote() *Keyring {
	next := holding(*k.now.Load())
	if w := next.Waiting(); w != nil {
		next.SealWith(w[0])
	}
	return next
}

// SealWith makes the waiting key of that id seal, for everybody who uses k. It never
// makes one seal that is before the present one.
func (k *Keyring) SealWith(id string) {
	for {
		was := k.now.Load()
		if last := len(was.keys) - 1; was.seals == last || was.keys[last].id != id {
			return
		}
		next := *was
		next.seals, next.vouch = len(next.keys)-1, len(next.attest)-1
		if k.now.CompareAndSwap(was, &next) { // else the keys were replaced meanwhile
			return
		}
	}
}

// Waiting are the ids of the newest key and of what will attest with it, when they do
// not yet; else none.
func (k *Keyring) Waiting() []string {
	r := k.now.Load()
	if last := len(r.keys) - 1; r.seals < last {
		return []string{r.keys[last].id, r.attest[len(r.attest)-1].id}
	}
	return nil
}

// Seals is the id of the key that seals.
func (k *Keyring) Seals() string { return k.now.Load().sealing().id }

// Has reports whether the keyring has the key of that id, with private keys or without.
func (k *Keyring) Has(id string) bool { return k.now.Load().find(id) != nil }

// IDs are the ids of all private keys, which open, and of all that check attestations.
func (k *Keyring) IDs() (list []string) {
	r := k.now.Load()
	for _, one := range r.keys {
		if one.private != nil {
			list = append(list, one.id)
		}
	}
	for _, one := range r.attest {
		list = append(list, one.id)
	}
	return list
}

// Retire returns the keyring with the key alone that seals: what is sealed for
// another one opens no more. What attests and checks stays.
func (k *Keyring) Retire() *Keyring {
	next := *k.now.Load()
	next.keys, next.seals = []key{next.sealing()}, 0
	return holding(next)
}

// Public returns the keyring without its private keys: it seals and attests,
// but opens nothing.
func (k *Keyring) Public() *Keyring {
	p := *k.now.Load()
	p.keys = nil
	for _, one := range k.now.Load().keys {
		p.keys = append(p.keys, key{id: one.id, public: one.public})
	}
	return holding(p)
}

// CanOpen reports whether the keyring has private keys.
func (k *Keyring) CanOpen() bool { return k.now.Load().sealing().private != nil }

// ErrOther means that a keyring is another installation's.
var ErrOther = errors.New("secret: it is the keyring of another installation")

// Replace puts the keys of another keyring of the same installation in. Who uses k
// meanwhile uses either, and never both. With an error k stays as it is: when by is
// another installation's, has public keys only, or asks for no bindings any more.
func (k *Keyring) Replace(by *Keyring) error {
	was, next := k.now.Load(), by.now.Load()
	switch {
	case !hmac.Equal(was.mac, next.mac):
		return ErrOther
	case was.sealing().private != nil && next.sealing().private == nil:
		return errors.New("secret: the keyring has public keys only")
	case was.bound && !next.bound:
		return errors.New("secret: the keyring has no bound line any more: it is from before the last rotation")
	}
	k.now.Store(next)
	return nil
}

// Fingerprint tells keyrings of one installation from those of others. It is the
// same through all rotations, and tells nothing of the keys.
func (k *Keyring) Fingerprint() string {
	return hex.EncodeToString(k.MAC("fingerprint", nil)[:8])
}

// MAC authenticates what the fleet issues, access key ids above all. The label
// separates uses.
func (k *Keyring) MAC(label string, data []byte) []byte {
	h := hmac.New(sha256.New, k.now.Load().mac)
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}

func (r *ring) sealing() key { return r.keys[r.seals] }

func (r *ring) find(id string) *key {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// Marshal is the keyring's text form, to be kept in a file of mode 0600.
func (k *Keyring) Marshal() ([]byte, error) {
	var b strings.Builder
	r := k.now.Load()
	b.WriteString("# PrimeCloud keyring. Keep a copy apart from the database: without it no secret can be opened.\n")
	fmt.Fprintf(&b, "mac %s\n", base64.StdEncoding.EncodeToString(r.mac))
	if r.bound {
		b.WriteString(boundLine + "\n")
	}
	for _, one := range r.keys {
		if one.private == nil {
			fmt.Fprintf(&b, "public %s %s\n", one.id, base64.StdEncoding.EncodeToString(one.public.Bytes()))
			continue
		}
		raw, err := one.private.Bytes()
		if err != nil {
			return nil, fmt.Errorf("secret: marshal: %w", err)
		}
		fmt.Fprintf(&b, "private %s %s\n", one.id, base64.StdEncoding.EncodeToString(raw))
	}
	for _, one := range r.attest {
		fmt.Fprintf(&b, "attest %s %s\n", one.id, base64.StdEncoding.EncodeToString(one.secret))
	}
	if k.Waiting() != nil {
		fmt.Fprintf(&b, "%s %s %s\n", sealsLine, r.sealing().id, r.attest[r.vouch].id)
	}
	return []byte(b.String()), nil
}

// ReadFile reads a keyring from the file that holds its text form.
func ReadFile(name string) (*Keyring, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the keyring %q cannot be read (%w); name its file, or make one with `primecloud secret generate`", name, err)
	}
	k, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}

// Parse reads a keyring's text form. Its errors name lines, never contents.
func Parse(text []byte) (*Keyring, error) {
	r := &parsed{}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := r.line(fields); err != nil {
			return nil, fmt.Errorf("secret: keyring line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("secret: keyring: a line is too long")
	}
	if len(r.keys) == 0 || r.mac == nil {
		return nil, errors.New("secret: the keyring needs a mac line and at least one key; make one with `primecloud secret generate`")
	}
	if len(r.attest) == 0 {
		derived, err := deriveAttestKey(r.mac)
		if err != nil {
			return nil, fmt.Errorf("secret: keyring: %w", err)
		}
		r.attest = []attestKey{derived}
	}
	if r.seals, r.vouch = len(r.keys)-1, len(r.attest)-1; r.named != nil {
		r.seals = slices.IndexFunc(r.keys, func(one key) bool { return one.id == r.named[0] })
		r.vouch = slices.IndexFunc(r.attest, func(one attestKey) bool { return one.id == r.named[1] })
		if r.seals < 0 || r.vouch < 0 {
			return nil, errors.New("secret: keyring: the seals line names a key that is not there")
		}
	}
	return holding(r.ring), nil
}

// parsed is a ring whose lines are being read.
type parsed struct {
	ring
	named []string // by the seals line
}

// boundLine says that rows without a binding are not taken. A program from before
// there were bindings refuses the keyring: it would write such rows.
const boundLine = "bound"

// sealsLine names the keys that seal and attest while newer ones wait. A program from
// before there was this line refuses the keyring: it would seal with what others do
// not have.
const sealsLine = "seals"

var errLine = errors.New("expected `mac <base64>`, `bound`, `seals <id> <id>`, or `attest`, `private` or `public` with `<id> <base64>`")

func (r *parsed) line(fields []string) error {
	if len(fields) == 1 && fields[0] == boundLine {
		r.bound = true
		return nil
	}
	if len(fields) == 3 && fields[0] == sealsLine && r.named == nil {
		r.named = fields[1:]
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil {
		return errLine
	}
	if len(fields) == 3 && (len(fields[1]) > 64 || r.find(fields[1]) != nil || r.findAttest(fields[1]) != nil) {
		return errors.New("the id is too long, or used before")
	}
	switch {
	case fields[0] == "mac" && len(fields) == 2:
		if r.mac != nil || len(raw) < 16 {
			return errors.New("expected one mac line of at least 16 bytes")
		}
		r.mac = raw
	case fields[0] == "attest" && len(fields) == 3:
		if len(raw) != attestKeyLen {
			return errLine
		}
		r.attest = append(r.attest, attestKey{fields[1], raw})
	case fields[0] == "private" && len(fields) == 3:
		private, err := kem().NewPrivateKey(raw)
		if err != nil {
			return errLine
		}
		r.keys = append(r.keys, key{id: fields[1], public: private.PublicKey(), private: private})
	case fields[0] == "public" && len(fields) == 3:
		public, err := kem().NewPublicKey(raw)
		if err != nil {
			return errLine
		}
		r.keys = append(r.keys, key{id: fields[1], public: public})
	default:
		return errLine
	}
	return nil
}

// String keeps the keys out of logs.
func (k Keyring) String() string { return fmt.Sprintf("keyring of %d keys", len(k.now.Load().keys)) }

// GoString keeps the keys out of %#v.
func (k Keyring) GoString() string { return k.String() }

// LogValue keeps the keys out of structured logs.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }
