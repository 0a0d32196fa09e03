package opaque_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/proxy/opaque"
)

func keyed(key string) opaque.MAC {
	return func(label string, data []byte) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(label))
		h.Write([]byte{0})
		h.Write(data)
		return h.Sum(nil)
	}
}

var (
	mac   = keyed("one key")
	place = opaque.Place{Backend: [16]byte{1}, Bucket: [16]byte{2}, Key: []byte("dir/key")}
)

const text = "ZDQ5MmVhNy0zYWM2LmQ1MTcyODBjeDE3OTU5ODM2ODMx"

func seal(t testing.TB, m opaque.MAC, k opaque.Kind, p opaque.Place, text string) []byte {
	t.Helper()
	token, err := m.Seal(k, p, text)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(token)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	token := seal(t, mac, opaque.UploadID, place, text)
	got, ok := mac.Open(opaque.UploadID, place, token)
	if !ok || string(got) != text {
		t.Fatalf("%q, %v", got, ok)
	}
	if again := seal(t, mac, opaque.UploadID, place, text); !bytes.Equal(again, token) {
		t.Error("another token for the same id: clients compare them")
	}
	if i := bytes.IndexFunc(token, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}); i >= 0 {
		t.Errorf("%q has to be escaped in a URL", token[i])
	}
}

// A token is good for one kind, place and key of a MAC, and its own bytes.
func TestOpen_nothingElse(t *testing.T) {
	t.Parallel()
	with := func(change func(*opaque.Place)) opaque.Place {
		p := place
		change(&p)
		return p
	}
	token := seal(t, mac, opaque.UploadID, place, text)
	refused := func(name string, m opaque.MAC, k opaque.Kind, p opaque.Place, token []byte) {
		t.Helper()
		if got, ok := m.Open(k, p, token); ok || got != nil {
			t.Errorf("%s: opens to %q", name, got)
		}
	}
	refused("another MAC key", keyed("another key"), opaque.UploadID, place, token)
	refused("another kind", mac, opaque.ContinuationToken, place, token)
	refused("another backend", mac, opaque.UploadID, with(func(p *opaque.Place) { p.Backend[15]++ }), token)
	refused("another bucket", mac, opaque.UploadID, with(func(p *opaque.Place) { p.Bucket[0]++ }), token)
	refused("backend and bucket exchanged", mac, opaque.UploadID, with(func(p *opaque.Place) { p.Backend, p.Bucket = p.Bucket, p.Backend }), token)
	for _, key := range []string{"", "dir/key2", "dir/ke", "dir/key/", "dir/Key", "dir/key\x00", "dir/key" + text} {
		refused("key "+key, mac, opaque.UploadID, with(func(p *opaque.Place) { p.Key = []byte(key) }), token)
	}
	for bit := range len(token) * 8 {
		flipped := bytes.Clone(token)
		flipped[bit/8] ^= 1 << (bit % 8)
		refused(fmt.Sprint("bit ", bit), mac, opaque.UploadID, place, flipped)
	}
	for n := range token {
		refused(fmt.Sprint("the first ", n), mac, opaque.UploadID, place, token[:n])
		refused(fmt.Sprint("without the first ", n+1), mac, opaque.UploadID, place, token[n+1:])
	}
	for n := range len(token) + 1 {
		for _, extra := range []string{"\n", "\r", "=", "A", " ", "%"} {
			longer := append(append(bytes.Clone(token[:n]), extra...), token[n:]...)
			refused(fmt.Sprintf("with %q at %d", extra, n), mac, opaque.UploadID, place, longer)
		}
	}
	refused("the backend's own", mac, opaque.UploadID, place, []byte(text))
	refused("a path", mac, opaque.UploadID, place, []byte(base64.RawURLEncoding.EncodeToString([]byte("x.../../../victim/k"))))
	refused("endless", mac, opaque.UploadID, place, bytes.Repeat([]byte("A"), 1<<20))
	// Bytes that move from the key into the text, or back, are another place.
	moved := seal(t, mac, opaque.UploadID, with(func(p *opaque.Place) { p.Key = []byte("a") }), "bc")
	refused("a moved boundary", mac, opaque.UploadID, with(func(p *opaque.Place) { p.Key = []byte("ab") }), moved)
}

// What no backend gives out is not passed on in any form.
func TestSeal_refuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", " ", "a b", "a\n", "a\x00", "ü", "a\x7f", strings.Repeat("x", 4096)} {
		if token, err := mac.Seal(opaque.UploadID, place, bad); err == nil {
			t.Errorf("%q is passed on as %q", bad, token)
		}
	}
	longest := strings.Repeat("x", 2048)
	if got, ok := mac.Open(opaque.UploadID, place, seal(t, mac, opaque.UploadID, place, longest)); !ok || string(got) != longest {
		t.Error("the longest text does not come back")
	}
}

// FuzzOpen: nothing opens but what was sealed, spelled as it was.
func FuzzOpen(f *testing.F) {
	token := seal(f, mac, opaque.UploadID, place, text)
	f.Add(token, place.Key)
	f.Add(seal(f, keyed("another key"), opaque.UploadID, place, text), place.Key)
	f.Add(seal(f, mac, opaque.ContinuationToken, place, text), place.Key)
	f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte("d.../../../.minio.sys/config/x"))), place.Key)
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, token, key []byte) {
		p := place
		p.Key = key
		got, ok := mac.Open(opaque.UploadID, p, token)
		if !ok {
			return
		}
		again, err := mac.Seal(opaque.UploadID, p, string(got))
		if err != nil || again != string(token) {
			t.Fatalf("%q opens to %q, which is sealed as %q (%v)", token, got, again, err)
		}
		if string(got) != text || !bytes.Equal(key, place.Key) {
			t.Fatalf("%q was never sealed, and opens for %q", token, key)
		}
	})
}
