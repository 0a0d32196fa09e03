package secret_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/primecloudpro/primecloud/internal/secret"
)

func facts(f func(*secret.Facts)) secret.Facts {
	var all secret.Facts
	f(&all)
	return all
}

// No two lists of facts are the same bytes: all of up to two facts with up to two
// values each, of texts that look like lengths and like each other's pieces.
func TestFacts_oneReading(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "aa", "\x01", "\x01a", "\x02"}
	var one []func(*secret.Facts)
	for _, name := range texts {
		one = append(one, func(f *secret.Facts) { f.AddNull(name) }, func(f *secret.Facts) { f.Add(name) })
		for _, v := range texts {
			one = append(one, func(f *secret.Facts) { f.Add(name, v) })
			for _, w := range texts {
				one = append(one, func(f *secret.Facts) { f.Add(name, v, w) })
			}
		}
	}
	seen := map[string]bool{"": true} // no facts
	for i, first := range one {
		for j := -1; j < len(one); j++ {
			all := facts(first)
			if j >= 0 {
				one[j](&all)
			}
			if seen[string(all)] {
				t.Fatalf("%d and %d: %x is another list too", i, j, all)
			}
			seen[string(all)] = true
		}
	}
}

func TestKeyring_Bind(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	hash, said := secret.Hash([]byte("sealed")), facts(func(f *secret.Facts) { f.Add("account", "a") })
	binding := k.Public().Bind(place, hash, said)
	if err := k.CheckBinding(place, hash, said, binding); err != nil {
		t.Error(err)
	}
	elsewhere := place
	elsewhere.Row = "another"
	for what, err := range map[string]error{
		"another place":   k.CheckBinding(elsewhere, hash, said, binding),
		"another secret":  k.CheckBinding(place, secret.Hash([]byte("other")), said, binding),
		"another fact":    k.CheckBinding(place, hash, facts(func(f *secret.Facts) { f.Add("account", "b") }), binding),
		"no facts":        k.CheckBinding(place, hash, nil, binding),
		"no binding":      k.CheckBinding(place, hash, said, nil),
		"a version":       k.CheckBinding(place, hash, said, append([]byte{2}, binding[1:]...)),
		"half":            k.CheckBinding(place, hash, said, binding[:16]),
		"another keyring": newKeyring(t).CheckBinding(place, hash, said, binding),
	} {
		if !errors.Is(err, secret.ErrBinding) {
			t.Errorf("%s: %v", what, err)
		}
	}
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	old, err := secret.Parse(bytes.Replace(text, []byte("\nbound\n"), []byte("\n"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if rotated, err := old.Rotate(); err != nil || rotated.Binding() || old.Binding() || old.CheckBinding(place, hash, said, nil) != nil {
		t.Error("a keyring from before bindings asks for them")
	}
	if next := old.WithBinding(); !next.Binding() || old.Binding() || next.CheckBinding(place, hash, said, binding) != nil || next.CheckBinding(place, hash, said, nil) == nil {
		t.Error("the keyring does not begin to ask")
	}
}

// What was sealed before a rotation opens no more when the older keys are retired.
func TestKeyring_Retire(t *testing.T) {
	t.Parallel()
	old := newKeyring(t)
	sealed := seal(t, old)
	id, mac := old.Attest("usage", []byte("hour"))
	next, err := old.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	retired := next.Retire()
	if _, err := retired.Open(place, sealed); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("opened: %v", err)
	}
	if _, err := next.Open(place, sealed); err != nil {
		t.Error(err)
	}
	if got, err := retired.Open(place, seal(t, next.Public())); err != nil || string(got) != "the secret" || !retired.Binding() {
		t.Errorf("its own: %q, %v", got, err)
	}
	if err := retired.Attested("usage", id, []byte("hour"), mac); err != nil {
		t.Errorf("seals of usage from before: %v", err)
	}
}

// BenchmarkCheckBinding is what a row costs beside opening its secret.
func BenchmarkCheckBinding(b *testing.B) {
	k := newKeyring(b)
	sealed := seal(b, k)
	binding := k.Bind(place, secret.Hash(sealed), nil)
	for b.Loop() {
		var f secret.Facts
		for _, name := range []string{"key_id", "account_id", "kind", "user_id", "permissions", "buckets", "prefix", "cidrs", "expires_at"} {
			f.Add(name, "0123456789abcdef0123456789abcdef")
		}
		_ = k.CheckBinding(place, secret.Hash(sealed), f, binding)
	}
}
