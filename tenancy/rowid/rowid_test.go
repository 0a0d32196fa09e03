package rowid_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/primecloudpro/primecloud/tenancy/rowid"
)

func TestNew(t *testing.T) {
	t.Parallel()
	last := rowid.New()
	for range 1000 {
		id := rowid.New()
		if s := id.String(); s <= last.String() || s[14] != '7' || !strings.ContainsRune("89ab", rune(s[19])) {
			t.Fatalf("%s after %s: want a later one of version 7, variant 10", id, last)
		}
		last = id
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const text = "019352a1-7c3e-7d0a-9b1f-0123456789ab"
	id, err := rowid.Parse(text)
	if err != nil || id.String() != text {
		t.Errorf("%v, %v, want %s", id, err, text)
	}
	var read struct{ ID rowid.ID }
	written, err := json.Marshal(struct{ ID rowid.ID }{id})
	if err != nil || json.Unmarshal(written, &read) != nil || read.ID != id {
		t.Errorf("JSON %s, %v", written, err)
	}
	for _, wrong := range []string{
		"", "019352a1", strings.ReplaceAll(text, "-", ""), "{" + text + "}", "urn:uuid:" + text, text + "0",
		"019352a17-c3e-7d0a-9b1f-0123456789ab", strings.Replace(text, "a", "g", 1),
	} {
		if id, err := rowid.Parse(wrong); err == nil || id != (rowid.ID{}) {
			t.Errorf("%q is read as %v", wrong, id)
		}
	}
}
