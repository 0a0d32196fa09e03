package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
)

func TestKeyring_Attest(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	id, mac := k.Public().Attest("usage", []byte("hour"))
	if err := k.Attested("usage", id, []byte("hour"), mac); err != nil {
		t.Errorf("attested without private keys: %v", err)
	}
	for what, err := range map[string]error{
		"other data":  k.Attested("usage", id, []byte("hour2"), mac),
		"other label": k.Attested("usageh", id, []byte("our"), mac),
		"a cut mac":   k.Attested("usage", id, []byte("hour"), mac[:16]),
	} {
		if !errors.Is(err, secret.ErrAttestation) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := newKeyring(t).Attested("usage", id, []byte("hour"), mac); !errors.Is(err, secret.ErrAttestationUnknown) {
		t.Errorf("another keyring: %v", err)
	}
}

// A rotation makes a new key and keeps the old ones, also that of a keyring
// which was made before there were attest lines.
func TestKeyring_AttestAfterRotation(t *testing.T) {
	t.Parallel()
	fresh := newKeyring(t)
	text := marshal(t, fresh)
	mac, _, _ := strings.Cut(text, "attest ")
	before, err := secret.Parse([]byte(mac))
	if err != nil {
		t.Fatal(err)
	}
	for what, k := range map[string]*secret.Keyring{"fresh": fresh, "from before attest lines": before} {
		oldID, oldMAC := k.Attest("usage", []byte("hour"))
		rotated, err := k.Rotate()
		if err != nil {
			t.Fatal(err)
		}
		back, err := secret.Parse([]byte(marshal(t, rotated.Public())))
		if err != nil {
			t.Fatal(err)
		}
		newID, newMAC := back.Attest("usage", []byte("hour"))
		if newID == oldID {
			t.Errorf("%s: a rotation keeps attesting with the old key", what)
		}
		if err := errors.Join(back.Attested("usage", oldID, []byte("hour"), oldMAC), rotated.Attested("usage", newID, []byte("hour"), newMAC)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := k.Attested("usage", newID, []byte("hour"), newMAC); !errors.Is(err, secret.ErrAttestationUnknown) {
			t.Errorf("%s: the old keyring on the new attestation: %v", what, err)
		}
	}
}

func marshal(t *testing.T, k *secret.Keyring) string {
	t.Helper()
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
