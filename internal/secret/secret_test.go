package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
)

var place = secret.Place{Table: "access_keys", Column: "sealed_secret", Row: "6f1c"}

func newKeyring(t testing.TB) *secret.Keyring {
	t.Helper()
	k, err := secret.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *secret.Keyring) []byte {
	t.Helper()
	sealed, err := k.Seal(place, []byte("the secret"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestKeyring_SealOpen(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := seal(t, k.Public())
	if bytes.Contains(sealed, []byte("the secret")) {
		t.Error("the sealed form holds the secret")
	}
	got, err := k.Open(place, sealed)
	if err != nil || string(got) != "the secret" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := k.Public().Open(place, sealed); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("a public keyring opened: %v", err)
	}
	if _, err := newKeyring(t).Open(place, sealed); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("a foreign keyring opened: %v", err)
	}
}

func TestKeyring_boundToItsPlace(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := seal(t, k)
	for _, p := range []secret.Place{
		{Table: "backends", Column: place.Column, Row: place.Row},
		{Table: place.Table, Column: "other", Row: place.Row},
		{Table: place.Table, Column: place.Column, Row: "6f1d"},
		{Table: place.Table + place.Column, Row: place.Row},
	} {
		if _, err := k.Open(p, sealed); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("opened at %v: %v", p, err)
		}
	}
}

func TestKeyring_everyByteCounts(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := seal(t, k)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if got, err := k.Open(place, changed); err == nil {
			t.Fatalf("byte %d changed, and it opened to %q", i, got)
		}
		if _, err := k.Open(place, sealed[:i]); err == nil {
			t.Fatalf("opened after a cut at %d", i)
		}
	}
}

func TestKeyring_Rotate(t *testing.T) {
	t.Parallel()
	old := newKeyring(t)
	sealed := seal(t, old)
	rotated, err := old.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rotated.Open(place, sealed); err != nil || string(got) != "the secret" {
		t.Fatalf("after rotation Open = %q, %v", got, err)
	}
	moved, changed, err := rotated.Rewrap(place, sealed)
	if err != nil || !changed {
		t.Fatalf("Rewrap: changed %v, %v", changed, err)
	}
	if got, err := rotated.Open(place, moved); err != nil || string(got) != "the secret" {
		t.Fatalf("after Rewrap Open = %q, %v", got, err)
	}
	if _, err := old.Open(place, moved); err == nil {
		t.Error("the old keyring opens what was moved to the new key")
	}
	if _, changed, err := rotated.Rewrap(place, moved); err != nil || changed {
		t.Errorf("second Rewrap: changed %v, %v", changed, err)
	}
}

func TestKeyring_textForm(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	sealed := seal(t, k)
	for _, half := range []*secret.Keyring{k, k.Public()} {
		text, err := half.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if back.CanOpen() != half.CanOpen() {
			t.Errorf("CanOpen = %v", back.CanOpen())
		}
		if _, err := back.Open(place, sealed); (err == nil) != half.CanOpen() {
			t.Errorf("Open after the round trip: %v", err)
		}
		if !bytes.Equal(back.MAC("x", []byte("y")), k.MAC("x", []byte("y"))) {
			t.Error("the MAC key did not survive")
		}
	}
}

func TestKeyring_neverPrints(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	for _, v := range []any{k, *k} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(format, v); s != "keyring of 1 keys" {
				t.Errorf("%s of a %T prints %q", format, v, s)
			}
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "pointer", k, "value", *k)
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(text)) {
		if len(line) > 20 && strings.Contains(log.String(), line) {
			t.Errorf("the log holds the keyring: %s", log.String())
		}
	}
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	const secretPart = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="
	text, err := newKeyring(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n") // a comment, the mac, a key
	for what, bad := range map[string]string{
		"nothing":         "",
		"no mac":          lines[2],
		"no key":          lines[1],
		"two macs":        lines[1] + "\n" + lines[1] + "\n" + lines[2],
		"short mac":       "mac YWJj\n" + lines[2],
		"an id twice":     lines[1] + "\n" + lines[2] + "\n" + lines[2],
		"unknown word":    lines[1] + "\n" + lines[2] + "\nmagic x " + secretPart,
		"no base64":       lines[1] + "\nprivate x !" + secretPart,
		"key of no point": lines[1] + "\nprivate x " + secretPart[:20],
		"too many fields": lines[1] + "\n" + lines[2] + " " + secretPart,
		"a long line":     lines[1] + "\nprivate x " + strings.Repeat("A", 1<<17),
	} {
		_, err := secret.Parse([]byte(bad))
		if err == nil {
			t.Errorf("%s: parsed", what)
		} else if strings.Contains(err.Error(), secretPart[:20]) || len(err.Error()) > 200 {
			t.Errorf("%s: the error shows the contents: %v", what, err)
		}
	}
}

// Whatever the database holds, opening it ends in an error, not in a panic.
func FuzzOpen(f *testing.F) {
	k := newKeyring(f)
	f.Add(seal(f, k))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, _, err := k.Rewrap(place, sealed); err != nil && !errors.Is(err, secret.ErrOpen) {
			t.Errorf("another error than ErrOpen: %v", err)
		}
		if _, err := k.Open(place, sealed); err != nil && !errors.Is(err, secret.ErrOpen) {
			t.Errorf("another error than ErrOpen: %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := newKeyring(b).Public()
	for b.Loop() {
		seal(b, k)
	}
}

func BenchmarkOpen(b *testing.B) {
	k := newKeyring(b)
	sealed := seal(b, k)
	for b.Loop() {
		if _, err := k.Open(place, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("mac AAAA\nprivate x AAAA\n"))
	f.Add([]byte("# x\n\npublic a b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := secret.Parse(text); err == nil {
			_ = k.String()
		}
	})
}
