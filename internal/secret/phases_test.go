package secret_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
)

// read is a keyring as it comes back from its text.
func read(t *testing.T, k *secret.Keyring) *secret.Keyring {
	t.Helper()
	back, err := secret.Parse([]byte(marshal(t, k)))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// A new key opens and checks before it seals and attests, through the text form too,
// with private keys or without; and when it seals, the one before still opens.
func TestKeyring_phases(t *testing.T) {
	t.Parallel()
	was := newKeyring(t)
	added, err := was.Add()
	if err != nil {
		t.Fatal(err)
	}
	added = read(t, added)
	waiting := added.Waiting()
	if len(waiting) != 2 || !added.Has(waiting[0]) || was.Has(waiting[0]) || was.Waiting() != nil {
		t.Fatalf("waiting: %v of %v", waiting, added.IDs())
	}
	for what, k := range map[string]*secret.Keyring{"whole": added, "public": read(t, added.Public())} {
		sealed := seal(t, k)
		id, mac := k.Attest("usage", []byte("hour"))
		if secret.KeyOf(sealed) != was.Seals() || k.Seals() != was.Seals() {
			t.Errorf("%s: a key that waits seals", what)
		}
		if _, err := was.Open(place, sealed); err != nil {
			t.Errorf("%s: who does not have the new key: %v", what, err)
		}
		if err := was.Attested("usage", id, []byte("hour"), mac); err != nil {
			t.Errorf("%s: who does not have the new key: %v", what, err)
		}
	}
	promoted := read(t, added.Promote())
	if promoted.Waiting() != nil || promoted.Seals() != waiting[0] || !slices.Equal(promoted.IDs(), added.IDs()) {
		t.Errorf("promoted: %v, seals %s of %v", promoted.Waiting(), promoted.Seals(), promoted.IDs())
	}
	id, mac := promoted.Attest("usage", []byte("hour"))
	if id != waiting[1] || added.Attested("usage", id, []byte("hour"), mac) != nil {
		t.Errorf("attested with %s", id)
	}
	for what, sealed := range map[string][]byte{"of before": seal(t, was), "of afterwards": seal(t, promoted)} {
		if _, err := added.Open(place, sealed); err != nil {
			t.Errorf("a secret %s, by who has the new key waiting: %v", what, err)
		}
	}
	if _, err := promoted.Retire().Open(place, seal(t, was)); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("a retired key opens: %v", err)
	}
}

// A program that does not know the line must not take the last key for the one that seals.
func TestParse_sealsLine(t *testing.T) {
	t.Parallel()
	added, err := newKeyring(t).Add()
	if err != nil {
		t.Fatal(err)
	}
	text := marshal(t, added)
	line := text[strings.LastIndex(text, "\nseals "):]
	for _, wrong := range []string{"\nseals 00000000 11111111\n", line + line[1:], "\nseals\n", line[:len(line)-1] + " more\n"} {
		if _, err := secret.Parse([]byte(strings.Replace(text, line, wrong, 1))); err == nil {
			t.Errorf("accepted %q", wrong)
		}
	}
}

// Keys are replaced while everybody uses them: nobody sees a half.
func TestKeyring_Replace(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	live := read(t, k)
	added, err := k.Add()
	if err != nil {
		t.Fatal(err)
	}
	older := strings.Replace(marshal(t, added), "\nbound\n", "\n", 1)
	unbound, err := secret.Parse([]byte(older))
	if err != nil {
		t.Fatal(err)
	}
	for what, by := range map[string]*secret.Keyring{"another": newKeyring(t), "public": added.Public(), "without bindings": unbound} {
		before := live.IDs()
		if err := live.Replace(by); err == nil || errors.Is(err, secret.ErrOther) != (what == "another") || !slices.Equal(live.IDs(), before) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var using sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		using.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sealed, err := live.Seal(place, []byte("x"))
				if _, oerr := added.Open(place, sealed); err != nil || oerr != nil {
					t.Errorf("%v, %v", err, oerr)
					return
				}
			}
		})
	}
	for range 500 {
		for _, by := range []*secret.Keyring{added, added.Promote(), k} {
			if err := live.Replace(by); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	using.Wait()
	copied := *live
	if err := live.Replace(added.Promote()); err != nil || copied.Seals() != added.Waiting()[0] {
		t.Errorf("a copy is another keyring: %v", err)
	}
}

func TestKeyring_Fingerprint(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	rotated, err := k.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	print := k.Fingerprint()
	for what, same := range map[string]*secret.Keyring{"its public half": k.Public(), "rotated": rotated, "retired": rotated.Retire(), "read": read(t, k)} {
		if same.Fingerprint() != print {
			t.Errorf("%s has another fingerprint", what)
		}
	}
	if newKeyring(t).Fingerprint() == print {
		t.Error("two keyrings have one fingerprint")
	}
	if strings.Contains(marshal(t, k), print) {
		t.Error("it tells something of the keys")
	}
}
