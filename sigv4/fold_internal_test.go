package sigv4

import (
	"strings"
	"testing"
	"unicode"
)

// TestFold: MinIO folds a header's value by strings.Fields (signV4TrimAll of
// its cmd/signature-v4-utils.go), AWS by spaces.
func TestFold(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", " ", "\t", "  ", "\x85", "\xa0", "\xff", "é", "\u200b", "\u180e"}
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.IsSpace(r) {
			pieces = append(pieces, string(r))
		}
	}
	if len(pieces) < 25 {
		t.Fatal("Unicode has lost its spaces")
	}
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				value := a + "x" + b + c + "y" + a + b
				if got, want := string(foldUnicode(nil, []byte(value))), strings.Join(strings.Fields(value), " "); got != want {
					t.Fatalf("MinIO folds %q to %q, got %q", value, want, got)
				}
				fields := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' })
				if got, want := string(foldASCII(nil, []byte(value))), strings.Join(fields, " "); got != want {
					t.Fatalf("AWS folds %q to %q, got %q", value, want, got)
				}
			}
		}
	}
}

// TestSortHeaders: the order of arrival within a name is kept whatever the
// number, and no name is told from its other spellings.
func TestSortHeaders(t *testing.T) {
	t.Parallel()
	var headers []Header
	for i := range MaxHeaders {
		name := []string{"x-amz-meta-a", "X-Amz-Meta-A", "host", "x-amz-meta-b", "Z", "a"}[i*7%6]
		headers = append(headers, Header{Name: []byte(name)})
	}
	order := sortHeaders(nil, headers)
	for i := 1; i < len(order); i++ {
		a, b := strings.ToLower(string(headers[order[i-1]].Name)), strings.ToLower(string(headers[order[i]].Name))
		if a > b || a == b && order[i-1] > order[i] {
			t.Fatalf("%q (%d) stands before %q (%d)", a, order[i-1], b, order[i])
		}
	}
}
