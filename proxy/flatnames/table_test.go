package flatnames_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/proxy/flatnames"
)

// asked makes claims and returns them with what was asked to be told so.
func asked(t *testing.T, table *flatnames.Table, key string, now time.Duration) (*flatnames.Claims, []string) {
	t.Helper()
	c := &flatnames.Claims{}
	if !table.Claim(c, [16]byte{1}, []byte(key), now) {
		return nil, nil
	}
	var names []string
	known := c.Known(now)
	if err := c.Ask(now, func(name []byte, kind flatnames.Kind) error {
		names = append(names, string(name)+map[flatnames.Kind]string{flatnames.Folder: "/", flatnames.Object: ""}[kind])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if known != (names == nil) {
		t.Errorf("%s: known %v, asked %q", key, known, names)
	}
	return c, names
}

func TestClaim_asks(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][]string{
		"a":      {"a"},
		"a/":     nil,
		"a/b":    {"a/b", "a/"},
		"a/b/":   {"a/"},
		"a/b/cd": {"a/b/cd", "a/b/", "a/"},
	} {
		if _, got := asked(t, flatnames.New(), key, 0); !slices.Equal(got, want) {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// TestClaim_contradicts: what one request makes another may not make otherwise at
// the same time, and what was known of it until then is asked again.
func TestClaim_contradicts(t *testing.T) {
	t.Parallel()
	table := flatnames.New()
	top, _ := asked(t, table, "top", 0)
	same, again := asked(t, table, "top", 0)
	if same == nil || again != nil {
		t.Errorf("an object twice: %v %q", same, again)
	}
	for _, key := range []string{"top/d0", "top/d0/e", "top/d0/"} {
		if c, _ := asked(t, table, key, 0); c != nil {
			t.Errorf("%s beside an object that is being made", key)
		}
	}
	for _, key := range []string{"to", "topper", "d/top", "top/"} {
		if c, _ := asked(t, table, key, 0); c == nil {
			t.Errorf("%s contradicts nothing", key)
		}
	}
	if c := (&flatnames.Claims{}); !table.Claim(c, [16]byte{2}, []byte("top/d0"), 0) {
		t.Error("the same name of another bucket")
	}
	top.Release()
	if c, _ := asked(t, table, "top/d0", 0); c != nil {
		t.Error("one of two has ended")
	}
	same.Release()
	below, names := asked(t, table, "top/d0", 0)
	if !slices.Equal(names, []string{"top/d0", "top/"}) {
		t.Errorf("what was an object: %q", names)
	}
	if c, _ := asked(t, table, "top", 0); c != nil {
		t.Error("an object of a folder that is being made")
	}
	below.Release()
	if _, names := asked(t, table, "top", 0); !slices.Equal(names, []string{"top"}) {
		t.Errorf("what was a folder: %q", names)
	}
}

// TestClaim_memory: what was asked is used for some time; what was answered
// otherwise is not remembered.
func TestClaim_memory(t *testing.T) {
	t.Parallel()
	table := flatnames.New()
	use := func(key string, now time.Duration) []string {
		c, names := asked(t, table, key, now)
		c.Release()
		return names
	}
	use("a/b", 0)
	if got := use("a/c", flatnames.Memory-1); !slices.Equal(got, []string{"a/c"}) {
		t.Errorf("in time: %q", got)
	}
	if got := use("a/d", flatnames.Memory); !slices.Equal(got, []string{"a/d", "a/"}) {
		t.Errorf("too late: %q", got)
	}
	// A name that was known when it was claimed does not stay so for longer.
	held := &flatnames.Claims{}
	table.Claim(held, [16]byte{1}, []byte("a/b"), flatnames.Memory-1)
	if !held.Known(flatnames.Memory-1) || held.Known(flatnames.Memory) {
		t.Error("a claim is known for as long as what it was made by")
	}
	held.Release()
	no := errors.New("no")
	c := &flatnames.Claims{}
	table.Claim(c, [16]byte{1}, []byte("x/y"), 0)
	if err := c.Ask(0, func([]byte, flatnames.Kind) error { return no }); !errors.Is(err, no) || c.Known(0) {
		t.Error(err)
	}
	c.Release()
	if got := use("x/y", 0); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestTable_bound: however many names pass, and however deep, the table stays small.
func TestTable_bound(t *testing.T) {
	t.Parallel()
	table := flatnames.New()
	for i := range 300_000 {
		c := &flatnames.Claims{}
		table.Claim(c, [16]byte{1}, fmt.Appendf(nil, "%d/%d", i/100, i), 0)
		_ = c.Ask(0, func([]byte, flatnames.Kind) error { return nil })
		c.Release()
	}
	c := &flatnames.Claims{}
	table.Claim(c, [16]byte{1}, []byte(strings.Repeat("a/", 511)+"k"), 0)
	if n := table.Len(); n > flatnames.Most+512 {
		t.Errorf("%d names", n)
	}
	c.Release()
	if n := table.Len(); n > flatnames.Most {
		t.Errorf("%d names", n)
	}
}

func BenchmarkClaim(b *testing.B) {
	for name, key := range map[string]string{"flat": "object-0001", "deep": "a/bc/def/2026-11-30/object-0001"} {
		b.Run(name, func(b *testing.B) {
			table, c := flatnames.New(), &flatnames.Claims{}
			k := []byte(key)
			b.ReportAllocs()
			for b.Loop() {
				table.Claim(c, [16]byte{1}, k, 0)
				if !c.Known(0) {
					_ = c.Ask(0, func([]byte, flatnames.Kind) error { return nil })
				}
				c.Release()
			}
		})
	}
}
