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
)

// Keyring holds the keys that seal and open. With private keys it belongs to
// the gateway and SFTP roles; Public returns the half for everyone else. The
// last key seals, all open. It never prints what it holds.
type Keyring struct {
	keys   []key
	mac    []byte
	attest []attestKey
	bound  bool // rows need a binding
}

type key struct {
	id      string
	public  hpke.PublicKey
	private hpke.PrivateKey // nil in a public keyring
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
	return (&Keyring{mac: mac, bound: true}).Rotate()
}

// Rotate returns a keyring with a new key that seals from now on and a new one
// that attests; the old ones still open and check.
func (k *Keyring) Rotate() (*Keyring, error) {
	private, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("secret: generate: %w", err)
	}
	var id [4]byte
	_, _ = rand.Read(id[:])
	next := &Keyring{mac: k.mac, keys: slices.Clone(k.keys), attest: slices.Clone(k.attest), bound: k.bound}
	next.keys = append(next.keys, key{id: hex.EncodeToString(id[:]), public: private.PublicKey(), private: private})
	next.attest = append(next.attest, newAttestKey())
	return next, nil
}

// Retire returns the keyring with its newest key alone: what is sealed for an
// older one opens no more. What attests and checks stays.
func (k *Keyring) Retire() *Keyring {
	next := *k
	next.keys = []key{k.newest()}
	return &next
}

// Public returns the keyring without its private keys: it seals and attests,
// but opens nothing.
func (k *Keyring) Public() *Keyring {
	p := &Keyring{mac: k.mac, attest: k.attest, bound: k.bound}
	for _, one := range k.keys {
		p.keys = append(p.keys, key{id: one.id, public: one.public})
	}
	return p
}

// CanOpen reports whether the keyring has private keys.
func (k *Keyring) CanOpen() bool { return k.newest().private != nil }

// MAC authenticates what the fleet issues, access key ids above all. The label
// separates uses.
func (k *Keyring) MAC(label string, data []byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}

func (k *Keyring) newest() key { return k.keys[len(k.keys)-1] }

func (k *Keyring) find(id string) *key {
	for i := range k.keys {
		if k.keys[i].id == id {
			return &k.keys[i]
		}
	}
	return nil
}

// Marshal is the keyring's text form, to be kept in a file of mode 0600.
func (k *Keyring) Marshal() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# PrimeCloud keyring. Keep a copy apart from the database: without it no secret can be opened.\n")
	fmt.Fprintf(&b, "mac %s\n", base64.StdEncoding.EncodeToString(k.mac))
	if k.bound {
		b.WriteString(boundLine + "\n")
	}
	for _, one := range k.keys {
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
	for _, one := range k.attest {
		fmt.Fprintf(&b, "attest %s %s\n", one.id, base64.StdEncoding.EncodeToString(one.secret))
	}
	return []byte(b.String()), nil
}

// ReadFile reads a keyring from the file that holds its text form.
func ReadFile(name string) (*Keyring, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the keyring %q cannot be read (%w); name its file, or make one with `primecloud secret generate`", name, err)
	}
	return Parse(text)
}

// Parse reads a keyring's text form. Its errors name lines, never contents.
func Parse(text []byte) (*Keyring, error) {
	k := &Keyring{}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := k.parseLine(fields); err != nil {
			return nil, fmt.Errorf("secret: keyring line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("secret: keyring: a line is too long")
	}
	if len(k.keys) == 0 || k.mac == nil {
		return nil, errors.New("secret: the keyring needs a mac line and at least one key; make one with `primecloud secret generate`")
	}
	if len(k.attest) == 0 {
		derived, err := deriveAttestKey(k.mac)
		if err != nil {
			return nil, fmt.Errorf("secret: keyring: %w", err)
		}
		k.attest = []attestKey{derived}
	}
	return k, nil
}

// boundLine says that rows without a binding are not taken. A program from before
// there were bindings refuses the keyring: it would write such rows.
const boundLine = "bound"

var errLine = errors.New("expected `mac <base64>`, `bound`, or `attest`, `private` or `public` with `<id> <base64>`")

func (k *Keyring) parseLine(fields []string) error {
	if len(fields) == 1 && fields[0] == boundLine {
		k.bound = true
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil {
		return errLine
	}
	if len(fields) == 3 && (len(fields[1]) > 64 || k.find(fields[1]) != nil || k.findAttest(fields[1]) != nil) {
		return errors.New("the id is too long, or used before")
	}
	switch {
	case fields[0] == "mac" && len(fields) == 2:
		if k.mac != nil || len(raw) < 16 {
			return errors.New("expected one mac line of at least 16 bytes")
		}
		k.mac = raw
	case fields[0] == "attest" && len(fields) == 3:
		if len(raw) != attestKeyLen {
			return errLine
		}
		k.attest = append(k.attest, attestKey{fields[1], raw})
	case fields[0] == "private" && len(fields) == 3:
		private, err := kem().NewPrivateKey(raw)
		if err != nil {
			return errLine
		}
		k.keys = append(k.keys, key{id: fields[1], public: private.PublicKey(), private: private})
	case fields[0] == "public" && len(fields) == 3:
		public, err := kem().NewPublicKey(raw)
		if err != nil {
			return errLine
		}
		k.keys = append(k.keys, key{id: fields[1], public: public})
	default:
		return errLine
	}
	return nil
}

// String keeps the keys out of logs.
func (k Keyring) String() string { return fmt.Sprintf("keyring of %d keys", len(k.keys)) }

// GoString keeps the keys out of %#v.
func (k Keyring) GoString() string { return k.String() }

// LogValue keeps the keys out of structured logs.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }
